"""When a backlog is in: the rule by which silence becomes evidence again after we were deaf.

Devices and the broker send what they kept in no order that we could check, so the rule is a quiet
stretch: for a while hardly anything has come that is older than our connection.  Hardly anything,
for in a large field some message is always late on its own account.

Quiet is worth something only once what came is committed and answered: a device that may send so
much and no more before it is answered is silent until then, with the rest of its store to come.  So
the stretch begins after the last of it was committed.  While nothing of it is, nobody listens to
us (a worker starts late), and to say that it is in would only be early.  But once some of it was
committed, the rest has to move: after ``s_max`` in which no more is, it is given up, and in any
case after ``s_max_in_all``.  Pure.
"""

from collections import deque

import msgspec


class BacklogRule(msgspec.Struct, frozen=True):
    """Times in seconds; ``old_ms`` is how long before our connection makes a reading old."""

    quiet_s: float
    s_min: float
    s_max: float  # without progress
    s_max_in_all: float
    old_ms: int
    stragglers: float = 0.0  # share of old readings in a stretch that is quiet all the same


class Backlog:
    """Watches one connection's readings for old ones.  Moments are seconds of any steady clock."""

    def __init__(self, rule: BacklogRule, connected_ms: int, subscribed_s: float) -> None:
        self._rule = rule
        self.old_before_ms = connected_ms - rule.old_ms
        self._owed = 0  # parts of the backlog that are not committed
        self._progress_s: float | None = None  # when the last one was
        self.answered_s: float | None = None  # when the first one was
        self.subscribed(subscribed_s)
        self._lately: deque[tuple[float, int, int]] = deque()
        self._old = self._all = 0

    def subscribed(self, at_s: float) -> None:
        """Note that from now on everything reaches us."""
        self._subscribed_s = self._last_old_s = at_s

    def committed(self, at_s: float) -> None:
        """Note that a part of the backlog is committed, and its devices are answered."""
        self._owed -= 1
        self._last_old_s = self._progress_s = at_s
        if self.answered_s is None:
            self.answered_s = at_s

    def heard(self, old: int, readings: int, at_s: float) -> bool:
        """Note some readings, and how many of them happened before ``old_before_ms``; whether they
        are a part of the backlog: then ``committed`` is to be said of them.
        """
        self._lately.append((at_s, old, readings))
        self._old, self._all = self._old + old, self._all + readings
        while self._lately[0][0] <= at_s - self._rule.quiet_s:
            _, gone, heard = self._lately.popleft()
            self._old, self._all = self._old - gone, self._all - heard
        part = old > 0 and self._old > self._rule.stragglers * self._all
        if part:
            self._last_old_s = at_s
            self._owed += 1
        return part

    def in_at_s(self) -> float:
        """When the backlog counts as in, if nothing old comes any more."""
        rule = self._rule
        limit = self._subscribed_s + rule.s_max_in_all
        if self._progress_s is not None:
            limit = min(limit, self._progress_s + rule.s_max)
        if self._owed:
            return limit
        quiet = max(self._last_old_s + rule.quiet_s, self._subscribed_s + rule.s_min)
        return min(quiet, limit)
