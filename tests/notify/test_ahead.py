"""The specification of planned work: told a week and a day ahead, and taken back from who was told.

Times are days and hours before it begins: ``7d`` is a week ahead.
"""

from datetime import time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from grid.notice import Decision, Recipient, after
from grid.times import from_rfc3339
from notify.ahead import announce, call_off
from notify.phases import Rules
from notify.settings import NoticeSettings

HOUR = 3_600_000
BEGIN = from_rfc3339("2026-12-09T09:00:00+08:00")
END = BEGIN + 8 * HOUR
RULES = Rules(NoticeSettings(), ZoneInfo("Asia/Shanghai"), time(22), time(7))
ANYBODY = Recipient("zh", "normal", reachable=True)


def before(ago: str) -> int:
    """The moment so long before it begins."""
    return BEGIN - int(ago[:-1]) * HOUR * (24 if ago.endswith("d") else 1)


def said(*decided: Decision) -> list[str]:
    """Phase and how long before, in hours; or - and why not."""
    return [
        f"{d.phase} {(BEGIN - d.due_ms) // HOUR}h" if d.send else f"-{d.phase} {d.reason}"
        for d in decided
    ]


@pytest.mark.parametrize(
    ("entered", "told"),
    [
        ("20d", ["planned 168h", "day_before 24h"]),
        ("8d", ["planned 168h", "day_before 24h"]),
        ("3d", ["planned 72h", "day_before 24h"]),
        ("30h", ["planned 26h"]),  # entered at 03:00, told at 07:00; the second would come at once
        ("2h", ["planned 2h"]),
        ("1h", ["planned 1h"]),
    ],
)
def test_planned_work_is_told_a_week_ahead_and_the_day_before_or_at_once(
    entered: str, told: list[str]
) -> None:
    assert said(*announce(BEGIN, END, before(entered), ANYBODY, RULES)) == told


def test_what_nobody_could_read_in_time_is_not_told() -> None:
    begin = from_rfc3339("2026-12-09T06:00:00+08:00")
    (one,) = announce(begin, begin + HOUR, begin - 5 * HOUR, ANYBODY, RULES)
    assert (one.send, one.reason) == (False, "too_late")


def test_a_vulnerable_customer_is_told_of_it_at_night_too() -> None:
    begin = from_rfc3339("2026-12-09T06:00:00+08:00")
    who = Recipient("zh", "vulnerable", reachable=True)
    (one,) = announce(begin, begin + HOUR, begin - 5 * HOUR, who, RULES)
    assert (one.send, one.lane.name, begin - one.due_ms) == (True, "SAFETY", 5 * HOUR)


def told_of_it(*, gone: bool) -> Recipient:
    who = ANYBODY
    for one in announce(BEGIN, END, before("8d"), ANYBODY, RULES):
        who = after(who, "plan-1", one)
    return replace(who, past=tuple(replace(p, queued=not gone) for p in who.past))


@pytest.mark.parametrize(
    ("who", "told"),
    [
        (told_of_it(gone=True), ["plan_cancelled 48h"]),
        (told_of_it(gone=False), ["-plan_cancelled never_told"]),
        (ANYBODY, ["-plan_cancelled never_told"]),
    ],
)
def test_a_plan_that_is_cancelled_is_cancelled_for_who_was_told(who: Any, told: list[str]) -> None:
    decided = call_off("plan-1", BEGIN, END, before("2d"), who, RULES)
    assert said(decided) == told
    assert decided.withdraw, "what waits of it is taken back"
