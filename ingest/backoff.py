"""How long to wait before the next attempt: doubled at each failure, capped, never in step."""

import random
from collections.abc import Callable


class Backoff:
    """Waits for one peer.  ``chance`` gives numbers from 0 to 1, so that a fleet spreads out."""

    def __init__(
        self, s_min: float, s_max: float, chance: Callable[[], float] = random.random
    ) -> None:
        self._s_min = s_min
        self._s_max = s_max
        self._chance = chance
        self._failures = 0

    def next_s(self) -> float:
        """Seconds until the next attempt, from half of the full wait up to all of it."""
        full = min(self._s_max, self._s_min * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return full * (0.5 + 0.5 * self._chance())

    def reset(self) -> None:
        """The peer is well."""
        self._failures = 0
