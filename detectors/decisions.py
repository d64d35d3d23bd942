"""What people decide, taken or refused with a sentence: the same for every replay.

A decision holds for the version that the person saw; of two on one version the second is refused.
What one did can be taken back for a while, by putting back what was there before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from detectors import placing, work
from detectors.book import NOBODY, Book
from detectors.estimating import learn
from detectors.etr import History
from detectors.packed import PackedOutage, pack, unpack
from detectors.positions import Position, Switching, by_hand
from detectors.running import NOT_EXPLAINED, Running, outage_id
from detectors.scene import Scene
from detectors.settings import EngineSettings
from detectors.tree import places
from grid.errors import Refused
from grid.frame import Decided, SwitchThrown
from grid.network import Group
from grid.outage import Change, State
from grid.work import SAID, Action, Decision

TAKEN_MAX = 32  # decisions that can be taken back; at the limit the oldest cannot any more

Handler = Callable[[Scene, Running, Decided], None]

HANDLERS: Mapping[str, Handler] = {
    Action.ACKNOWLEDGE: work.acknowledge,
    Action.CONFIRM: work.confirm,
    Action.REJECT: placing.reject,
    Action.RELOCATE: placing.relocate,
    Action.MERGE: placing.merge,
    Action.SPLIT: placing.split,
    Action.CAUSE: work.cause,
    Action.ETR: work.etr,
    Action.ASSIGN: work.assign,
    Action.EN_ROUTE: work.en_route,
    Action.ON_SITE: work.on_site,
    Action.REPAIRED: work.repaired,
    Action.VERIFY: work.verify_by_hand,
    Action.CLOSE: placing.close,
    Action.NOTE: work.note,
}
WHOLE = frozenset({Action.REJECT, Action.RELOCATE, Action.MERGE, Action.SPLIT, Action.CLOSE})
"""What is taken back as a whole, with its members: only while nothing else has happened to it."""
FIELDS = (
    "acknowledged", "crew", "stage", "progress", "cause", "kind", "etr", "vouched_by",
)  # fmt: skip
"""What the other decisions change."""


class Taken(msgspec.Struct, frozen=True, array_like=True):
    """A decision that was taken, and what it takes to take it back."""

    decision_id: str
    action: str
    outage_id: str
    at_ms: int
    before: tuple[PackedOutage, ...]  # the outages that it changed
    after: dict[int, int]  # sequence -> version as it left them; those that it made, too
    span: tuple[int, int]  # nodes of
    columns: tuple[bytes, bytes]  # dismissed_ms and back_ms there


@dataclass(slots=True)
class Decisions:
    """What became of decisions since the last page, and those that can be taken back."""

    said: list[Decision] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)

    def page(self) -> tuple[Decision, ...]:
        """What was said since the last page."""
        said, self.said = tuple(self.said), []
        return said


def decide(
    scene: Scene, decisions: Decisions, command: Decided, history: History, *, ping: Handler
) -> list[Change]:
    """Take a decision, or say why not; what it changes.  An outage that a person closes teaches
    ``history`` as one that closes by itself does.  ``ping`` asks meters.
    """
    try:
        if command.action == Action.UNDO:
            return _undo(scene, decisions, command)
        outage = placing.running(scene, command.outage_id)
        _require_version(outage.version, command)
        handler = ping if command.action == Action.PING else HANDLERS.get(command.action)
        if handler is None:
            raise Refused(f"{command.action!r} is nothing that one can decide")
        before = [pack(o) for o in _within_reach(scene.book, outage, command)]
        span, columns = _columns(scene.book, outage.node)
        was_restored = outage.state is State.RESTORED
        handler(scene, outage, command)
    except Refused as no:
        decisions.said.append(_word(scene, command, why=no.message))
        return []
    if was_restored:
        learn(scene, outage, history)
    touched = set(scene.book.reasons)
    changes = scene.book.page(scene.said_ms, by=command.by, decision=command.decision_id)
    after = {s: _version(scene.book, changes, s) for s in sorted(touched)}
    if command.action not in SAID:
        kept = tuple(p for p in before if p.sequence in touched)
        taken = Taken(
            command.decision_id, command.action, command.outage_id, scene.now_ms, kept, after,
            span, columns,
        )  # fmt: skip
        decisions.taken = [*decisions.taken, taken][-TAKEN_MAX:]
    decisions.said.append(_word(scene, command, version=after[outage.sequence]))
    return changes


def throw(
    group: Group, command: SwitchThrown, positions: Mapping[int, Position], limits: EngineSettings
) -> tuple[Switching | None, Decision]:
    """What a person's word about a switch changes, and what became of it."""
    event: Switching | str = f"{command.device_id} is no device of {group.name}"
    if command.device_id in group.ids:
        node = group.ids.index(command.device_id)
        event = by_hand(group, node, command, positions.get(node), limits)
    why = event if isinstance(event, str) else ""
    word = Decision(
        command.decision_id, command.device_id, group.no, command.at_ms, command.by, "dispatcher",
        "close" if command.closed else "open", command.reason, not why, why, 0,
    )  # fmt: skip
    return (None if isinstance(event, str) else event), word


def _undo(scene: Scene, decisions: Decisions, command: Decided) -> list[Change]:
    taken = _last(scene, decisions, command)
    book = scene.book
    (sequence,) = [s for s in taken.after if _name(book, s) == command.outage_id]
    here = book.running.get(sequence)
    _require_version(taken.after[sequence] if here is None else here.version, command)
    if taken.action in WHOLE:
        _put_back(scene, taken)
    else:
        assert here is not None
        _restore(here, taken.before[0])
    decisions.taken.remove(taken)
    outage = book.running[sequence]
    text = f"{taken.action} taken back by {command.by}"
    book.note(outage, text, outage.members, code="undone", action=taken.action, by=command.by)
    changes = book.page(scene.said_ms, by=command.by, decision=command.decision_id)
    version = _version(book, changes, sequence)
    word = _word(scene, command, version=version, undoes=taken.decision_id)
    decisions.said.append(word)
    return changes


def _last(scene: Scene, decisions: Decisions, command: Decided) -> Taken:
    """The decision to take back: nothing was decided on its outages since."""
    about = [t for t in decisions.taken if t.outage_id == command.outage_id]
    wanted = [t for t in about if command.undoes in (None, t.decision_id)]
    if not wanted:
        raise Refused("there is no decision on it that can be taken back")
    taken = wanted[-1]
    if scene.now_ms - taken.at_ms > scene.limits.undo_s * 1000:
        raise Refused(
            f"{taken.action} was decided more than {scene.limits.undo_s:.0f} s ago; decide anew"
        )
    later = decisions.taken[decisions.taken.index(taken) + 1 :]
    for other in later:
        if other.after.keys() & taken.after.keys():
            raise Refused(f"take back {other.action} of {other.outage_id} first")
    running = scene.book.running
    if taken.action not in WHOLE and not any(p.sequence in running for p in taken.before):
        raise Refused(f"{command.outage_id} has ended")
    return taken


def _restore(outage: Running, before: PackedOutage) -> None:
    for name in FIELDS:
        setattr(outage, name, getattr(before, name))
    if before.state is State.PREDICTED and outage.state is State.CONFIRMED:
        outage.state, outage.confirmed_ms = State.PREDICTED, None
    outage.counted = NOT_EXPLAINED  # its evidence may confirm it all the same


def _put_back(scene: Scene, taken: Taken) -> None:
    """The outages as they were, should nothing else have happened to them or their members."""
    book = scene.book
    before = [unpack(packed) for packed in taken.before]
    for sequence, version in taken.after.items():
        now = book.running.get(sequence)
        if now is not None and now.version != version:
            raise Refused(f"{_name(book, sequence)} has changed since; decide anew")
    for outage in before:
        latest = book.latest(outage.members)
        if not np.isin(latest, np.array([*taken.after, NOBODY], np.int64)).all():
            raise Refused("some of its meters have been in another outage since; decide anew")
    for sequence in taken.after:
        now = book.running.get(sequence)
        book.release(places(book.owner == sequence), sequence)
        if now is not None and sequence not in {o.sequence for o in before}:
            members = now.members
            book.let_go(now, members)
            now.cause = f"{taken.action} taken back"
            book.end(now, State.CLOSED, now.cause, code="undone", action=taken.action)
    span = slice(*taken.span)
    book.dismiss(span, np.frombuffer(taken.columns[0], np.int64))
    book.back_ms[span] = np.frombuffer(taken.columns[1], np.int64)
    for outage in before:
        outage.version = taken.after[outage.sequence]
        outage.counted, outage.unsupported_ms = NOT_EXPLAINED, None
        book.running[outage.sequence] = outage
        out = outage.members[outage.out]
        book.owner[out] = outage.sequence
        book.spoke.add(outage.sequence)
        text = f"as before {taken.action}"
        book.note(outage, text, outage.members, code="as_before", action=taken.action)
    book.running = dict(sorted(book.running.items()))


def _within_reach(book: Book, outage: Running, command: Decided) -> list[Running]:
    """The outages that a decision may change."""
    if command.action not in WHOLE:
        return [outage]
    feeder = book.group.feeder[outage.node]
    other = command.other_id
    return [
        o
        for o in book.running.values()
        if book.group.feeder[o.node] == feeder or outage_id(book.group, o.sequence) == other
    ]


def _columns(book: Book, node: int) -> tuple[tuple[int, int], tuple[bytes, bytes]]:
    end = node + int(book.tree.size[node])
    span = slice(node, end)
    return (node, end), (book.dismissed(span).tobytes(), book.back_ms[span].tobytes())


def _require_version(version: int, command: Decided) -> None:
    if version != command.version:
        raise Refused(f"outage {command.outage_id} is at version {version} by now")


def _version(book: Book, changes: list[Change], sequence: int) -> int:
    name = _name(book, sequence)
    return next(c.outage.version for c in changes if c.outage.id == name)


def _name(book: Book, sequence: int) -> str:
    return outage_id(book.group, sequence)


def _word(
    scene: Scene, command: Decided, *, version: int = 0, why: str = "", undoes: str | None = None
) -> Decision:
    """What became of a decision: taken where there is no ``why`` not."""
    group = scene.book.group
    if why:
        running = {outage_id(group, o.sequence): o for o in scene.book.running.values()}
        outage = running.get(command.outage_id)
        version = outage.version if outage else 0
    return Decision(
        command.decision_id, command.outage_id, group.no, scene.said_ms, command.by, command.role,
        command.action, command.reason, not why, why, version, undoes,
    )  # fmt: skip
