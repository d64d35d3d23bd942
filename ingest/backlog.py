"""When a backlog is in: the rule by which silence becomes evidence again after we were deaf.

Devices and the broker send what they kept in no order that we could check, so the rule is a quiet
stretch: for a while nothing has come that is older than our connection.  Pure.
"""

import msgspec


class BacklogRule(msgspec.Struct, frozen=True):
    """Times in seconds; ``old_ms`` is how long before our connection makes a reading old."""

    quiet_s: float
    s_min: float
    s_max: float
    old_ms: int


class Backlog:
    """Watches one connection's readings for old ones.  Moments are seconds of any steady clock."""

    def __init__(self, rule: BacklogRule, connected_ms: int, subscribed_s: float) -> None:
        self._rule = rule
        self._old_before_ms = connected_ms - rule.old_ms
        self._subscribed_s = subscribed_s
        self._last_old_s = subscribed_s

    def heard(self, oldest_happened_ms: int, at_s: float) -> None:
        """Note the oldest of some readings, by its device's repaired clock."""
        if oldest_happened_ms < self._old_before_ms:
            self._last_old_s = at_s

    def in_at_s(self) -> float:
        """When the backlog counts as in, if nothing old comes any more."""
        rule = self._rule
        quiet = max(self._last_old_s + rule.quiet_s, self._subscribed_s + rule.s_min)
        return min(quiet, self._subscribed_s + rule.s_max)
