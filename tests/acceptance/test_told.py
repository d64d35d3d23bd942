"""The specification of what stories leave behind: no text where nothing happened, and no number in
any log of ours.
"""

import re
from concurrent.futures import Future
from typing import Any

import pytest

from simulators.smsc import read_log

pytestmark = [pytest.mark.services, pytest.mark.timeout(400)]

NUMBER = re.compile(rb"(?:\+?86)?100\d{8}(?!\d)")


def taken(story: Any) -> list[dict[str, Any]]:
    lines = read_log(story.service.data / "field" / "smsc.jsonl")
    return [line for line in lines if line["what"] == "taken"]


def test_where_nothing_happened_nobody_is_texted(tales: dict[str, Future[Any]]) -> None:
    assert taken(tales["quiet"].result()) == []


@pytest.mark.parametrize("name", ["calm", "killed", "demo"])
def test_no_log_has_a_number(tales: dict[str, Future[Any]], name: str) -> None:
    story = tales[name].result()
    folder = story.service.data
    assert taken(story) != [], "else there was nothing to be found"
    logs = [story.service.log, *folder.glob("*.log"), *folder.glob("*.log.*")]
    assert {log.name: NUMBER.findall(log.read_bytes())[:3] for log in logs} == {
        log.name: [] for log in logs
    }
