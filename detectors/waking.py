"""When the next verdict is due: on whole seconds of stream time while something happens, on tenths
of one where a terminal says that it is dead, seldom while nothing does.

Deadlines belong to the engine: a heartbeat that will be missed wakes it up, with no reading at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from detectors.evidence import Evidence
from detectors.moments import FAR
from detectors.running import Running
from detectors.settings import EngineSettings
from grid.outage import State

TICK_MS = 1000
SOON_MS = 100  # a terminal's word is answered within: all of one fault speak within a second
RAMP_MS = 3000  # between verdicts while only time argues
SLOW_MS = 5000  # between verdicts while nothing urgent was heard for a while
LIVELY_MS = 120_000  # a while
LOOK_AGAIN_MS = 30_000  # while anyone is heard, deadlines are looked up again this often
NEVER_AGAIN = 1 << 60


@dataclass(slots=True)
class Waking:
    """Stream times of the last urgent word and of the next verdict."""

    urgent_ms: int = -(1 << 60)
    decided_ms: int = 0
    dirty: bool = False
    quiet_until_ms: int = 0  # nothing falls due before
    idle: bool = True  # nothing suspicious, nothing running
    soon_ms: int = NEVER_AGAIN  # what a terminal said is answered then
    answer_ms: int = NEVER_AGAIN  # somebody who was asked should have answered by then

    def heard(self, first_ms: int) -> None:
        """Something was taken in, the first of it at this stream time."""
        self.quiet_until_ms = min(self.quiet_until_ms, _second(first_ms) + LOOK_AGAIN_MS)
        if not self.idle:
            self.dirty = True

    def alarmed(self, now_ms: int) -> None:
        """Something was heard that should be answered within the second."""
        self.urgent_ms = max(self.urgent_ms, _second(now_ms))
        self.dirty = True

    def at_once(self, now_ms: int) -> None:
        """Something was heard that should be answered as soon as may be."""
        self.soon_ms = min(self.soon_ms, soon_after(now_ms))

    def rewound(self, to_ms: int) -> None:
        """Time is gone through again from here."""
        self.urgent_ms = min(self.urgent_ms, to_ms)
        self.decided_ms = min(self.decided_ms, to_ms)
        self.quiet_until_ms = min(self.quiet_until_ms, to_ms)
        self.soon_ms = self.answer_ms = NEVER_AGAIN

    def boundary(self, from_ms: int, last_ms: int) -> int:
        """Entries before this stream time, from ``from_ms`` on, may be taken in together."""
        tick = _second(from_ms) + TICK_MS
        if self.idle and not self.dirty:
            quiet = min(self.quiet_until_ms, _second(from_ms) + LOOK_AGAIN_MS)
            tick = max(tick, self._on_tick(quiet))
        return min(tick, last_ms + 1, self.soon_ms)

    def due(self, clock_ms: int, to_ms: int) -> int | None:
        """The first whole second after the clock, up to ``to_ms``, that needs a verdict."""
        at = self._due(clock_ms)
        return at if at <= to_ms else None

    def next_ms(self, clock_ms: int) -> int | None:
        """When time alone will need a verdict."""
        at = self._due(clock_ms)
        return None if at >= NEVER_AGAIN else at

    def _due(self, clock_ms: int) -> int:
        return min(self._by_the_second(clock_ms), self.soon_ms)

    def _by_the_second(self, clock_ms: int) -> int:
        first = (clock_ms // TICK_MS + 1) * TICK_MS
        lively = first - self.urgent_ms <= LIVELY_MS
        if lively and self.dirty:
            return first
        ramp = self._on_tick(min(self.decided_ms + RAMP_MS, self.answer_ms))
        if ramp - self.urgent_ms <= LIVELY_MS and not self.idle:
            return max(first, ramp)
        if self.dirty or not self.idle:
            slow = -(-(self.decided_ms + SLOW_MS) // SLOW_MS) * SLOW_MS
            return max(first, min(slow, self._on_tick(self.quiet_until_ms)))
        if self.quiet_until_ms >= NEVER_AGAIN:
            return NEVER_AGAIN
        return max(first, self._on_tick(self.quiet_until_ms))

    def _on_tick(self, at_ms: int) -> int:
        return -(-at_ms // TICK_MS) * TICK_MS

    def expect(self, at_ms: int | None) -> None:
        """An answer may be late from this stream time on."""
        if at_ms is not None:
            self.quiet_until_ms = min(self.quiet_until_ms, at_ms)
            self.answer_ms = at_ms

    def decided(
        self,
        now_ms: int,
        evidence: Evidence,
        *,
        running: Sequence[Running],
        limits: EngineSettings,
    ) -> None:
        """A verdict was given: find out what falls due next."""
        self.decided_ms = now_ms
        self.dirty = False
        self.soon_ms = self.answer_ms = NEVER_AGAIN
        restless = [o for o in running if o.state is not State.RESTORED]
        self.idle = not restless and not evidence.suspicious.any()
        self.quiet_until_ms = NEVER_AGAIN
        if evidence.next_ms != FAR:
            next_due = evidence.next_ms + int(limits.heartbeat_slack_s * 1000) + 1
            self.quiet_until_ms = max(next_due, now_ms + TICK_MS)
        for outage in running:
            if outage.ended_ms is not None:
                ends = outage.ended_ms + int(limits.momentary_scada_s * 1000)
                if ends <= now_ms:
                    ends = outage.ended_ms + int(limits.close_after_s * 1000)
                self.quiet_until_ms = min(self.quiet_until_ms, max(ends, now_ms + TICK_MS))


def soon_after(at_ms: int) -> int:
    """When what was said is answered at once: at the end of its tenth of a second."""
    return at_ms // SOON_MS * SOON_MS + SOON_MS


def in_second(at_ms: int) -> int:
    """The same for what is answered at the end of its second: after it, nothing more is awaited."""
    return _second(at_ms) + TICK_MS - 1


def _second(at_ms: int) -> int:
    """Where a frame is cut within a second changes nothing, so only seconds are remembered."""
    return at_ms // TICK_MS * TICK_MS
