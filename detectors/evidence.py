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
from detectors.compiled import compiled
from detectors.hearing import Hearing, in_step
from detectors.listening import Gap
from detectors.looking import (
    Beyond,
    Relayed,
    Seen,
    Terms,
    behind,
    bursts,
    bursts_of,
    look,
    relay,
    unseen,
)
from detectors.moments import FAR, NEVER
from detectors.settings import EngineSettings
from detectors.tree import how_many, places
from grid.network import F64, I32, I64, Bools, Group

MUTE_MISSING = 3  # so many that were due since its last word, and did not come, make it mute
MUTE_NOW = 0.1  # of those that go mute in quiet times, at the moment of a restoration
BURST_MS = 60_000  # gasps of one fault arrive within

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
    unanswered: F64  # how often it was asked and did not answer; less while it still may
    mute_dcu: Bools  # entry a concentrator: nothing comes through it although it should
    word_ms: I64  # entry a concentrator: when anything last came through it; NEVER
    gasping: Gasping  # what is known of last gasps
    next_ms: int = FAR  # when the first of those who are heard is due

    @property
    def suspicious(self) -> Bools:
        """Nodes that give any reason to think of an outage."""
        suspicious: Bools = (self.gasp_ms != NEVER) | self.overdue | self.pending
        return suspicious


@compiled
def suspicious(evidence: Evidence) -> I64:
    """Nodes that give any reason to think of an outage, ascending."""
    found, count = np.empty(len(evidence.gasp_ms), np.int64), 0
    for node in range(len(evidence.gasp_ms)):
        late = evidence.overdue[node] or evidence.pending[node]
        if late or evidence.gasp_ms[node] != NEVER:
            found[count] = node
            count += 1
    return found[:count]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Meters that were asked and have not answered."""

    nodes: I64
    first_ms: I64  # ours: when each was first asked
    times: F64  # how often; of a question that may still be answered, the share of its time


@dataclass(frozen=True, slots=True)
class Ear:
    """How well we listened, and what history taught."""

    now_ms: int
    gaps: tuple[Gap, ...]  # when we heard nothing
    gasping: Gasping  # what is known of last gasps: how many arrive, and their time
    false_gasp: float  # that a live meter gasped
    comms_loss: tuple[float, float]  # that a concentrator goes mute, in an outage and without
    calm_ms: int = FAR  # since then no fault is near that one could have gone mute with
    relays: tuple[I64, I64] | None = None  # entry a node: its concentrator was mute from, until
    dark: Bools | None = None  # entry a node: a running outage explains its silence
    asked: Asked | None = None
    dismissed_ms: I64 | None = None  # entry a node: a person dismissed what it said, or did not
    muted: I64 | None = None  # nodes that flap: their gasps say nothing


def gather(group: Group, hearing: Hearing, ear: Ear, limits: EngineSettings) -> Evidence:
    """Judge all nodes of a group at one moment."""
    count = len(group.ids)
    terms, beyond = _terms(hearing, ear, limits), _beyond(ear)
    seen = unseen(count)
    next_ms = look(hearing.heard, group.kind, terms, beyond, seen)
    asked = _unanswered(ear.asked, seen.heard_ms)
    worth = asked.times * log(limits.ping_lost)
    silence, alone = _in_vain(group, seen, asked, worth, terms)
    mute, word = _clamp(group, seen, silence, hearing, ear, limits.prior_calm)
    seen.on_ll[asked.nodes[alone]] += worth[alone]
    unanswered = np.zeros(count)
    unanswered[asked.nodes] = asked.times
    return Evidence(
        seen.known_ms, seen.gasp_ms, seen.gasp_ll, seen.due_ms, seen.off_ll, seen.on_ll,
        seen.overdue, seen.pending, unanswered, mute, word, ear.gasping, next_ms,
    )  # fmt: skip


def _terms(hearing: Hearing, ear: Ear, limits: EngineSettings) -> Terms:
    """What everything is held against."""
    return Terms(
        now_ms=ear.now_ms,
        period_ms=int(np.float32(limits.heartbeat_s) * np.float32(1000)),
        slack_ms=int(limits.heartbeat_slack_s * 1000),
        slack_float_ms=limits.heartbeat_slack_s * 1000,
        in_step=in_step(hearing.lag_ms),
        off_ll=log(1 - ear.gasping.delivery),
        off_terminal_ll=log(1 - TERMINAL_DELIVERY),
        gasp_ll=log(ear.gasping.delivery / ear.false_gasp),
        gasp_terminal_ll=log(TERMINAL_DELIVERY / limits.false_terminal),
        call_ll=CALL_LLR,
        late_first_ll=log(limits.late_beat),
        late_last_ll=log(limits.missed_beat),
        void_ll=log(limits.power_up_lost),
        void_first_ms=POWER_UP_WAIT_MS[0],
        void_spread_ms=POWER_UP_WAIT_MS[1],
    )


def _beyond(ear: Ear) -> Beyond:
    """What else is known of nodes."""
    none = np.zeros(0, np.int64)
    begin, end = ear.relays or (none, none)
    gaps = np.array(ear.gaps, np.int64).reshape(-1, 2).T
    return Beyond(
        dismissed_ms=none if ear.dismissed_ms is None else ear.dismissed_ms,
        muted=none if ear.muted is None else ear.muted,
        relay_from_ms=begin,
        relay_until_ms=end,
        gap_from_ms=np.ascontiguousarray(gaps[0]),
        gap_until_ms=np.ascontiguousarray(gaps[1]),
    )


def _unanswered(asked: Asked | None, heard_ms: I64) -> Asked:
    """Those who have said nothing since they were first asked."""
    if asked is None:
        return Asked(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    silent = heard_ms[asked.nodes] < asked.first_ms
    return Asked(asked.nodes[silent], asked.first_ms[silent], asked.times[silent])


def _in_vain(
    group: Group, seen: Seen, asked: Asked, worth: F64, terms: Terms
) -> tuple[tuple[Bools, Bools], Bools]:
    """Take in what it is ``worth`` that the asked did not answer.  Changes ``seen``.

    Of all nodes, whether a word is missing and whether it is late; of the asked, whether their
    concentrator spoke after the question: it swallowed nothing, so they are silent by themselves.
    """
    nodes = asked.nodes
    if len(nodes) == 0:
        return (seen.overdue, seen.overdue), np.zeros(0, np.bool_)
    spoke = seen.gasp_ms[nodes] != NEVER
    seen.gasp_ll[nodes] -= np.where(spoke, worth, 0.0)
    seen.due_ms[nodes] = np.minimum(seen.due_ms[nodes], asked.first_ms)
    through = asked.first_ms <= _last_through(group.dcu, nodes, seen.heard_ms)
    with_it = ~through & ~spoke
    shared = nodes[with_it]
    seen.on_ll[shared] += worth[with_it]
    missing, late = seen.overdue.copy(), seen.overdue.copy()
    missing[shared] = True
    late[shared[asked.times[with_it] >= 1]] = True
    seen.late_ms[shared] = seen.due_ms[shared] + terms.slack_ms * seen.overdue[shared]
    return (missing, late), through & ~spoke


def _last_through(dcu: I32, nodes: I64, heard_ms: I64) -> I64:
    """When anything last came through the concentrator of each node; NEVER where it has none."""
    word_ms = np.full(int(dcu.max(initial=-1)) + 2, NEVER)
    np.maximum.at(word_ms, dcu, heard_ms)
    word_ms[-1] = NEVER  # those who have none
    found: I64 = word_ms[dcu[nodes]]
    return found


def _clamp(
    group: Group,
    seen: Seen,
    silence: tuple[Bools, Bools],
    hearing: Hearing,
    ear: Ear,
    calm: float,
) -> tuple[Bools, I64]:
    """Let a silent concentrator explain its meters' silence, on both sides; shared out in
    proportion to what each one's is worth.  Changes ``seen``.

    What a concentrator was heard after, it did not swallow: only silence begun since its last word
    is its own.  One that was heard when the faults were over did not go mute with them, which is
    rarer, by ``calm``.  ``silence``: entry a node, whether a word is missing, and whether it is
    late.
    """
    missing, late = silence
    count = len(group.dcus)
    mute = np.zeros(count, np.bool_)
    said = Relayed(
        members=np.zeros(count, np.int64),
        word_ms=np.full(count, NEVER),
        spoke_ms=np.full(count, NEVER),
        missing=np.zeros(count, np.int64),
        waiting=np.zeros(count, np.bool_),
        burst_ms=np.full(count, NEVER),
    )
    if count == 0:
        return mute, said.word_ms
    relay(group.dcu, seen, missing, said)
    if how_many(seen.gasp_ms != NEVER):
        first = bursts(group.feeder, seen.gasp_ms, BURST_MS)
        bursts_of(group.dcu, group.feeder, first, said.burst_ms)
    word = said.word_ms
    quiet = (said.missing > 0) | said.waiting | (word < said.burst_ms)
    quiet &= said.spoke_ms <= word
    if not how_many(quiet):
        return mute, word
    member = behind(group.dcu, quiet, seen, word)
    if len(member) == 0:
        return mute, word
    waits = places(seen.pending)
    waits = waits[group.dcu[waits] >= 0]
    left = _still_mute(group, waits, hearing, ear)
    dcu = group.dcu[member]
    off_ll, on_ll = seen.off_ll, seen.on_ll
    sum_off = np.bincount(dcu, weights=off_ll[member], minlength=count).astype(np.float64)
    sum_on = np.bincount(dcu, weights=on_ll[member], minlength=count).astype(np.float64)
    r, r0 = ear.comms_loss
    off_ll[member] *= _share(sum_off, np.full(count, r))[dcu]
    alone = np.where(word > ear.calm_ms, r0 * calm, r0)
    on_ll[member] *= _share(sum_on, np.where(said.waiting, left, alone))[dcu]
    lit = member[late[member]]
    if ear.dark is not None:
        lit = lit[~ear.dark[lit]]
    swallowed = np.bincount(group.dcu[lit], minlength=count)
    mute = quiet & (swallowed >= np.minimum(MUTE_MISSING, said.members)) & (swallowed > 0)
    mute |= quiet & said.waiting & (left > 0.5)
    return mute, word


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
