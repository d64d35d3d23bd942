"""When we listened.  Only silence that we listened to is evidence.

A heartbeat that was due and did not come before we went deaf stays missed; one that was due while
we were deaf is granted a new period from when we listened again.  That is when devices are answered
again: before, one may hold back what it has to say, and forget a heartbeat that a newer one
overtakes.  Times by our clock, in ms.
"""

from dataclasses import dataclass, field

import numpy as np

from grid.frame import CaughtUp
from grid.network import I64

STILL = 1 << 60  # the end of a gap that lasts
GAPS_MAX = 16  # at the limit the two oldest become one, with what was heard between them

Gap = tuple[int, int]
"""Heard nothing from one moment to another."""


@dataclass(slots=True)
class Listening:
    """Gaps of a group's sources.  One lost source makes us deaf: its words may be anybody's."""

    past: list[Gap] = field(default_factory=list)
    lost: dict[str, int] = field(default_factory=dict)  # source -> since when

    def lose(self, source: str, at_ms: int) -> None:
        """Nothing is heard of a source from here on."""
        self.lost.setdefault(source, at_ms)

    def find(self, source: str, gap: Gap) -> int:
        """A source is back: nothing was heard of it in the gap; returns where that begins."""
        begin = min(gap[0], self.lost.pop(source, gap[0]))
        self.past = sorted([*self.past, (begin, gap[1])])
        if len(self.past) > GAPS_MAX:
            (first, until), (_, later), *rest = self.past
            self.past = [(first, max(until, later)), *rest]
        return begin

    def answered(self, since_ms: int | None, word: CaughtUp) -> None:
        """Take in since when devices are answered: the gap with ``since_ms`` in it lasted until
        then.
        """
        if since_ms is not None:
            until_ms = min(word.answered_ms, word.at_ms)
            self.past = [
                (begin, max(end, until_ms) if begin <= since_ms <= end else end)
                for begin, end in self.past
            ]

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """All of them, by their beginnings."""
        lasting = [(min(self.lost.values()), STILL)] if self.lost else []
        return tuple(sorted(self.past + lasting))


def due(expected_ms: I64, granted_ms: I64, slack_ms: int, gaps: tuple[Gap, ...]) -> I64:
    """When a word that was expected is due, given when we listened.

    ``granted_ms`` is the time from when we listen again to the next word, an entry each.
    """
    for begin, end in gaps:
        missed = expected_ms + slack_ms <= begin
        expected_ms = np.where(missed, expected_ms, np.maximum(expected_ms, end + granted_ms))
    return expected_ms
