"""When power will be back: what is left of an outage, by cause, device kind and hour.

Durations are taken for log-normal.  The prior is that of 1,474 real incidents of one utility
(Nova Scotia Power's public map, October 2023): median 83 min, P90 367 min, so sigma 1.16.  Each
cell of history (all, device kind, with its cause, with its six hours of the day in UTC) is drawn to
the one above it by ``PRIOR_WEIGHT`` outages, so that a cell with few says little.

Given that an outage has lasted so long, what is left of it is what is left of those that lasted as
long: with S(t) = 1 - F(t), the quantile q of those that go on is F^-1(1 - (1 - q) S(elapsed)).
"""

from dataclasses import dataclass, field
from math import exp, fsum, log, sqrt
from statistics import NormalDist

import msgspec

from grid.work import CAUSES

MEDIAN_MIN = 83.0
SIGMA = 1.16
PRIOR_WEIGHT = 5.0
FORGET_AFTER = 200.0  # older outages count for less once a cell has so many
FAILED_MAX = 500.0  # faults that are remembered by their kind of device
CELLS_MAX = 1024  # far more than causes x kinds x hours; at the limit new ones are not kept
EARLY, LATE = 0.2, 0.8  # the window: not before P20, and by P80
MINUTE_MS = 60_000
LEFT_MAX = 1e-9  # beyond it the tail is numerically flat

NORMAL = NormalDist()


class Cell(msgspec.Struct, frozen=True, array_like=True):
    """Sums over ln(minutes) of the outages of one kind."""

    n: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    def with_one(self, x: float) -> "Cell":
        """One more outage; the oldest fade."""
        fade = min(1.0, FORGET_AFTER / (self.n + 1))
        return Cell(self.n * fade + 1, self.total * fade + x, self.squares * fade + x * x)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is left of an outage, from now on."""

    early_ms: int  # P20
    late_ms: int  # P80
    sure: float  # P(back by late_ms)


@dataclass(slots=True)
class History:
    """What outages lasted, by cell, and which kinds of devices failed how often."""

    cells: dict[str, Cell] = field(default_factory=dict)
    failed: dict[str, float] = field(default_factory=dict)  # faults, by kind; the oldest fade

    def learn(self, keys: tuple[str, ...], minutes: float) -> None:
        """One more outage that is over."""
        x = log(max(minutes, 0.5))
        for key in keys:
            if key in self.cells or len(self.cells) < CELLS_MAX:
                self.cells[key] = self.cells.get(key, Cell()).with_one(x)

    def fail(self, kind: str) -> None:
        """One more fault of a device of a kind: what counts is its share."""
        fade = min(1.0, FAILED_MAX / (fsum(self.failed.values()) + 1))
        self.failed = {known: n * fade for known, n in self.failed.items()}
        self.failed[kind] = self.failed.get(kind, 0.0) + 1

    def law(self, keys: tuple[str, ...]) -> tuple[float, float]:
        """Mean and sigma of ln(minutes) of the next outage of a kind: each cell is drawn to the one
        above it.
        """
        mean, variance, known = log(MEDIAN_MIN), SIGMA * SIGMA, PRIOR_WEIGHT
        for key in keys:
            cell = self.cells.get(key)
            if cell is None:
                break
            weight = PRIOR_WEIGHT + cell.n
            spread = cell.squares - 2 * mean * cell.total + cell.n * mean * mean
            drawn = (cell.total - cell.n * mean) / weight
            variance = (PRIOR_WEIGHT * variance + spread) / weight - drawn * drawn
            mean, known = mean + drawn, weight
        return mean, sqrt(max(variance, 1e-3) * (1 + 1 / known))

    def estimate(self, keys: tuple[str, ...], elapsed_ms: int) -> Estimate:
        """What is left, given how long it has lasted.  Whole minutes, the later one rounded up."""
        mean, sigma = self.law(keys)
        elapsed = max(elapsed_ms / MINUTE_MS, 1e-3)
        left = max(1 - NORMAL.cdf((log(elapsed) - mean) / sigma), LEFT_MAX)

        def until(q: float) -> float:
            p = min(max(1 - (1 - q) * left, 1e-12), 1 - 1e-12)
            return max(exp(mean + sigma * NORMAL.inv_cdf(p)) - elapsed, 0.0)

        early, late = int(until(EARLY)), int(until(LATE)) + 1
        beyond = 1 - NORMAL.cdf((log(elapsed + late) - mean) / sigma)
        sure = min(max(1 - beyond / left, 0.0), 1.0)
        return Estimate(early * MINUTE_MS, late * MINUTE_MS, round(sure, 2))


def keys_of(device_kind: str, cause: str | None, start_ms: int) -> tuple[str, ...]:
    """The cells of an outage, from the widest to the narrowest."""
    known = cause if cause in CAUSES else "other" if cause else "unknown"
    hours = start_ms // 3_600_000 % 24 // 6
    return (
        "all",
        device_kind,
        f"{device_kind}/{known}",
        f"{device_kind}/{known}/{hours}",
    )
