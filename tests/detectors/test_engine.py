"""The specification of the engine at its edges: deadlines, repeats, odd clocks, calls."""

import pytest

from detectors.engine import Engine
from detectors.settings import EngineSettings
from grid.drawing import draw
from grid.frame import Frame

NETWORK = draw("""
source S1
  breaker B1 telemetered
    transformer T1
      meter M1..M6
    transformer T2
      meter M7..M20
""")
WARM = "11:57 11:58 11:59 12:00 M1..M20 heartbeat\n"


# -- deadlines -----------------------------------------------------------------------------------


def test_an_engine_that_heard_nobody_needs_no_waking(day) -> None:
    assert day(NETWORK, "12:00 ping M1\n12:00:05 end").wake_ms is None


def test_a_heartbeat_that_will_be_missed_is_a_deadline_of_its_own(day, at) -> None:
    """No reading and no timer of anybody else: the engine says itself when it must be woken."""
    told = day(NETWORK, f"{WARM} 12:00:40 end")
    assert at("12:01:30") <= told.wake_ms <= at("12:01:31")


def test_woken_then_it_speaks(day) -> None:
    told = day(NETWORK, f"{WARM} 12:01:00 12:01:25 M7..M20 heartbeat\n12:01:50 end")
    assert told.log[0].startswith("12:01:31 S1-1 predicted: outage behind transformer T1 detected")


def test_a_dead_terminal_is_answered_within_a_tenth_of_a_second(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:00:30.050 B1 heartbeat on=1 amps=90
        12:00:30.150 T1 last_gasp
        12:00:30.250 T2 last_gasp
        12:00:30.300 end
    """)  # fmt: skip
    assert told.log[0].startswith("12:00:30.200 S1-1 confirmed: outage behind transformer T1")


def test_terminals_of_one_fault_move_it_up_as_they_speak(day) -> None:
    told = day(
        NETWORK, f"{WARM} 12:00:30.150 T1 last_gasp\n12:00:30.450 T2 last_gasp\n12:00:31 end"
    )
    assert told.outages[0] == "breaker B1: confirmed fault"
    assert [line.split()[0] for line in told.log[:2]] == ["12:00:30.200", "12:00:30.500"]


def test_a_terminal_of_an_outage_that_runs_hurries_nobody(day, at) -> None:
    told = day(NETWORK, f"{WARM} 12:00:30 B1 trip\n12:00:31.150 T1 last_gasp\n12:00:31.160 end")
    assert told.wake_ms == at("12:00:32")


def test_while_an_outage_runs_it_looks_at_it_again(day, at) -> None:
    told = day(NETWORK, f"{WARM} 12:00:30 B1 trip\n12:00:31 end")
    assert told.wake_ms <= at("12:00:36")


def test_who_follows_the_first_to_be_back_is_heard_with_the_next(day) -> None:
    told = day(NETWORK, """
        11:30 11:45 12:00 M1..M19 heartbeat
        11:29:31 11:44:31 11:59:31 M20 heartbeat
        12:00:30 B1 trip
        12:05:00 B1 close
        12:05:04.200 M1..M19 power_up
        12:14:31 M20 heartbeat
        12:14:40 end
    """)  # fmt: skip
    back = [line.split()[0] for line in told.log if "heard with power again" in line]
    assert back == ["12:05:05", "12:14:35"]


def test_an_answer_is_taken_in_within_its_second_and_then_all_is_as_before(day, at) -> None:
    silent = f"{WARM} 12:00:30 B1 heartbeat on=1\n 12:00:30 M1..M6 last_gasp\n"
    living = "12:01 12:02 12:03 12:04 M7..M20 heartbeat\n"
    asked = f"{silent} {living} 12:04:10.500 M7 ping_reply\n"
    assert day(NETWORK, f"{asked} 12:04:10.600 end").wake_ms == at("12:04:11")
    later = f"{asked} 12:04:21 M8 heartbeat\n 12:04:21.100 end"
    assert day(NETWORK, later).wake_ms == at("12:04:25")


def test_frames_come_in_order_and_none_twice() -> None:
    engine = Engine(NETWORK.groups[0], EngineSettings())
    engine.apply(Frame(0, 1, NETWORK.version, 1000))
    with pytest.raises(AssertionError):
        engine.apply(Frame(0, 1, NETWORK.version, 2000))
    with pytest.raises(AssertionError):
        engine.apply(Frame(0, 3, NETWORK.version, 2000))


# -- repeats -------------------------------------------------------------------------------------


def test_it_says_which_rows_it_had_heard_before(stream) -> None:
    day = stream(NETWORK, """
        12:00:00 M1 heartbeat boot=a seq=1
        12:00:01 M2 heartbeat boot=a seq=1
        12:00:00 M1 heartbeat boot=a seq=1 received=12:00:02
        12:00:03 M1 heartbeat boot=a seq=2
        12:00:01 M2 heartbeat boot=a seq=1 received=12:00:04
    """)  # fmt: skip
    (frame,) = day.frames()
    assert Engine(NETWORK.groups[0], EngineSettings()).apply(frame).repeat_rows == (2, 4)


def test_across_frames_as_well(stream, at) -> None:
    day = stream(NETWORK, """
        12:00:00 M1 heartbeat boot=a seq=1
        12:00:00 M1 heartbeat boot=a seq=1 received=12:00:02
    """)  # fmt: skip
    engine = Engine(NETWORK.groups[0], EngineSettings())
    said = [engine.apply(frame).repeat_rows for frame in day.frames([at("12:00:01")])]
    assert said == [(), (0,)]


# -- clocks --------------------------------------------------------------------------------------


def test_a_clock_that_is_always_off_is_put_right_by_the_least_delay_seen(day, at) -> None:
    """T1's are twenty seconds behind; else it would have died before M7..M20 were last heard."""
    told = day(NETWORK, """
        11:57:00 11:58:00 11:59:00 12:00:00 M7..M20 heartbeat
        11:56:40 M1..M6 heartbeat received=11:57:00
        11:57:40 M1..M6 heartbeat received=11:58:00
        11:58:40 M1..M6 heartbeat received=11:59:00
        11:59:40 M1..M6 heartbeat received=12:00:00
        12:00:10 M1..M6 last_gasp received=12:00:30
        12:00:29 M7..M20 last_gasp
        12:00:40 end
    """)  # fmt: skip
    assert [o.device_id for o in told.latest()] == ["B1"]
    assert told.outage.started_ms == at("12:00:29"), "told by the devices' own clocks: the median"


def test_evidence_from_the_future_counts_when_it_is_received(day, at) -> None:
    told = day(NETWORK, f"{WARM} 12:05:00 M1..M6 last_gasp received=12:00:30\n12:00:40 end")
    assert told.outages == ["transformer T1: confirmed fault", "  12:05:00 -: M1..M6"]
    assert told.outage.detected_ms == at("12:00:31")


# -- calls ---------------------------------------------------------------------------------------


def test_one_call_is_no_outage_of_a_transformer(day) -> None:
    told = day(NETWORK, f"{WARM} 12:00:30 M9 call_no_power\n12:00:50 end")
    assert [o for o in told.latest() if o.device_id != "M9"] == []


def test_several_calls_are(day) -> None:
    told = day(NETWORK, f"{WARM} 12:00:30 M7,M9,M11,M12,M15,M18 call_no_power\n12:00:50 end")
    assert [o.device_id for o in told.latest()] == ["T2"]


# -- what is told --------------------------------------------------------------------------------


def test_an_outage_says_where_it_is_and_who(day, at) -> None:
    network = draw("""
source S1
  breaker B1 telemetered
    transformer T1 district=East phases=AB
      meter M1 district=East
      meter M2 district=West customers=2
""")  # fmt: skip
    told = day(network, "12:00 M1,M2 heartbeat\n12:01 B1 trip")
    outage = told.outage
    assert (outage.id, outage.group, outage.version) == ("S1-1", 0, 1)
    assert (outage.device_id, outage.device_kind, outage.feeder_id) == ("B1", "breaker", "B1")
    assert outage.districts == ("East", "West")
    assert (outage.customers_affected, outage.customers_out) == (3, 3)
    assert outage.started_ms == outage.detected_ms == outage.confirmed_ms == at("12:01")
    assert (outage.restored_ms, outage.etr, outage.parent_id) == (None, None, None)
    assert outage.evidence == ("B1 tripped at 2026-11-21T12:01:00.000Z", "probability 1.00")


def test_ids_count_up_within_a_group_and_are_the_same_in_every_run(day) -> None:
    text = f"""{WARM}
        12:00:30 M1..M6 last_gasp
        12:00:45 M7..M20 heartbeat
        12:00:55 M7..M20 last_gasp
        12:01 end
    """
    ids = [outage.id for outage in day(NETWORK, text).latest()]
    assert ids == [outage.id for outage in day(NETWORK, text).latest()]
    assert ids[0] == "S1-1"
