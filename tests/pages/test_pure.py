"""What the pages decide is pure, and specified in its own language (tests/pages/pure)."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

PURE = sorted((Path(__file__).parent / "pure").glob("*.test.js"))


@pytest.mark.services
def test_the_pages_decide_as_specified(tool: Callable[[str], str]) -> None:
    ran = subprocess.run(
        [tool("node"), "--test", *map(str, PURE)], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    assert "# pass 0" not in ran.stdout
