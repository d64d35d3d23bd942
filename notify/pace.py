"""How often somebody may do something: a bucket for each name, which fills by a rate.  Pure.

Whoever was not heard of for longest is forgotten when there are too many names, and begins anew
with a full bucket.
"""

from collections import OrderedDict


class Pace:
    """``per_s`` times a second on the long run and ``burst`` at once, for each of ``names_max``."""

    __slots__ = ("_burst", "_names_max", "_per_ms", "_seen")

    def __init__(self, per_s: float, burst: float, *, names_max: int) -> None:
        self._per_ms = per_s / 1000
        self._burst = burst
        self._names_max = names_max
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()  # left, as of when

    def __len__(self) -> int:
        return len(self._seen)

    def take(self, name: str, now_ms: int) -> bool:
        """Whether this once is within the pace; a refused one costs nothing."""
        left, at_ms = self._seen.pop(name, (self._burst, now_ms))
        left = min(self._burst, left + max(0, now_ms - at_ms) * self._per_ms)
        allowed = left >= 1
        self._seen[name] = (left - allowed, now_ms)
        if len(self._seen) > self._names_max:
            self._seen.popitem(last=False)
        return allowed
