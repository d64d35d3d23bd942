"""The specification of weak points: what readings measure, beyond a limit and for how long."""

import pytest

from grid.drawing import draw
from grid.frame import Frame
from grid.reading import Kind, Reading
from ingest.packing import Packer

DAY_MS = 86_400_000

NETWORK = draw("""
source S1
  breaker B1
    transformer T1
      meter M1..M6
""")
QUARTERS = "12:00 12:05 12:10 12:15"


def found(told) -> list[str]:
    return [line for line in told.findings if not line.startswith("comms")]


@pytest.mark.parametrize(
    ("line", "finding", "reason"),
    [
        ("M1 voltage volts=190", "low_voltage M1",
         "phase A has 190 V, less than 198 V, for 15 minutes"),
        ("T1 voltage volts=220,185,220", "low_voltage T1",
         "phase B has 185 V, less than 198 V, for 15 minutes"),
        ("T1 heartbeat amps=500,610,520", "overload T1",
         "phase B carries 610 A of 577 A, for 15 minutes"),
        ("T1 heartbeat amps=300,180,290", "imbalance T1",
         "its phases carry 300, 180, 290 A: 40 % apart, for 15 minutes"),
    ],
    ids=["a meter's voltage", "one phase of a terminal", "overload", "imbalance"],
)  # fmt: skip
def test_a_quarter_of_an_hour_beyond_a_limit_is_a_weak_point(day, line, finding, reason) -> None:
    told = day(NETWORK, f"{QUARTERS} {line}\n 12:16 end")
    assert found(told) == [f"{finding} 12:00:00 -"]
    assert told.noticed[-1].reason == reason
    assert told.outages == []


@pytest.mark.parametrize(
    "line",
    ["M1 voltage volts=198", "T1 heartbeat amps=60,10,60", "T1 heartbeat amps=560,570,500",
     "M1 heartbeat amps=900", "M1 voltage volts=190 invalid"],
    ids=["within", "uneven and little", "nearly full", "a meter has no rating", "not valid"],
)  # fmt: skip
def test_what_is_within_or_proves_nothing_is_none(day, line: str) -> None:
    assert found(day(NETWORK, f"{QUARTERS} {line}\n 12:16 end")) == []


def test_the_next_measurement_within_ends_it(day) -> None:
    told = day(NETWORK, f"{QUARTERS} M1 voltage volts=190\n 12:20 M1 voltage volts=215")
    assert found(told) == ["low_voltage M1 12:00:00 - 12:20:00"]


def test_a_good_one_in_between_begins_the_time_anew(day) -> None:
    told = day(NETWORK, """
        12:00 12:05 12:15 12:20 M1 voltage volts=190
        12:10 M1 voltage volts=220
    """)  # fmt: skip
    assert found(told) == []


def test_a_lost_phase_is_no_low_voltage(day) -> None:
    told = day(NETWORK, f"{QUARTERS} T1 voltage volts=220,0,220\n 12:16 end")
    assert [line.split()[0] for line in found(told)] == ["phase_loss"]


def test_a_clock_that_is_ahead_is_told_until_it_is_right(day) -> None:
    told = day(NETWORK, """
        12:10 M1 heartbeat received=12:00
        12:20 M1 heartbeat received=12:20
    """)  # fmt: skip
    assert found(told) == ["clock M1 12:00:00 - 12:20:00"]
    assert told.noticed[0].reason.startswith("its clock is 600 s ahead of ours")


def test_a_clock_that_is_off_by_days_is_told_too(run, at) -> None:
    noon = at("12:00")
    reading = Reading("M1", Kind.HEARTBEAT, noon + 2 * DAY_MS)
    rows = Packer(NETWORK).pack([reading], noon)[0].copy()
    rows["stream_ms"] = noon
    (finding,) = run([Frame(0, 1, NETWORK.version, noon, rows)], NETWORK).noticed
    assert (finding.kind, finding.device_id) == ("clock", "M1")
    assert finding.reason.startswith("its clock is off by more than a day")
