"""The specification of the log: one form for all who write it, and no phone number in it."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from service import logging as our_logging
from service.settings import LogSettings

MOBILE = "138" + "1234" + "8000"  # spelled so that this file holds no number of anybody


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave the process's log as it was."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in before[0]:
            handler.close()
    root.handlers[:], root.level = before[0], before[1]
    structlog.reset_defaults()


def records(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_ours_and_a_librarys_records_have_one_form(tmp_path: Path) -> None:
    path = tmp_path / "log"
    our_logging.set_up(LogSettings(json=True), file=path)
    structlog.get_logger("store").info("batch_committed", rows=3)
    logging.getLogger("some.library").warning("peer %s is slow", "x")
    ours, theirs = records(path)
    assert (ours["event"], ours["rows"], ours["level"]) == ("batch_committed", 3, "info")
    assert (theirs["event"], theirs["level"]) == ("peer x is slow", "warning")
    assert set(theirs) <= set(ours) | {"event"}


def test_a_level_below_the_setting_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "log"
    our_logging.set_up(LogSettings(json=True, level="warning"), file=path)
    structlog.get_logger().info("unseen")
    structlog.get_logger().warning("seen")
    assert [one["event"] for one in records(path)] == ["seen"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"call from {MOBILE}", "call from 138****8000"),
        (f"+86 {MOBILE}", "+86 138****8000"),
        ("138 1234 8000".replace(" ", "-"), "138****8000"),
        ("at 1793491200123 ms", "at 1793491200123 ms"),
        ("meter 40138123480001", "meter 40138123480001"),
    ],
    ids=["a mobile", "with the country", "with dashes", "epoch milliseconds", "a long meter id"],
)
def test_phones_are_masked_and_other_numbers_are_not(text: str, shown: str) -> None:
    assert our_logging.masked(text) == shown


def test_a_phone_is_masked_wherever_it_stands_in_a_record(tmp_path: Path) -> None:
    path = tmp_path / "log"
    our_logging.set_up(LogSettings(json=True), file=path)
    structlog.get_logger().info("call", who=MOBILE, more={"list": [f"x {MOBILE}"]})
    logging.getLogger("a.library").error("refused %s", MOBILE)
    try:
        raise ValueError(MOBILE)
    except ValueError:
        structlog.get_logger().exception("failed")
    assert MOBILE not in path.read_text()


def test_the_file_has_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "log"
    our_logging.set_up(LogSettings(json=True, file_mb_max=1, files_max=2), file=path)
    for number in range(400):
        structlog.get_logger().info("filler", number=number, text="x" * 8000)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2
    assert all(file.stat().st_size <= 1024 * 1024 for file in files)
