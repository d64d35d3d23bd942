"""When each customer was in the dark, by somebody's account."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from grid.times import from_rfc3339

OPEN_END = 2**62
"""The end of darkness that goes on."""

_DIP_MS = 5000  # power that is back for less than this is not back
_TOUCH_MS = 1000  # darkness handed on from one outage to another is in neither twice


class Interval(NamedTuple):
    """Darkness from one moment to another; ``inferred``: the meter could not say it itself."""

    off_ms: int
    on_ms: int
    inferred: bool = False


class AnyStep(Protocol):
    """A step of a true or a found outage."""

    @property
    def off_at(self) -> str | int:
        """Since when."""

    @property
    def on_at(self) -> str | int | None:
        """Until when; None while it lasts."""

    @property
    def customers(self) -> Sequence[str]:
        """Whom."""


class AnyOutage(Protocol):
    """A true outage."""

    @property
    def id(self) -> str:
        """Its name."""

    @property
    def steps(self) -> Sequence[AnyStep]:
        """What it is made of."""


class Timelines:
    """Intervals by customer, each with the outage that it is said to be part of."""

    def __init__(self) -> None:
        self._of: defaultdict[str, list[tuple[Interval, str]]] = defaultdict(list)

    @classmethod
    def of_truth(cls, outages: Iterable[AnyOutage], until_ms: int) -> "Timelines":
        """What really was, as far as it had come."""
        return cls.of_found(((outage.id, outage.steps) for outage in outages), until_ms)

    @classmethod
    def of_found(
        cls, outages: Iterable[tuple[str, Sequence[AnyStep]]], until_ms: int
    ) -> "Timelines":
        """What is said of outages, by their ids."""
        lines = cls()
        for outage_id, steps in outages:
            for step in steps:
                on_ms = OPEN_END if step.on_at is None else _ms(step.on_at)
                on_ms = OPEN_END if on_ms > until_ms else on_ms
                inferred = bool(getattr(step, "inferred", False))
                lines.add(step.customers, outage_id, Interval(_ms(step.off_at), on_ms, inferred))
        return lines

    def add(self, customers: Iterable[str], outage_id: str, interval: Interval) -> None:
        """Say that some customers were in the dark."""
        for customer in customers:
            self._of[customer].append((interval, outage_id))

    def at(self, customer: str, at_ms: int) -> Interval | None:
        """The darkness that a customer is in at a moment."""
        return next((i for i in self._whole(customer) if i.off_ms <= at_ms < i.on_ms), None)

    def nearest(self, customer: str, to: Interval) -> Interval | None:
        """The darkness of a customer that another one shares the most time with."""
        shared = [(overlap(i, to), i) for i in self._whole(customer)]
        best = max(shared, default=None, key=lambda pair: pair[0])
        return best[1] if best is not None and best[0] > 0 else None

    def twice(self) -> int:
        """Customers who are in two outages at one moment."""
        return sum(self._is_twice(said) for said in self._of.values())

    def _is_twice(self, said: list[tuple[Interval, str]]) -> bool:
        return any(
            mine != other and overlap(one, two) > _TOUCH_MS
            for i, (one, mine) in enumerate(said)
            for two, other in said[i + 1 :]
        )

    def _whole(self, customer: str) -> list[Interval]:
        """A customer's darkness in as few intervals as it takes, in order."""
        whole: list[Interval] = []
        for interval, _ in sorted(self._of.get(customer, ())):
            if whole and interval.off_ms <= whole[-1].on_ms + _DIP_MS:
                last = whole[-1]
                late = max(interval, last, key=lambda i: i.on_ms)
                whole[-1] = Interval(last.off_ms, late.on_ms, last.inferred or interval.inferred)
            else:
                whole.append(interval)
        return whole


def overlap(one: Interval, other: Interval) -> int:
    """Milliseconds that two intervals share; not above 0 where they do not."""
    return min(one.on_ms, other.on_ms) - max(one.off_ms, other.off_ms)


def _ms(moment: str | int) -> int:
    return moment if isinstance(moment, int) else from_rfc3339(moment)
