"""The specification of the sizing page: its table is what the arithmetic gives."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_has_the_table_that_is_reckoned() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bench", "sizing"], cwd=ROOT, text=True, capture_output=True,
        timeout=60, check=True,
    )  # fmt: skip
    said = json.loads(ran.stdout)
    page = (ROOT / "docs" / "operations.md").read_text()
    assert said["table"] in page, said["table"]
    assert f"W = {said['worker_s']:,}" in page
    assert f"10 s of a feeder group) | {said['recorded_bytes']} |" in page
