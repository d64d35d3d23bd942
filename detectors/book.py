"""The book of running outages of one group: who belongs to which, and what changed since the last
page.

No meter is in two running outages.  All changes of one decision to one outage become one line of
the change log.
"""

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from detectors.moments import NEVER, Moments
from detectors.running import OUT, Running, customers_of, outage_id, published
from detectors.tree import Tree, among, distinct, places
from grid.network import ALL_PHASES, I32, I64, Bools, Group
from grid.outage import ENDED, Change, State
from grid.reasons import Why

NOBODY = np.int32(-1)
Number = TypeVar("Number", int, I32)


def was(sequence: Number) -> Number:
    """How it is put down that somebody was in an outage and is not; and back."""
    return -2 - sequence


@dataclass(slots=True, eq=False)
class Book:
    """Running outages by sequence number, in the order they were opened."""

    group: Group
    tree: Tree
    # entry a node: sequence of the outage it is out in; of the last one that it was in, as
    # ``was(sequence)``; NOBODY
    owner: I32
    back_ms: Moments  # entry a node, device clock: when its last step ended; NEVER
    # entry a node, our clock: a person said that what was heard or missed until then, and the
    # silence that goes on since, is no outage; NEVER.  None until anybody ever said so
    dismissed_ms: I64 | None = None
    running: dict[int, Running] = field(default_factory=dict)
    sequence: int = 0
    reasons: dict[int, list[Why]] = field(default_factory=dict)
    moved: dict[int, list[I64]] = field(default_factory=dict)
    spoke: set[int] = field(default_factory=set)  # outages whose members were heard since

    def note(
        self,
        outage: Running,
        reason: str,
        members: I64 | None = None,
        /,
        *,
        code: str = "other",
        **fields: str | int | float | None,
    ) -> None:
        """Put a line down: why the outage changes, and whose state changes.

        ``code`` and ``fields`` say the same for other languages (docs/protocols.md).
        """
        reasons = self.reasons.setdefault(outage.sequence, [])
        if all(reason != known.text for known in reasons):
            reasons.append(Why(code, reason, fields))
        if members is not None and len(members):
            self.moved.setdefault(outage.sequence, []).append(members)

    def opened(self, outage: Running) -> Running:
        """Enter a new outage."""
        self.sequence += 1
        outage.sequence = self.sequence
        self.running[outage.sequence] = outage
        return outage

    def name(self, outage: Running) -> str:
        """The id of an outage."""
        return outage_id(self.group, outage.sequence)

    def meters_below(self, node: int) -> I64:
        """Meter nodes with customers in a subtree."""
        end = node + int(self.tree.size[node])
        return node + places(self.tree.meters[node:end])

    def meters_on(self, node: int, phases: int) -> I64:
        """Meter nodes with customers in a subtree who have no phase but these."""
        meters = self.meters_below(node)
        if phases != ALL_PHASES:
            meters = meters[self.group.phases[meters] & ~np.uint8(phases) == 0]
        return meters

    def contains(self, upper: int, lower: int) -> bool:
        """Whether ``lower`` is ``upper`` or below it."""
        return upper <= lower < upper + int(self.tree.size[upper])

    def take_in(
        self, outage: Running, members: I64, mute: Bools, off_ms: I64, *, inherited: bool = False
    ) -> I64:
        """Make meters members that are out, and return those who were not before.

        Who was out in a later outage already cannot come back into this one.
        """
        returned = members[:0]
        if len(outage.members):
            passed = outage.members[~outage.out & ~self.last_here(outage)]
            stay = ~among(members, passed)
            members, mute, off_ms = members[stay], mute[stay], off_ms[stay]
            fresh = ~among(members, outage.members)
            returned = self._out_again(outage, members[~fresh])
            members, mute, off_ms = members[fresh], mute[fresh], off_ms[fresh]
        not_before = self.back_ms[members]
        off_ms = np.maximum(off_ms, not_before)
        outage.add(members, off_ms, mute, not_before, inherited=inherited)
        self.owner[members] = outage.sequence
        return np.concatenate([members, returned])

    def _out_again(self, outage: Running, members: I64) -> I64:
        """Members are out, and it is returned who of them were back."""
        returned = among(outage.members, np.sort(members)) & ~outage.out
        outage.on_ms[returned] = OUT
        outage.inferred[returned] = False
        self.owner[members] = outage.sequence
        return outage.members[returned]

    def dismissed(self, nodes: I64 | slice) -> I64:
        """``dismissed_ms`` of some nodes."""
        if self.dismissed_ms is None:
            return np.full(len(self.owner), NEVER)[nodes]
        return self.dismissed_ms[nodes]

    def dismiss(self, nodes: slice, at_ms: int | I64) -> None:
        """A person says that what was heard or missed of these nodes until then is no outage."""
        if self.dismissed_ms is None:
            self.dismissed_ms = np.full(len(self.owner), NEVER)
        self.dismissed_ms[nodes] = at_ms

    def last_here(self, outage: Running) -> Bools:
        """Members who are back, and were in no other outage since."""
        last: Bools = ~outage.out & (self.latest(outage.members) == outage.sequence)
        return last

    def latest(self, nodes: I64) -> I32:
        """Sequence of the last outage that each of some nodes is or was in; NOBODY."""
        owner = self.owner[nodes]
        last: I32 = np.where(owner < NOBODY, was(owner), owner)
        return last

    def release(self, nodes: I64, sequence: int) -> None:
        """Who is out in an outage is so no more."""
        self.owner[nodes[self.owner[nodes] == sequence]] = was(sequence)

    def let_go(self, outage: Running, members: I64) -> None:
        """Take meters out of an outage as if they had never been in it."""
        outage.keep(~among(outage.members, np.sort(members)))
        self.release(members, outage.sequence)

    def mark_on(self, outage: Running, which: Bools, on_ms: I64) -> None:
        """Members have power again; ``on_ms`` in their own clocks, entry a marked member."""
        outage.fitted = False
        outage.on_ms[which] = np.maximum(on_ms, outage.off_ms[which])
        gone = outage.members[which]
        self.release(gone, outage.sequence)
        self.back_ms[gone] = outage.on_ms[which]

    def end(
        self,
        outage: Running,
        state: State,
        reason: str,
        /,
        *,
        code: str = "other",
        **fields: str,
    ) -> None:
        """Close the book on an outage."""
        outage.state = state
        self.note(outage, reason, code=code, **fields)

    def page(
        self, at_ms: int, *, by: str | None = None, decision: str | None = None
    ) -> list[Change]:
        """All changes noted since the last page, one line an outage; ``by`` whom and whose
        ``decision``, where a person decided them.
        """
        changes = []
        for sequence in sorted(self.reasons):
            outage = self.running[sequence]
            outage.version += 1
            outage.told = outage.probability
            touched = self.moved.get(sequence, [])
            nodes = distinct(np.concatenate(touched)) if touched else np.zeros(0, np.int64)
            changes.append(
                Change(
                    at_ms=at_ms,
                    outage=published(self.group, outage),
                    reason="; ".join(why.text for why in self.reasons[sequence]),
                    customers=customers_of(self.group, nodes),
                    reasons=tuple(self.reasons[sequence]),
                    by=by,
                    decision=decision,
                )
            )
            if outage.state in ENDED:
                del self.running[sequence]
        self.reasons.clear()
        self.moved.clear()
        return changes
