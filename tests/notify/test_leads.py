"""The specification of texts to staff: the lead of a grid cell, the dispatcher of a district."""

from datetime import time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from grid.notice import Facts, Phase, Recipient, Window, after
from grid.outage import Change, Outage, OutageKind, State, Step
from grid.reasons import Why
from grid.times import from_rfc3339
from notify.leads import decide
from notify.phases import Rules
from notify.settings import NoticeSettings
from notify.wording import Reader, Wording

ZONE = ZoneInfo("Asia/Shanghai")
RULES = Rules(NoticeSettings(), ZONE, time(22), time(7))
LEAD = Recipient("zh", "staff", reachable=True)
WORDING = Wording(ZONE, signatures={"zh": "【幸福供电】", "en": "[Us] "}, hotline="95598")


def at(clock: str) -> int:
    return from_rfc3339(f"2026-11-25T{clock}:00+08:00")


def change(clock: str, state: str, **fields: Any) -> Change:
    step = Step(at("15:00"), None, ("C1",))
    outage = Outage(
        id="S1-1", version=1, group=0, state=State(state), kind=OutageKind.FAULT,
        cause="cable fault", device_id="T17", device_kind="transformer", feeder_id="F3",
        districts=("north",), phases="ABC", probability=1.0, started_ms=at("15:00"),
        detected_ms=at("15:00"), confirmed_ms=None, restored_ms=None, customers_affected=40,
        customers_out=40, etr=None, evidence=(), parent_id=None, steps=(step,),
    )  # fmt: skip
    return Change(at(clock), replace(outage, **fields), "drawn", ("C1",))


def told(*changes: Change, who: Recipient = LEAD, rules: Rules = RULES) -> list[str]:
    """What is decided as changes come: phase and due time, or - and the reason."""
    said = []
    for one in changes:
        for decided in decide(one, who, rules):
            due = f"{decided.due_ms - at('15:00')}"
            said.append(f"{decided.phase} {due}" if decided.send else f"-{decided.reason}")
            if decided.send:
                who = after(who, "S1-1", decided)
                who = replace(who, past=tuple(replace(p, queued=False) for p in who.past))
    return said


def test_staff_get_one_text_when_it_is_confirmed_and_one_when_it_is_over() -> None:
    said = told(
        change("15:00", "predicted"), change("15:01", "confirmed"), change("15:09", "confirmed"),
        change("15:30", "partially_restored"), change("16:00", "restored", restored_ms=at("16:00")),
        change("16:10", "closed", restored_ms=at("16:00")),
    )  # fmt: skip
    assert said == ["confirmed 120000", "restored 3600000"]


def test_staff_are_told_at_night_as_well() -> None:
    assert told(change("15:03", "confirmed", started_ms=at("23:30"))) == ["confirmed 30720000"]


def test_what_was_none_is_taken_back() -> None:
    assert told(change("15:03", "confirmed"), change("15:20", "rejected")) == [
        "confirmed 180000", "cancelled 1200000",
    ]  # fmt: skip


MERGED = Why("merged", "merged into S1-2", {"outage": "S1-2"})


def test_what_was_detected_late_waits_for_its_other_parts_all_the_same() -> None:
    late = change("15:20", "confirmed", detected_ms=at("15:20"))
    assert told(late) == [f"confirmed {20 * 60_000 + 60_000}"]


def test_a_part_that_moved_to_another_outage_is_not_told_and_not_said_to_be_over() -> None:
    part = change("15:01", "confirmed")
    gone = replace(change("15:01", "closed", customers_affected=0), reasons=(MERGED,))
    (waits,) = decide(part, LEAD, RULES)
    (held,) = decide(gone, after(LEAD, "S1-1", waits), RULES)
    assert (held.send, held.reason, held.withdraw) == (False, "superseded", True)
    assert told(part, gone) == ["confirmed 120000"]


def test_a_moment_is_told_to_nobody() -> None:
    (first,) = decide(change("15:01", "confirmed"), LEAD, RULES)
    queued = after(LEAD, "S1-1", first)
    (held,) = decide(change("15:01", "momentary"), queued, RULES)
    assert (held.send, held.reason, held.withdraw) == (False, "momentary", True)


@pytest.mark.parametrize(
    ("kind", "reachable", "opened", "reason"),
    [("planned", True, "sms", "-not_ours"), ("fault", False, "sms", "-no_phone"),
     ("fault", True, "desk", "-sms_off")],
)  # fmt: skip
def test_who_is_not_told_has_a_reason(kind: str, reachable: bool, opened: str, reason: str) -> None:
    who = Recipient("zh", "staff", reachable=reachable)
    rules = Rules(NoticeSettings(), ZONE, time(22), time(7), frozenset({opened}))
    assert told(change("15:01", "confirmed", kind=OutageKind(kind)), who=who, rules=rules) == [
        reason
    ]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("zh", "T17（F3）15:00起停电，40户，电缆故障。请到现场核查。"),
        ("en", "T17 of F3 is out since 15:00, 40 homes (cable fault). Back 17:00 to 19:00. "
               "Please go and look."),
    ],
)  # fmt: skip
def test_staff_read_device_feeder_and_homes(language: str, words: str) -> None:
    facts = Facts(at("15:02"), off_ms=at("15:00"), cause="cable fault", homes=40, device="T17",
                  feeder="F3", etr=Window(at("17:00"), at("19:00")))  # fmt: skip
    sms = WORDING.write(Phase.CONFIRMED, facts, Reader(language, staff=True), at("15:02"))
    assert (sms.body.partition("】")[2] or sms.body.partition("] ")[2]) == words
    assert (len(sms.parts), sms.bare) == (1, False)
