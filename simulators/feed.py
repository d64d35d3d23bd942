"""The facts of a world in the order in which they get through, as time goes on."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count

import numpy as np

from simulators.fact import Fact
from simulators.speakers import Speaker
from simulators.speech import LATENCY_MS_MAX

_STRIDE_MS = 1000  # heartbeats are looked up for so long at once


class Rhythm:
    """The speakers of one heartbeat period, by phase."""

    def __init__(self, period_ms: int, speakers: Iterable[Speaker], start_ms: int) -> None:
        self._period_ms = period_ms
        self._speakers = sorted(speakers, key=lambda s: s.phase_ms)
        self._phases = np.array([s.phase_ms for s in self._speakers], np.int64)
        self._start_ms = start_ms

    def between(self, from_ms: int, until_ms: int) -> Iterator[tuple[Speaker, int]]:
        """Who beats when, from one moment to before another, at most a period later."""
        begin = (from_ms - self._start_ms) % self._period_ms
        for shift in (0, self._period_ms):
            low, high = begin - shift, begin - shift + until_ms - from_ms
            first, last = np.searchsorted(self._phases, (low, high))
            for speaker in self._speakers[first:last]:
                at_ms = from_ms + speaker.phase_ms - low
                if at_ms >= self._start_ms:
                    yield speaker, at_ms


class Feed:
    """A world's facts from a moment on; each is given out once."""

    def __init__(
        self,
        events: Sequence[Fact],
        rhythms: Sequence[Rhythm],
        heartbeat: Callable[[Speaker, int], Iterable[Fact]],
        *,
        after_ms: int,
        beats_from_ms: int,
    ) -> None:
        self._rhythms = rhythms
        self._heartbeat = heartbeat
        self._after_ms = after_ms
        self._beats_ms = beats_from_ms
        self._ties = count()
        self._due = [(f.due_ms, next(self._ties), f) for f in events if f.due_ms > after_ms]
        heapq.heapify(self._due)

    def until(self, now_ms: int) -> list[Fact]:
        """Everything that gets through by ``now_ms`` and was not given out before, in order."""
        while self._beats_ms <= now_ms:
            self._look_ahead()
        ready: list[Fact] = []
        while self._due and self._due[0][0] <= now_ms:
            ready.append(heapq.heappop(self._due)[2])
        return ready

    def _look_ahead(self) -> None:
        """Heartbeats of one more stride: none of them gets through before it happened."""
        end_ms = self._beats_ms + _STRIDE_MS
        for rhythm in self._rhythms:
            for speaker, at_ms in rhythm.between(self._beats_ms, end_ms):
                for fact in self._heartbeat(speaker, at_ms):
                    if fact.due_ms > self._after_ms:
                        heapq.heappush(self._due, (fact.due_ms, next(self._ties), fact))
        self._beats_ms = end_ms


def beats_from(after_ms: int, start_ms: int) -> int:
    """Where to look for heartbeats so that none which gets through after ``after_ms`` is missed."""
    return max(start_ms, after_ms - LATENCY_MS_MAX)
