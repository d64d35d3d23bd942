"""Seeded worlds played through the engine in stream time: the work behind ``lastgasp evaluate``.

The engine, decoding's packing and clock repair are those of the live service; between them and the
world are no sockets and no clock.  The peer, the count-and-percentage rule, hears the same rows.
"""

import heapq
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count

import msgspec

from detectors.settings import EngineSettings
from grid.frame import Rows, joined
from grid.graph import Graph
from grid.network import Network
from grid.outage import Change, Ping
from grid.reading import Kind
from ingest.packing import Packer
from service.accepted import accepted
from service.replay import Replay
from service.sources import load_graph
from simulators.callers import calls
from simulators.cells import WARM_S, Cell
from simulators.chance import Chance
from simulators.day import Heard, heard
from simulators.miswired import miswired
from simulators.phased import phased
from simulators.quiet import quiet_hours
from simulators.rule import Rule
from simulators.scoring import VOICES, Day, DayScore, Word, score
from simulators.world import World

START_MS = 1_793_491_200_000  # 2026-11-01; a world is the same whenever it begins
STRIDE_MS = 1000  # pings are answered, and time passes, in steps of this
CALM_STRIDE_MS = 3000  # before anything happens: still answers are in time (ping_wait_s)
RULE_EVERY_MS = 30_000
_SAYS_OFF = (Kind.LAST_GASP, Kind.TRIP, Kind.LOCKOUT, Kind.CALL_NO_POWER)


def evaluated(
    source: str, cell: Cell, seed: int, faults: int, settings: EngineSettings
) -> DayScore:
    """Play one story of a cell over a network and score it."""
    day, world = played(source, cell, seed, faults, settings)
    return score(world, day)


def played(
    source: str, cell: Cell, seed: int, faults: int, settings: EngineSettings
) -> tuple[Day, World]:
    """Play one story: what was said of it, and the world that it was said of."""
    graph, network = _network(source)
    if cell.single_phase:
        graph = phased(graph, cell.single_phase, Chance(seed))
        network = accepted(graph, f"{source} with meters of one phase")
    world = World(network, cell.scenario(seed, faults), START_MS)
    believed = network
    if cell.wrong_topology:
        records = miswired(graph, cell.wrong_topology, Chance(seed))
        believed = accepted(records, f"{source} with wrong records")
    return _Stage(world, believed, settings).play(cell, Chance(seed)), world


@lru_cache(maxsize=4)
def _network(source: str) -> tuple[Graph, Network]:
    graph, problems = load_graph(source)
    return graph, accepted(graph, source, problems)


class _Stage:
    """One story on its way through the engines."""

    def __init__(self, world: World, believed: Network, settings: EngineSettings) -> None:
        self._world = world
        self._network = believed
        self._packer = Packer(believed)
        self._replay = Replay(believed, settings, self._hear)
        self._rule = Rule(believed)
        self._day = Day()
        self._asked: list[Ping] = []

    def play(self, cell: Cell, chance: Chance) -> Day:
        """From the beginning to the end."""
        world, ties = self._world, count()
        heap: list[tuple[int, int, Heard]] = []
        messages = heapq.merge(
            heard(world), calls(world, cell.calls, chance), key=lambda m: m.received_ms
        )
        coming = next(messages, None)
        for now_ms in _moments(world):
            while coming is not None and coming.received_ms <= now_ms:
                heapq.heappush(heap, (coming.received_ms, next(ties), coming))
                coming = next(messages, None)
            rows: list[Rows] = []
            while heap and heap[0][0] <= now_ms:
                rows.append(self._take(heapq.heappop(heap)[2]))
            self._rule.take(joined(rows))
            self._replay.advance(now_ms)
            for answer in self._answers(now_ms):
                heapq.heappush(heap, (answer.received_ms, next(ties), answer))
            if now_ms % RULE_EVERY_MS == 0:
                self._day.rule[now_ms] = self._rule.declared()
        return self._day

    def _hear(self, changes: Sequence[Change], pings: Sequence[Ping]) -> None:
        self._day.changes += changes
        self._day.pings += len(pings)
        self._asked += pings

    def _take(self, message: Heard) -> Rows:
        rows, _ = self._packer.pack(message.readings, message.received_ms)
        self._day.readings += len(message.readings)
        for reading in message.readings:
            if reading.kind in _SAYS_OFF:
                voice = message.cls if message.cls in VOICES else "meter"  # by its concentrator too
                word = Word(message.received_ms, voice)
                self._day.heard_off.setdefault(reading.device_id, []).append(word)
        if len(rows):
            self._replay.rows(rows.copy())
        return rows

    def _answers(self, now_ms: int) -> Iterator[Heard]:
        for ping in self._asked:
            fact = self._world.answer(ping.device_id, now_ms)
            if fact is not None:
                yield Heard(fact.due_ms, fact.cls, fact.id, (fact.reading,))
        self._asked.clear()


def _moments(world: World) -> Iterator[int]:
    calm_until_ms = world.start_ms + round(1000 * WARM_S)
    yield from range(world.start_ms, calm_until_ms, CALM_STRIDE_MS)
    yield from range(calm_until_ms, world.end_ms, STRIDE_MS)
    yield world.end_ms


def quiet(source: str, days: int, seed: int, settings: EngineSettings) -> tuple[float, list[str]]:
    """Let a network be quiet for some days: its meter-days, and the outages that never were."""
    _, network = _network(source)
    false: dict[str, str] = {}

    def hear(changes: Sequence[Change], _pings: Sequence[Ping]) -> None:
        for change in changes:
            outage = change.outage
            false.setdefault(outage.id, f"{outage.device_id}: {'; '.join(outage.evidence)}")

    unasked = msgspec.structs.replace(settings, pings_per_minute=0.0)  # nobody would answer
    replay = Replay(network, unasked, hear)
    for end_ms, rows in quiet_hours(network, days, START_MS, seed):
        if len(rows):
            replay.rows(rows)
        replay.advance(end_ms)
    return len(network.customer_meters) * float(days), list(false.values())
