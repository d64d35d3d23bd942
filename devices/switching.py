"""What a relay's polls tell: its first state, then what happened since, each thing once.

A trip and a reclose that both happened between two polls are found by the relay's sequence of
events, or by its counters.  Pure: a poll goes in, what is remembered and what is told come out.
"""

import msgspec

from devices.relay import Sample
from grid.reading import Kind, Reading

COUNTER = 1 << 16
COUNTED_MAX = 64  # more operations than that between two polls: the counter was set back


class SwitchLimits(msgspec.Struct, frozen=True):
    """When a measurement is worth telling, and when a position is not known any more."""

    heartbeat_ms: int = 10_000
    amps_deadband: float = 5.0
    volts_deadband_pct: float = 5.0
    failures_max: int = 2  # polls in a row that told no position


class Watch(msgspec.Struct, frozen=True):
    """What is remembered of one relay between polls."""

    branch_id: str
    sample: Sample | None = None  # the last with a position
    polled_ms: int = 0  # when that was
    told: Sample | None = None  # the last heartbeat
    told_ms: int = 0
    failures: int = 0


Told = tuple[Watch, list[Reading]]


def on_no_answer(watch: Watch, at_ms: int, limits: SwitchLimits, *, contrary: bool = False) -> Told:
    """A poll was not answered, or not with a position.  Told once: its state is unknown.

    ``contrary``: it was answered, but the two contacts of a double point disagree; one that is just
    moving does so for a moment.  Such a reading is not valid.
    """
    failures = watch.failures + 1
    if failures != limits.failures_max:
        return msgspec.structs.replace(watch, failures=failures), []
    lost = msgspec.structs.replace(watch, failures=failures, told=None)
    return lost, [Reading(watch.branch_id, Kind.NO_ANSWER, at_ms, valid=not contrary)]


def on_sample(watch: Watch, sample: Sample, at_ms: int, limits: SwitchLimits) -> Told:
    """A poll was answered at a moment of ours."""
    if sample.closed is None:
        return on_no_answer(watch, at_ms, limits, contrary=True)
    happened = [] if watch.sample is None else _since(watch, watch.sample, sample, at_ms)
    beat = not happened and _worth_telling(watch, sample, at_ms, limits)
    if beat:
        happened = [_heartbeat(watch.branch_id, sample, at_ms)]
    told, told_ms = (sample, at_ms) if beat else (watch.told, watch.told_ms)
    return Watch(watch.branch_id, sample, at_ms, told, told_ms), happened


def _since(watch: Watch, before: Sample, now: Sample, at_ms: int) -> list[Reading]:
    """What happened between two polls, by the relay's own record and then by its position."""
    if before.event_seq is not None and now.event_seq is not None:
        steps = _recorded(before.event_seq, now)
    else:
        steps = _counted(before, now, watch.polled_ms)
    told = [_step(watch.branch_id, kind, happened_ms) for kind, happened_ms in steps]
    moves = [reading.on for reading in told if reading.kind is not Kind.LOCKOUT]
    if now.closed != (moves[-1] if moves else before.closed):
        told.append(_step(watch.branch_id, _kind_of_move(now), at_ms))
    if now.lockout and not before.lockout and all(one.kind is not Kind.LOCKOUT for one in told):
        told.append(_step(watch.branch_id, Kind.LOCKOUT, at_ms))
    return told


def _step(branch_id: str, kind: Kind, happened_ms: int) -> Reading:
    commanded = {Kind.TRIP: False, Kind.OPEN: True}.get(kind)
    return Reading(branch_id, kind, happened_ms, on=kind is Kind.CLOSE, commanded=commanded)


def _kind_of_move(now: Sample) -> Kind:
    if now.closed:
        return Kind.CLOSE
    return Kind.OPEN if now.commanded else Kind.TRIP


def _recorded(after_seq: int, now: Sample) -> list[tuple[Kind, int]]:
    """The events that are newer than a number, which may have wrapped."""
    fresh = [event for event in now.events if 0 < (event.seq - after_seq) % COUNTER < COUNTER // 2]
    return _ascending([(event.kind, event.at_ms) for event in fresh])


def _counted(before: Sample, now: Sample, polled_ms: int) -> list[tuple[Kind, int]]:
    """The operations that the counters tell of.

    Only the last opening and the last closing have a time of the relay's; earlier ones are dated
    to the earliest they can be, just after the poll before.
    """
    openings = (now.openings - before.openings) % COUNTER
    closings = (now.closings - before.closings) % COUNTER
    if openings > COUNTED_MAX or closings > COUNTED_MAX:
        return []
    moves: list[tuple[Kind, int]] = []
    closed = before.closed
    while (openings if closed else closings) > 0:
        earliest_ms = polled_ms + 1 + len(moves)
        if closed:
            last = openings == 1
            kind = Kind.OPEN if last and now.commanded else Kind.TRIP
            moves.append((kind, now.opened_ms if last and now.opened_ms else earliest_ms))
            openings -= 1
        else:
            last = closings == 1
            moves.append((Kind.CLOSE, now.closed_ms if last and now.closed_ms else earliest_ms))
            closings -= 1
        closed = not closed
    return _ascending(moves)


def _ascending(steps: list[tuple[Kind, int]]) -> list[tuple[Kind, int]]:
    """The same in the same order, with times that do not contradict it."""
    for i in range(len(steps) - 2, -1, -1):
        kind, at_ms = steps[i]
        steps[i] = (kind, min(at_ms, steps[i + 1][1] - 1))
    return steps


def _worth_telling(watch: Watch, sample: Sample, at_ms: int, limits: SwitchLimits) -> bool:
    told = watch.told
    if told is None or at_ms - watch.told_ms >= limits.heartbeat_ms:
        return True
    if told.closed != sample.closed:
        return True
    share = limits.volts_deadband_pct / 100
    return any(
        _moved(old, new, limits.amps_deadband)
        for old, new in zip(told.amps, sample.amps, strict=True)
    ) or any(
        _moved(old, new, share * max(abs(old), 1.0))
        for old, new in zip(told.volts, sample.volts, strict=True)
    )


def _moved(old: float, new: float, by: float) -> bool:
    """Whether a measurement moved by more than a deadband, appeared or vanished."""
    if old != old or new != new:
        return (old != old) != (new != new)
    return abs(new - old) > by


def _heartbeat(branch_id: str, sample: Sample, at_ms: int) -> Reading:
    return Reading(
        branch_id,
        Kind.HEARTBEAT,
        at_ms,
        on=sample.closed,
        commanded=sample.commanded if sample.closed is False else None,
        volts=_measured(sample.volts),
        amps=_measured(sample.amps),
        power_kw=sample.power_kw,
    )


def _measured(phases: tuple[float, float, float]) -> tuple[float, ...]:
    """The phases, or nothing where none is measured."""
    return phases if any(phase == phase for phase in phases) else ()
