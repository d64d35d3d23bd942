"""The specification of currents: a step down and a fault current narrow what is dark."""

import pytest

from detectors.currents import weighed
from detectors.engine import Engine
from detectors.loads import Load, read_load
from detectors.settings import EngineSettings
from grid.drawing import draw
from grid.network import Network

NETWORK = draw("""
source S1
  breaker B1 telemetered
    switch R1
      transformer T1
        meter M1..M10
      transformer T4
        meter M41..M45
    switch R2
      transformer T2
        meter M11..M30
      transformer T3
        meter M31..M35
""")
ALL = "11:30 11:45 12:00 M1..M35,M41..M45 heartbeat\n"
LOAD = "12:01 B1 heartbeat on=1 amps=100,101,99\n"


def fell(to: float) -> str:
    return f"{LOAD}12:02:10 B1 heartbeat on=1 amps={to},{to},{to}\n"


@pytest.fixture
def odds(stream):
    """How a drawn day's currents move the log-odds of devices."""

    def after(text: str, *devices: str, network: Network = NETWORK) -> list[float]:
        engine = Engine(network.groups[0], EngineSettings(pings_per_minute=0.0))
        for frame in stream(network, text).frames():
            engine.apply(frame)
        with_them = engine._priors(engine._look(engine.clock_ms)).logit
        engine.loads = {}
        without = engine._priors(engine._look(engine.clock_ms)).logit
        nodes = [network.places[name].node for name in devices]
        return [round(float(with_them[node] - without[node]), 1) for node in nodes]

    return after


def test_a_load_that_falls_by_a_quarter_speaks_for_who_has_a_quarter_of_the_customers(odds) -> None:
    t1, t2, r1 = odds(f"{ALL}{fell(75)}12:02:20 end", "T1", "T2", "R1")
    assert t1 > 1.5, "ten of forty customers"
    assert t2 == -0.1, "twenty of forty: no better than nobody, or than others besides"
    assert r1 < t1, "fifteen of forty"


def test_where_many_devices_fit_the_step_says_less_of_each(odds) -> None:
    def moved(fuses: int) -> float:
        sevens = [f"M{7 * n + 1}..M{7 * n + 7}" for n in range(fuses)]
        drawn = "".join(f"      fuse F{n}\n        meter {them}\n" for n, them in enumerate(sevens))
        rest = f"      fuse REST\n        meter M{7 * fuses + 1}..M100\n"
        network = draw(f"source S1\n  breaker B1 telemetered\n    transformer T1\n{drawn}{rest}")
        return odds(f"{fell(93)}12:03 end", "F0", network=network)[0]

    assert 0.0 < moved(14) < moved(1) - 0.5


def test_devices_in_series_that_see_one_step_say_it_once(odds) -> None:
    series = draw("""
source S1
  breaker B1 telemetered
    switch R1 telemetered
      transformer T1
        meter M1..M10
      transformer T2
        meter M11..M40
""")
    again = fell(75).replace("B1", "R1")
    (once,) = odds(f"{fell(75)}12:03 end", "T1", network=series)
    assert once > 1.5
    assert odds(f"{fell(75)}{again}12:03 end", "T1", network=series) == [once]


def test_a_load_that_was_measured_before_says_nothing_of_what_spoke_since(odds) -> None:
    assert odds(f"{ALL}{fell(75)}12:02:30 M1 heartbeat\n12:03 end", "T1") == [0.0]
    gasped = f"{ALL}{fell(75)}12:02:30 M1 last_gasp\n"
    assert odds(f"{gasped}12:03:10 end", "T1") == [0.0]
    again = "12:03 B1 heartbeat on=1 amps=75\n"
    assert odds(f"{gasped}{again}12:03:10 end", "T1")[0] > 1.5


def test_a_load_that_is_back_says_nothing(odds) -> None:
    day = f"{ALL}{fell(75)}12:03 B1 heartbeat on=1 amps=100\n12:03:20 end"
    assert odds(day, "T1", "T2") == [0.0, 0.0]


def test_a_load_that_wavers_says_nothing(odds) -> None:
    assert odds(f"{ALL}{fell(98)}12:02:20 end", "T1") == [0.0]


def test_readings_far_apart_show_no_step(odds) -> None:
    day = f"{ALL}{LOAD}12:08 B1 heartbeat on=1 amps=60\n12:08:20 end"
    assert odds(day, "T1", "T2") == [0.0, 0.0]


def test_a_small_load_shows_no_step(odds) -> None:
    day = f"{ALL}12:01 B1 heartbeat on=1 amps=4\n12:02 B1 heartbeat on=1 amps=2\n12:02:20 end"
    assert odds(day, "T1") == [0.0]


def test_a_fault_current_says_that_the_fault_is_below(odds) -> None:
    day = f"{ALL}{LOAD}12:02:00 B1 heartbeat on=1 amps=2400\n12:02:20 end"
    assert odds(day, "T1", "R2") == [2.9, 2.9]
    late = f"{ALL}{LOAD}12:02:00 B1 heartbeat on=1 amps=2400\n12:08 end"
    assert odds(late, "T1") == [0.0]


def test_the_load_that_is_gone_says_which_section_it_is(day) -> None:
    gasp = "12:02:00 M1..M3 last_gasp received=12:02:40\n"
    calm = day(NETWORK, f"{ALL}{gasp}12:03 end", delivery=0.1)
    told = day(NETWORK, f"{ALL}{fell(62.5)}{gasp}12:03 end", delivery=0.1)
    assert calm.outage.device_id == "T1"
    assert (told.outage.device_id, told.outage.customers_out) == ("R1", 15)
    assert "the load of B1 fell by 38%" in told.outage.evidence


def test_currents_alone_declare_nothing(day) -> None:
    passed = "12:02:00 B1 heartbeat on=1 amps=2400\n"
    assert day(NETWORK, f"{ALL}{LOAD}{passed}{fell(40)[len(LOAD) :]}12:10 end").outages == []


def test_who_is_out_elsewhere_below_explains_the_rest_of_the_load(day, odds) -> None:
    gasps = "12:02:00 M11..M28 last_gasp received=12:02:40\n"
    live = "12:02:50 M31..M35,M41..M45 voltage volts=230\n"
    t1, t3 = odds(f"{ALL}{fell(25)}{gasps}{live}12:03:20 end", "T1", "T3")
    assert t1 > 1.5, "half is out, and a quarter more is gone"
    assert t3 < t1


def test_what_is_known_to_be_out_explains_its_part_of_the_step_and_no_other(day, odds) -> None:
    gasps = "12:02:00 M1..M9 last_gasp received=12:02:40\n"
    live = "12:02:50 M11..M35,M41..M45 voltage volts=230\n"
    whole, part, other = odds(f"{ALL}{fell(75)}{gasps}{live}12:03:20 end", "T1", "M1", "T4")
    assert whole > 1.5, "it is out, and a quarter is gone"
    assert part == 0.0, "without the others of its outage it would not make up a quarter"
    assert other <= 0.0, "nothing is left for five more"


def test_a_device_without_currents_is_nobodys_load(stream) -> None:
    rows = stream(NETWORK, "12:00 B1 heartbeat on=1").rows
    assert read_load(rows, 0, Load(), EngineSettings()) is None
    assert weighed.__doc__


def test_where_a_breaker_tripped_the_indicators_behind_it_say_where_to_look(day) -> None:
    passed = "12:02:00 R2 heartbeat on=1 amps=1900\n"
    trip = "12:02:01 B1 trip amps=2400\n"
    told = day(NETWORK, f"{ALL}{LOAD}12:01 R1,R2 heartbeat on=1 amps=50\n{passed}{trip}12:03 end")
    assert told.outage.device_id == "B1"
    (line,) = [one for one in told.outage.reasons if one.code == "fault_below"]
    assert line.device_id == "R2"
