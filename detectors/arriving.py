"""How much of what the dead would say has arrived by a moment, and so what silence is worth.

A meter waits before it believes that power has failed (30 to 45 s: AEP, Clou; domain.md 1.2), a
terminal judges each second; then comes the way to us.  Until then silence says nothing, and only
when all of it is in does it say log(1 - delivery).
"""

from math import exp, log, log1p
from typing import NamedTuple

from detectors.compiled import compiled

WAYS = 40  # after so many mean delays what is still on its way is less than a number can tell
TERMINAL_DELIVERY = 0.9  # terminals have a battery and their own modem


class Way(NamedTuple):
    """From the failure to our hearing of it, for one class of devices.  Times in ms."""

    first: int  # nobody speaks sooner
    spread: int  # from the first to the last of them, evenly
    delay: int  # mean of the way, exponential


METERS = Way(first=30_000, spread=15_000, delay=5_000)
TERMINALS = Way(first=1_000, spread=1_000, delay=1_000)


class Gasping(NamedTuple):
    """What is known of last gasps: how many arrive, and what their time means."""

    delivery: float  # P(a dead meter's last gasp arrives)
    stamp_ms: int = METERS.first  # how long after the failure a meter's own clock has it


@compiled
def arrived(way: Way, since_ms: int) -> float:
    """The share of all words that will come which are there so long after the failure."""
    waited = max(since_ms - way.first, 0)
    beyond = max(waited - way.spread, 0)
    late = way.delay * (exp(-beyond / way.delay) - exp(-waited / way.delay))
    return (min(waited, way.spread) - late) / way.spread


@compiled
def worth(way: Way, since_ms: int, delivery: float) -> float:
    """How much of the full worth of silence holds so long after the failure."""
    if since_ms >= way.first + way.spread + WAYS * way.delay:
        return 1.0
    return log1p(-delivery * arrived(way, since_ms)) / log(1 - delivery)


@compiled
def worth_of_meters(gasping: Gasping, since_ms: int) -> float:
    """The same of a meter's silence."""
    return worth(METERS, since_ms, gasping.delivery)


@compiled
def worth_of_terminals(since_ms: int) -> float:
    """And of a terminal's."""
    return worth(TERMINALS, since_ms, TERMINAL_DELIVERY)


@compiled
def failed(gasping: Gasping, gasp_ms: int, terminal_ms: int) -> int:
    """When power failed, by the first gasps of meters and of terminals."""
    return min(gasp_ms - gasping.stamp_ms, terminal_ms)
