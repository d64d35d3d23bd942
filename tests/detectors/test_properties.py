"""The specification of determinism: what holds for any day, true or absurd.

Where the stream is cut into frames changes nothing, nor does a crash; the order in which readings
come changes nothing in the end.  What no day may break (see conftest.py) is checked on all of them.
"""

import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.running import published
from grid.drawing import draw
from grid.outage import State
from grid.times import to_rfc3339

NETWORK = draw("""
source S1
  breaker B1 telemetered
    transformer T1
      meter M1..M3 dcu=D1
    fuse F1
      transformer T2
        meter M4..M6 dcu=D2
    recloser R1 telemetered
      transformer T3
        meter M7..M8
  breaker B2 telemetered
    transformer T4
      meter M9..M10 customers=2
""")
GROUP = NETWORK.groups[0]
METERS = [f"M{i}" for i in range(1, 11)]
HASTY = {
    "heartbeat_s": 60.0,
    "heartbeat_slack_s": 30.0,
    "momentary_s": 60.0,
    "momentary_scada_s": 10.0,
    "close_after_s": 60.0,
    "telemetry_stale_s": 90.0,
}
LATE_MS = 20_000  # the bound on lateness
NOON = 1_795_262_400_000


def clock(after_noon_ms: int) -> str:
    return to_rfc3339(NOON + after_noon_ms)[11:-1]


# -- absurd days ---------------------------------------------------------------------------------

WARM = """
    11:57:00 11:58:00 11:59:00 12:00:00 M1..M5 heartbeat
    11:57:20 11:58:20 11:59:20 M6..M10 heartbeat
"""
moments = st.integers(0, 240_000)
meters = st.sampled_from([*METERS, "M1..M3", "M4..M6", "M7..M10", "M1..M10", "T1", "T1,T2"])
METER_WORDS = """
    last_gasp; last_gasp; power_up; power_up; heartbeat; ping_reply on=1; ping_reply on=0
    phase_loss phases=A; phase_ok; voltage volts=0; voltage volts=150; voltage volts=230,0,230
    tamper; last_gasp invalid; call_no_power; call_restored; power_up off_at=12:00:01
"""
BREAKER_WORDS = """
    trip; close; lockout; open commanded=1; heartbeat on=1 amps=80; heartbeat on=0; no_answer
    trip invalid
"""
meter_words = st.sampled_from([w.strip() for w in re.split("[;\n]", METER_WORDS) if w.strip()])
breaker_words = st.sampled_from([w.strip() for w in re.split("[;\n]", BREAKER_WORDS) if w.strip()])
identities = st.just("") | st.builds(
    " boot={} seq={}".format, st.sampled_from("ab"), st.integers(0, 5)
) | st.builds(
    " via={} boot={} seq={}".format,
    st.sampled_from(["D1", "D2"]), st.sampled_from("ab"), st.integers(0, 5),
)  # fmt: skip


@st.composite
def readings(draw) -> str:
    at, late = draw(moments), draw(st.just(0) | st.integers(0, LATE_MS))
    if draw(st.integers(0, 3)):
        said = f"{draw(meters)} {draw(meter_words)}{draw(identities)}"
    else:
        said = draw(st.builds("{} {}".format, st.sampled_from(["B1", "R1", "B2"]), breaker_words))
    return f"{clock(at)} {said} received={clock(at + late)}"


@st.composite
def commands(draw) -> list[str]:
    at, for_ms, more_ms = draw(moments), draw(st.integers(1, 60_000)), draw(st.integers(1, 20_000))
    plan = f"plan P{draw(st.integers(1, 2))} {draw(st.sampled_from(['T1', 'B1', 'R1']))}"
    return draw(
        st.sampled_from(
            [
                [],
                [f"{clock(at)} {plan} 12:00..12:05 kind=arrears"],
                [f"{clock(at)} settings close_after_s=5"],
                [
                    f"{clock(at)} lost mqtt",
                    f"{clock(at + for_ms)} deaf mqtt from={clock(at)}",
                    f"{clock(at + for_ms + more_ms)} caught_up mqtt",
                ],
            ]
        )
    )


days = st.builds(
    lambda said, told: "\n".join([WARM, *said, *told, "12:06 end"]),
    st.lists(readings(), min_size=1, max_size=20),
    commands(),
)
places = st.lists(st.integers(NOON - 180_000, NOON + 360_000), max_size=8)


@pytest.fixture(scope="session")
def says(stream, run):
    """Everything that an engine says to a drawn day."""

    def tell(text: str, cuts=(), crash_after: int = 0):
        frames = stream(NETWORK, text).frames(cuts)
        return run(frames, NETWORK, crash_after=crash_after, **HASTY)

    return tell


@settings(max_examples=15, deadline=None, derandomize=True)
@given(days, places)
def test_where_the_stream_is_cut_into_frames_changes_nothing(says, text, cuts) -> None:
    assert says(text, cuts).bytes == says(text).bytes


@settings(max_examples=10, deadline=None, derandomize=True)
@given(days, places, st.integers(1, 9))
def test_a_crash_after_any_frame_changes_nothing(says, text, cuts, crash_after) -> None:
    assert says(text, cuts, crash_after).bytes == says(text, cuts).bytes


@settings(max_examples=10, deadline=None, derandomize=True)
@given(days, st.integers(0, 2**32))
def test_what_comes_twice_changes_nothing(says, text, seed) -> None:
    """Facts with numbers of their own, delivered again at the end of the day."""
    dice = Random(seed)
    lines = [line for line in text.splitlines() if "received=" in line and " seq=" in line]
    again = [
        line.split("received=")[0] + "received=12:05:59" for line in lines if dice.random() < 0.5
    ]
    told, twice = says(text), says("\n".join([*text.splitlines()[:-1], *again, "12:06 end"]))
    assert [c.reason for c in twice.changes] == [c.reason for c in told.changes]


# -- true days -----------------------------------------------------------------------------------


def true_day(dice: Random) -> list[tuple[int, str]]:
    """Who says what when (ms after noon), on a day with one or two faults behind different devices.

    Meters report every minute while they have power; a dead one gasps four times out of five; the
    power comes back after one and a half to two and a half minutes, or not at all.
    """
    facts: list[tuple[int, str]] = []
    off: dict[str, tuple[int, int]] = {}
    for device in dice.sample(["B1", "T1", "F1", "R1", "B2"], dice.choice([1, 2])):
        below = GROUP.ids[GROUP.below(GROUP.ids.index(device))]
        dark = [name for name in below if name in METERS]
        if off.keys() & set(dark):
            continue
        begin = dice.randrange(30_000, 60_000)
        end = begin + dice.randrange(95_000, 150_000) if dice.random() < 0.8 else 1 << 30
        off |= dict.fromkeys(dark, (begin, end))
        if device in ("B1", "R1", "B2") and dice.random() < 0.7:
            facts += [(begin, f"{device} trip"), (end, f"{device} close")]
    for meter in METERS:
        begin, end = off.get(meter, (1 << 30, 1 << 30))
        for beat in range(dice.randrange(60_000) - 180_000, 335_000, 60_000):
            if not begin <= beat < end:
                facts.append((beat, f"{meter} heartbeat"))
        if dice.random() < 0.8:
            facts.append((begin + dice.randrange(500, 4000), f"{meter} last_gasp"))
        if dice.random() < 0.9:
            facts.append((end + dice.randrange(500, 4000), f"{meter} power_up"))
    return [fact for fact in facts if fact[0] < 335_000]


def delivered(facts: list[tuple[int, str]], dice: Random, late_ms: int) -> str:
    """The day as it is received: late within the bound, one fact in seven twice."""
    lines = []
    for at, said in facts:
        bound = 500 if at < 0 else late_ms  # until noon all is calm, and each delay is learned
        for _ in range(dice.choice([1] * 6 + [2])):
            late = dice.choice([0, dice.randrange(bound)])
            lines.append(f"{clock(at)} {said} received={clock(at + late)}")
    return "\n".join([*lines, "12:05:55 end"])


def in_the_end(told) -> list[tuple[object, ...]]:
    """Each outage that was one: device, kind, whether it is over, steps."""
    known = {outage.id: outage for outage in told.latest()}
    running = told.engine.book.running.values()  # what changed a little is not told yet
    known |= {o.id: o for o in (published(GROUP, outage) for outage in running)}
    return sorted(
        (o.device_id, o.kind, o.restored_ms or 0, sorted((s.off_ms, s.customers) for s in o.steps))
        for o in known.values()
        if o.state is not State.REJECTED and o.steps
    )


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_any_order_within_the_bound_on_lateness_ends_in_the_same_outages(says, seed, order) -> None:
    facts = true_day(Random(seed))
    in_order = says(delivered(facts, Random(order), 100))
    late = says(delivered(facts, Random(order + 1), LATE_MS))
    assert in_the_end(late) == in_the_end(in_order)
    assert in_the_end(late)
