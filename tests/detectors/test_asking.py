"""The specification of pings: whom the engine asks, and what an answer that does not come is
worth.
"""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.engine import Engine
from detectors.settings import EngineSettings
from detectors.snapshot import opened, restore, take
from grid.drawing import draw
from grid.frame import Frame
from grid.network import Network
from grid.outage import RUNNING, Change, Outage, Ping
from grid.times import to_rfc3339

NETWORK = draw("""
source S1
  breaker B1
    fuse F1
      transformer T1
        meter M1..M3
      transformer T2
        meter M4..M6 dcu=D1
    fuse F2
      transformer T3
        meter M7..M40
""")
WARM = "11:45 12:00 M1..M40 heartbeat\n"


def clock(at_ms: int) -> str:
    """The time of the day of whole seconds."""
    return to_rfc3339(at_ms)[11:19]


@pytest.fixture
def answered(stream):
    """A drawn day, second by second, in which all meters but the dark ones answer within two
    seconds: who was asked, and how the outages stand.
    """

    def live(
        text: str, dark: tuple[str, ...] = (), network: Network = NETWORK, **limits: float
    ) -> tuple[list[str], Any]:
        engine = Engine(network.groups[0], EngineSettings(**limits))
        drawn = stream(network, text)
        asked: list[str] = []
        outages: dict[str, Outage] = {}
        begin, rows = int(drawn.rows["stream_ms"][0]), drawn.rows
        for position, now in enumerate(range(begin, drawn.until_ms + 1, 1000), 1):
            due = rows["stream_ms"] <= now
            commands = tuple(c for c in drawn.commands if now - 1000 < c.at_ms <= now)
            frame = Frame(0, position, network.version, now, rows[due], commands)
            rows = rows[~due]
            told = engine.apply(frame)
            outages |= {c.outage.id: c.outage for c in told.changes}
            for ping in told.pings:
                asked.append(ping.device_id)
                if ping.device_id not in dark:
                    at = clock(ping.at_ms + 2000)
                    answer = stream(network, f"{at} {ping.device_id} ping_reply").rows
                    rows = np.concatenate([rows, answer])
                    rows = rows[np.argsort(rows["stream_ms"], kind="stable")]
        running = [o for o in outages.values() if o.state in RUNNING]
        return asked, [(o.device_id, o.customers_out, o.evidence) for o in running]

    return live


def test_on_a_quiet_day_nobody_is_asked(answered) -> None:
    assert answered(f"{WARM} 12:14 end")[0] == []


def test_around_a_gasp_that_nothing_explains_its_neighbours_are_asked(answered) -> None:
    asked, _ = answered(f"{WARM} 12:02 M2 last_gasp\n 12:02:02 end")
    assert {"M1", "M3"} <= set(asked)
    elsewhere = set(asked) & {f"M{i}" for i in range(7, 41)}
    assert len(elsewhere) <= 2, "nothing points there but that all of B1 may be dark"


def test_answers_refute_a_false_gasp(answered) -> None:
    asked, running = answered(f"{WARM} 12:02 M2 last_gasp\n 12:04 end")
    assert running == []
    assert len(asked) < 10


def test_an_answer_counts_from_when_it_was_asked_for_whatever_the_meters_clock_shows(
    answered,
) -> None:
    """The clock of M2 is a minute fast, and its answers have the time of whoever asked."""
    others = "11:45 12:00 M1,M3..M40 heartbeat"
    own = "11:46 M2 heartbeat received=11:45\n 12:01 M2 heartbeat received=12:00"
    gasp = "12:03 M2 last_gasp received=12:02"
    asked, running = answered(f"{others}\n {own}\n {gasp}\n 12:04 end")
    assert running == []
    assert asked.count("M2") == 1, "its first answer is believed"


def test_answers_that_do_not_come_make_one_gasp_an_outage(answered, day) -> None:
    text = f"{WARM} 12:02 M2 last_gasp\n 12:02:50 end"
    _, [(device, out, evidence)] = answered(text, ("M1", "M2", "M3"))
    assert (device, out) == ("T1", 3)
    assert "2 meters were asked and did not answer" in evidence
    assert day(NETWORK, text).outages == [], "unasked, it is too little"


def test_the_edge_of_an_outage_is_asked_for(answered) -> None:
    """Both transformers of the fuse are dark; one has gasped."""
    dark = tuple(f"M{i}" for i in range(1, 7))
    asked, [(device, out, _)] = answered(f"{WARM} 12:02 M1..M3 last_gasp\n 12:03 end", dark)
    assert (device, out) == ("F1", 6)
    assert set(asked) & {"M4", "M5", "M6"}


def test_who_was_asked_in_the_dark_is_not_left_there_when_power_comes_back(answered) -> None:
    """One transformer of the fuse is heard again; nobody behind the other was asked since."""
    dark = tuple(f"M{i}" for i in range(1, 7))
    out = f"{WARM} 12:01:00 M1..M3 last_gasp\n"
    asked, [(device, count, _)] = answered(f"{out} 12:03 end", dark)
    assert (device, count) == ("F1", 6)
    assert set(asked) & {"M4", "M5", "M6"}
    back = f"{out} 12:03:00 M1..M3 power_up off_at=12:01:00\n"
    _, running = answered(f"{back} 12:03:03 end", dark)
    assert [(device, count) for device, count, _ in running] == [("F1", 3)]


def test_nobody_is_asked_twice_before_the_answer_is_late(answered) -> None:
    asked, _ = answered(f"{WARM} 12:02 M2 last_gasp\n 12:02:09 end", ("M1", "M2", "M3"))
    assert len(asked) == len(set(asked))


def test_nobody_is_asked_more_than_three_times(answered) -> None:
    asked, _ = answered(f"{WARM} 12:02 M2 last_gasp\n 12:06 end", ("M1", "M2", "M3"))
    assert max(asked.count(meter) for meter in asked) <= 3


def test_no_more_are_asked_in_a_minute_than_the_budget(answered) -> None:
    text = f"{WARM} 12:02 M2 last_gasp\n 12:02:50 end"
    dark = tuple(f"M{i}" for i in range(1, 7))
    assert len(answered(text, dark, pings_per_minute=2.0)[0]) == 2
    assert answered(text, dark, pings_per_minute=0.0)[0] == []


def test_a_meter_that_never_spoke_is_not_asked(answered) -> None:
    text = "11:45 12:00 M2..M40 heartbeat\n12:02 M2 last_gasp\n 12:03 end"
    assert "M1" not in answered(text)[0]


def test_while_we_hear_nothing_nobody_is_asked(answered) -> None:
    assert answered(f"{WARM} 12:01 lost mqtt\n 12:02 M2 last_gasp\n 12:03 end")[0] == []


@given(st.lists(st.integers(0, 200), max_size=6), st.integers(0, 6))
@settings(max_examples=15, deadline=None)
def test_cuts_and_crashes_change_nothing_of_who_is_asked(
    stream, cuts: list[int], crash: int
) -> None:
    drawn = stream(NETWORK, f"{WARM} 12:02 M2 last_gasp\n 12:02:30 M3 ping_reply\n 12:05 end")
    end = drawn.until_ms

    def asked(frames: list[Frame], crash_after: int) -> tuple[list[Ping], list[Change]]:
        engine = Engine(NETWORK.groups[0], EngineSettings())
        pings: list[Ping] = []
        changes: list[Change] = []
        for frame in frames:
            told = engine.apply(frame)
            pings += told.pings
            changes += told.changes
            if frame.position == crash_after:
                engine = restore(NETWORK.groups[0], opened(take(engine)))
        return pings, changes

    whole = asked(drawn.frames(), 0)
    assert all(whole)
    assert asked(drawn.frames([end - 1000 * cut for cut in cuts]), crash) == whole


def test_no_answer_alone_is_no_outage(day) -> None:
    """NoResponse is not off."""
    told = day(NETWORK, f"{WARM} 12:02 ping M1\n 12:02:30 M2..M40 heartbeat\n 12:10 end")
    assert told.outages == []


def test_a_recorded_ping_weighs_like_our_own(day) -> None:
    """A day of recorded lines: the planner is off, and what was asked then stands in them."""
    told = day(NETWORK, f"""{WARM}
        12:02:00 M2 last_gasp
        12:02:02 ping M1
        12:02:03 ping M2
        12:02:04 ping M3
        12:02:10 M4..M6 ping_reply
        12:02:20 M7..M40 heartbeat
        12:02:50 end
    """)  # fmt: skip
    assert told.outages == ["transformer T1: predicted fault", "  12:02:00 -: M1..M3"]


# -- a person asks ---------------------------------------------------------------------------------

LINE = f"{WARM} 12:02 M1..M3 last_gasp\n"


def test_a_person_has_some_of_an_outages_meters_asked(stream) -> None:
    drawn = stream(NETWORK, f"{LINE} 12:04 ann ping S1-1 v1\n 12:04:10 end")
    engine = Engine(NETWORK.groups[0], EngineSettings(pings_per_minute=30.0))
    version = 0
    asked: list[str] = []
    for frame in drawn.frames([drawn.until_ms - 10_001, drawn.until_ms - 10_000]):
        seen = [msgspec.structs.replace(c, version=version) for c in frame.commands]
        told = engine.apply(replace(frame, commands=tuple(seen)))
        version = max([version, *(c.outage.version for c in told.changes)])
        if seen:
            asked = [ping.device_id for ping in told.pings]
            [why] = next(c for c in told.changes if c.decision == "ann-ping").reasons
            assert (why.code, why.fields) == ("pinged", {"n": len(asked), "by": "ann"})
    assert 1 <= len(asked) <= 6
    assert len(set(asked)) == len(asked)


@pytest.mark.parametrize(
    ("lines", "limits", "why"),
    [
        ("12:04 ann ping S1-1 v?", {"pings_per_minute": 0.0}, "as many meters were asked"),
        ("12:04 ann ping S1-1 v?\n12:04:02 bob ping S1-1 v?", {}, "its meters were asked"),
        ("12:03 lost mqtt\n12:04 ann ping S1-1 v?", {}, "meters cannot be heard now"),
    ],
)
def test_who_cannot_be_asked_is_not_and_the_person_is_told_why(
    day, lines: str, limits: dict[str, float], why: str
) -> None:
    told = day(NETWORK, f"{LINE}{lines}\n12:04:10 end", **({"pings_per_minute": 30.0} | limits))
    assert why in told.decided[-1]


CHAIN = draw("""
source S1
  breaker B1
    switch W1
      transformer T1
        meter M1
""" + "".join(
    f"{'  ' * (n + 1)}switch W{n}\n{'  ' * (n + 2)}transformer T{n}\n{'  ' * (n + 3)}meter M{n}\n"
    for n in range(2, 41)
))  # fmt: skip


def test_where_a_minutes_questions_are_few_each_halves_what_is_left(answered) -> None:
    """Of forty switches in series the fourth is open; a dozen questions a minute."""
    dark = tuple(f"M{n}" for n in range(4, 41))
    text = "11:45 12:00 M1..M40 heartbeat\n 12:02 M24,M39 last_gasp\n 12:02:30 end"
    asked, [(device, out, _)] = answered(text, dark, network=CHAIN, pings_per_minute=12.0)
    assert (device, out) == ("W4", 37)
    assert len(asked) <= 12


def chain(letter: str, many: int) -> str:
    """So many switches in series, one meter behind each but what is behind the next."""
    lines = [f"  breaker B{letter}"]
    for n in range(1, many + 1):
        deep = "  " * n
        lines += [f"{deep}  switch {letter}{n}", f"{deep}    transformer T{letter}{n}"]
        lines += [f"{deep}      meter M{letter}{n}"]
    return "\n".join(lines)


TWO_CHAINS = draw(f"source S1\n{chain('X', 20)}\n{chain('Y', 20)}\n")


def test_what_one_outage_was_asked_about_is_not_missing_for_the_next(answered) -> None:
    """Of twenty switches in series the fourth is open, and of twenty others, half a minute later;
    a dozen questions a minute find one of them.
    """
    dark = tuple(f"M{letter}{n}" for letter in "XY" for n in range(4, 21))
    warm = "11:45 12:00 MX1..MX20,MY1..MY20 heartbeat\n"
    first = "12:01:30 MX11,MX15 last_gasp received=12:02:05\n"
    second = "12:02:00 MY11,MY15 last_gasp received=12:02:35\n"
    asked, running = answered(f"{warm}{first}{second} 12:02:45 end", dark, network=TWO_CHAINS)
    assert [(device, out) for device, out, _ in running] == [("X4", 17), ("Y4", 17)]
    assert len(asked) <= 36


def test_where_power_is_coming_back_the_second_questions_wait_for_all_answers(answered) -> None:
    """Half of their time is enough where nobody says of himself that he has power again."""
    warm = "11:45 12:00 MX1..MX20,MY1..MY20 heartbeat\n"
    out = "12:01:00 MX11..MX20 last_gasp received=12:01:35\n"
    back = "12:02:04 MX11..MX14 power_up off_at=12:01:00\n"
    gasps = "12:01:30 MY11,MY15 last_gasp received=12:02:05\n"
    dark = tuple(f"MY{n}" for n in range(4, 21)) + tuple(f"MX{n}" for n in range(11, 21))

    asked, _ = answered(f"{warm}{gasps} 12:02:12 end", dark, TWO_CHAINS, pings_per_minute=12.0)
    calm = sum(meter.startswith("MY") for meter in asked)
    text = f"{warm}{out}{back}{gasps} 12:02:12 end"
    asked, _ = answered(text, dark, TWO_CHAINS, pings_per_minute=24.0)
    assert 4 <= sum(meter.startswith("MY") for meter in asked) < calm


# -- what may still be answered --------------------------------------------------------------------


GASP = f"{WARM} 12:01:25 M2 last_gasp received=12:02:00\n"
BESIDE = "12:01:25 M7..M40 last_gasp received=12:02:00\n12:02:01 M4..M6 ping_reply\n"


@pytest.mark.parametrize(
    ("beside", "asked", "end", "found"),
    [
        ("", "M1,M3", "12:02:07", False),
        ("", "M1,M3", "12:02:11", True),
        (BESIDE, "", "12:02:07", False),
        (BESIDE, "M1,M3", "12:02:04", False),
        (BESIDE, "M1,M3", "12:02:09", True),
    ],
)
def test_one_gasp_waits_until_answers_are_late_but_not_so_long_beside_a_sure_fault(
    day, beside: str, asked: str, end: str, found: bool
) -> None:
    pings = "\n".join(f"12:02:02 ping {meter}" for meter in asked.split(",") if meter)
    told = day(NETWORK, f"{GASP}{beside}{pings}\n {end} end")
    assert ("transformer T1: predicted fault" in told.outages) is found


def test_an_answer_in_time_takes_back_what_its_silence_said(day) -> None:
    text = f"{GASP}{BESIDE}12:02:02 ping M1\n12:02:02 ping M3\n"
    assert "transformer T1: predicted fault" in day(NETWORK, f"{text} 12:02:09 end").outages
    late = day(NETWORK, f"{text} 12:02:09 M1,M3 ping_reply\n 12:02:30 end")
    assert "transformer T1: rejected fault" in late.outages


@pytest.mark.parametrize(("end", "mute"), [("12:02:09", False), ("12:02:14", True)])
def test_a_concentrator_is_mute_when_answers_through_it_are_late_and_not_before(
    day, end: str, mute: bool
) -> None:
    pings = "\n".join(f"12:02:02 ping M{n}" for n in (4, 5, 6))
    told = day(NETWORK, f"{WARM}{pings}\n {end} end")
    assert bool(told.engine.relays.mute) is mute


BEHIND_ONE = draw("""
source S1
  breaker B1
    switch W1
      transformer T1
        meter M1..M40 dcu=D1
      transformer T2
        meter M41..M60
    switch W2
      transformer T3
        meter M61..M99
""")


def test_what_a_concentrator_that_brings_nothing_hides_is_not_asked_on_and_on(answered) -> None:
    """Its meters would be asked three times each, and be as silent as before."""
    text = """11:45 12:00 M1..M99 heartbeat
        12:01:00 M41..M44 last_gasp received=12:01:40
    """
    dark = tuple(f"M{n}" for n in range(1, 61))
    asked, _ = answered(f"{text} 12:06 end", dark=dark, network=BEHIND_ONE)
    behind = [name for name in asked if int(name[1:]) <= 40]
    assert 4 <= len(behind) <= 12
    lit = dark[40:]
    asked, _ = answered(f"{text} 12:06 end", dark=lit, network=BEHIND_ONE)
    assert any(int(name[1:]) <= 40 for name in asked), "nor is it given up before it was tried"
