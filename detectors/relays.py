"""Concentrators that were mute: what they swallowed is not missed.  Times by our clock, in ms."""

from dataclasses import dataclass, field

import numpy as np

from detectors.evidence import Evidence
from detectors.hearing import Hearing
from detectors.listening import STILL, Gap
from detectors.moments import NEVER
from grid.network import I32, I64, Bools, Group

RELAY_KEPT_MS = 86_400_000  # longer than any reporting period


@dataclass(slots=True)
class Relays:
    """Concentrators that were mute: when one is back, its meters have a period to be heard."""

    mute: dict[int, int] = field(default_factory=dict)  # at the last verdict: since when
    past: dict[int, Gap] = field(default_factory=dict)  # of those that are back

    def note(self, evidence: Evidence, group: Group, now_ms: int) -> bool:
        """Take in which are mute now, and since when; True if one is back: something came through
        it.
        """
        word_ms = evidence.word_ms
        back = {
            of: (since_ms, now_ms)
            for of, since_ms in self.mute.items()
            if word_ms[of] > since_ms and _swallowed_any(evidence, group, group.dcu == of, since_ms)
        }
        self.mute = {of: int(word_ms[of]) for of in np.flatnonzero(evidence.mute_dcu).tolist()}
        old = now_ms - RELAY_KEPT_MS
        past = sorted((self.past | back).items())
        self.past = {of: gap for of, gap in past if gap[1] > old}
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


def _swallowed_any(evidence: Evidence, group: Group, behind: Bools, since_ms: int) -> bool:
    """Whether a concentrator that is back was mute: a report or a power-up is missing of somebody
    who was not asked in vain, nor is beside those who were.  Or else it works, and they are in the
    dark together; so they are where reports alone are missing, all behind one device, and nobody
    else there was heard: it was mute just between the words of all the others, or that one failed.
    """
    asked = evidence.unanswered > 0
    missing = behind & ~asked & (evidence.overdue | evidence.pending)
    missing &= evidence.due_ms > since_ms
    lives = group.parent[behind & (evidence.heard_ms > since_ms)]
    missing &= ~np.isin(group.parent, np.setdiff1d(group.parent[behind & asked], lives))
    devices = np.unique(group.parent[missing])
    lit = bool(np.isin(devices, lives).any() or evidence.pending[missing].any())
    return len(devices) > 1 or lit


def relayed_ms(since_ms: I64, relays: tuple[I64, I64] | None) -> I64:
    """From when on each node could be heard: not before its concentrator was back."""
    return since_ms if relays is None else np.maximum(since_ms, relays[1])
