"""Whose power a change really changes, and what they may be told.  Pure.

An outage speaks of its own steps only.  A customer may be in several: restored in one and dark
again in its nested successor, or moved from one outage to another in the same breath.  What counts
for them is the outage they are dark in, else the one they were last dark in.
"""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence

import msgspec

from grid.outage import ENDED, Change, Step
from grid.public import (
    CustomerStatus,
    PublicEtr,
    PublicOutage,
    customer_statuses,
    public_outage,
)


class Standing(msgspec.Struct, frozen=True):
    """The last step that concerns a customer; no outage: none does."""

    outage_id: str | None = None
    off_ms: int | None = None
    on_ms: int | None = None
    inferred: bool = False
    changed_ms: int = 0  # stream time of the change that said so

    @property
    def dark(self) -> bool:
        """Without power, as far as we know."""
        return self.off_ms is not None and self.on_ms is None


NOWHERE = Standing()


class Told(msgspec.Struct, frozen=True):
    """What some customers are told alike; ``status`` is that of the first of them."""

    customers: tuple[str, ...]
    status: CustomerStatus


class News(msgspec.Struct, frozen=True):
    """A change, and what it says to the customers for whom it counts."""

    change: Change
    told: tuple[Told, ...]


class Head(msgspec.Struct, frozen=True):
    """What an outage says to everybody in it alike."""

    state: str
    kind: str
    cause: str | None
    etr: PublicEtr | None
    stage: str
    reached: int  # stages so far


def head_of(outage: PublicOutage) -> Head:
    """What everybody in an outage is told alike."""
    return Head(
        outage.state, outage.kind, outage.cause, outage.etr, outage.stage, len(outage.progress)
    )


def concerned(
    changes: Iterable[Change], heads: MutableMapping[str, Head]
) -> tuple[tuple[str, ...], ...]:
    """Whom each change concerns: those it names, and where state, kind, cause, ETR or stage of the
    outage are others than before, everybody who is still out.

    ``heads`` of the outages before it is brought up to date.
    """
    return tuple(_concerned(change, heads) for change in changes)


def _concerned(change: Change, heads: MutableMapping[str, Head]) -> tuple[str, ...]:
    outage = change.outage
    head = head_of(public_outage(outage))
    if heads.get(outage.id) == head or outage.state in ENDED:
        return change.customers
    heads[outage.id] = head
    out = (c for step in outage.steps if step.on_ms is None for c in step.customers)
    return tuple(dict.fromkeys((*change.customers, *out)))


def follow(
    changes: Sequence[Change],
    whom: Sequence[tuple[str, ...]],
    standings: MutableMapping[str, Standing],
) -> tuple[News, ...]:
    """The news of the changes of one frame; ``whom`` is what ``concerned`` said of them.

    ``standings`` of all of those is brought up to date.
    """
    placed = [_places(c, customers) for c, customers in zip(changes, whom, strict=True)]
    held = {customer for places in placed for customer in places}
    return tuple(
        News(change, tuple(_tell(change, _heard(change, customers, places, held, standings))))
        for change, customers, places in zip(changes, whom, placed, strict=True)
    )


def _places(change: Change, customers: tuple[str, ...]) -> Mapping[str, Step]:
    """The step of each of some customers who is in one; the last where there are several."""
    some = set(customers)
    return {c: step for step in change.outage.steps for c in step.customers if c in some}


def _heard(
    change: Change,
    customers: tuple[str, ...],
    places: Mapping[str, Step],
    held: set[str],
    standings: MutableMapping[str, Standing],
) -> Iterable[list[str]]:
    """Those for whom this change counts, by the step they are in."""
    outage_id = change.outage.id
    gone = Standing(changed_ms=change.at_ms)
    of_step = {
        id(s): Standing(outage_id, s.off_ms, s.on_ms, s.inferred, change.at_ms)
        for s in change.outage.steps
    }
    heard: dict[int, list[str]] = {}
    for customer in dict.fromkeys(customers):
        before, step = standings.get(customer, NOWHERE), places.get(customer)
        if step is None:
            if before.outage_id != outage_id or customer in held:
                continue  # it was not the one that counts, or another takes over in this frame
        elif _stale(step, outage_id, before):
            continue
        standings[customer] = of_step[id(step)] if step else gone
        heard.setdefault(id(step), []).append(customer)
    return heard.values()


def _stale(step: Step, outage_id: str, before: Standing) -> bool:
    """Is an ended step old news to somebody whom another outage concerns?"""
    if before.outage_id in (None, outage_id) or step.on_ms is None:
        return False
    return before.dark or step.off_ms < (before.off_ms or 0)


def _tell(change: Change, heard: Iterable[list[str]]) -> Iterator[Told]:
    """One status for each step: but for the customer's id all in it are told the same."""
    for customers in heard:
        one = msgspec.structs.replace(change, customers=(customers[0],))
        yield Told(tuple(customers), customer_statuses(one)[customers[0]])
