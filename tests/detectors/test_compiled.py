"""The specification of compiled loops: made once for all who start them, and never in the way."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import detectors
import grid

CODE = """
import sys
from detectors.arriving import METERS, arrived, worth
print(arrived(METERS, 10_000_000), sum(worth.stats.cache_hits.values()))
"""


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """A folder of our sources where nothing was compiled yet."""
    for package in (detectors, grid):
        folder = Path(str(package.__file__)).parent
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(folder, tmp_path / folder.name, ignore=skip)
    return tmp_path


def started(installation: Path, home: Path) -> str:
    """What a process that starts there says: the share that arrived, how much was kept."""
    environment = {"HOME": str(home), "PYTHONPATH": str(installation)}
    ran = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, cwd=installation, check=True,
        env=environment,
    )  # fmt: skip
    return ran.stdout.strip()


def test_what_one_process_compiled_the_next_one_takes_until_a_source_changes(
    installation: Path, tmp_path: Path
) -> None:
    assert started(installation, tmp_path) == "1.0 0"
    assert started(installation, tmp_path) == "1.0 1"
    imported = installation / "detectors" / "compiled.py"
    imported.write_text(imported.read_text() + "\n# otherwise\n")
    assert started(installation, tmp_path) == "1.0 0"
    named = installation / "detectors" / "arriving.py"
    named.write_text(re.sub(r"\bWay\b", "Path", named.read_text()))
    assert started(installation, tmp_path) == "1.0 0", "what was kept names a class that is no more"


def test_where_nothing_can_be_kept_it_starts_all_the_same(installation: Path) -> None:
    """A read-only installation, and a user without a home."""
    (installation / "detectors" / "__pycache__").write_text("a file where a folder should be")
    assert started(installation, Path("/dev/null")) == "1.0 0"
