"""The specification of who is told what, and when, and why not: days drawn as they pass.

A day is a column of what happens to a customer's outage; beside each line stands what they are
told: ``phase`` sent and when it is due, or ``-phase`` held, and the reason.
"""

import re
from datetime import time
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from grid.notice import Facts, Lane, Phase, Reason, Recipient, Situation, Window, Wishes, after
from grid.times import from_rfc3339
from notify.phases import Rules, after_quiet, decide, keep_promise
from notify.settings import NoticeSettings
from notify.windows import clock

ZONE = ZoneInfo("Asia/Shanghai")
RULES = Rules(NoticeSettings(texts_max=3), ZONE, time(22), time(7))
ANYBODY = Recipient("zh", "normal", reachable=True)
STATES = {"predicted", "confirmed", "partially_restored", "verify", "momentary", "rejected"}


def at(text: str) -> int:
    """Epoch milliseconds of a time on the site's clock: ``15:02``, ``15:02:30``."""
    return from_rfc3339(f"2026-11-25T{text if text.count(':') == 2 else text + ':00'}+08:00")


def line_of(text: str, off: int) -> tuple[Situation, bool]:
    """``15:02 S1-1 confirmed etr 17:00-19:00 on-site``; is what is queued sent first?"""
    when, outage, *words = text.split()
    power = "on" if "back" in words else "unknown" if "inferred" in words else "off"
    windows = re.findall(r"(\d\d:\d\d)-(\d\d:\d\d)", text)
    etr = Window(at(windows[0][0]), at(windows[0][1]), "crew" in words) if windows else None
    kind = next((w for w in words if w in ("planned", "arrears", "customer_owned")), "fault")
    state = next((w for w in words if w in STATES), "confirmed")
    back = at(when) if power == "on" else None
    return Situation(
        at(when), outage, 1, "gone" not in words, kind, state, power,
        Facts(at(when), off_ms=off, on_ms=back, etr=etr),
        assigned="assigned" in words, on_site="on-site" in words,
        partly=state == "partially_restored" and "before" not in words,
    ), "sent" in words  # fmt: skip


def day(text: str, who: Recipient = ANYBODY, rules: Rules = RULES) -> None:
    """Let a drawn day pass, and compare what is told with what the drawing says."""
    lines = [line.strip() for line in text.strip().splitlines()]
    off = at(lines[0].split()[0])
    told = []
    for line in lines:
        happens, _, _ = line.partition("|")
        now, sent = line_of(happens, off)
        if sent:  # what was queued has gone out before this
            who = msgspec.structs.replace(
                who, past=tuple(msgspec.structs.replace(p, queued=False) for p in who.past)
            )
        words = []
        for decided in decide(now, who, rules):
            due = f" {clock(decided.due_ms, now.at_ms, 'en', ZONE)}" if decided.send else ""
            dash = "" if decided.send else "-"
            words.append(f"{dash}{decided.phase}{due} {decided.reason}")
            who = after(who, now.outage_id, decided)
        told.append(f"{happens.rstrip()} | {', '.join(words)}".rstrip())
    drawn = [re.sub(r"\s*\|\s*", " | ", line).rstrip() for line in lines]
    assert [re.sub(r"\s+", " ", t) for t in told] == [re.sub(r"\s+", " ", d) for d in drawn]


def test_an_outage_is_told_once_it_is_confirmed_and_no_moment_any_more() -> None:
    day("""
        15:00 S1-1 predicted            | -detected not_texted
        15:01 S1-1 confirmed            | confirmed 15:02 due
        15:01 S1-1 confirmed            |
        16:10 S1-1 confirmed sent       |
        16:40 S1-1 back                 | restored 16:40 due
    """)


def test_a_momentary_outage_is_told_to_nobody() -> None:
    day("""
        15:00 S1-1 predicted            | -detected not_texted
        15:01 S1-1 confirmed            | confirmed 15:02 due
        15:01 S1-1 momentary back       | -restored momentary
    """)


def test_restored_before_anybody_was_told_is_told_to_nobody() -> None:
    day("""
        15:00 S1-1 confirmed            | confirmed 15:02 due
        15:01 S1-1 back                 | -restored never_told
    """)


def test_power_is_back_only_on_the_meters_own_word() -> None:
    day("""
        15:00 S1-1 confirmed            | confirmed 15:02 due
        16:00 S1-1 inferred sent        | -to_verify not_sure
        16:20 S1-1 back                 | restored 16:20 due
    """)


def test_still_dark_after_it_should_be_back_is_no_new_outage_to_them() -> None:
    day("""
        15:00 S1-1 confirmed            | confirmed 15:02 due
        16:00 S1-1 inferred sent        | -to_verify not_sure
        16:20 S1-2 confirmed            | -confirmed already_told
        17:20 S1-2 back                 | restored 17:20 due
    """)


EARLY = msgspec.structs.replace(
    RULES, settings=NoticeSettings(phases=(*NoticeSettings().phases, "detected"), texts_max=3)
)


def test_who_is_told_of_doubts_is_told_what_came_of_them_and_of_no_doubt_twice() -> None:
    day("""
        15:00 S1-1 predicted            | detected 15:02 due
        15:03 S1-2 predicted sent       | -detected already_told
        15:05 S1-1 confirmed            | confirmed 15:05 due
        15:10 S1-3 confirmed sent       | -confirmed already_told
        16:00 S1-3 back                 | restored 16:00 due
    """, rules=EARLY)  # fmt: skip


def test_an_estimate_is_told_again_only_when_it_matters() -> None:
    day("""
        15:00 S1-1 confirmed 17:00-19:00      | confirmed 15:02 due
        15:30 S1-1 confirmed 17:10-19:20 sent | -etr_changed immaterial_etr
        15:31 S1-1 confirmed 17:10-19:20      |
        15:40 S1-1 confirmed 17:40-19:45      | -etr_changed immaterial_etr
        16:00 S1-1 confirmed 19:00-21:00 crew | etr_changed 16:00 material_etr
        16:10 S1-1 confirmed 19:00-21:00 crew |
        20:00 S1-1 back sent                  | restored 20:00 due
    """)


def test_the_first_estimate_matters_and_so_does_one_that_has_passed() -> None:
    day("""
        15:00 S1-1 confirmed                  | confirmed 15:02 due
        15:30 S1-1 confirmed 16:00-16:30 sent | etr_changed 15:30 material_etr
        16:40 S1-1 confirmed 16:15-16:45 sent | etr_changed 16:40 material_etr
    """)


def test_a_new_estimate_takes_the_place_of_one_that_nobody_has_read() -> None:
    day("""
        15:00 S1-1 confirmed                  | confirmed 15:02 due
        15:01 S1-1 confirmed 16:00-16:30      | confirmed 15:02 due
        15:01 S1-1 confirmed 16:00-16:30      |
    """)


def test_the_crews_way_is_on_the_page_and_not_in_texts() -> None:
    day("""
        15:00 S1-1 confirmed                        | confirmed 15:02 due
        15:10 S1-1 confirmed assigned sent          | -crew_assigned not_texted
        15:30 S1-1 on-site 17:00-17:30 | -on_site not_texted, etr_changed 15:30 material_etr
        15:40 S1-1 partially_restored 17:00-17:30   | -partially_restored not_texted
        17:10 S1-1 back sent                        | restored 17:10 due
    """)


def test_where_each_step_is_texted_the_last_one_that_is_queued_counts() -> None:
    everything = NoticeSettings(phases=tuple(p.value for p in Phase), texts_max=9)
    day(
        """
        15:00 S1-1 predicted                        | detected 15:02 due
        15:01 S1-1 confirmed                        | confirmed 15:02 due
        15:01 S1-1 confirmed assigned               | crew_assigned 15:02 due
        15:30 S1-1 confirmed on-site sent           | on_site 15:30 due
        15:40 S1-1 partially_restored on-site sent  | partially_restored 15:40 due
        15:45 S1-1 partially_restored on-site sent  |
        """,
        rules=msgspec.structs.replace(RULES, settings=everything),
    )


def test_who_is_back_before_a_crew_is_sent_does_not_hide_the_crew() -> None:
    everything = NoticeSettings(phases=tuple(p.value for p in Phase), texts_max=9)
    day(
        """
        15:00 S1-1 confirmed                               | confirmed 15:02 due
        15:10 S1-1 partially_restored sent                 | partially_restored 15:10 due
        15:20 S1-1 partially_restored before assigned sent | crew_assigned 15:20 due
        15:40 S1-1 partially_restored before on-site sent  | on_site 15:40 due
        """,
        rules=msgspec.structs.replace(RULES, settings=everything),
    )


def test_who_wishes_for_every_phase_is_told_each_of_them() -> None:
    wishes = Wishes(phases=tuple(p.value for p in Phase))
    day(
        """
        15:00 S1-1 confirmed                                    | confirmed 15:02 due
        15:10 S1-1 confirmed assigned sent                      | crew_assigned 15:10 due
        15:20 S1-1 on-site sent                                 | on_site 15:20 due
        15:25 S1-1 on-site 18:00-18:30 sent                     | etr_changed 15:25 material_etr
        15:40 S1-1 partially_restored on-site 18:00-18:30 sent  | partially_restored 15:40 due
        15:50 S1-1 partially_restored on-site 16:00-16:30 sent  | etr_changed 15:50 material_etr
        16:20 S1-1 back sent                                    | restored 16:20 due
        """,
        who=msgspec.structs.replace(ANYBODY, wishes=wishes),
    )


def test_an_outage_has_its_texts_and_then_only_its_end() -> None:
    day("""
        12:00 S1-1 confirmed                  | confirmed 12:02 due
        12:30 S1-1 confirmed 13:00-13:30 sent | etr_changed 12:30 material_etr
        13:40 S1-1 confirmed 15:00-15:30 sent | etr_changed 13:40 material_etr
        15:40 S1-1 confirmed 17:00-17:30 sent | -etr_changed budget
        18:00 S1-1 back                       | restored 18:00 due
    """)


def test_what_was_told_and_was_wrong_is_corrected() -> None:
    day("""
        15:00 S1-1 confirmed                  | confirmed 15:02 due
        15:20 S1-1 rejected gone sent         | cancelled 15:22 correction
    """)


def test_whoever_is_in_another_outage_a_moment_later_gets_no_correction() -> None:
    day("""
        15:00 S1-1 confirmed                  | confirmed 15:02 due
        15:20 S1-1 confirmed gone sent        | cancelled 15:22 correction
        15:21 S1-2 confirmed                  | -confirmed already_told
        16:00 S1-2 back                       | restored 16:00 due
    """)


def test_doubt_takes_back_what_nobody_has_read() -> None:
    day("""
        15:00 S1-1 confirmed                  | confirmed 15:02 due
        15:01 S1-1 verify                     | -detected not_texted
        15:05 S1-1 confirmed                  | confirmed 15:05 due
    """)


@pytest.mark.parametrize("kind", ["planned", "arrears", "customer_owned"])
def test_what_is_no_fault_of_the_network_is_told_by_other_means(kind: str) -> None:
    day(f"""
        15:00 P1 confirmed {kind}               | -confirmed not_ours
        16:00 P1 back {kind}                    | -restored never_told
    """)


def test_nobody_is_woken_for_an_outage_and_who_slept_through_it_is_not_told() -> None:
    day("""
        21:59 S1-1 confirmed                    | confirmed Thu 07:00 due
        23:00 S1-1 back                         | -restored never_told
    """)


@pytest.mark.parametrize("priority", ["key", "vulnerable"])
def test_those_whose_life_hangs_on_it_are_told_at_night_and_first(priority: str) -> None:
    who = msgspec.structs.replace(ANYBODY, priority=priority)
    day("23:00 S1-1 confirmed | confirmed 23:02 due", who)
    now, _ = line_of("23:00 S1-1 confirmed", at("23:00"))
    assert decide(now, who, RULES)[0].lane is Lane.SAFETY
    assert decide(now, ANYBODY, RULES)[0].lane is Lane.NORMAL


def test_without_a_phone_or_a_gateway_the_reason_is_kept_and_the_story_goes_on() -> None:
    drawing = """
        15:00 S1-1 confirmed                  | -confirmed {0}
        15:30 S1-1 confirmed 17:00-19:00      |
        16:00 S1-1 back                       | -restored never_told
    """
    day(drawing.format("no_phone"), msgspec.structs.replace(ANYBODY, reachable=False))
    day(drawing.format("sms_off"), rules=msgspec.structs.replace(RULES, opened=frozenset()))


def test_who_was_never_concerned_is_nobody_s_news() -> None:
    day("15:00 S1-1 rejected gone |")


def test_a_promise_of_the_next_word_goes_with_what_is_told() -> None:
    now, _ = line_of("15:00 S1-1 confirmed", at("15:00"))
    [told] = decide(now, ANYBODY, RULES)
    assert told.facts.next_ms == at("16:30")
    assert told.expires_ms - told.due_ms == 2 * 3_600_000


def dark_since(clock: str, who: Recipient, then: str) -> Recipient:
    """Somebody who was told at ``then`` of an outage since ``clock``."""
    now, _ = line_of(f"{then} S1-1 confirmed", at(clock))
    for decided in decide(now, who, RULES):
        who = after(who, now.outage_id, decided)
    past = tuple(msgspec.structs.replace(p, queued=False) for p in who.past)
    return msgspec.structs.replace(who, past=past)


def test_a_promise_is_kept_with_nothing_new_and_makes_the_next() -> None:
    now, _ = line_of("16:25 S1-1 confirmed", at("15:00"))
    told = keep_promise(now, dark_since("15:00", ANYBODY, "15:03"), RULES)
    assert told is not None
    assert (told.phase, told.reason, told.edition) == (Phase.UPDATE, Reason.PROMISED, 1)
    assert told.facts.next_ms == at("17:30")
    assert keep_promise(now, ANYBODY, RULES) is None, "nothing was promised"


def test_promised_words_are_no_part_of_the_budget() -> None:
    who = dark_since("08:00", ANYBODY, "08:03")
    for hour in range(9, 15):
        now, _ = line_of(f"{hour:02}:25 S1-1 confirmed", at("08:00"))
        told = keep_promise(now, who, RULES)
        assert told is not None
        assert told.edition == hour - 8
        who = after(who, "S1-1", told)
        past = tuple(msgspec.structs.replace(p, queued=False) for p in who.past)
        who = msgspec.structs.replace(who, past=past)
    assert who.count("S1-1") == 1


def test_no_word_is_promised_for_the_night() -> None:
    now, _ = line_of("20:50 S1-1 confirmed", at("20:45"))
    [told] = decide(now, ANYBODY, RULES)
    assert told.facts.next_ms == at("07:30") + 86_400_000
    [safety] = decide(now, msgspec.structs.replace(ANYBODY, priority="key"), RULES)
    assert safety.facts.next_ms == at("22:00")


@pytest.mark.parametrize(
    ("quiet", "moment", "then"),
    [
        (("22:00", "07:00"), "21:59", "21:59"),
        (("22:00", "07:00"), "22:00", "07:00 tomorrow"),
        (("22:00", "07:00"), "06:59", "07:00"),
        (("22:00", "07:00"), "07:00", "07:00"),
        (("13:00", "14:30"), "13:30", "14:30"),
        (("13:00", "14:30"), "14:30", "14:30"),
        (("00:00", "00:00"), "03:00", "03:00"),
    ],
)  # fmt: skip
def test_quiet_hours(quiet: tuple[str, str], moment: str, then: str) -> None:
    rules = Rules(NoticeSettings(), ZONE, *map(time.fromisoformat, quiet))
    clocked, _, tomorrow = then.partition(" ")
    assert after_quiet(at(moment), rules, ANYBODY) == at(clocked) + (86_400_000 if tomorrow else 0)


def test_the_texted_phases_are_phases() -> None:
    known: set[Any] = {phase.value for phase in Phase}
    assert set(NoticeSettings().phases) <= known
