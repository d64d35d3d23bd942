"""What was heard and what was missed, as log-likelihoods of "off" against "on" at one moment


A last gasp argues for "off" with log(delivery / false gasp).  Silence argues by what should have
been heard: a gasp that did not arrive (weakly, for "on"), a heartbeat that was due and did not come
(strongly, for "off").  The silence of a whole concentrator argues no harder than a mute
concentrator explains, on both sides.
"""

from dataclasses import dataclass
from math import log
from typing import NamedTuple

import numpy as np

from detectors.arriving import TERMINAL_DELIVERY, Gasping
from detectors.hearing import EVERYONE, Hearing
from detectors.listening import Gap, due
from detectors.moments import NEVER, Moments
from detectors.settings import EngineSettings
from detectors.tree import TRANSFORMER, places
from grid.network import F64, I64, U8, Bools, Group

FAR = 1 << 60

MUTE_MISSING = 3  # so many that were due since its last word, and did not come, make it mute
MUTE_NOW = 0.1  # of those that go mute in quiet times, at the moment of a restoration
BURST_MS = 60_000  # gasps of one fault arrive within
CLOCKS_MS = 10_000  # what two devices' corrected clocks may differ by

CALL_LLR = log(
    0.1 / 1e-4
)  # one customer in ten calls (Schneider 998-2095); a call without an outage is rare
POWER_UP_WAIT_MS = (
    30_000,
    30_000,
)  # power-ups arrive from the first to the sum of the two after restoration


class Evidence(NamedTuple):
    """One entry a node, at one moment.  Times by our clock."""

    heard_ms: I64  # last word that it has power; NEVER
    gasp_ms: I64  # last word that it has none, if that is its last word; NEVER
    gasp_ll: F64  # what that word is worth
    due_ms: I64  # when it should have been heard; FAR where nothing is overdue
    off_ll: F64  # log P(silence | off), for one that is silent
    on_ll: F64  # log P(silence | on)
    overdue: Bools
    pending: Bools  # its outage was restored, it has not spoken since
    unanswered: I64  # how often it was asked and did not answer
    mute_dcu: Bools  # entry a concentrator: nothing comes through it although it should
    word_ms: I64  # entry a concentrator: when anything last came through it; NEVER
    gasping: Gasping  # what is known of last gasps

    @property
    def suspicious(self) -> Bools:
        """Nodes that give any reason to think of an outage."""
        suspicious: Bools = (self.gasp_ms != NEVER) | self.overdue | self.pending
        return suspicious


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Meters that were asked and have not answered in time."""

    nodes: I64
    first_ms: I64  # ours: when each was first asked
    times: I64  # how often


@dataclass(frozen=True, slots=True)
class Ear:
    """How well we listened, and what history taught."""

    now_ms: int
    gaps: tuple[Gap, ...]  # when we heard nothing
    gasping: Gasping  # what is known of last gasps: how many arrive, and their time
    false_gasp: float  # that a live meter gasped
    comms_loss: tuple[float, float]  # that a concentrator goes mute, in an outage and without
    relays: tuple[I64, I64] | None = None  # entry a node: its concentrator was mute from, until
    dark: Bools | None = None  # entry a node: a running outage explains its silence
    asked: Asked | None = None
    explained_ms: Moments | None = None  # device clock, entry a node: its last told step ended then
    dismissed_ms: I64 | None = None  # entry a node: a person dismissed what it said, or did not
    muted: I64 | None = None  # nodes that flap: their gasps say nothing


def gather(group: Group, hearing: Hearing, ear: Ear, limits: EngineSettings) -> Evidence:
    """Judge all nodes of a group at one moment.

    Most have power and say so: what is seldom is looked up and worked out for those few alone.
    """
    count = len(group.ids)
    lag = hearing.lag()
    silent = hearing.on_ms.known  # ever heard, did not gasp, and nobody dismissed its silence
    never = places(~silent)
    on_ms = hearing.on_ms[EVERYONE]
    heard = on_ms + lag
    heard[never] = NEVER
    gasped, off = _gasped(hearing, lag, ear)
    gasp = np.full(count, NEVER)
    gasp[gasped] = off
    silent[gasped] = False
    if ear.dismissed_ms is not None:
        silent &= heard > ear.dismissed_ms
    waits = places(hearing.void_ms.known)
    waits = waits[silent[waits] & (heard[waits] < hearing.void_ms[waits] - CLOCKS_MS)]
    beat = next_beat(hearing, heard, ear, limits)
    slack_ms = int(limits.heartbeat_slack_s * 1000)
    overdue = silent & (beat < ear.now_ms - slack_ms)
    late = places(overdue)
    due_ms = np.full(count, FAR)
    due_ms[late] = beat[late]
    due_ms[waits] = hearing.void_ms[waits]
    pending = np.zeros(count, np.bool_)
    pending[waits] = True
    unanswered = _unanswered(ear.asked, heard, due_ms)
    terminals = places(group.kind == TRANSFORMER)
    off_ll = silent * np.float64(log(1 - ear.gasping.delivery))
    off_ll[terminals] = silent[terminals] * log(1 - TERMINAL_DELIVERY)
    off_ll[waits] = 0.0
    on_ll = np.zeros(count)
    on_ll[late] = _missed(ear.now_ms - beat[late] - slack_ms, limits)
    on_ll[waits] += _waited(hearing, waits, ear, limits)
    gasp_ll = np.zeros(count)
    gasp_ll[gasped] = _worth(gasped, group.kind[gasped], hearing, ear, limits)
    asked = places(unanswered)
    worth = unanswered[asked] * log(limits.ping_lost)
    spoke = gasp[asked] != NEVER
    on_ll[asked] += np.where(spoke, 0.0, worth)
    gasp_ll[asked] -= np.where(spoke, worth, 0.0)
    missing = overdue.copy()
    missing[asked[~spoke]] = True
    left = _still_mute(group, waits[group.dcu[waits] >= 0], hearing, ear)
    late_from = due_ms.copy()
    late_from[late] += slack_ms  # until then on its way
    mute, word = _clamp(
        group, (heard, gasp, late_from), (silent, missing, pending), (off_ll, on_ll), (left, ear)
    )
    known = on_ms + hearing.way()
    known[never] = NEVER
    return Evidence(
        known, gasp, gasp_ll, due_ms, off_ll, on_ll, overdue, pending, unanswered, mute, word,
        ear.gasping,
    )  # fmt: skip


def _gasped(hearing: Hearing, lag: I64, ear: Ear) -> tuple[I64, I64]:
    """Nodes whose last word is that they have no power, and when they said so, by our clock."""
    at = places(hearing.times.off > hearing.times.on)
    off = hearing.off_ms[at] + lag[at]
    last = off > hearing.void_ms[at]
    if ear.explained_ms is not None:
        last &= hearing.off_ms[at] > ear.explained_ms[at]
    if ear.muted is not None:
        last &= ~np.isin(at, ear.muted)
    if ear.dismissed_ms is not None:
        last &= off > ear.dismissed_ms[at]
    return at[last], off[last]


def _unanswered(asked: Asked | None, heard: I64, due_ms: I64) -> I64:
    """How often each node was asked and did not answer; that is as old as the first question.
    Changes ``due_ms``.
    """
    times = np.zeros(len(heard), np.int64)
    if asked is not None:
        silent = heard[asked.nodes] < asked.first_ms
        nodes = asked.nodes[silent]
        times[nodes] = asked.times[silent]
        due_ms[nodes] = np.minimum(due_ms[nodes], asked.first_ms[silent])
    return times


def next_beat(hearing: Hearing, heard_ms: I64, ear: Ear, limits: EngineSettings) -> I64:
    """When each node's next regular report is due, by our clock."""
    periods = hearing.period_ms(limits.heartbeat_s)
    slack_ms = int(limits.heartbeat_slack_s * 1000)
    void_ms = hearing.void_ms[EVERYONE]
    expected = np.maximum(heard_ms, void_ms)
    expected += periods
    # an answer or a reading between two reports does not put off the next report
    at = places(hearing.times.on > hearing.times.beat)
    beat = hearing.beat_ms[at]
    between = (beat > hearing.back_ms[at]) & (beat > hearing.off_ms[at])
    between &= heard_ms[at] > void_ms[at]
    at = at[between]
    since = hearing.on_ms[at] - hearing.beat_ms[at]
    expected[at] -= since % periods[at]
    if ear.relays is not None:
        begin, end = ear.relays
        swallowed = (expected + slack_ms > begin) & (expected < end)
        expected = np.where(swallowed, end + periods, expected)
    return due(expected, periods, slack_ms, ear.gaps)


def _worth(gasped: I64, kind: U8, hearing: Hearing, ear: Ear, limits: EngineSettings) -> F64:
    """Log-likelihood ratio of each "no power" of some nodes that said it."""
    own = log(ear.gasping.delivery / ear.false_gasp)
    terminals = log(TERMINAL_DELIVERY / limits.false_terminal)
    worth = np.where(kind == TRANSFORMER, terminals, own)
    worth[hearing.called[gasped] > 0] = CALL_LLR
    return worth


def _missed(late_ms: I64, limits: EngineSettings) -> F64:
    """Log P(silence | on) of heartbeats that did not come and are late by so much."""
    later = np.minimum(late_ms / (limits.heartbeat_slack_s * 1000), 1.0)
    first_ll, last_ll = log(limits.late_beat), log(limits.missed_beat)
    return first_ll + later * (last_ll - first_ll)


def _waited(hearing: Hearing, waits: I64, ear: Ear, limits: EngineSettings) -> F64:
    """Log P(silence | on) of power-ups that did not come after a restoration."""
    first, spread = POWER_UP_WAIT_MS
    waited = (ear.now_ms - hearing.void_ms[waits] - first) / spread
    waited[_swallowed(ear, waits, hearing.void_ms[waits])] = 0.0
    worth: F64 = np.minimum(np.maximum(waited, 0.0), 1.0) * log(limits.power_up_lost)
    return worth


def _swallowed(ear: Ear, nodes: I64, at_ms: I64) -> Bools:
    """Whether the concentrator of each of some nodes was mute at a moment, by our clock, and is no
    more.
    """
    if ear.relays is None:
        return np.zeros(len(nodes), np.bool_)
    begin, end = ear.relays
    swallowed: Bools = (begin[nodes] < at_ms) & (at_ms < end[nodes])
    return swallowed


def _clamp(
    group: Group,
    times: tuple[I64, I64, I64],
    which: tuple[Bools, Bools, Bools],
    ll: tuple[F64, F64],
    known: tuple[F64, Ear],
) -> tuple[Bools, I64]:
    """Let a silent concentrator explain its meters' silence, on both sides; shared out in
    proportion to what each one's is worth.  Changes ``ll``.
    """
    heard, gasp, due = times
    silent, overdue, pending = which
    off_ll, on_ll = ll
    left, ear = known
    count = len(group.dcus)
    mute = np.zeros(count, np.bool_)
    word = np.full(count, NEVER, np.int64)
    gasped = places(gasp != NEVER)
    missing_at = places(overdue & silent)
    missing_at = missing_at[group.dcu[missing_at] >= 0]
    if count == 0 or not (len(missing_at) or len(gasped) or left.any()):
        return mute, word
    through = places(group.dcu >= 0)
    of = group.dcu.take(through).astype(np.int64)
    np.maximum.at(word, of, heard.take(through))
    spoke = np.full(count, NEVER, np.int64)
    spoken = gasped[group.dcu[gasped] >= 0]
    np.maximum.at(spoke, group.dcu[spoken], gasp[spoken])
    # what a concentrator was heard after, it did not swallow: only silence begun since its last
    # word is its own
    late = missing_at[due[missing_at] > word[group.dcu[missing_at]]]
    missing = np.bincount(group.dcu[late], minlength=count)
    waits = places(pending & silent)
    waits = waits[group.dcu[waits] >= 0]
    waits = waits[due[waits] > word[group.dcu[waits]]]
    waiting = np.bincount(group.dcu[waits], minlength=count) > 0
    quiet = (missing > 0) | waiting
    if len(gasped):
        quiet |= word < _gasps_since(group, gasp, gasped, (through, of))
    quiet &= spoke <= word
    if not np.count_nonzero(quiet):
        return mute, word
    member = through[quiet[of]]
    member = member[silent[member]]
    member = member[due[member] > word[group.dcu[member]]]
    if len(member) == 0:
        return mute, word
    dcu = group.dcu[member]
    sum_off = np.bincount(dcu, weights=off_ll[member], minlength=count).astype(np.float64)
    sum_on = np.bincount(dcu, weights=on_ll[member], minlength=count).astype(np.float64)
    r, r0 = ear.comms_loss
    off_ll[member] *= _share(sum_off, np.full(count, r))[dcu]
    on_ll[member] *= _share(sum_on, np.where(waiting, left, r0))[dcu]
    members = np.bincount(of, minlength=count)
    if ear.dark is not None:
        missing = np.bincount(group.dcu[late[~ear.dark[late]]], minlength=count)
    mute = quiet & (missing >= np.minimum(MUTE_MISSING, members)) & (missing > 0)
    mute |= quiet & waiting & (left > 0.5)
    return mute, word


def _gasps_since(group: Group, gasp: I64, gasped: I64, relayed: tuple[I64, I64]) -> I64:
    """Entry a concentrator: when the last burst of gasps began on a feeder of its meters; from
    then on it should have let some through.  NEVER where there was none.

    ``relayed``: nodes behind a concentrator, and behind which.
    """
    feeder = group.feeder[gasped]
    last = np.full(len(gasp), NEVER, np.int64)
    np.maximum.at(last, feeder, gasp[gasped])
    burst = gasp[gasped] > last[feeder] - BURST_MS
    first = last
    np.minimum.at(first, feeder[burst], gasp[gasped[burst]])
    since = np.full(len(group.dcus), NEVER, np.int64)
    through, of = relayed
    np.maximum.at(since, of, first.take(group.feeder.take(through)))
    return since


def _still_mute(group: Group, waiting: I64, hearing: Hearing, ear: Ear) -> F64:
    """Entry a concentrator with meters that wait for power: P(it is mute), 0 for the others.

    It went mute in the outage that was just restored where none of those in the dark gasped
    through it; one that let gasps through would have to go mute at this very moment.
    """
    count = len(group.dcus)
    dark = np.bincount(group.dcu[waiting], minlength=count)
    gasped = waiting[hearing.off_ms[waiting] > hearing.on_ms[waiting]]
    heard = np.bincount(group.dcu[gasped], minlength=count)
    r, r0 = ear.comms_loss
    unheard = (1 - r) * (1 - ear.gasping.delivery) ** dark
    mute = np.where(heard == 0, r / (r + unheard), r0 * MUTE_NOW)
    found: F64 = np.where(dark > 0, mute, 0.0)
    return found


def _share(silence_ll: F64, mute: F64) -> F64:
    """What remains of a group's silence when its concentrator may be mute, as a factor."""
    clamped = np.log(mute + (1 - mute) * np.exp(silence_ll))
    factor: F64 = clamped / np.where(silence_ll < 0, silence_ll, -1.0)
    return factor
