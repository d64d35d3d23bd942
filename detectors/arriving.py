"""How much of what the dead would say has arrived by a moment, and so what silence is worth.

A meter waits before it believes that power has failed (30 to 45 s: AEP, Clou; domain.md 1.2), a
terminal judges each second; then comes the way to us.  Until then silence says nothing, and only
when all of it is in does it say log(1 - delivery).
"""

from dataclasses import dataclass
from math import log

import numpy as np

from grid.network import F64, I64

WAYS = 40  # after so many mean delays what is still on its way is less than a number can tell
TERMINAL_DELIVERY = 0.9  # terminals have a battery and their own modem


@dataclass(frozen=True, slots=True)
class Way:
    """From the failure to our hearing of it, for one class of devices.  Times in ms."""

    first: int  # nobody speaks sooner
    spread: int  # from the first to the last of them, evenly
    delay: int  # mean of the way, exponential

    def arrived(self, since_ms: F64) -> F64:
        """The share of all words that will come which are there so long after the failure."""
        waited = np.maximum(since_ms - self.first, 0.0)
        beyond = np.maximum(waited - self.spread, 0.0)
        late = self.delay * (np.exp(-beyond / self.delay) - np.exp(-waited / self.delay))
        share: F64 = (np.minimum(waited, self.spread) - late) / self.spread
        return share


METERS = Way(first=30_000, spread=15_000, delay=5_000)
TERMINALS = Way(first=1_000, spread=1_000, delay=1_000)


@dataclass(frozen=True, slots=True)
class Gasping:
    """What is known of last gasps: how many arrive, and what their time means."""

    delivery: float  # P(a dead meter's last gasp arrives)
    stamp_ms: int = METERS.first  # how long after the failure a meter's own clock has it

    def failed(self, gasp_ms: I64, terminal_ms: I64) -> I64:
        """When power failed, by the first gasps of meters and of terminals."""
        failed: I64 = np.minimum(gasp_ms - self.stamp_ms, terminal_ms)
        return failed

    def silence(self, since_ms: I64) -> tuple[F64, F64]:
        """Of the full worth of a meter's and a terminal's silence, how much holds so long after
        the failure.
        """
        return self.silence_of_meters(since_ms), _worth(TERMINALS, since_ms, TERMINAL_DELIVERY)

    def silence_of_meters(self, since_ms: I64) -> F64:
        """The same of meters alone."""
        return _worth(METERS, since_ms, self.delivery)


def _worth(way: Way, since_ms: I64, delivery: float) -> F64:
    """Looked at are those of whom something may still be on its way: of the others all is worth
    the same.
    """
    worth = np.full(len(since_ms), np.log1p(-delivery) / log(1 - delivery))
    early = np.flatnonzero(since_ms < way.first + way.spread + WAYS * way.delay)
    if len(early):
        arrived = way.arrived(since_ms.take(early).astype(np.float64))
        worth[early] = np.log1p(-delivery * arrived) / log(1 - delivery)
    return worth
