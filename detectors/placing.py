"""Decisions on what an outage is: rejected, elsewhere, one with another, two, over.

Identity is by the rules of ``detectors/reconcile.py``: who moves keeps their name, of two that are
one the older keeps it, and what is split off is new.  Nobody is in two running outages.  Each
function changes nothing before it has refused what it refuses.
"""

import numpy as np

from detectors.bound import missing, take_missing
from detectors.reconcile import merge_into
from detectors.running import NOT_EXPLAINED, Running, outage_id
from detectors.scene import Scene
from grid.english import count, meters
from grid.errors import Refused
from grid.frame import Decided
from grid.network import ALL_PHASES, I64, Bools
from grid.outage import RUNNING, State


def reject(scene: Scene, outage: Running, command: Decided) -> None:
    """There is no outage: what was heard and missed until now does not declare it again."""
    book = scene.book
    _require_not_open(scene, outage)
    _dismiss(scene, outage)
    members = outage.members
    book.let_go(outage, members)
    outage.cause = command.reason
    text = f"rejected by {command.by}: {command.reason}"
    book.note(outage, text, members, code="rejected", by=command.by, reason=command.reason)
    outage.state = State.REJECTED


def relocate(scene: Scene, outage: Running, command: Decided) -> None:
    """It is another device, above or below the one that was thought of."""
    book = scene.book
    node = _device(scene, command.device_id)
    name = book.group.ids[node]
    _require_movable(scene, outage)
    if node == outage.node:
        raise Refused(f"{book.name(outage)} is at {name} already")
    if not (book.contains(node, outage.node) or book.contains(outage.node, node)):
        here = book.group.ids[outage.node]
        raise Refused(f"{name} is neither above nor below {here}; reject this outage instead")
    _require_not_closed(scene, node)
    if not (_within(scene, node, outage.members).any() or len(missing(scene, outage, node))):
        raise Refused(f"no meter behind {name} is without power")
    _put(scene, outage, node, command, "relocated")


def merge(scene: Scene, outage: Running, command: Decided) -> None:
    """Two outages are one, at the device that both are behind, under the older name."""
    book = scene.book
    other = running(scene, command.other_id or "")
    if other is outage:
        raise Refused(f"{book.name(outage)} is itself; give another outage's id")
    if command.other_version not in (None, other.version):
        raise Refused(f"outage {book.name(other)} is at version {other.version} by now")
    for one in (outage, other):
        _require_movable(scene, one)
    node = _common(scene, outage.node, other.node)
    if command.device_id is not None:
        given = _device(scene, command.device_id)
        if not book.contains(given, node):
            raise Refused(f"{command.device_id} does not feed both outages")
        node = given
    if node == 0:
        raise Refused("nothing but the substation feeds both outages; they are two")
    _require_not_closed(scene, node)
    older, younger = sorted((outage, other), key=lambda o: o.sequence)
    if older.phases != younger.phases:
        older.phases = ALL_PHASES
    merge_into(scene, younger, into=older, node=node)
    _put(scene, older, node, command, "merged_at")


def split(scene: Scene, outage: Running, command: Decided) -> None:
    """What is behind a device further down is an outage of its own."""
    book = scene.book
    node = _device(scene, command.device_id)
    name = book.group.ids[node]
    if node == outage.node or not book.contains(outage.node, node):
        raise Refused(f"{name} is not below {book.group.ids[outage.node]}")
    if outage.state not in RUNNING:
        raise Refused(f"{book.name(outage)} is {outage.state}; there is nothing to split")
    _require_not_closed(scene, node)
    apart = outage.out & _within(scene, node, outage.members)
    if not apart.any():
        raise Refused(f"no meter of {book.name(outage)} behind {name} is without power")
    if not (outage.out & ~apart).any():
        raise Refused(f"all that are without power are behind {name}; relocate it instead")
    new = _apart(scene, outage, node, apart)
    left = new.members
    by, reason = command.by, command.reason
    text = f"split off {book.name(outage)} at {name} by {by}: {reason}"
    was = book.name(outage)
    book.note(new, text, left, code="split_off", outage=was, device=name, by=by, reason=reason)
    which = count(len(left), "meter is", "meters are")
    text = f"{which} {book.name(new)} of its own, says {by}: {reason}"
    named = book.name(new)
    book.note(outage, text, left, code="split", n=len(left), outage=named, by=by, reason=reason)
    for one in (outage, new):
        if not one.telemetered:
            one.placed_by, one.placed_ms = by, scene.now_ms
        one.fitted, one.counted = False, NOT_EXPLAINED


def close(scene: Scene, outage: Running, command: Decided) -> None:
    """It is over; whoever is still out and cannot say otherwise is to be verified."""
    book = scene.book
    left = outage.out.copy()
    if left.any():
        if not command.reason:
            n = int(left.sum())
            which = count(n, "meter of it is", "meters of it are")
            raise Refused(f"{which} still out; closing it needs a reason")
        _require_not_open(scene, outage)
        _dismiss(scene, outage)
        members = outage.members[left]
        outage.inferred |= left
        book.mark_on(outage, left, np.full(len(members), scene.now_ms, np.int64))
        outage.restored_ms = int(outage.on_ms.max())
        text = f"{count(len(members), 'meter is', 'meters are')} to be verified"
        book.note(outage, text, members, code="to_verify", n=len(members))
    because = f": {command.reason}" if command.reason else ""
    text = f"closed by {command.by}{because}"
    book.note(outage, text, code="closed_by", by=command.by, reason=command.reason)
    outage.state = State.CLOSED


def fed_elsewhere(scene: Scene, nodes: I64) -> None:
    """Some nodes go over to another substation: who is out there is out no longer by what was
    known, is to be verified, and is expected to be heard by whoever feeds them now.

    Their outage ends here: they are an outage of their own, unless nobody else is left of it.
    """
    book = scene.book
    for outage in list(book.running.values()):
        gone = outage.out & np.isin(outage.members, nodes)
        n = int(gone.sum())
        if n == 0:
            continue
        scene.hearing.void_ms[outage.members[gone]] = scene.now_ms
        part = outage if gone.all() else _apart(scene, outage, outage.node, gone)
        members = part.members[part.out]
        if part is not outage:
            which = count(n, "meter is", "meters are")
            text = f"{which} {book.name(part)}: another substation feeds them now"
            book.note(outage, text, members, code="switched_away", n=n, outage=book.name(part))
        part.inferred |= part.out
        book.mark_on(part, part.out.copy(), np.full(len(members), scene.now_ms, np.int64))
        part.restored_ms = int(part.on_ms.max())
        text = f"another substation feeds its {meters(n)} now; to be verified"
        book.note(part, text, members, code="fed_elsewhere", n=n)
        part.state = State.CLOSED


def running(scene: Scene, name: str) -> Running:
    """A running outage by its id.

    Raises:
        Refused: It has ended, or there never was one.
    """
    group = scene.book.group
    for outage in scene.book.running.values():
        if outage_id(group, outage.sequence) == name:
            return outage
    raise Refused(f"no outage {name} is running in {group.name}")


def _put(scene: Scene, outage: Running, node: int, command: Decided, code: str) -> None:
    """An outage moves to a device with whoever is without power behind it, and stays there."""
    book = scene.book
    before, after = book.group.ids[outage.node], book.group.ids[node]
    for other in list(book.running.values()):
        inside = other is not outage and book.contains(node, other.node)
        if inside and other.placed_by is None and other.back_ms is None and not other.telemetered:
            merge_into(scene, other, into=outage, node=node)
    outage.node = node
    outage.telemetered = outage.locked_out = outage.fitted = False
    outage.counted, outage.unsupported_ms = NOT_EXPLAINED, None
    outage.placed_by, outage.placed_ms = command.by, scene.now_ms
    text = f"put at {after} by {command.by}: {command.reason}"
    fields = {"before": before, "after": after, "by": command.by, "reason": command.reason}
    book.note(outage, text, code=code, **fields)
    outside = outage.members[~_within(scene, node, outage.members)]
    n = len(outside)
    if n:
        book.let_go(outage, outside)
        text = f"{count(n, 'meter is', 'meters are')} not behind it"
        book.note(outage, text, outside, code="not_behind", n=n)
    take_missing(scene, outage)


def _apart(scene: Scene, outage: Running, node: int, which: Bools) -> Running:
    """A new outage of some members who are out; their beginnings stay."""
    book = scene.book
    new = Running(
        sequence=0,
        node=node,
        start_ms=int(outage.off_ms[which].min()),
        since_ms=outage.since_ms,
        detected_ms=scene.said_ms,
        kind=outage.kind,
        state=State.CONFIRMED if outage.confirmed_ms is not None else State.PREDICTED,
        confirmed_ms=outage.confirmed_ms,
        probability=outage.probability,
        told=outage.probability,
        evidence=outage.evidence,
        reasons=outage.reasons,
        phases=outage.phases,
    )
    members, off, mute = outage.members[which], outage.off_ms[which], outage.mute[which]
    book.opened(new)
    book.let_go(outage, members)
    book.take_in(new, members, mute, off, inherited=True)
    return new


def _dismiss(scene: Scene, outage: Running) -> None:
    """Nothing that was said or missed behind its device until now argues any more."""
    below = scene.book.group.below(outage.node)
    scene.book.dismiss(below, scene.now_ms)


def _device(scene: Scene, device_id: str | None) -> int:
    ids = scene.book.group.ids
    if device_id not in ids[1:]:
        raise Refused(f"{device_id} is no device behind {ids[0]}")
    return ids.index(device_id)


def _common(scene: Scene, one: int, other: int) -> int:
    """The lowest node that is, or is above, both."""
    parent = scene.book.tree.parent
    while not scene.book.contains(one, other):
        one = int(parent[one])
    return one


def _within(scene: Scene, node: int, members: I64) -> Bools:
    within: Bools = (members >= node) & (members < node + int(scene.book.tree.size[node]))
    return within


def _require_movable(scene: Scene, outage: Running) -> None:
    name = scene.book.name(outage)
    if outage.back_ms is not None or outage.state is State.RESTORED:
        raise Refused(f"{name} is being restored already; it stays where it is")
    if outage.parent is not None:
        raise Refused(f"{name} is what another outage left behind; it stays where it is")
    _require_not_open(scene, outage)


def _require_not_open(scene: Scene, outage: Running) -> None:
    if scene.opened_ms(outage.node) is not None:
        name = scene.book.group.ids[outage.node]
        raise Refused(f"{name} says itself that it is open; that is no matter of opinion")


def _require_not_closed(scene: Scene, node: int) -> None:
    """A device that says afresh that it is closed is never the answer."""
    position = scene.positions.get(node)
    if position is None or not position.closed:
        return
    if scene.now_ms - position.heard_ms <= scene.limits.telemetry_stale_s * 1000:
        raise Refused(f"{scene.book.group.ids[node]} says itself that it is closed")
