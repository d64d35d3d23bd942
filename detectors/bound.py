"""Outages that a person has put at a device: they stay there, unless telemetry contradicts.

Inference is told of them as of a device that is open (``pins``), and what it declares above such an
outage leaves it and its members alone.
"""

import numpy as np

from detectors.book import Book
from detectors.inference import Declared
from detectors.running import Running
from detectors.scene import Scene
from detectors.weighing import GUARD_MS
from grid.english import count
from grid.network import ALL_PHASES, I64
from grid.outage import State


def bound(outage: Running) -> bool:
    """Whether an outage stays where a person put it: until somebody of it is back."""
    here = outage.placed_by is not None and outage.back_ms is None
    return here and outage.state is not State.RESTORED and outage.dark > 0


def pins(book: Book) -> list[int]:
    """Nodes that count as open: where people have put outages that are not being restored, and
    where a member's word may be the first of a restoration.
    """
    whole = [o for o in book.running.values() if o.phases == ALL_PHASES]
    return [outage.node for outage in whole if bound(outage) or outage.doubt_ms is not None]


def keep_bound(scene: Scene, found: Declared, members: I64) -> tuple[Running | None, I64]:
    """The outage that a person put at or below a declared node, and whom that leaves for others.

    Where the device of the node says itself that it opened, they are bound no longer.
    """
    book = scene.book
    below = [o for o in book.running.values() if bound(o) and book.contains(found.node, o.node)]
    if not below:
        return None, members
    for outage in below:
        if outage.node == found.node:
            take_missing(scene, outage)
            return outage, members[:0]
    if scene.opened_ms(found.node) is not None:
        for outage in below:
            unbind(book, outage, f"{book.group.ids[found.node]} says itself that it is open")
        return None, members
    theirs = np.concatenate([outage.members for outage in below])
    return below[0], members[~np.isin(members, theirs)]


def take_missing(scene: Scene, outage: Running) -> I64:
    """Take in the meters behind the device that nobody has and that were not heard since."""
    book = scene.book
    members = missing(scene, outage, outage.node)
    mute = scene.mute_at(members, outage.since_ms)
    off = np.full(len(members), outage.start_ms, np.int64)
    taken = book.take_in(outage, members, mute, off)
    n = len(taken)
    if n:
        text = f"{count(n, 'more meter is', 'more meters are')} behind it"
        book.note(outage, text, taken, code="more_behind", n=n)
    return taken


def missing(scene: Scene, outage: Running, node: int) -> I64:
    """Meters behind a node that are in no outage and were not heard since this one began."""
    book = scene.book
    members = book.meters_on(node, outage.phases)
    heard = scene.evidence.heard_ms[members]
    silent = (heard <= outage.since_ms + GUARD_MS) & (heard > book.dismissed(members))
    free = (book.owner[members] < 0) & ~np.isin(members, outage.members)
    missed: I64 = members[silent & free]
    return missed


def contradict(scene: Scene) -> None:
    """Let go what a device's own fresh word, heard since, shows to be elsewhere."""
    for outage in scene.book.running.values():
        position = scene.positions.get(outage.node)
        if not bound(outage) or position is None or not position.closed:
            continue
        fresh = scene.now_ms - position.heard_ms <= scene.limits.telemetry_stale_s * 1000
        if fresh and position.heard_ms > outage.placed_ms:
            name = scene.book.group.ids[outage.node]
            unbind(scene.book, outage, f"{name} says itself that it is closed")


def unbind(book: Book, outage: Running, why: str) -> None:
    """Inference may move it again, and it is said why."""
    device, by = book.group.ids[outage.node], outage.placed_by
    text = f"no longer held at {device}, where {by} put it: {why}"
    book.note(outage, text, code="unbound", device=device, by=by, why=why)
    outage.placed_by = None
