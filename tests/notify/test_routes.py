"""The specification of channels: whose word goes where, what comes after, and wishes kept."""

from datetime import time
from zoneinfo import ZoneInfo

import msgspec
import pytest

from grid.notice import Facts, Phase, Reason, Recipient, Situation, Wishes
from grid.outbox import Unreached
from grid.times import from_rfc3339
from notify.ahead import announce
from notify.phases import Rules, decide
from notify.routes import after, ways
from notify.settings import NoticeSettings

ALL = frozenset({"sms", "email", "wecom", "desk"})
SITE = NoticeSettings(channels=("sms", "email"))
RULES = Rules(SITE, ZoneInfo("Asia/Shanghai"), time(22), time(7), ALL)


def someone(priority: str = "normal", *, phone: bool = True, **wishes: object) -> Recipient:
    wished = Wishes(**wishes) if wishes else None  # type: ignore[arg-type]
    return Recipient("zh", priority, phone, wishes=wished)


@pytest.mark.parametrize(
    ("who", "phase", "told"),
    [
        (someone(), "confirmed", "sms"),
        (someone(contacts=("email",)), "confirmed", "sms email"),
        (someone(contacts=("email",), channels=("email", "sms")), "confirmed", "email sms"),
        (someone(contacts=("email",), channels=("email",)), "confirmed", "email"),
        (someone(channels=("wecom",)), "confirmed", ""),
        (someone(phone=False, contacts=("email",)), "confirmed", "email"),
        (someone(phone=False), "confirmed", ""),
        (someone(opted_out=True, contacts=("email",)), "confirmed", ""),
        (someone("vulnerable"), "confirmed", "sms desk"),
        (someone("key", phone=False), "confirmed", "desk"),
        (someone("vulnerable", opted_out=True), "confirmed", "desk"),
        (someone("vulnerable", opted_out=True), "restored", ""),
        (someone("vulnerable"), "restored", "sms"),
        (someone(channels=("desk", "sms", "sms")), "confirmed", "sms"),
    ],
)
def test_the_channels_of_somebody_in_their_order(who: Recipient, phase: str, told: str) -> None:
    assert " ".join(ways(Phase(phase), who, SITE, ALL)) == told


@pytest.mark.parametrize(
    ("missed", "who", "then"),
    [
        ("sms", someone(contacts=("email",)), "email"),
        ("email", someone(contacts=("email",)), None),
        ("sms", someone(), None),
        ("sms", someone("vulnerable"), "desk"),
        ("wecom", someone(), "sms"),  # they do not want that channel any more
        ("sms", someone(opted_out=True), None),
    ],
)
def test_what_does_not_arrive_falls_to_the_next_channel(
    missed: str, who: Recipient, then: str | None
) -> None:
    assert after(Unreached(1, "C1", Phase.CONFIRMED, missed, who), SITE, ALL) == then


def at(clock: str) -> int:
    return from_rfc3339(f"2026-11-25T{clock}:00+08:00")


def dark(clock: str = "15:00") -> Situation:
    now = at(clock)
    return Situation(now, "S1-1", 1, True, "fault", "confirmed", "off", Facts(now, off_ms=now))


@pytest.mark.parametrize(
    ("who", "said"),
    [
        (someone(), "sms"),
        (someone(channels=("email",), contacts=("email",)), "email"),
        (someone(opted_out=True), "-opted_out"),
        (someone(phases=("restored",)), "-not_wanted"),
        (someone(phone=False), "-no_phone"),
        (someone("vulnerable", opted_out=True), "desk"),
    ],
)
def test_a_decision_says_on_which_channel_or_why_on_none(who: Recipient, said: str) -> None:
    (one,) = decide(dark(), who, RULES)
    assert (one.channel if one.send else f"-{one.reason}") == said


def test_a_phase_that_the_site_does_not_text_is_told_to_who_wishes_it() -> None:
    now = msgspec.structs.replace(dark(), state="predicted")
    (usual,) = decide(now, someone(), RULES)
    (wished,) = decide(now, someone(phases=("detected", "confirmed")), RULES)
    assert (usual.send, usual.reason) == (False, Reason.NOT_TEXTED)
    assert (wished.send, wished.phase) == (True, Phase.DETECTED)


@pytest.mark.parametrize(
    ("wishes", "clock", "due"),
    [
        ({"quiet": ("14:00", "16:00")}, "15:00", "16:00"),
        ({"quiet": ("00:00", "00:00")}, "23:00", "23:02"),
        ({"zone": "Asia/Urumqi"}, "23:00", "23:02"),  # 21:00 there
        ({"zone": "Asia/Urumqi"}, "07:30", "09:00"),  # 05:30 there: quiet until 07:00
    ],
)
def test_quiet_hours_are_the_customers_own_in_their_own_zone(
    wishes: dict[str, object], clock: str, due: str
) -> None:
    (one,) = decide(dark(clock), someone(**wishes), RULES)
    assert one.due_ms == at(due)


def test_key_and_vulnerable_customers_are_told_in_quiet_hours_and_first() -> None:
    (one,) = decide(dark("23:30"), someone("vulnerable", quiet=("22:00", "07:00")), RULES)
    assert (one.due_ms, one.lane.name) == (at("23:32"), "SAFETY")


def test_planned_work_goes_to_the_channel_they_chose_and_not_in_their_quiet_hours() -> None:
    who = someone(channels=("email",), contacts=("email",), quiet=("14:00", "16:00"))
    begin = at("15:00") + 10 * 86_400_000
    first, again = announce(begin, begin + 3_600_000, at("15:00"), who, RULES)
    assert (first.channel, again.channel) == ("email", "email")
    assert first.due_ms == at("16:00") + 3 * 86_400_000
