"""Whose power a change really changes, and what they may be told.  Pure.

An outage speaks of its own steps only.  A customer may be in several: restored in one and dark
again in its nested successor, or moved from one outage to another in the same breath.  What counts
for them is the outage they are dark in, else the one they were last dark in.
"""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping

import msgspec

from grid.outage import Change, Step
from grid.public import CustomerStatus, customer_statuses


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


def follow(changes: Iterable[Change], standings: MutableMapping[str, Standing]) -> tuple[News, ...]:
    """The news of the changes of one frame; ``standings`` of the customers they name is brought up
    to date.
    """
    changes = tuple(changes)
    placed = [_places(change) for change in changes]
    held = {customer for places in placed for customer in places}
    return tuple(
        News(change, tuple(_tell(change, _heard(change, places, held, standings))))
        for change, places in zip(changes, placed, strict=True)
    )


def _places(change: Change) -> Mapping[str, Step]:
    """The step of each named customer who is in one; the last where there are several."""
    named = set(change.customers)
    return {c: step for step in change.outage.steps for c in step.customers if c in named}


def _heard(
    change: Change,
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
    for customer in dict.fromkeys(change.customers):
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
