"""What a relay's memory holds at a moment of a world, in the terms of its datasheet."""

import math
from collections.abc import Sequence

import msgspec

from devices.relay import Sample, SwitchEvent
from grid.reading import Kind
from simulators.story import Operation
from simulators.switchgear import Switchgear

EVENTS_MAX = 6  # the longest sequence of events that a family keeps
NEUTRAL_V = 10_000 / math.sqrt(3)
POWER_FACTOR = 0.95
_OPENINGS = (Kind.TRIP, Kind.OPEN)


class Counts(msgspec.Struct, frozen=True):
    """What a relay has counted in its life before a story."""

    events: int = 0
    openings: int = 0
    closings: int = 0


def counted(operations: Sequence[Operation], before: Counts) -> Counts:
    """The counters after some operations."""
    return Counts(
        before.events + len(operations),
        before.openings + sum(op.kind in _OPENINGS for op in operations),
        before.closings + sum(op.kind is Kind.CLOSE for op in operations),
    )


def sample_of(gear: Switchgear, branch_id: str, at_ms: int, before: Counts) -> Sample:
    """A relay's memory."""
    state = gear.state(branch_id, at_ms)
    done = gear.done(branch_id, at_ms)
    counts = counted(done, before)
    openings = [op for op in done if op.kind in _OPENINGS]
    closings = [op for op in done if op.kind is Kind.CLOSE]
    kept = range(max(0, len(done) - EVENTS_MAX), len(done))
    volts = round(NEUTRAL_V) if state.live else 0
    kilowatts = sum(state.amps) * NEUTRAL_V * POWER_FACTOR / 1000
    return Sample(
        closed=state.closed,
        lockout=state.lockout,
        commanded=bool(openings) and openings[-1].commanded,
        amps=state.amps,
        volts=(volts, volts, volts),
        power_kw=round(kilowatts),
        event_seq=counts.events,
        events=tuple(
            SwitchEvent(before.events + 1 + i & 0xFFFF, done[i].kind, done[i].at_ms) for i in kept
        ),
        openings=counts.openings,
        closings=counts.closings,
        opened_ms=openings[-1].at_ms if openings else 0,
        closed_ms=closings[-1].at_ms if closings else 0,
    )
