"""Whose power a change really changes, and what each of them may be told.  Pure.

An outage speaks of its own steps only.  A customer may be in several: restored in one and dark
again in its nested successor, or moved from one outage to another in the same breath.  What counts
for them is the outage they are dark in, else the one they were last dark in.
"""

from collections.abc import Iterable, Mapping, MutableMapping

import msgspec

from grid.outage import Change, Step
from grid.public import CustomerStatus, customer_statuses


class Standing(msgspec.Struct, frozen=True):
    """The last step that concerns a customer; no outage: none does."""

    outage_id: str | None = None
    off_ms: int | None = None
    on_ms: int | None = None
    inferred: bool = False

    @property
    def dark(self) -> bool:
        """Without power, as far as we know."""
        return self.off_ms is not None and self.on_ms is None


class News(msgspec.Struct, frozen=True):
    """What one change says to the customers whom it concerns."""

    change: Change
    statuses: tuple[CustomerStatus, ...]


def follow(changes: Iterable[Change], standings: MutableMapping[str, Standing]) -> tuple[News, ...]:
    """The news of the changes of one frame; ``standings`` of the customers they name is brought up
    to date.
    """
    changes = tuple(changes)
    placed = [_places(change) for change in changes]
    held = {customer for places in placed for customer in places}
    return tuple(
        News(change, _tell(change, places, held, standings))
        for change, places in zip(changes, placed, strict=True)
    )


def _places(change: Change) -> Mapping[str, Step]:
    """The step of each named customer who is in one; the last where there are several."""
    named = set(change.customers)
    return {c: step for step in change.outage.steps for c in step.customers if c in named}


def _tell(
    change: Change,
    places: Mapping[str, Step],
    held: set[str],
    standings: MutableMapping[str, Standing],
) -> tuple[CustomerStatus, ...]:
    """Statuses of those for whom this change counts."""
    told: list[str] = []
    for customer in dict.fromkeys(change.customers):
        before, step = standings.get(customer, Standing()), places.get(customer)
        after = _after(change.outage.id, before, step, held_elsewhere=customer in held)
        if after is not None:
            standings[customer] = after
            told.append(customer)
    statuses = customer_statuses(msgspec.structs.replace(change, customers=tuple(told)))
    return tuple(statuses.values())


def _after(
    outage_id: str, before: Standing, step: Step | None, *, held_elsewhere: bool
) -> Standing | None:
    """The customer's standing after a change; None where the change is not theirs to hear."""
    if step is None:
        mine = before.outage_id == outage_id
        return Standing() if mine and not held_elsewhere else None
    other = before.outage_id not in (None, outage_id)
    if other and step.on_ms is not None and (before.dark or step.off_ms < (before.off_ms or 0)):
        return None
    return Standing(outage_id, step.off_ms, step.on_ms, step.inferred)
