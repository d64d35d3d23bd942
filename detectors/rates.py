"""How often a gasp arrives, how often one is false, how often a concentrator goes mute: learned.

Each rate begins as its setting, weighed as a few observations, and moves with what was seen.  What
was seen is counted at verdicts and never at arrivals, so late and repeated readings teach nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from detectors.arriving import METERS, Gasping
from detectors.compiled import compiled
from detectors.evidence import Evidence
from detectors.hearing import Hearing
from detectors.inference import Verdict
from detectors.moments import FAR, NEVER, Heard
from detectors.relays import Relays
from detectors.running import Running
from detectors.saying import LAST_GASP
from detectors.settings import EngineSettings
from detectors.tree import places
from detectors.weighing import STORM_NEAR_MS
from grid.frame import Rows
from grid.network import F64, I32, I64, Bools, Group
from grid.outage import State

SURE = 0.9  # so many of its members are dead for sure: an outage that teaches
SETTLED_MS = 60_000  # after so long all last gasps are in
OUTAGES_KEPT = 0.9  # of what outages taught, this much weighs on after each further one
DELIVERY_WEIGHT = 4.0  # observations that the setting is worth
FALSE_WEIGHT = 1000.0  # meters
RELAY_WEIGHT = 10.0  # concentrators in outages
QUIET_WEIGHT = 100.0  # concentrators without
RELAY_MEMBERS = 3  # so many able meters behind a concentrator show whether it lets anything through
RELAY_HALF_LIFE_MS = 86_400_000
FALSE_HALF_LIFE_MS = 1_800_000
SOON_MS = 20_000  # a gasp that comes so soon after its own time was given the time of speaking
STALE_MS = 75_000  # and one so late waited somewhere
STAMPS_MAX = 1000
STORM_WORDS = 3  # so many devices' own words make an outage sure enough to expect others
PAIR_WORDS = 2  # of each of several outages: what makes them sure together
SILENT_MS = (
    1_800_000  # no fault goes unnoticed for longer, and what is believed of it would say less
)
ONE_BLOW_MS = 40_000  # what begins within may have one cause: gasps come as much apart
STORM_PAUSE_MS = 300_000  # sure faults that are no further apart are of one storm


@dataclass(slots=True)
class Rates:
    """What a group's history teaches.  Counts are decayed, so they are fractions."""

    gasped: float = 0.0  # last gasps, of
    dark: float = 0.0  # so many that were in the dark and able
    false: float = 0.0  # gasps that were no outage, as of ``at_ms``
    at_ms: int = 0
    lonely: set[int] = field(default_factory=set)  # nodes whose gasp nothing else supports
    unexplained: float = 0.0  # of them, now, those that no outage explains, but for one: no gasp
    # testifies against itself
    stamps: tuple[int, int] = (0, 0)  # gasps that came soon after their own time, and long after
    silent: float = 0.0  # concentrators that let nothing through in an outage, of
    relays: float = 0.0  # so many that had members in the dark
    spells: float = 0.0  # concentrators that were mute without one, as of ``spells_ms``
    spells_ms: int = 0

    def comms_loss(
        self, running: Iterable[Running], relays: Relays, group: Group, limits: EngineSettings
    ) -> tuple[float, float]:
        """P(a concentrator is mute), with customers in the dark and without.

        Never far from the settings: a few outages prove little, and one head-end that fails is not
        many concentrators.
        """
        dark, quiet = limits.comms_loss, limits.comms_loss_quiet
        silent, seen = RELAY_WEIGHT * dark + self.silent, RELAY_WEIGHT + self.relays
        for outage in running:
            silent, seen = silent + outage.relays[0], seen + outage.relays[1]
        mute = QUIET_WEIGHT * quiet + self.spells + len(relays.mute)
        return (
            _within(silent / seen, dark / 4, max(dark, 0.6)),
            _within(mute / (QUIET_WEIGHT + len(group.dcus)), quiet / 4, max(quiet, 0.1)),
        )

    def learn_spells(
        self, before: Mapping[int, int], evidence: Evidence, of: I32, now_ms: int
    ) -> None:
        """Count concentrators that were mute (``before``, since when) and are heard again.

        ``of`` has the concentrator of each node.
        """
        back = [
            dcu
            for dcu, since_ms in before.items()
            if not evidence.mute_dcu[dcu] and (evidence.heard_ms[of == dcu] > since_ms).any()
        ]
        if back:
            if self.spells:
                self.spells *= 0.5 ** ((now_ms - self.spells_ms) / RELAY_HALF_LIFE_MS)
            self.spells += len(back)
            self.spells_ms = now_ms

    def delivery(self, running: Iterable[Running], limits: EngineSettings) -> float:
        """P(a dead meter's last gasp arrives)."""
        gasped = DELIVERY_WEIGHT * limits.delivery + self.gasped
        dark = DELIVERY_WEIGHT + self.dark
        for outage in running:
            gasped += outage.taught[0]
            dark += outage.taught[1]
        return _within(gasped / dark, 0.02, 0.98)

    def gasping(self, running: Iterable[Running], limits: EngineSettings) -> Gasping:
        """What is known of last gasps: how many arrive, and what their own time means."""
        soon, late = self.stamps
        stamp_ms = 0 if late > soon else METERS.first
        return Gasping(self.delivery(running, limits), stamp_ms)

    def hear_gasps(self, rows: Rows, meters: Bools, hearing: Hearing) -> None:
        """Learn whether meters give their gasp the time at which power failed, or at which they
        spoke: a meter that is known comes soon after its own time, or no sooner than it believes.
        """
        at = places(rows["kind"] == LAST_GASP)
        node = rows["node"].take(at)
        known = meters.take(node) & hearing.on_ms.known.take(node)
        at, node = at[known], node[known].astype(np.int64)
        delay = rows["received_ms"].take(at) - rows["happened_ms"].take(at) - hearing.lag(node)
        soon = self.stamps[0] + int((delay < SOON_MS).sum())
        late = self.stamps[1] + int(((delay >= SOON_MS) & (delay < STALE_MS)).sum())
        halves = 1 + (soon + late) // STAMPS_MAX
        self.stamps = (soon // halves, late // halves)

    def false_gasp(self, meters: int, limits: EngineSettings) -> float:
        """P(a live meter gasped within the last while), never less than the setting: none seen yet
        proves little.
        """
        seen = FALSE_WEIGHT * limits.false_gasp + self.false + self.unexplained
        return _within(seen / (FALSE_WEIGHT + meters), limits.false_gasp, 0.1)

    def learn_delivery(self, outage: Running, now_ms: int) -> None:
        """Learn from a sure outage that is over now."""
        over = outage.state is State.RESTORED and outage.ended_ms == now_ms
        if not over or not _is_sure(outage):
            return
        self.silent = self.silent * OUTAGES_KEPT + outage.relays[0]
        self.relays = self.relays * OUTAGES_KEPT + outage.relays[1]
        self.gasped = self.gasped * OUTAGES_KEPT + outage.taught[0]
        self.dark = self.dark * OUTAGES_KEPT + outage.taught[1]

    def learn_false(
        self,
        evidence: Evidence,
        hearing: Hearing,
        verdict: Verdict,
        held: Bools,
        *,
        now_ms: int,
    ) -> None:
        """Count gasps that were answered by power, or stand alone among the living.

        Args:
            evidence: Gasps that are young may still find others.
            hearing: What was heard.
            verdict: What is declared, and how likely each meter is dead all the same.
            held: Nodes that it holds for dark.
            now_ms: Stream time.
        """
        old = (evidence.gasp_ms != NEVER) & (evidence.gasp_ms < now_ms - SETTLED_MS)
        gasped = places(old)
        if self.false:
            self.false *= 0.5 ** ((now_ms - self.at_ms) / FALSE_HALF_LIFE_MS)
        self.at_ms = now_ms
        alone = {d.node for d in verdict.declared if d.gasps == 1 and not d.overdue}
        stray = gasped[~held[gasped]]
        lonely = set(stray.tolist())
        stands_alone = 1 - _dead(verdict, stray)
        self.unexplained = float(stands_alone.sum() - stands_alone.max(initial=0.0))
        for found in verdict.declared:
            if found.node in alone:
                lonely.update(gasped[(gasped >= found.node) & (gasped < found.end)].tolist())
        for node in self.lonely - lonely:
            on, back = hearing.on_ms.of(node), hearing.back_ms.of(node)
            off = hearing.off_ms.of(node)
            if on > off and back < off:  # it reports as ever: no power-up tells of an outage
                self.false += 1.0
        self.lonely = lonely


def _dead(verdict: Verdict, nodes: I64) -> F64:
    """P(dead) of some nodes; 0 for those that nothing points to."""
    dead = np.zeros(len(nodes))
    if len(verdict.nodes):
        place = np.minimum(np.searchsorted(verdict.nodes, nodes), len(verdict.nodes) - 1)
        known = verdict.nodes[place] == nodes
        dead[known] = verdict.dead[place[known]]
    return dead


def _within(value: float, least: float, most: float) -> float:
    return min(max(value, least), most)


def teaches(outage: Running, now_ms: int) -> bool:
    """A sure and settled outage shows how many of the dead gasp."""
    old = now_ms - outage.since_ms > SETTLED_MS
    return old and _is_sure(outage)


def _is_sure(outage: Running) -> bool:
    dead = surely(outage)
    return outage.parent is None and len(dead) > 0 and bool(dead.mean() > SURE)


def surely(outage: Running) -> F64:
    """P(dead) of each member, whichever device it was that failed."""
    if outage.telemetered:
        return np.ones(len(outage.members))
    place = outage.members - outage.margins_from
    known = (place >= 0) & (place < len(outage.margins))
    dead = np.zeros(len(outage.members))
    dead[known] = np.exp(-np.logaddexp(0, -outage.margins[place[known]]))  # however far below 0
    return dead


@compiled
def counted(
    members: I64, mute: Bools, dcu: I32, heard: Heard, dead: F64
) -> tuple[float, float, F64, F64, F64]:
    """How many of those who could say so said that they have no power, of how many; of each of
    their concentrators that shows anything, how many could, and did, and how sure they are dead.

    Each counts by how surely it is ``dead``, an entry a member.
    """
    first, last = len(dcu), -1  # those of an outage lie close together
    for node in members:
        if dcu[node] >= 0:
            first, last = min(first, int(dcu[node])), max(last, int(dcu[node]))
    of = np.zeros((3, max(last - first + 1, 0)))
    said, able = 0.0, 0.0
    for place in range(len(members)):
        if not mute[place]:
            node = members[place]
            dark = 1.0 if heard[node]["off"] > heard[node]["on"] else 0.0
            said, able = said + dark * dead[place], able + dead[place]
            if dcu[node] >= 0:
                of[0, dcu[node] - first] += 1
                of[1, dcu[node] - first] += dark
                of[2, dcu[node] - first] += dead[place]
    show = np.flatnonzero(of[0] >= RELAY_MEMBERS)
    return said, able, of[0][show], of[1][show], of[2][show] / of[0][show]


def count_gasps(
    outage: Running, hearing: Hearing, dcu: I32, gasping: Gasping, limits: EngineSettings
) -> None:
    """Of the members how many gasped; a power-up that tells of a lost gasp is none.

    Of their concentrators (``dcu``, entry a node), how many let nothing through: each by the
    probability that it was mute and not unlucky, as believed before any was seen.
    """
    if outage.back_ms is None and outage.dark == len(outage.members):
        found = counted(outage.members, outage.mute, dcu, hearing.heard, surely(outage))
        said, able, members, gasps, dead = found
        outage.taught = (said, able)
        r = limits.comms_loss
        unlucky = (1 - gasping.delivery) ** members
        mute = np.where(gasps > 0, 0.0, r / (r + (1 - r) * unlucky))
        outage.relays = (float((mute * dead).sum()), float(dead.sum()))


def storms(running: Iterable[Running]) -> list[int]:
    """About when further faults are likely: weather does not strike once.

    That is when each of the sure faults that are running began, or may have begun where silence
    alone speaks of it and no other fault tells when; and where these do not come at one blow, all
    the time between them, and as long before and after as storms pause.
    """
    sure = _sure(running)
    told = [o for o in sure if o.telemetered or o.counted[0] > 0]
    seen = sorted(_began(outage) for outage in told)
    moments = set(seen)
    for outage in sure:
        begin_ms = max(outage.since_ms, outage.detected_ms - SILENT_MS)
        of_those = any(begin_ms <= at_ms <= outage.detected_ms for at_ms in seen)
        if outage not in told and not of_those:
            moments.update(range(begin_ms, outage.detected_ms, STORM_NEAR_MS))
    for one, other in pairwise(seen):
        if ONE_BLOW_MS < other - one <= STORM_PAUSE_MS:
            begin, end = one - STORM_PAUSE_MS // 2, other + STORM_PAUSE_MS // 2
            moments.update(range(begin, end, STORM_NEAR_MS))
    return sorted(moments)


def calm_from(running: Iterable[Running]) -> int:
    """From when on no fault is near; FAR where none is sure: there devices fail as seldom, too."""
    moments = storms(running)
    return moments[-1] + STORM_NEAR_MS if moments else FAR


def _began(outage: Running) -> int:
    """About when a fault began that somebody told of: not when all behind it were last heard."""
    return max(outage.since_ms, min(outage.start_ms, outage.detected_ms))


def _sure(running: Iterable[Running]) -> list[Running]:
    """Faults that are sure enough to expect others: by their device, by enough words of each, or
    several by two words each.
    """
    faults = [o for o in running if o.state is not State.RESTORED and o.plan_id is None]
    pairs = [o for o in faults if o.telemetered or sum(o.counted) >= PAIR_WORDS]
    if len(pairs) > 1:
        return pairs
    return [o for o in pairs if o.telemetered or sum(o.counted) >= STORM_WORDS]
