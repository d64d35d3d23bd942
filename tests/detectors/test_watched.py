"""The specification of what shows over hours: mute and flapping meters, momentaries, storms."""

from datetime import UTC, datetime, timedelta

import pytest

from detectors.moving import moved
from grid.drawing import draw

NETWORK = draw("""
source S1
  breaker B1 telemetered
    transformer T1
      meter M1..M6
    transformer T2
      meter M7..M12
  breaker B2 telemetered
    transformer T3
      meter M13..M18
""")
WARM = "11:30 11:45 12:00 M1..M18 heartbeat\n"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def times(count: int, *, every_s: int, first_s: int = 10) -> str:
    """``12:00:10 12:01:10 ...``"""
    moments = (NOON + timedelta(seconds=first_s + i * every_s) for i in range(count))
    return " ".join(f"{moment:%H:%M:%S}" for moment in moments)


def of_kind(told, kind: str) -> list[str]:
    return [line for line in told.findings if line.startswith(kind)]


# -- flapping ------------------------------------------------------------------------------------


def flapping(count: int, meters: str = "M3") -> str:
    gasps = times(count, every_s=300)
    back = times(count, every_s=300, first_s=20)
    return f"{WARM}{gasps} {meters} last_gasp\n{back} {meters} power_up\n"


def test_a_meter_that_gasps_again_and_again_is_a_finding(day) -> None:
    told = day(NETWORK, f"{flapping(4)} 12:16 end", heartbeat_s=3600)
    assert of_kind(told, "flapping") == ["flapping M3 12:00:10 -"]
    assert told.noticed[-1].reason.startswith("4 last gasps within 60 minutes")


def test_three_times_is_not_yet_flapping(day) -> None:
    assert of_kind(day(NETWORK, f"{flapping(3)} 12:16 end", heartbeat_s=3600), "flapping") == []


def test_its_gasps_count_for_nothing_until_it_is_calm(day) -> None:
    last = "12:15:10 M1..M18 heartbeat\n 12:20 M1..M3 last_gasp\n 12:21 end"
    told = day(NETWORK, f"{flapping(4)} {last}")
    (outage,) = told.latest()
    assert outage.device_id == "T1"
    assert "2 of 6 meters sent a last gasp" in outage.evidence


def test_when_it_was_calm_for_as_long_it_counts_again(day) -> None:
    told = day(NETWORK, f"{flapping(4)} 13:00 13:20 M1..M18 heartbeat\n 13:20:30 end")
    (finding,) = of_kind(told, "flapping")
    assert finding.startswith("flapping M3 12:00:10 - 13:1")


def test_who_is_out_may_say_so_as_often_as_it_likes(day) -> None:
    text = f"{WARM} 12:00:05 M1..M6 last_gasp\n {times(6, every_s=60)} M3 last_gasp\n 12:08 end"
    told = day(NETWORK, text)
    assert of_kind(told, "flapping") == []
    assert told.outages == ["transformer T1: confirmed fault", "  12:00:05 -: M1..M6"]


def test_a_feeder_that_flaps_mutes_none_of_its_meters(day) -> None:
    told = day(NETWORK, f"{flapping(4, 'M1..M12')} 12:16 end", heartbeat_s=3600)
    assert of_kind(told, "flapping") == []


# -- momentary interruptions -----------------------------------------------------------------------


def momentary(count: int) -> str:
    trips = times(count, every_s=600)
    closes = times(count, every_s=600, first_s=12)
    return f"{WARM} {trips} B1 trip\n{closes} B1 close\n"


def test_three_momentary_interruptions_are_a_weak_point(day) -> None:
    told = day(NETWORK, f"{momentary(3)} 12:25 end", heartbeat_s=36_000)
    (finding,) = of_kind(told, "repeated_momentary")
    assert finding.startswith("repeated_momentary B1 12:0")
    assert told.noticed[-1].reason == "3 momentary interruptions within 7 days"


def test_a_fourth_is_the_same_finding_said_again(day) -> None:
    told = day(NETWORK, f"{momentary(4)} 12:35 end", heartbeat_s=36_000)
    assert len(of_kind(told, "repeated_momentary")) == 1
    assert told.noticed[-1].reason == "4 momentary interruptions within 7 days"


def test_it_ends_when_they_are_long_past(day) -> None:
    text = f"{momentary(3)} 13:00 13:30 M1..M18 heartbeat\n 13:35 end"
    told = day(NETWORK, text, moments_s=3600, heartbeat_s=3600)
    (finding,) = of_kind(told, "repeated_momentary")
    assert not finding.endswith("-")


# -- never heard -----------------------------------------------------------------------------------


def beats(meters: str, hours: int) -> str:
    return "".join(f"{10 + h}:00 {10 + h}:30 {meters} heartbeat\n" for h in range(hours))


def test_meters_that_never_spoke_are_told_by_transformer(day) -> None:
    text = f"{beats('M1,M2,M7..M18', 5)} 15:00 end"
    told = day(NETWORK, text, heartbeat_s=1800, unheard_s=7200)
    assert [f.split(" ")[:2] for f in of_kind(told, "never_heard")] == [["never_heard", "T1"]]
    assert told.noticed[-1].reason == "4 of 6 meters behind it never spoke: M3, M4, M5 and 1 more"


def test_who_speaks_at_last_ends_it(day) -> None:
    text = f"{beats('M1,M2,M7..M18', 6)} 14:10 14:40 15:10 M3..M6 heartbeat\n 15:40 end"
    told = day(NETWORK, text, heartbeat_s=1800, unheard_s=7200)
    (finding,) = of_kind(told, "never_heard")
    assert not finding.endswith("-")


def test_where_nobody_was_ever_heard_there_are_no_meters_yet(day) -> None:
    told = day(NETWORK, f"{beats('M7..M18', 5)} 15:00 end", heartbeat_s=1800, unheard_s=7200)
    assert of_kind(told, "never_heard") == []


# -- storm -----------------------------------------------------------------------------------------


CITY = draw("source S1\n" + "".join(
    f"  breaker B{i} telemetered\n    transformer T{i}\n      meter M{3 * i}..M{3 * i + 2}\n"
    for i in range(1, 8)
))  # fmt: skip
ALL = "11:30 11:45 12:00 M3..M23 heartbeat\n"


@pytest.mark.parametrize(("count", "found"), [(4, 0), (5, 1)])
def test_five_outages_at_once_are_a_storm(day, count: int, found: int) -> None:
    trips = "".join(f"12:00:1{i} B{i} trip\n" for i in range(1, count + 1))
    told = day(CITY, f"{ALL}{trips} 12:02 end")
    assert len(of_kind(told, "storm S1")) == found


def test_it_is_over_when_few_outages_have_run_for_a_while(day) -> None:
    trips = "".join(f"12:00:1{i} B{i} trip\n" for i in range(1, 6))
    closes = "".join(f"12:10:1{i} B{i} close\n" for i in range(1, 5))
    back = "12:10:20 M3..M14 power_up\n"
    told = day(CITY, f"{ALL}{trips}{closes}{back} 12:40 end", heartbeat_s=36_000)
    (finding,) = of_kind(told, "storm")
    assert finding.startswith("storm S1 12:00:1")
    assert "12:25" <= finding.split(" - ")[1] < "12:27"


def test_planned_work_makes_no_storm(day) -> None:
    plans = "".join(f"11:50 plan P{i} B{i} 12:00..13:00\n" for i in range(1, 6))
    opens = "".join(f"12:00:1{i} B{i} open\n" for i in range(1, 6))
    assert of_kind(day(CITY, f"{plans}{ALL}{opens} 12:02 end"), "storm") == []


def test_in_a_storm_no_single_meter_is_asked(run, stream) -> None:
    trips = "".join(f"12:00:1{i} B{i} trip\n" for i in range(1, 6))
    lone = "12:03 M20 last_gasp\n 12:03:30 end"
    asked = {}
    for name, text in (("storm", trips), ("calm", "")):
        day = stream(CITY, f"{ALL}{text}{lone}")
        frames = day.frames(range(int(day.rows["stream_ms"][0]), day.until_ms, 60_000))
        asked[name] = _asked(run, frames)
    assert "M20" in asked["calm"]
    assert "M20" not in asked["storm"]


def _asked(run, frames) -> set[str]:
    told = run(frames, CITY, pings_per_minute=120.0, prior_meter=1e-2)
    return {CITY.groups[0].ids[node] for node in told.engine.asking.asks}


# -- kept over crashes and other networks ----------------------------------------------------------


def test_what_is_watched_survives_a_crash_at_any_frame(run, stream) -> None:
    text = f"{flapping(5)} {times(4, every_s=300)} M8 voltage volts=190\n 12:21 end"
    day = stream(NETWORK, text)
    frames = day.frames(range(int(day.rows["stream_ms"][0]), day.until_ms, 240_000))
    whole = run(frames, NETWORK, heartbeat_s=3600)
    assert {f.kind for f in whole.noticed} >= {"flapping", "low_voltage"}
    for crash_after in range(8, len(frames)):
        assert run(frames, NETWORK, crash_after=crash_after, heartbeat_s=3600).bytes == whole.bytes


def test_who_flaps_does_so_over_another_network_too(day) -> None:
    told = day(NETWORK, f"{flapping(4)} 12:16 end", heartbeat_s=3600)
    shorter = draw("source S1\n  breaker B1\n    transformer T1\n      meter M3..M4")
    engine = moved(told.engine, shorter.groups[0])
    (node,) = engine.watched.flapping
    assert shorter.groups[0].ids[node] == "M3"
