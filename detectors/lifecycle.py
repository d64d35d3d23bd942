"""The life of an outage beside inference: confirmed by telemetry, momentary, closed."""

import numpy as np

from detectors.explaining import evidence_of, sentences
from detectors.inference import Declared
from detectors.moments import NEVER
from detectors.positions import Moved, Position, Switching
from detectors.restoration import expect
from detectors.running import NOT_EXPLAINED, Running
from detectors.scene import Scene
from detectors.weighing import GUARD_MS
from grid.network import ALL_PHASES
from grid.outage import State
from grid.times import to_rfc3339

CONFIRM_GASPS = 3  # so many devices' own words, and
CONFIRM_PROBABILITY = 0.95  # this much certainty confirm without a terminal or breaker
TOLD_STEP = 0.1  # a probability that moved by more is told


def switched(scene: Scene, event: Switching) -> None:
    """What a device's own word about its position does to the outage behind it."""
    book, position = scene.book, event.position
    behind = [o for o in book.running.values() if o.node == event.node]
    behind = [o for o in behind if o.phases == ALL_PHASES]
    outage = max(behind, key=lambda o: (o.state is not State.RESTORED, o.sequence), default=None)
    name = book.group.ids[event.node]
    if outage is None:
        return
    if event.moved is Moved.OPENED and outage.state is not State.RESTORED:
        _opened(scene, outage, position, name)
    elif event.moved is Moved.LOCKED_OUT:
        outage.locked_out = True
        book.note(outage, f"{name} locked out", code="locked_out", device=name)
    elif event.moved is Moved.CLOSED and outage.telemetered:
        _closed(scene, outage, position, name)


def _opened(scene: Scene, outage: Running, position: Position, name: str) -> None:
    """What was inferred is now known from the device itself, and since when."""
    begins = not outage.telemetered and not outage.reopened and outage.back_ms is None
    silent = outage.counted[0] <= 0  # else its devices' gasps show that it began no later
    begins &= silent or position.since_ms <= outage.start_ms + GUARD_MS
    if begins and outage.parent is None:
        outage.begin(position.since_ms)
    if not outage.telemetered:
        out = outage.members[outage.out]
        at = to_rfc3339(position.since_ms)
        opened = {"code": "opened", "device": name, "at": at}
        scene.book.note(outage, f"{name} opened at {at}", out, **opened)
    outage.telemetered, outage.closed_ms = True, None
    outage.counted = NOT_EXPLAINED


def _closed(scene: Scene, outage: Running, position: Position, name: str) -> None:
    book, hearing = scene.book, scene.hearing
    outage.telemetered = False
    outage.closed_ms = position.since_ms
    outage.back_ms = scene.now_ms
    expect(book, outage, hearing, outage.node, scene.now_ms)
    # what locked out was closed by people: that is no reclosing, however quick they were
    quick = (
        not outage.locked_out
        and position.since_ms - outage.start_ms <= scene.limits.momentary_scada_s * 1000
    )
    if quick:
        back = outage.out.copy()
        members = outage.members[back]
        book.mark_on(outage, back, np.full(len(members), position.since_ms, np.int64))
        hearing.void_ms[members] = NEVER
        reclosed = {"code": "reclosed", "device": name}
        book.note(outage, f"{name} closed again after a moment", members, **reclosed)
    else:
        book.note(outage, f"{name} closed", code="closed", device=name)


def explain(scene: Scene, outage: Running, found: Declared) -> None:
    """Say why, in words and numbers, and confirm where the devices' own words do."""
    if outage.doubt_ms is not None:
        return  # what spoke for it is older than the last word from below
    book = scene.book
    steady = abs(found.probability - outage.told) <= TOLD_STEP
    if outage.counted == (found.gasps, found.overdue) and steady and outage.confirmed_ms:
        return
    outage.counted = (found.gasps, found.overdue)
    position = scene.positions.get(found.node)
    hard = position is not None and position.closed is False
    if hard and position is not None:
        outage.telemetered = True
        outage.locked_out = outage.locked_out or position.locked_out
    outage.reasons = evidence_of(scene, outage, found)
    outage.evidence = sentences(outage.reasons)
    terminals = any(line.code == "terminals" for line in outage.reasons)
    sure = found.gasps >= CONFIRM_GASPS and found.dead >= CONFIRM_PROBABILITY
    if outage.state is State.PREDICTED and (hard or terminals or sure):
        outage.state = State.CONFIRMED
        outage.confirmed_ms = scene.said_ms
        why = "its breaker" if hard else "terminals" if terminals else "meters"
        book.note(
            outage, f"confirmed by {why}", outage.members[outage.out], code="confirmed", by=why
        )
    elif not steady:
        before, after = round(outage.told, 2), round(found.probability, 2)
        book.note(
            outage,
            f"probability {before:.2f} to {after:.2f}",
            code="probability",
            before=before,
            after=after,
        )


def close(scene: Scene, outage: Running) -> None:
    """A restored outage ends: as momentary if it was short, else closed once it stayed restored."""
    if outage.state is not State.RESTORED or outage.ended_ms is None:
        return
    limits = scene.limits
    waited_s = (scene.now_ms - outage.ended_ms) / 1000
    lasted_s = ((outage.restored_ms or outage.start_ms) - outage.start_ms) / 1000
    if outage.closed_ms is not None and lasted_s <= limits.momentary_scada_s:
        if waited_s >= limits.momentary_scada_s:
            text = "stayed closed: a momentary interruption"
            scene.book.end(outage, State.MOMENTARY, text, code="momentary")
    elif waited_s >= limits.close_after_s:
        short = lasted_s <= limits.momentary_s
        state = State.MOMENTARY if short else State.CLOSED
        scene.book.end(outage, state, "stayed restored", code="stayed_restored")
