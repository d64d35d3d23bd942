"""When a backlog is in: the rule by which silence becomes evidence again after we were deaf.

Devices and the broker send what they kept in no order that we could check, so the rule is a quiet
stretch: for a while hardly anything has come that is older than our connection.  Hardly anything,
for in a large field some message is always late on its own account.  Pure.
"""

from collections import deque

import msgspec


class BacklogRule(msgspec.Struct, frozen=True):
    """Times in seconds; ``old_ms`` is how long before our connection makes a reading old."""

    quiet_s: float
    s_min: float
    s_max: float
    old_ms: int
    stragglers: float = 0.0  # share of old readings in a stretch that is quiet all the same


class Backlog:
    """Watches one connection's readings for old ones.  Moments are seconds of any steady clock."""

    def __init__(self, rule: BacklogRule, connected_ms: int, subscribed_s: float) -> None:
        self._rule = rule
        self.old_before_ms = connected_ms - rule.old_ms
        self._subscribed_s = subscribed_s
        self._last_old_s = subscribed_s
        self._lately: deque[tuple[float, int, int]] = deque()
        self._old = self._all = 0

    def heard(self, old: int, readings: int, at_s: float) -> None:
        """Note some readings, and how many of them happened before ``old_before_ms``."""
        self._lately.append((at_s, old, readings))
        self._old, self._all = self._old + old, self._all + readings
        while self._lately[0][0] <= at_s - self._rule.quiet_s:
            _, gone, heard = self._lately.popleft()
            self._old, self._all = self._old - gone, self._all - heard
        if old and self._old > self._rule.stragglers * self._all:
            self._last_old_s = at_s

    def in_at_s(self) -> float:
        """When the backlog counts as in, if nothing old comes any more."""
        rule = self._rule
        quiet = max(self._last_old_s + rule.quiet_s, self._subscribed_s + rule.s_min)
        return min(quiet, self._subscribed_s + rule.s_max)
