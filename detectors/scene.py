"""What every step of a verdict looks at: who is out, what was heard, what devices say, and when."""

import numpy as np

from detectors.book import Book
from detectors.evidence import Evidence
from detectors.hearing import Hearing
from detectors.loads import Load
from detectors.moments import NEVER
from detectors.positions import Position
from detectors.settings import EngineSettings
from detectors.weighing import GUARD_MS
from grid.network import I64, Bools


class Scene:
    """Everything one decision looks at."""

    __slots__ = ("book", "evidence", "hearing", "limits", "loads", "now_ms", "positions", "said_ms")

    def __init__(
        self,
        book: Book,
        hearing: Hearing,
        evidence: Evidence,
        positions: dict[int, Position],
        *,
        now_ms: int,
        said_ms: int,
        limits: EngineSettings,
        loads: dict[int, Load],
    ) -> None:
        self.book, self.loads = book, loads
        self.hearing = hearing
        self.evidence = evidence
        self.positions = positions
        self.now_ms = now_ms
        self.said_ms, self.limits = said_ms, limits  # told later, where a backlog is gone through

    def mute_at(self, members: I64, since_ms: int) -> Bools:
        """Meters that cannot say they are back: never heard, or silent already when it began."""
        hearing = self.hearing
        slack = int(self.limits.heartbeat_slack_s * 1000)
        heard = self.evidence.heard_ms[members]
        due = heard + hearing.period_ms(self.limits.heartbeat_s, members) + slack
        gasped = self.evidence.gasp_ms[members] != NEVER
        waiting = self.evidence.pending[members]
        mute: Bools = (heard == NEVER) | ((due < since_ms) & ~gasped & ~waiting)
        return mute

    def opened_ms(self, node: int) -> int | None:
        """Since when a device says that it is open, by its clock; None where it does not."""
        position = self.positions.get(node)
        return position.since_ms if position is not None and position.closed is False else None

    def powered(self, node: int, members: I64) -> Bools:
        """Meters who reported power after a device above said that it had opened.

        They are fed from elsewhere, drawn in the wrong place, or its closing was lost.
        """
        opened_ms = self.opened_ms(node)
        if opened_ms is None:
            return np.zeros(len(members), np.bool_)
        powered: Bools = self.hearing.on_ms[members] > self.hearing.off_ms[members]
        powered &= self.evidence.heard_ms[members] > opened_ms + GUARD_MS
        return powered
