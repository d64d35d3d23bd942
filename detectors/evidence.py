"""What was heard and what was missed, as log-likelihoods of "off" against "on" at one moment


A last gasp argues for "off" with log(delivery / false gasp).  Silence argues by what should have
been heard: a gasp that did not arrive (weakly, for "on"), a heartbeat that was due and did not come
(strongly, for "off").  The silence of a whole concentrator argues no harder than a mute
concentrator explains, on both sides.
"""

from dataclasses import dataclass
from math import log

import numpy as np

from detectors.hearing import NEVER, Hearing
from detectors.listening import Gap, due
from detectors.settings import EngineSettings
from grid.network import F64, I64, Bools, Group, NodeKind

FAR = np.int64(1 << 60)

CLOCKS_MS = 10_000  # what two devices' corrected clocks may differ by

TERMINAL_DELIVERY = 0.9  # terminals have a battery and their own modem
CALL_LLR = log(
    0.1 / 1e-4
)  # one customer in ten calls (Schneider 998-2095); a call without an outage is rare
POWER_UP_WAIT_MS = (
    30_000,
    30_000,
)  # power-ups arrive from the first to the sum of the two after restoration


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """One entry a node, at one moment.  Times by our clock."""

    heard_ms: I64  # last word that it has power; NEVER
    gasp_ms: I64  # last word that it has none, if that is its last word; NEVER
    gasp_ll: F64  # what that word is worth
    due_ms: I64  # when it should have been heard; FAR where nothing is overdue
    off_ll: F64  # log P(silence | off), for one that is silent
    on_ll: F64  # log P(silence | on)
    overdue: Bools
    pending: Bools  # its outage was restored, it has not spoken since
    mute_dcu: Bools  # entry a concentrator: nothing comes through it although it should

    @property
    def suspicious(self) -> Bools:
        """Nodes that give any reason to think of an outage."""
        suspicious: Bools = (self.gasp_ms != NEVER) | self.overdue | self.pending
        return suspicious


@dataclass(frozen=True, slots=True)
class Ear:
    """How well we listened, and what history taught."""

    now_ms: int
    gaps: tuple[Gap, ...]  # when we heard nothing
    delivery: float  # learned probability that a last gasp arrives
    relay_ms: I64 | None = None  # entry a node: its concentrator was mute until then; NEVER
    explained_ms: I64 | None = None  # device clock, entry a node: its last told step ended then
    dismissed_ms: I64 | None = None  # entry a node: a person dismissed what it said, or did not


def gather(group: Group, hearing: Hearing, ear: Ear, limits: EngineSettings) -> Evidence:
    """Judge all nodes of a group at one moment."""
    lag = hearing.lag()
    ever = hearing.on_ms != NEVER
    heard = np.where(ever, hearing.on_ms + lag, NEVER)
    off = np.where(hearing.off_ms != NEVER, hearing.off_ms + lag, NEVER)
    gasped = (hearing.off_ms > hearing.on_ms) & (off > hearing.void_ms)
    if ear.explained_ms is not None:
        gasped &= hearing.off_ms > ear.explained_ms
    dismissed = np.zeros(len(ever), np.bool_)  # silent since a person dismissed it: says nothing
    if ear.dismissed_ms is not None:
        gasped &= off > ear.dismissed_ms
        dismissed = ever & ~gasped & (heard <= ear.dismissed_ms)
    gasp = np.where(gasped, off, NEVER)
    expected = hearing.void_ms != NEVER
    pending = ever & ~gasped & ~dismissed & expected & (heard < hearing.void_ms - CLOCKS_MS)
    beat = next_beat(hearing, heard, ear, limits)
    late_ms = ear.now_ms - beat - int(limits.heartbeat_slack_s * 1000)
    overdue = ever & ~gasped & ~dismissed & (late_ms > 0)
    due_ms = np.where(pending, hearing.void_ms, np.where(overdue, beat, FAR))
    terminal = group.kind == NodeKind.TRANSFORMER
    silent = ever & ~gasped & ~dismissed
    off_ll = np.where(terminal, log(1 - TERMINAL_DELIVERY), log(1 - ear.delivery))
    off_ll[~silent | pending] = 0.0
    on_ll = _missed(hearing, np.where(overdue, late_ms, 0), pending, ear, limits)
    gasp_ll = _worth(np.flatnonzero(gasped), terminal, hearing, ear, limits)
    mute = _clamp(group, (heard, gasp, due_ms), (silent, overdue), (off_ll, on_ll), limits)
    return Evidence(heard, gasp, gasp_ll, due_ms, off_ll, on_ll, overdue, pending, mute)


def next_beat(hearing: Hearing, heard_ms: I64, ear: Ear, limits: EngineSettings) -> I64:
    """When each node's next regular report is due, by our clock."""
    periods = hearing.period_ms(limits.heartbeat_s)
    slack_ms = int(limits.heartbeat_slack_s * 1000)
    base = np.maximum(heard_ms, hearing.void_ms)
    if ear.relay_ms is not None:
        base = np.maximum(base, ear.relay_ms)
    expected = base + periods
    return due(expected, periods, slack_ms, ear.gaps)


def _worth(gasped: I64, terminal: Bools, hearing: Hearing, ear: Ear, limits: EngineSettings) -> F64:
    """Log-likelihood ratio of each "no power", 0 for who did not say it."""
    worth = np.zeros(len(terminal))
    own = log(ear.delivery / limits.false_gasp)
    terminals = log(TERMINAL_DELIVERY / limits.false_terminal)
    worth[gasped] = np.where(terminal[gasped], terminals, own)
    worth[gasped[hearing.called[gasped] > 0]] = CALL_LLR
    return worth


def _missed(
    hearing: Hearing, late_ms: I64, pending: Bools, ear: Ear, limits: EngineSettings
) -> F64:
    """Log P(silence | on): a due heartbeat and, after a restoration, a power-up that did not
    come.
    """
    missed = np.zeros(len(late_ms))
    late = np.flatnonzero(late_ms > 0)
    later = np.minimum(late_ms[late] / (limits.heartbeat_slack_s * 1000), 1.0)
    first_ll, last_ll = log(limits.late_beat), log(limits.missed_beat)
    missed[late] = first_ll + later * (last_ll - first_ll)
    waiting = np.flatnonzero(pending)
    first, spread = POWER_UP_WAIT_MS
    waited = (ear.now_ms - hearing.void_ms[waiting] - first) / spread
    missed[waiting] += np.clip(waited, 0, 1) * log(limits.power_up_lost)
    return missed


def _clamp(
    group: Group,
    times: tuple[I64, I64, I64],
    which: tuple[Bools, Bools],
    ll: tuple[F64, F64],
    limits: EngineSettings,
) -> Bools:
    """Let a silent concentrator explain its meters' silence, on both sides; shared out evenly.
    Changes ``ll``.
    """
    heard, gasp, due = times
    silent, overdue = which
    off_ll, on_ll = ll
    count = len(group.dcus)
    mute = np.zeros(count, np.bool_)
    relayed = np.flatnonzero((group.dcu >= 0) & silent)
    if count == 0 or not overdue[relayed].any():
        return mute
    word = np.full(count, NEVER, np.int64)
    spoke = np.full(count, NEVER, np.int64)
    through = np.flatnonzero(group.dcu >= 0)
    np.maximum.at(word, group.dcu[through], heard[through])
    np.maximum.at(spoke, group.dcu[through], gasp[through])
    # what a concentrator was heard after, it did not swallow: only silence begun since its last
    # word is its own
    own = due[relayed] > word[group.dcu[relayed]]
    late = relayed[overdue[relayed] & own]
    mute[group.dcu[late]] = True
    mute &= spoke <= word
    member = relayed[mute[group.dcu[relayed]] & own]
    if len(member) == 0:
        return mute
    dcu = group.dcu[member]
    n = np.maximum(np.bincount(dcu, minlength=count), 1)
    sum_off = np.bincount(dcu, weights=off_ll[member], minlength=count)
    sum_on = np.bincount(dcu, weights=on_ll[member], minlength=count)
    r, quiet = limits.comms_loss, limits.comms_loss_quiet
    off_ll[member] = (np.log(r + (1 - r) * np.exp(sum_off)) / n)[dcu]
    on_ll[member] = (np.log(quiet + (1 - quiet) * np.exp(sum_on)) / n)[dcu]
    return mute
