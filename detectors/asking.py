"""Which meters to ask whether they have power, and what an answer that does not come is worth.

Asked are those of whom the posterior is least sure, where nobody beside them was asked yet: at the
edges of what is believed, and around gasps that nothing else explains.  An answer is a reading.  No
answer is NoResponse and never "off": it weighs as much as answers are lost seldom, and nothing when
its concentrator is mute.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import log, log1p

import numpy as np

from detectors.evidence import POWER_UP_WAIT_MS, Asked, Evidence
from detectors.hearing import EVERYONE
from detectors.inference import Verdict
from detectors.moments import NEVER, Moments
from detectors.relays import relayed_ms
from detectors.running import Running
from detectors.scene import Scene
from detectors.settings import EngineSettings
from grid.english import meters
from grid.errors import Refused
from grid.frame import Decided
from grid.network import I64, Bools, Group, NodeKind
from grid.outage import Ping

MINUTE_MS = 60_000
SHARE = 50  # one in so many customers a minute, but
FEW = 12  # at least so many, for each outage that is being looked for: so many find one of forty
KEPT_MS = 900_000  # an ask is forgotten after
IN_VAIN_MAX = 6  # questions through a concentrator that brings nothing, and then
IN_VAIN_MS = 300_000  # one in so long: when it is back, its meters say so unasked
ASKS_MAX = 3  # of one meter, until it is heard
DEVICES_MAX = 24  # a verdict asks about, the most uncertain first
METERS_A_DEVICE = 2  # asked at once
A_TIME_MIN = 4  # so many, or half of a minute's, before answers say who is to be asked next
METERS_BY_HAND = 6  # of an outage, where a person asks
AWAITED_MS = POWER_UP_WAIT_MS[0]  # after power is back: meters say so themselves, unasked
UNSURE = 0.05  # 4 P (1 - P) of a device that is worth a question
WAYS_STEPS = 20  # each brings the time of both ways nearer by two thirds and more


Handler = Callable[[Scene, Running, Decided], None]


@dataclass(slots=True)
class Asking:
    """Whom we asked.  Bounded by the budget a minute and what is kept."""

    asks: dict[int, list[int]] = field(default_factory=dict)  # node -> stream times, ascending
    sent_ms: list[int] = field(default_factory=list)  # of the last minute

    def sent(self, node: int, at_ms: int) -> None:
        """A meter was asked."""
        self.asks.setdefault(node, []).append(at_ms)
        self.sent_ms.append(at_ms)

    def clear(self) -> None:
        """Nothing can be heard: who was asked may have answered."""
        self.asks.clear()

    def waiting(
        self,
        now_ms: int,
        limits: EngineSettings,
        void_ms: Moments,
        relays: tuple[I64, I64] | None,
    ) -> Asked | None:
        """Who has not answered, since when, and how often; None if nobody.

        A question that may still be answered counts for a part of one, by how much of its time is
        over.

        What was asked before the power above came back (``void_ms``, entry a node) found a meter
        in the dark: that is known, and says nothing of now.  Nor does what was asked while the
        meter's own word of it is awaited.
        """
        if not self.asks:
            return None
        wait_ms = int(limits.ping_wait_s * 1000)
        begin_ms = relayed_ms(void_ms[EVERYONE], relays)
        asked = {
            node: [at for at in times if begin_ms[node] + AWAITED_MS < at < now_ms]
            for node, times in self.asks.items()
        }
        nodes = [node for node, times in asked.items() if times]
        if not nodes:
            return None
        means = ways(limits.ping_lost)
        return Asked(
            np.array(nodes, np.int64),
            np.array([asked[node][0] for node in nodes], np.int64),
            np.array(
                [sum(missed((now_ms - at) / wait_ms, means) for at in asked[n]) for n in nodes]
            ),
        )

    def forget(self, evidence: Evidence, now_ms: int) -> None:
        """Let go of who was heard since, and of what is old."""
        self.sent_ms = [at for at in self.sent_ms if at > now_ms - MINUTE_MS]
        heard = evidence.heard_ms
        self.asks = {
            node: times
            for node, times in self.asks.items()
            if heard[node] < times[0] and times[-1] > now_ms - KEPT_MS
        }

    def due_ms(self, now_ms: int, limits: EngineSettings) -> int | None:
        """When the next answer will be late, or its time half over; None if none is awaited."""
        wait_ms = int(limits.ping_wait_s * 1000)
        last = [times[-1] for times in self.asks.values()]
        late = [at + part for at in last for part in (wait_ms // 2, wait_ms)]
        return min((at for at in late if at > now_ms), default=None)

    def ask(self, scene: Scene, verdict: Verdict, *, deaf: bool, storm: bool = False) -> list[Ping]:
        """Ask those of whom a verdict is least sure; nobody while we hear nothing, and in a storm
        only those who stand for more than themselves.
        """
        group, now_ms = scene.book.group, scene.now_ms
        self.forget(scene.evidence, now_ms)
        if deaf or scene.limits.pings_per_minute <= 0:
            return []
        if storm:
            several = group.kind[verdict.nodes] != NodeKind.METER
            verdict = replace(verdict, nodes=verdict.nodes[several], dead=verdict.dead[several])
        return [Ping(now_ms, group.ids[node]) for node in self._choose(scene, verdict)]

    def by_hand(self, pings: list[Ping], *, lost: Collection[str]) -> Handler:
        """How a person has some meters of an outage asked: they are put to ``pings``, within the
        same budget; nobody while sources are ``lost``.
        """

        def ping(scene: Scene, outage: Running, command: Decided) -> None:
            if lost:
                raise Refused("meters cannot be heard now, so none is asked")
            chosen = self._by_hand(scene, outage)
            pings.extend(Ping(scene.now_ms, scene.book.group.ids[node]) for node in chosen)
            text = f"{meters(len(chosen))} asked whether they have power, by {command.by}"
            scene.book.note(outage, text, code="pinged", n=len(chosen), by=command.by)

        return ping

    def _by_hand(self, scene: Scene, outage: Running) -> list[int]:
        group, limits, now_ms = scene.book.group, scene.limits, scene.now_ms
        self.forget(scene.evidence, now_ms)
        budget = self._budget(scene)
        if budget <= 0:
            raise Refused("as many meters were asked in this minute as may be; try again in one")
        members = outage.members[outage.out] if outage.dark else outage.members
        evidence = scene.evidence
        spoken = (evidence.heard_ms != NEVER) | (evidence.gasp_ms != NEVER)
        able = (self._reached(group, evidence, now_ms, limits) & spoken)[members]
        chosen = _spread(members[able], min(METERS_BY_HAND, budget))
        if not chosen:
            raise Refused("its meters were asked just now, or none of them can be reached")
        for node in chosen:
            self.sent(node, now_ms)
        return chosen

    def _choose(self, scene: Scene, verdict: Verdict) -> list[int]:
        """Meters to ask now, the most informative first; they count as asked."""
        group, now_ms, limits = scene.book.group, scene.now_ms, scene.limits
        budget = self._budget(scene)
        budget = min(budget, self._at_once(budget, scene))
        if budget <= 0 or len(verdict.nodes) == 0:
            return []
        able = self._able(group, scene.evidence, now_ms, limits)
        nearest = _nearest(group, verdict.nodes)
        asked = [int(nearest[node]) for node in self._awaited(now_ms, limits)]
        could = np.unique(nearest[able])
        chosen: list[int] = []
        for place in _least_sure(group, verdict, asked, could[could >= 0]):
            node = int(verdict.nodes[place])
            below = node + np.flatnonzero(
                (nearest[group.below(node)] == place) & able[group.below(node)]
            )
            chosen += _spread(below, min(METERS_A_DEVICE, budget - len(chosen)))
        for node in chosen:
            self.sent(node, now_ms)
        return chosen

    def _able(self, group: Group, evidence: Evidence, now_ms: int, limits: EngineSettings) -> Bools:
        """Meters that have ever spoken and may answer."""
        fresh_ms = now_ms - int(limits.ping_wait_s * 1000)
        heard = evidence.heard_ms
        able = self._reached(group, evidence, now_ms, limits)
        able &= (heard != NEVER) & (heard < fresh_ms)
        able &= ~(evidence.pending & (now_ms <= evidence.due_ms + AWAITED_MS))
        able[[node for node, times in self.asks.items() if len(times) >= ASKS_MAX]] = False
        return able

    def _reached(
        self, group: Group, evidence: Evidence, now_ms: int, limits: EngineSettings
    ) -> Bools:
        """Meters with a way to them from whom no answer is awaited."""
        able: Bools = np.diff(group.customer_from) > 0
        if len(group.dcus):
            silent = evidence.mute_dcu | self._in_vain(group, evidence, now_ms, limits)
            able &= ~(silent[group.dcu] & (group.dcu >= 0))
        able[self._awaited(now_ms, limits)] = False
        return able

    def _in_vain(
        self, group: Group, evidence: Evidence, now_ms: int, limits: EngineSettings
    ) -> Bools:
        """Concentrators that brought nothing since so many questions that more of them say no more:
        it may be mute, or all behind it in the dark.
        """
        asked, last_ms = np.zeros(len(group.dcus), np.int64), np.zeros(len(group.dcus), np.int64)
        late_ms = now_ms - int(limits.ping_wait_s * 1000)
        for node, times in self.asks.items():
            if (dcu := int(group.dcu[node])) >= 0:
                asked[dcu] += sum(evidence.word_ms[dcu] < at <= late_ms for at in times)
                last_ms[dcu] = max(last_ms[dcu], times[-1])
        in_vain: Bools = (asked >= IN_VAIN_MAX) & (last_ms > now_ms - IN_VAIN_MS)
        return in_vain

    def _awaited(self, now_ms: int, limits: EngineSettings) -> list[int]:
        wait_ms = int(limits.ping_wait_s * 1000)
        return [node for node, times in self.asks.items() if times[-1] + wait_ms > now_ms]

    def _at_once(self, budget: int, scene: Scene) -> int:
        """How many of a minute's questions may be asked before answers say who is to be next.

        Most have come by half of their time; where power is coming back there is no hurry, for
        meters say so themselves.
        """
        restoring = any(o.back_ms is not None for o in scene.book.running.values())
        wait_ms = int(scene.limits.ping_wait_s * (1000 if restoring else 500))
        recent = sum(at > scene.now_ms - wait_ms for at in self.sent_ms)
        return max((budget + recent) // 2, A_TIME_MIN) - recent

    def _budget(self, scene: Scene) -> int:
        """What is left for this minute: less in a small group, that none is asked to exhaustion;
        but what was spent on one outage is not missing for the next.
        """
        young_ms = scene.now_ms - MINUTE_MS
        young = sum(o.detected_ms > young_ms for o in scene.book.running.values())
        share = max(len(scene.book.group.customer_ids) // SHARE, FEW * (1 + young))
        return min(int(scene.limits.pings_per_minute), share) - len(self.sent_ms)


def ways(lost: float) -> float:
    """How many mean times of one way it takes until only a share of ``lost`` of the answers have
    not come.  A question has its way to the meter and the answer its way back, each as if by chance
    (Erlang's distribution of two).
    """
    means = -log(lost)
    for _ in range(WAYS_STEPS):
        means = log1p(means) - log(lost)
    return means


def missed(share: float, means: float) -> float:
    """What no answer is worth when a share of its time (``ways``) is over, of what it is worth in
    the end: at first little.
    """
    if share >= 1.0:
        return 1.0
    return (share * means - log1p(share * means)) / (means - log1p(means))


def _least_sure(group: Group, verdict: Verdict, asked: Iterable[int], could: I64) -> Iterator[int]:
    """Places of a verdict's devices that are worth a question, the best first: of those that
    ``could`` be asked, those of which the answers about the others leave most open.

    Whoever is below a device that is dead is dead, and whoever is above one that lives lives: so
    a device between two that are asked is open only where the upper lives and the lower is dead.
    """
    dead, nodes = verdict.dead, verdict.nodes
    ends = nodes + group.size[nodes]
    upper, lower = np.zeros(len(nodes)), np.ones(len(nodes))
    left = np.zeros(len(nodes), np.bool_)
    left[could] = True

    def told(place: int) -> None:
        left[place] = False
        below = (nodes > nodes[place]) & (nodes < ends[place])
        above = (nodes < nodes[place]) & (ends >= ends[place])
        upper[below] = np.maximum(upper[below], dead[place])
        lower[above] = np.minimum(lower[above], dead[place])

    for place in asked:
        if place >= 0:
            told(place)
    for _ in range(DEVICES_MAX):
        between = np.maximum(lower - upper, 1e-9)
        share = np.clip((dead - upper) / between, 0, 1)
        unsure = np.where(left, 4 * between * share * (1 - share), 0.0)
        place = int(np.argmax(unsure.round(1)))  # about the same: the upper one stands for more
        if unsure[place] <= UNSURE:
            return
        yield place
        told(place)


def _nearest(group: Group, nodes: I64) -> I64:
    """Entry a node: the place among ``nodes`` (ascending) of itself or the nearest above it."""
    nearest = np.full(len(group.ids), -1, np.int64)
    for place, node in enumerate(nodes.tolist()):
        nearest[node : node + int(group.size[node])] = place
    return nearest


def _spread(nodes: I64, count: int) -> list[int]:
    """So many of the nodes, evenly apart."""
    if count <= 0 or len(nodes) == 0:
        return []
    step = max(len(nodes) // count, 1)
    picked: list[int] = nodes[step // 2 :: step][:count].tolist()
    return picked
