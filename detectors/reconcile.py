"""What inference declares, held against the outages that run: open, relocate, merge, split, leave
behind, reject.

Identity by rule.  An outage follows its device up or down the tree as the verdict sharpens; of
several that turn out to be one, the oldest keeps its name; what stays dark behind a fuse or
transformer after the rest came back is an outage of its own with the old beginning, while a section
behind a switch is a later step of the same one.
"""

import numpy as np

from detectors.book import Book
from detectors.bound import bound, keep_bound
from detectors.inference import Declared
from detectors.moments import NEVER
from detectors.running import NOT_EXPLAINED, OUT, Running
from detectors.scene import Scene
from detectors.tree import how_many, places
from detectors.weighing import GUARD_MS
from grid.english import count
from grid.network import ALL_PHASES, I64, Bools, NodeKind, phase_letters
from grid.outage import ENDED, OutageKind, State
from grid.times import to_rfc3339

SWITCHING = frozenset({NodeKind.BREAKER, NodeKind.SWITCH, NodeKind.RECLOSER})
# a device that opens again this soon opens the same outage (IEEE 1366: one sustained event)
REOPEN_MS = 180_000
REJECT_MS = 60_000  # inference may waver this long before an outage without support is withdrawn
WAVER_MS = 15_000  # the same, for one that nobody confirmed
MOVED_MS = 15_000  # a beginning that shifts by more is worth telling


def reconcile(scene: Scene, declared: tuple[Declared, ...]) -> Bools:
    """Bring the book in line with a verdict; returns the nodes it holds for dark."""
    book = scene.book
    held = np.zeros(len(book.owner), np.bool_)
    supported: set[int] = set()
    fitted = {(o.node, o.phases): o for o in book.running.values() if o.fitted}
    for found in declared:
        below = slice(found.node, found.node + int(book.tree.size[found.node]))
        if found.phases == ALL_PHASES:
            held[below] = True
        else:
            held[below] |= book.tree.phases[below] & ~np.uint8(found.phases) == 0
        outage = fitted.get((found.node, found.phases))
        if outage is None:
            outage = _place(scene, found, book.meters_on(found.node, found.phases))
        if outage is None:
            continue
        supported.add(outage.sequence)
        outage.unsupported_ms = None
        if outage.node == found.node and outage.back_ms is None:  # later it is of who is left
            outage.probability = found.probability
            if outage.doubt_ms is None:
                outage.margin = found.margin
                outage.margins, outage.margins_from = found.margins.copy(), found.node
        if outage.counted != (found.gasps, found.overdue) or not outage.fitted:
            _begin(scene, outage, found)
    for outage in list(book.running.values()):
        if outage.sequence not in supported and outage.state not in ENDED:
            _unsupported(scene, outage, held)
    return held


def _place(scene: Scene, found: Declared, members: I64) -> Running | None:
    """The outage that a declared node belongs to, after moving, merging or opening what it
    takes.
    """
    book = scene.book
    kept, members = keep_bound(scene, found, members)
    if kept is not None and len(members) == 0:
        return kept
    owners = [book.running[s] for s in sorted(set(book.owner[members].tolist())) if s >= 0]
    kept = kept or _carried(book, owners, found)
    if kept is not None and kept.carried:
        return kept
    restoring = [o for o in owners if o.back_ms is not None]
    above = [o for o in restoring if book.contains(o.node, found.node)]
    if above:
        return _left_behind(scene, found, members, above)
    members = members[~scene.powered(found.node, members)]
    same = [o for o in book.running.values() if o.node == found.node]
    same = [o for o in same if o in owners or _reopens(o, scene.now_ms)]
    if len(members) == 0 or (found.lone and not same):  # one word is a reason to ask, no more
        return next(iter(owners), None)
    if same:
        outage = same[0]
        if outage.state is State.RESTORED:
            _reopen(scene, outage, members)
    elif len(restoring) < len(owners):
        outage = next(o for o in owners if o.back_ms is None)
        _relocate(scene, outage, found)
    else:
        outage = _open(scene, found, members[book.owner[members] < 0])
    for other in owners:
        if other is not outage:
            merge_into(scene, other, into=outage, node=found.node)
    _on_phases(scene, outage, found)
    _fit(scene, outage, found, members)
    return outage


def _open(scene: Scene, found: Declared, members: I64) -> Running:
    outage = Running(
        sequence=0,
        node=found.node,
        start_ms=_start(scene, found, None),
        since_ms=found.since_ms,
        detected_ms=scene.said_ms,
        probability=found.probability,
        told=found.probability,
        phases=found.phases,
    )
    book = scene.book
    book.opened(outage)
    mute = scene.mute_at(members, found.since_ms)
    off = np.full(len(members), outage.start_ms, np.int64)
    taken = book.take_in(outage, members, mute, off)
    outage.fitted = True
    device = f"{book.group.kind_word(found.node)} {book.group.ids[found.node]}"
    book.note(
        outage,
        f"outage behind {device} detected",
        taken,
        code="detected",
        kind=book.group.kind_word(found.node),
        device=book.group.ids[found.node],
    )
    return outage


def _relocate(scene: Scene, outage: Running, found: Declared) -> None:
    book = scene.book
    up = book.contains(found.node, outage.node)
    before = book.group.ids[outage.node]
    outage.node = found.node
    outage.telemetered = outage.fitted = False
    outage.counted = NOT_EXPLAINED
    silent = found.gasps == 0 and found.phases == ALL_PHASES
    if silent and outage.parent is None and not outage.reopened:
        outage.start_ms = _last_word(scene, found.node)
    way = "up" if up else "down"
    after = book.group.ids[found.node]
    moved = {"way": way, "before": before, "after": after}
    book.note(outage, f"moved {way} from {before} to {after}", code="moved", **moved)


def merge_into(scene: Scene, other: Running, *, into: Running, node: int) -> None:
    """What turns out to be part of another outage moves there."""
    book = scene.book
    inside = book.contains(node, other.node)
    members = other.members[book.owner[other.members] == other.sequence]
    moving = members if inside else members[_within(book, node, members)]
    place = np.isin(other.members, moving)
    off, mute = other.off_ms[place], other.mute[place]
    inherited = bool(other.inherited[place].any()) or other.back_ms is not None
    book.let_go(other, moving)
    book.take_in(into, moving, mute, off if inherited else _same(into, moving), inherited=inherited)
    book.note(
        into, f"takes in {book.name(other)}", moving, code="takes_in", outage=book.name(other)
    )
    if len(other.members):
        n, name = len(moving), book.name(into)
        text = f"{count(n, 'meter is', 'meters are')} part of {name}"
        book.note(other, text, moving, code="part_of", n=n, outage=name)
    else:
        other.cause = f"merged into {book.name(into)}"
        book.end(other, State.CLOSED, other.cause, code="merged", outage=book.name(into))


def _on_phases(scene: Scene, outage: Running, found: Declared) -> None:
    """What was thought of one phase turns out to be of all, or the other way round."""
    if outage.phases == found.phases:
        return
    outage.phases, outage.counted = found.phases, NOT_EXPLAINED
    mine = found.phases & int(scene.book.tree.phases[found.node])
    letters = phase_letters(mine)
    whole = mine == int(scene.book.tree.phases[found.node])
    text = "it is all phases" if whole else f"it is phase {letters} alone"
    scene.book.note(outage, text, code="phases", phases=letters)


def _fit(scene: Scene, outage: Running, found: Declared, members: I64) -> None:
    """Let the members be exactly the meters behind the declared node."""
    book = scene.book
    missing = members[book.owner[members] != outage.sequence]
    if len(missing):
        if outage.telemetered:  # a meter that reports power behind an open breaker stays out of it
            missing = missing[~np.isin(missing, outage.members)]
        mute = scene.mute_at(missing, outage.since_ms)
        taken = book.take_in(outage, missing, mute, _same(outage, missing))
        if len(taken):
            n = len(taken)
            text = f"{count(n, 'more meter is', 'more meters are')} behind it"
            book.note(outage, text, taken, code="more_behind", n=n)
    inside = _within(book, found.node, outage.members)
    inside &= book.tree.phases[outage.members] & ~np.uint8(outage.phases) == 0
    outside = outage.members[~inside]
    if len(outside) and not outage.carried:
        book.let_go(outage, outside)
        n = len(outside)
        text = f"{count(n, 'meter is', 'meters are')} not behind it"
        book.note(outage, text, outside, code="not_behind", n=n)
    elsewhere = outage.telemetered or outage.carried
    outage.fitted = not elsewhere and outage.dark == len(outage.members)


def _left_behind(
    scene: Scene, found: Declared, members: I64, restoring: list[Running]
) -> Running | None:
    """Part of a restored outage is still dark."""
    book = scene.book
    parent = max(restoring, key=lambda o: int((book.owner[members] == o.sequence).sum()))
    kind = NodeKind(int(book.group.kind[found.node]))
    if parent.node == found.node or kind in SWITCHING:
        return parent
    here = parent.out | (parent.inferred & book.last_here(parent))
    here &= _within(book, found.node, parent.members)
    left = parent.members[here]
    if len(left) == 0:
        return parent
    nested = Running(
        sequence=0,
        node=found.node,
        start_ms=parent.start_ms,
        since_ms=parent.since_ms,
        detected_ms=scene.said_ms,
        probability=found.probability,
        told=found.probability,
        kind=parent.kind if parent.plan_id is None else OutageKind.FAULT,
        parent=parent.sequence,
        phases=found.phases,
    )
    off, mute = parent.off_ms[here], parent.mute[here]
    book.opened(nested)
    book.back_ms[left] = parent.not_before[here]
    book.let_go(parent, left)
    book.take_in(nested, left, mute, off, inherited=True)
    device = f"{book.group.kind_word(found.node)} {book.group.ids[found.node]}"
    text = f"left in the dark behind {device} by {book.name(parent)}"
    by = {"outage": book.name(parent), "device": book.group.ids[found.node]}
    book.note(nested, text, left, code="left_behind", **by)
    n, name = len(left), book.name(nested)
    stays = f"{count(n, 'meter stays', 'meters stay')} dark: {name}"
    book.note(parent, stays, code="stay_dark", n=n, outage=name)
    return nested


def _unsupported(scene: Scene, outage: Running, held: Bools) -> None:
    """An outage that no verdict holds any more: restored, told otherwise by its device, or never
    real.
    """
    book = scene.book
    if outage.state is State.RESTORED or outage.telemetered:
        return
    if (outage.vouched_by is not None or bound(outage)) and outage.dark:
        return  # a person says that it is real
    if outage.back_ms is not None or outage.parent is not None:
        return  # only a word from its meters ends what is being restored, or was left behind
    taken = held[outage.members] & (book.owner[outage.members] != outage.sequence)
    if how_many(taken):
        gone = outage.members[taken]
        book.let_go(outage, gone)
        text = f"{count(len(gone), 'meter is', 'meters are')} part of another outage"
        book.note(outage, text, gone, code="part_of_another", n=len(gone))
    if outage.unsupported_ms is None:
        outage.unsupported_ms = scene.now_ms
    patience_ms = REJECT_MS if outage.confirmed_ms is not None else WAVER_MS
    below = slice(outage.node, outage.node + int(book.tree.size[outage.node]))
    heard = scene.evidence.heard_ms[below] > outage.since_ms + GUARD_MS
    told = heard.any() or not scene.evidence.suspicious[below].any()
    if outage.confirmed_ms is None and told:
        patience_ms = 0  # somebody behind it has power, or the one who was late has come
    waited = scene.now_ms - outage.unsupported_ms >= patience_ms
    if waited or not outage.dark:
        members = outage.members
        why = ("withdrawn: its meters have power", "withdrawn")
        if not heard.any():
            why = ("withdrawn: too little speaks for it", "unsupported")
        book.let_go(outage, members)
        book.end(outage, State.REJECTED, why[0], code=why[1])
        book.note(outage, "no customer of it is without power", members, code="nobody_out")


def _reopens(outage: Running, now_ms: int) -> bool:
    ended = outage.ended_ms
    return outage.state is State.RESTORED and ended is not None and now_ms - ended <= REOPEN_MS


def _reopen(scene: Scene, outage: Running, members: I64) -> None:
    """It goes on with the beginning that it had; only what is heard from here on is news."""
    book = scene.book
    outage.reopened, outage.since_ms = True, scene.now_ms
    outage.state = State.CONFIRMED if outage.confirmed_ms is not None else State.PREDICTED
    outage.back_ms = outage.restored_ms = outage.ended_ms = outage.closed_ms = None
    outage.telemetered = scene.opened_ms(outage.node) is not None
    outage.counted = NOT_EXPLAINED
    again = book.last_here(outage) & np.isin(outage.members, members)
    outage.on_ms[again] = OUT
    outage.inferred[again] = False
    book.owner[outage.members[again]] = outage.sequence
    text = "open again before it was over: the same outage"
    book.note(outage, text, outage.members[again], code="reopened")


def _begin(scene: Scene, outage: Running, found: Declared) -> None:
    if outage.parent is not None or outage.back_ms is not None or outage.node != found.node:
        return
    if outage.reopened:
        return
    start = _start(scene, found, outage)
    if abs(start - outage.start_ms) > MOVED_MS and outage.version > 0:
        began = to_rfc3339(start)
        scene.book.note(outage, f"began {began}", code="began", at=began)
    outage.begin(start)
    outage.since_ms = min(outage.since_ms, found.since_ms)


def _start(scene: Scene, found: Declared, outage: Running | None) -> int:
    """Device clock: the device's own word, else the median of the gasps, else the last word from
    below.
    """
    position = scene.positions.get(found.node)
    if outage is not None and outage.telemetered and outage.version > 0:
        return outage.start_ms
    if position is not None and position.closed is False:
        return position.since_ms
    book = scene.book
    nodes = slice(found.node, found.node + int(book.tree.size[found.node]))
    gasp = scene.evidence.gasp_ms[nodes]
    live = (gasp != NEVER) & (gasp >= found.since_ms - GUARD_MS)
    if found.phases != ALL_PHASES:
        live &= book.tree.phases[nodes] & ~np.uint8(found.phases) == 0
    if how_many(live):
        times = np.sort(scene.hearing.off_ms[found.node + places(live)])
        return int(times[len(times) // 2])
    if outage is not None:
        return outage.start_ms
    return found.since_ms if found.phases != ALL_PHASES else _last_word(scene, found.node)


def _last_word(scene: Scene, node: int) -> int:
    """When power was last reported from below, by the clock of whoever said it."""
    end = node + int(scene.book.tree.size[node])
    last = node + int(scene.evidence.heard_ms[node:end].argmax())
    return scene.hearing.on_ms.of(last)


def _carried(book: Book, owners: list[Running], found: Declared) -> Running | None:
    """Whose members switching has taken to this other place: until they are heard they are its."""
    for owner in owners:
        in_line = book.contains(owner.node, found.node) or book.contains(found.node, owner.node)
        if owner.carried and not in_line:
            return owner
    return None


def _within(book: Book, node: int, members: I64) -> Bools:
    within: Bools = (members >= node) & (members < node + int(book.tree.size[node]))
    return within


def _same(outage: Running, members: I64) -> I64:
    return np.full(len(members), outage.start_ms, np.int64)
