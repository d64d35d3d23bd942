"""When we listened.  Only silence that we listened to is evidence.

A heartbeat that was due and did not come before we went deaf stays missed; one that was due while
we were deaf is granted a new period from when we listened again.  That is when devices are answered
again: before, one may hold back what it has to say, and forget a heartbeat that a newer one
overtakes.  Times by our clock, in ms.
"""

from dataclasses import dataclass, field

import numpy as np

from detectors.hearing import Hearing
from detectors.moments import NEVER
from grid.frame import CaughtUp
from grid.network import I32, I64, Bools

STILL = 1 << 60  # the end of a gap that lasts
GAPS_MAX = 16  # at the limit the two oldest become one, with what was heard between them

RELAY_KEPT_MS = 86_400_000  # longer than any reporting period

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


@dataclass(slots=True)
class Relays:
    """Concentrators that were mute: when one is back, its meters have a period to be heard."""

    mute: dict[int, int] = field(default_factory=dict)  # at the last verdict: since when
    past: dict[int, Gap] = field(default_factory=dict)  # of those that are back

    def note(self, mute: Bools, word_ms: I64, now_ms: int) -> bool:
        """Take in which are mute now, and when each was last heard; True if one is back."""
        now = np.flatnonzero(mute).tolist()
        back = {dcu: (since, now_ms) for dcu, since in self.mute.items() if dcu not in now}
        self.mute = {dcu: self.mute.get(dcu, int(word_ms[dcu])) for dcu in now}
        old = now_ms - RELAY_KEPT_MS
        past = sorted((self.past | back).items())
        self.past = {dcu: gap for dcu, gap in past if gap[1] > old}
        return bool(back)

    def swallowed(self, heard: I64, dcu: I32, hearing: Hearing) -> None:
        """Nodes have power of whose outage the silence of their concentrator was thought to be: it
        was mute, if nothing at all had come through it.
        """
        for of in sorted({of for of in dcu[heard].tolist() if of >= 0}):
            behind = np.flatnonzero(dcu == of)
            word_ms = hearing.on_ms[behind] + hearing.lag(behind)
            gasp_ms = hearing.off_ms[behind] + hearing.lag(behind)
            others = ~np.isin(behind, heard)
            since_ms = int(word_ms[others].max(initial=NEVER))
            begin_ms, end_ms = self.past.get(of, (since_ms, NEVER))
            if since_ms in (NEVER, end_ms) or (gasp_ms[others] > since_ms).any():
                continue  # who spoke last has told it already, or it let gasps through
            begin_ms = min(begin_ms, since_ms) if end_ms > since_ms else since_ms
            self.past[of] = (begin_ms, int(word_ms.max()))

    def gaps(self, dcu: I32) -> tuple[I64, I64] | None:
        """Entry a node, by the column of its concentrators: mute from, and until; None if none
        was.
        """
        if not self.past:
            return None
        begin = np.full(int(dcu.max()) + 2, STILL, np.int64)
        end = np.full(len(begin), -STILL, np.int64)
        for number, gap in self.past.items():
            begin[number], end[number] = gap
        return begin[dcu], end[dcu]  # the last entry is of who has none


def relayed_ms(since_ms: I64, relays: tuple[I64, I64] | None) -> I64:
    """From when on each node could be heard: not before its concentrator was back."""
    return since_ms if relays is None else np.maximum(since_ms, relays[1])


def due(expected_ms: I64, granted_ms: I64, slack_ms: int, gaps: tuple[Gap, ...]) -> I64:
    """When a word that was expected is due, given when we listened.

    ``granted_ms`` is the time from when we listen again to the next word, an entry each.
    """
    for begin, end in gaps:
        missed = expected_ms + slack_ms <= begin
        expected_ms = np.where(missed, expected_ms, np.maximum(expected_ms, end + granted_ms))
    return expected_ms
