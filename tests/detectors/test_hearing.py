"""The specification of hearing: what a reading says about power, and the columns that it leaves."""

from itertools import permutations

import numpy as np
import pytest

from detectors.arriving import Gasping
from detectors.engine import Engine
from detectors.evidence import Ear, gather
from detectors.hearing import columns
from detectors.moments import NEVER
from detectors.saying import said, volts_of
from detectors.settings import EngineSettings
from grid.drawing import draw

pytestmark = pytest.mark.loops

NETWORK = draw("""
source S1
  breaker B1
    transformer T1
      meter M1..M3
""")
LIMITS = EngineSettings()


@pytest.fixture
def judged(stream):
    """What one reading of M1 says: "on", "off", both or nothing, and the phases that are lost."""

    def judge(reading: str) -> str:
        row = stream(NETWORK, f"12:00 M1 {reading}").rows[0]
        on, off, phases = said(row, volts_of(LIMITS))
        lost = "".join(p for bit, p in ((1, "A"), (2, "B"), (4, "C")) if phases & bit)
        told = ["on"] * bool(on) + ["off"] * bool(off) + [f"lost {lost}"] * bool(lost)
        return ", ".join(told) or "nothing"

    return judge


@pytest.mark.parametrize(
    ("reading", "says"),
    [
        ("heartbeat", "on"),
        ("power_up", "on"),
        ("last_gasp", "off"),
        ("tamper", "nothing"),
        ("ping_reply on=1", "on"),
        ("ping_reply on=0", "off"),
        ("heartbeat on=0", "off"),
        ("phase_loss phases=B", "on, lost B"),
        ("phase_ok", "on"),
        ("last_gasp invalid", "nothing"),
        ("power_up invalid", "nothing"),
    ],
)
def test_a_word_without_voltage_is_taken_as_it_is(judged, reading: str, says: str) -> None:
    assert judged(reading) == says


@pytest.mark.parametrize(
    ("volts", "says", "why"),
    [
        ("131", "off", "all phases below 60 % of 220 V"),
        ("133", "nothing", "between the limits"),
        ("175", "nothing", "between the limits"),
        ("177", "on", "any phase at or above 80 %"),
        ("0,0,0", "off", "all three dead"),
        ("230,0,230", "on, lost B", "one phase out is a phase loss, not an outage"),
        ("230,0,0", "on, lost BC", "two are, too"),
        ("150,0,0", "nothing", "none live, one undecided"),
        ("230,150,230", "on", "one is low, none is dead"),
        ("0,0", "off", "a meter of two phases"),
    ],
)
def test_off_below_sixty_per_cent_on_from_eighty(judged, volts: str, says: str, why: str) -> None:
    assert judged(f"voltage volts={volts}") == says, why


def test_a_heartbeat_with_a_dead_voltage_is_off_whatever_it_calls_itself(judged) -> None:
    assert judged("heartbeat on=1 volts=0") == "off"


def test_the_limits_are_settings(stream) -> None:
    row = stream(NETWORK, "12:00 M1 voltage volts=100").rows[0]
    on, _, _ = said(row, volts_of(EngineSettings(nominal_v=110.0)))
    assert on
    _, off, _ = said(row, volts_of(EngineSettings(off_pu=0.4)))
    assert not off


def hearing_of(network, frames):
    """The columns that frames leave."""
    engine = Engine(network.groups[0], LIMITS)
    for frame in frames:
        engine.apply(frame)
    return engine.hearing


def test_late_and_reordered_readings_leave_the_same_columns(stream) -> None:
    """Whatever the order, the first line is received at 12:00:20, the next a second later."""
    told = [
        "12:00:00 M1 heartbeat",
        "12:00:05 M1 voltage volts=230,0,230",
        "12:00:09 M1 last_gasp",
        "12:00:12 M1 power_up off_at=12:00:09",
    ]
    left = set()
    for order in permutations(told):
        lines = [f"{line} received=12:00:{20 + i}" for i, line in enumerate(order)]
        hearing = hearing_of(NETWORK, stream(NETWORK, "\n".join(lines)).frames())
        left_of = {name: getattr(hearing, name)[3:4] for name in columns()}
        learned = {"period_s", "agreed", "beat_ms", "lag_ms", "resumed"}
        left.add(tuple((n, c.tobytes()) for n, c in left_of.items() if n not in learned))
    assert len(left) == 1


def test_a_late_word_on_phases_does_not_replace_a_newer_one(day) -> None:
    told = day(NETWORK, """
        12:00:10 M1 phase_ok
        12:00:05 M1 phase_loss phases=B received=12:00:20
    """)  # fmt: skip
    assert told.findings == []


@pytest.mark.parametrize(
    ("beats", "period_s"),
    [
        ("11:00 11:05", 0),
        ("11:00 11:05 11:10", 300),
        ("11:00 11:05 11:10 11:15", 300),
        ("11:00 11:05 11:09:50 11:15:05", 300),
        ("11:00 11:05 11:10 11:20 11:25", 300),
        ("11:00 11:05 11:12 11:14", 0),
        ("11:00 11:05 11:11", 0),
    ],
    ids=["one gap teaches nothing", "two that agree do", "and more", "within a tenth",
         "a beat that was missed is no other period", "without rule, none",
         "not if they differ by a fifth"],
)  # fmt: skip
def test_a_reporting_period_is_learned_from_gaps_that_agree(stream, beats, period_s) -> None:
    hearing = hearing_of(NETWORK, stream(NETWORK, f"{beats} M1 heartbeat").frames())
    assert hearing.period_ms(0.0)[3] == pytest.approx(period_s * 1000, abs=3000)
    assert hearing.period_ms(900.0)[4] == 900_000, "the others go by the setting"


def test_the_delay_of_a_device_is_the_least_ever_seen(stream) -> None:
    lines = """
        12:00 M1 heartbeat received=12:00:07
        12:05 M1 heartbeat received=12:05:02
        12:10 M1 heartbeat received=12:10:30
    """
    hearing = hearing_of(NETWORK, stream(NETWORK, lines).frames())
    assert hearing.lag(np.array([3, 4])).tolist() == [2000, 0]


@pytest.mark.parametrize(
    ("others", "way_ms"), [("12:00:01", 2000), ("12:01:00", 11_000)], ids=["right", "wrong"]
)
def test_where_clocks_are_right_the_way_takes_the_seconds(stream, at, others, way_ms) -> None:
    street = draw("source S1\n  breaker B1\n    transformer T1\n      meter M1..M30")
    lines = f"""
        12:00 M1 heartbeat received=12:00:11
        12:00 M2..M30 heartbeat received={others}
    """
    hearing = hearing_of(street, stream(street, lines).frames())
    assert hearing.lag()[3] == 11_000
    ear = Ear(at("12:02"), (), Gasping(0.5), LIMITS.false_gasp, (0.1, 0.01))
    seen = gather(street.groups[0], hearing, ear, LIMITS)
    assert seen.heard_ms[3] == at("12:00") + way_ms


def test_who_was_never_heard_has_no_times(stream) -> None:
    hearing = hearing_of(NETWORK, stream(NETWORK, "12:00 M1 heartbeat").frames())
    assert hearing.on_ms.of(3) != NEVER
    assert not any(of.known[4] for of in (hearing.on_ms, hearing.off_ms, hearing.back_ms))
