"""The specification of what silence says: nothing before words could be here, and what came of a
mute concentrator.
"""

import numpy as np
import pytest

from detectors.arriving import METERS, TERMINALS, Gasping, arrived, failed
from detectors.moments import FAR
from grid.drawing import draw

NETWORK = draw("""
source S1
  breaker B1
    fuse F1
      transformer T1
        meter M1..M40
    fuse F2
      transformer T2
        meter M41..M60 dcu=D1
      transformer T3
        meter M61..M80
      transformer T4
        meter M81..M100
""")
WARM = "11:30 11:45 M1..M100,T1..T4 heartbeat\n"


@pytest.mark.parametrize("way", [METERS, TERMINALS])
def test_words_come_after_their_hold_off_and_in_the_end_all_are_in(way) -> None:
    there = [arrived(way, since_ms) for since_ms in range(0, 300_001, 500)]
    assert there == sorted(there)
    assert arrived(way, way.first) == 0
    assert there[-1] == pytest.approx(1.0)


@pytest.mark.parametrize(("seconds", "heard"), [(31, 0.0), (38, 0.2), (47, 0.7)])
def test_as_many_gasps_are_in_as_when_they_are_drawn(seconds: int, heard: float) -> None:
    """A hold-off from 30 to 45 s, and then a way of five seconds on average."""
    dice = np.random.default_rng(1)
    drawn = 1000 * (dice.uniform(30, 45, 100_000) + dice.exponential(5, 100_000))
    share = arrived(METERS, 1000 * seconds)
    assert share == pytest.approx((drawn < 1000 * seconds).mean(), abs=0.01)
    assert share >= heard


def test_a_clock_that_shows_the_failure_and_one_that_shows_the_word_mean_the_same() -> None:
    assert failed(Gasping(0.5, stamp_ms=30_000), 60_000, FAR) == 30_000
    assert failed(Gasping(0.5, stamp_ms=0), 30_000, FAR) == 30_000


def test_a_terminal_speaks_for_its_transformer_at_once(day) -> None:
    """The forty meters behind it wait for half a minute before they believe it."""
    told = day(NETWORK, f"{WARM} 11:58:00 T1 last_gasp volts=0\n 11:58:02 end")
    assert told.outages == ["transformer T1: confirmed fault", "  11:58:00 -: M1..M40"]


def test_a_report_that_was_long_on_its_way_breaks_no_section(day) -> None:
    """It was sent before the failure; nothing of M41 had ever come sooner than after 12 s."""
    beats = "11:30 11:45 M1..M40,M42..M100,T1..T4 heartbeat\n"
    slow = "11:43 M41 heartbeat received=11:43:13\n 11:57:59 M41 heartbeat received=11:58:12\n"
    told = day(NETWORK, f"{beats} {slow} 11:58:00 T2,T3,T4 last_gasp volts=0\n 11:58:40 end")
    assert told.outages == ["fuse F2: confirmed fault", "  11:58:00 -: M41..M100"]


def test_terminals_that_all_speak_are_their_section(day) -> None:
    told = day(NETWORK, f"{WARM} 11:58:00 T2,T3,T4 last_gasp volts=0\n 11:58:02 end")
    assert told.outages == ["fuse F2: confirmed fault", "  11:58:00 -: M41..M100"]


PAIR = draw("""
source S1
  breaker B1
    switch W1
      transformer T1
        meter M1..M30
      transformer T2
        meter M31..M60
    transformer T3
      meter M61..M90
""")


@pytest.mark.parametrize(
    ("second", "devices"), [("11:58:00.700", ["W1"]), ("11:58:04.000", ["T1", "T2"])]
)
def test_two_faults_seconds_apart_that_fill_a_section_are_two(day, second, devices) -> None:
    """Terminals know within a second when power failed."""
    told = day(PAIR, f"""
        11:30 11:45 M1..M90,T1..T3 heartbeat
        11:58:00.000 T1 last_gasp volts=0
        {second} T2 last_gasp volts=0
        11:58:40 M1..M15,M31..M45 last_gasp
        11:59:30 end
    """)  # fmt: skip
    assert [o.device_id for o in told.latest()] == devices


def test_the_first_gasps_of_many_are_not_taken_for_all_of_them(day) -> None:
    """Each gives the time at which power failed; the others' hold-off is not over yet."""
    told = day(NETWORK, f"""{WARM}
        11:58:00 M41,M47,M62,M70,M85,M99 last_gasp received=11:58:32
        11:58:33 end
    """)  # fmt: skip
    assert told.outages[0].startswith("fuse F2:")
    assert len(told.outages) == 2


def test_one_word_does_not_break_a_sure_outage_into_its_parts(day) -> None:
    """The first that is heard after the repair had gasped nothing: the others say the rest."""
    out = f"{WARM} 11:50:00 M1..M20,M41..M50,M61..M70,M81..M90 last_gasp\n"
    told = day(NETWORK, f"""{out}
        11:53:30 M30 heartbeat
        11:53:32 M1..M29,M31..M100 power_up
        11:53:40 end
    """)  # fmt: skip
    assert [o.device_id for o in told.latest()] == ["B1"]
    assert told.outages[0] == "breaker B1: restored fault"


@pytest.mark.parametrize("gasps", ["M1..M6,M41,M42,M61,M81", "M1..M20,M41..M50,M61..M70,M81..M90"])
def test_nor_does_it_break_one_that_is_likelier_to_end_than_not_to_have_been(day, gasps) -> None:
    out = f"{WARM} 11:50:00 {gasps} last_gasp\n"
    told = day(NETWORK, f"""{out}
        11:53:30 M70 heartbeat
        11:53:32 M1..M69,M71..M100 power_up
        11:53:40 end
    """)  # fmt: skip
    assert [o.device_id for o in told.latest()] == ["B1"]


ROW = draw("""
source S1
  breaker B1
    switch W1
      transformer T1
        meter M1
      switch W2
        transformer T2
          meter M2..M11
        transformer T3
          meter M12..M21
        transformer T4
          meter M22..M31
""")


def test_what_one_word_breaks_is_asked_of_who_said_it_and_not_of_the_least_sure(day) -> None:
    """That M1 is out with the others is likely and no more; that M30 is, as sure as can be."""
    told = day(ROW, """
        11:28 11:43 M1 heartbeat
        11:30 11:45 M2..M31 heartbeat
        11:50:00 M2..M9,M12..M20,M22..M29 last_gasp
        11:58:50 M30 heartbeat
        11:58:52 M1..M29,M31 power_up
        11:59:00 end
    """, delivery=0.9)  # fmt: skip
    assert told.at("11:58:45")[0] == "switch W1: confirmed fault"
    assert "not part of it" not in "".join(told.log)
    assert told.outages[0] == "switch W1: restored fault"


def test_what_nobody_seconds_was_no_restoration(day) -> None:
    out = f"{WARM} 11:50:00 M1..M20,M41..M50,M61..M70,M81..M90 last_gasp\n"
    told = day(NETWORK, f"{out} 11:53:30 M30 heartbeat\n 11:54:30 end")
    assert "C-M30" not in {c for o in told.latest() for s in o.steps for c in s.customers}
    assert told.at("11:54:00") == told.at("11:53:20")


REPAIRED = f"""{WARM}
    11:50:00 T2..T4 last_gasp
    11:50:00 M61..M66,M81..M86 last_gasp received=11:50:40
    11:54:00 T2..T4 power_up
    11:54:20 M61..M100 power_up
"""


def test_through_a_concentrator_that_was_mute_all_along_no_silence_speaks(day) -> None:
    told = day(NETWORK, f"{REPAIRED} 11:56 end")
    assert [o.device_id for o in told.latest()] == ["F2"]
    assert told.outage.customers_out == 20
    assert told.findings == ["comms_loss D1 11:45:00 -"]


def test_what_it_swallowed_is_not_missed_when_it_is_back(day) -> None:
    told = day(NETWORK, f"{REPAIRED} 11:58 M41 heartbeat\n 11:58:30 end")
    assert [o.device_id for o in told.latest()] == ["F2"]


def test_power_that_came_back_while_it_was_mute_is_heard_of_a_period_after_it_is_back(day) -> None:
    back = "12:00 M1..M40 heartbeat\n 12:08 M41 heartbeat\n"
    told = day(NETWORK, f"{REPAIRED} {back} 12:14:30 end")
    assert [o.device_id for o in told.latest()] == ["F2"]


def test_one_that_let_gasps_through_lets_power_ups_through(day) -> None:
    gasped = "11:50:01 M41..M46 last_gasp received=11:50:40\n"
    told = day(NETWORK, f"{REPAIRED} {gasped} 11:56 end")
    assert [o.device_id for o in told.latest()] == ["F2", "T2"]


MUTE_BESIDE = draw("""
source S1
  breaker B1
    switch W1
      transformer T1
        fuse F1
          meter M1..M10 dcu=D1
        fuse F2
          meter M11..M20 dcu=D1
      transformer T2
        meter M21..M40
      transformer T3
        meter M41..M60
    switch W2
      transformer T4
        meter M61..M99
""")
BOTH_FAIL = """
    11:30 11:45 M1..M99 heartbeat
    11:50:00 M21..M30,M41..M50 last_gasp received=11:50:40
    12:00:00 M61..M99 heartbeat
    12:02:30 M1 heartbeat
"""


def test_one_word_through_a_concentrator_that_an_outage_explained_says_that_it_was_mute(
    day,
) -> None:
    """It went mute when those on both sides of it failed, so all of them were taken for dark."""
    told = day(MUTE_BESIDE, f"{BOTH_FAIL} 12:03:20 end")
    assert told.at("12:02:20")[0] == "switch W1: confirmed fault"
    assert [(o.device_id, o.customers_out) for o in told.latest()] == [("T2", 20), ("T3", 20)]
    later = day(MUTE_BESIDE, f"{BOTH_FAIL} 12:15:00 M2..M20,M61..M99 heartbeat\n 12:16 end")
    assert [(o.device_id, o.customers_out) for o in later.latest()] == [("T2", 20), ("T3", 20)]


def test_a_terminal_that_has_power_is_no_restoration_where_only_a_silent_concentrator_missed(
    day,
) -> None:
    alive = BOTH_FAIL.replace("12:02:30 M1 heartbeat", "12:02:30 T1 heartbeat")
    told = day(MUTE_BESIDE, f"11:44 T1 heartbeat\n{alive} 12:03:20 end")
    assert told.at("12:02:20")[0] == "switch W1: confirmed fault"
    assert [(o.device_id, o.customers_out) for o in told.latest()] == [("T2", 20), ("T3", 20)]


def test_who_is_not_heard_when_its_concentrator_is_back_is_in_the_dark(day) -> None:
    back = "12:15:00 M2..M10,M61..M99 heartbeat\n 12:18:30 M1 heartbeat\n"
    told = day(MUTE_BESIDE, f"{BOTH_FAIL} {back} 12:20 end")
    assert sorted(o.device_id for o in told.latest()) == ["F2", "T2", "T3"]


TWO_SILENT = draw("""
source S1
  breaker B1
    transformer T1
      meter M1..M20 dcu=D1
    transformer T2
      meter M21..M40 dcu=D2
    transformer T3
      meter M41..M60
    transformer T4
      meter M61..M80
""")
BESIDE = "M41..M50,M61..M70"


@pytest.mark.parametrize(("gasps", "second"), [(BESIDE, "M32"), (f"M1..M3,{BESIDE}", "M11")])
def test_words_through_two_silent_concentrators_are_a_restoration(day, gasps, second) -> None:
    """Meters that tell of no power-up: that two were mute until the same moment is no accident;
    nor was one that let gasps through.
    """
    told = day(TWO_SILENT, f"""
        11:30 11:45 M1..M80 heartbeat
        11:50:00 {gasps} last_gasp received=11:50:40
        12:05:00 M12,{second} heartbeat
        12:06:00 end
    """)  # fmt: skip
    assert told.outages[0] == "breaker B1: partially_restored fault"
    assert {"C-M12", f"C-{second}"} <= set(told.changes[-1].outage.steps[0].customers)
