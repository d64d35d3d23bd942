"""The specification of determinism once people decide: days on which two dispatchers and a crew do
what they may and may not, while meters come and go.

What no day may break (see conftest.py) is checked on all of them: nobody is in two running outages,
steps do not overlap, versions have no gaps.
"""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.drawing import draw
from grid.times import to_rfc3339

NETWORK = draw("""
source S1
  breaker B1 telemetered
    fuse F1
      transformer T1
        meter M1..M3
      transformer T2
        meter M4..M6
    fuse F2
      transformer T3
        meter M7..M9
  breaker B2
    transformer T4
      meter M10..M12
""")
HASTY = {
    "heartbeat_s": 60.0, "momentary_s": 60.0, "momentary_scada_s": 10.0, "close_after_s": 60.0,
    "telemetry_stale_s": 90.0,
}  # fmt: skip
NOON = 1_795_262_400_000
WARM = "11:57:00 11:58:00 11:59:00 12:00:00 M1..M12 heartbeat"


def clock(after_noon_ms: int) -> str:
    return to_rfc3339(NOON + after_noon_ms)[11:-1]


moments = st.integers(0, 240_000)
meters = st.sampled_from(["M1..M3", "M4..M6", "M1..M6", "M7..M9", "M10..M12", "M1", "M5", "M8"])
devices = st.sampled_from(["B1", "F1", "T1", "T2", "F2", "T3", "B2", "T4", "M2"])
switches = st.sampled_from(["B1", "F1", "F2", "B2", "T1"])
outages = st.sampled_from(["S1-1", "S1-1", "S1-1", "S1-2", "S1-2", "S1-3"])
said = st.builds(
    "{} {}".format,
    meters,
    st.sampled_from(["last_gasp", "last_gasp", "power_up", "heartbeat", "call_no_power"]),
) | st.sampled_from(["B1 trip", "B1 close", "B1 heartbeat on=1 amps=40"])
decided = (
    st.builds(
        "{} {} {} v? reason=x".format,
        st.sampled_from(["ann", "bob"]),
        st.sampled_from(["acknowledge", "confirm", "reject", "close", "note", "undo", "undo"]),
        outages,
    )
    | st.builds(
        "ann {} {} v? device={} reason=x".format,
        st.sampled_from(["relocate", "split"]), outages, devices,
    )
    | st.builds("ann merge {} v? other={} reason=x".format, outages, outages)
    | st.builds("ann assign {} v? crew={}".format, outages, st.integers(7, 8))
    | st.builds(
        "crew:7 {} {} v?".format, st.sampled_from(["en_route", "on_site", "repaired"]), outages
    )
    | st.builds("crew:7 cause {} v? cause=tree".format, outages)
    | st.builds("ann etr {} v? etr=14:00 reason=x".format, outages)
    | st.builds("ann {} {}".format, st.sampled_from(["open", "close"]), switches)
)  # fmt: skip


@st.composite
def days(draw) -> str:
    """It begins with something to decide on; no two decisions fall on one millisecond."""
    lines = [f"{clock(1000)} {draw(meters)} last_gasp"]
    lines += [f"{clock(draw(moments))} {draw(said)}" for _ in range(draw(st.integers(1, 8)))]
    times = draw(st.lists(moments, min_size=2, max_size=9, unique_by=lambda ms: ms // 2))
    lines += [f"{clock(max(at, 3000 + n))} {draw(decided)}" for n, at in enumerate(times)]
    return "\n".join([WARM, *lines, "12:06 end"])


places = st.lists(st.integers(NOON - 180_000, NOON + 360_000), max_size=8)


@pytest.fixture(scope="session")
def as_seen(stream, day):
    """A day, what was told on it, and its stream with the versions that people saw."""

    def tell(text: str):
        told = day(NETWORK, text, **HASTY)
        return told, replace(stream(NETWORK, text), commands=told.commands)

    return tell


@settings(max_examples=15, deadline=None, derandomize=True)
@given(days(), places, st.integers(1, 9))
def test_neither_cuts_nor_a_crash_change_what_people_decided(
    as_seen, run, text, cuts, crash_after
) -> None:
    told, recorded = as_seen(text)
    again = run(recorded.frames(cuts), NETWORK, crash_after=crash_after, **HASTY)
    assert again.bytes == told.bytes


@settings(max_examples=15, deadline=None, derandomize=True)
@given(days())
def test_each_decision_has_one_word_and_each_taken_one_a_line_of_its_own(as_seen, text) -> None:
    told, recorded = as_seen(text)
    assert len(told.words) == len(recorded.commands)
    lines = {change.decision for change in told.changes if change.decision}
    taken = {word.id for word in told.words if word.accepted and word.version}
    assert taken == lines
    assert all(word.why for word in told.words if not word.accepted)
