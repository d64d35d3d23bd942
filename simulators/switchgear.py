"""Breakers and reclosers as their relays see them: position, counters, currents, at any time."""

import math
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from grid.network import Network, NodeKind, Place
from grid.reading import Kind
from simulators.chance import Chance
from simulators.power import Power
from simulators.scenario import Field
from simulators.scene import Scene
from simulators.story import Operation, Silence, Story

_AMPS_A_CUSTOMER = 0.06  # 1 kVA at 10 kV
_DAILY_MS = 3_600_000  # the load swings once an hour: a story shows it
_SLOT_MS = 10_000  # between two readings of the load's own noise
_CACHE_MAX = 4096
_ISOLATING = (NodeKind.BREAKER, NodeKind.SWITCH, NodeKind.RECLOSER, NodeKind.FUSE)


@dataclass(frozen=True, slots=True)
class BreakerState:
    """What a relay knows at one moment."""

    branch_id: str
    closed: bool
    live: bool  # voltage on its source side
    lockout: bool
    trips: int  # since the story began
    operations: int
    last: Operation | None
    amps: tuple[float, float, float]
    fault_amps: float  # of the last trip


class Switchgear:
    """The telemetered switchgear of a world."""

    def __init__(self, scene: Scene, story: Story, power: Power) -> None:
        self._network = network = scene.network
        self._power = power
        self._story = story
        self._chance = scene.chance
        self._start_ms = scene.start_ms
        self._silences: defaultdict[str, list[Silence]] = defaultdict(list)
        for silence in story.breaker_silences:
            self._silences[silence.device_id].append(silence)
        self._own = [np.diff(group.customer_from) for group in network.groups]
        self._fed: dict[tuple[Place, int], int] = {}
        self.places = relays(network, scene.field, scene.chance)

    def state(self, branch_id: str, at_ms: int) -> BreakerState:
        """A breaker as it is at a moment."""
        place = self.places[branch_id]
        done = self.done(branch_id, at_ms)
        last = done[-1] if done else None
        trips = [op for op in done if op.kind is Kind.TRIP]
        closed = last is None or last.kind is Kind.CLOSE
        parent = int(self._network.groups[place.group].parent[place.node])
        live = self._power.at(Place(place.group, parent), at_ms)
        return BreakerState(
            branch_id=branch_id,
            closed=closed,
            live=live,
            lockout=last is not None and last.kind is Kind.LOCKOUT,
            trips=len(trips),
            operations=len(done),
            last=last,
            amps=self._amps(place, at_ms) if closed and live else (0.0, 0.0, 0.0),
            fault_amps=trips[-1].fault_a if trips else 0.0,
        )

    def done(self, branch_id: str, at_ms: int) -> tuple[Operation, ...]:
        """Its operations up to a moment, in order."""
        operations = self._story.operations.get(self.places[branch_id], ())
        return operations[: bisect_right(operations, at_ms, key=lambda op: op.at_ms)]

    def silent(self, branch_id: str, at_ms: int) -> bool:
        """Whether its unit does not answer."""
        silences = self._silences.get(branch_id, ())
        return any(s.from_ms <= at_ms < s.until_ms for s in silences)

    def _amps(self, place: Place, at_ms: int) -> tuple[float, float, float]:
        """The load of those who have power behind it, a little different in each phase."""
        stage = self._power.stage(place.group, at_ms)
        fed = self._fed.get((place, stage))
        if fed is None:
            below = self._network.groups[place.group].below(place.node)
            alive = self._power.mask(place.group, at_ms)[below]
            fed = int(self._own[place.group][below][alive].sum())
            if len(self._fed) >= _CACHE_MAX:
                self._fed.clear()
            self._fed[place, stage] = fed
        since_ms = at_ms - self._start_ms
        noise = self._chance.four("load", place.group, place.node, since_ms // _SLOT_MS)
        swing = 1 + 0.1 * math.sin(2 * math.pi * (since_ms / _DAILY_MS + noise[3] * 0.01))
        a, b, c = (round(fed * _AMPS_A_CUSTOMER * swing * (0.98 + 0.04 * n), 1) for n in noise[:3])
        return a, b, c


def relays(network: Network, field: Field, chance: Chance) -> dict[str, Place]:
    """The switchgear that answers for itself: what has an address or is telemetered.

    In a network that says nothing of either, all feeder breakers do.
    """
    addressed = {address.branch_id for address in network.breakers}
    found: dict[str, Place] = {}
    breakers: dict[str, Place] = {}
    for group in network.groups:
        for node in np.flatnonzero(np.isin(group.kind, _ISOLATING)).tolist():
            name = group.ids[node]
            if group.telemetered[node] or name in addressed:
                found[name] = Place(group.no, node)
            if group.kind[node] == NodeKind.BREAKER:
                breakers[name] = Place(group.no, node)
    share = field.breakers
    return {n: p for n, p in (found or breakers).items() if chance.one("relay", n) < share}
