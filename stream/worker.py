"""What a worker holds: the partitions that Kafka gave it, each with its engines.

At an assignment each partition is taken over in the database first, which fences whoever had it,
and only then its engines are loaded, so nobody writes behind what was read.  Engines that are what
the database has are kept over a rebalance.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

import structlog

from detectors.engine import Engine
from grid.errors import Fenced, Unreachable
from grid.frame import Command, PlanEntered
from grid.network import Network
from grid.parcel import Claim
from stream.holding import Commit, Done, Holding, Incoming, Renumber
from stream.partition import Partition
from stream.settings import BusSettings, StreamSettings

log = structlog.get_logger()
WATCH_S = 0.5

Place = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True, slots=True)
class Engines:
    """Where a worker's engines come from, and where what they say goes."""

    claim: Callable[[str, int, int | None], Awaitable[Claim]]
    load: Callable[[int], Awaitable[Mapping[int, Engine]]]
    """The engines of a partition of ``frames``."""
    slugs: Callable[[int], Mapping[str, int]]
    """The feeder groups of a partition of ``frames`` and their numbers."""
    network: str
    commit: Commit
    committed: Callable[[Done], Awaitable[None]]
    renumber: Renumber
    opening: Callable[[Mapping[int, Engine]], tuple[tuple[int, Command], ...]]
    """What engines are told first, like settings that are not theirs yet."""


class Worker:
    """Implements what Faust asks at an assignment, and takes its events."""

    def __init__(self, frames: str, settings: BusSettings, stream: StreamSettings) -> None:
        self._frames = frames
        self._settings = settings
        self._stream = stream
        self._held: dict[Place, tuple[Partition, asyncio.Task[None]]] = {}
        self._newest: Network | None = None  # that came while we ran
        self._assigning = asyncio.Lock()
        self.assigned = asyncio.Event()  # once, at the first assignment
        self.assignment_s = 0.0  # how long the last one took

    def use(self, engines: Engines) -> None:
        """Where engines come from; said once, before the first assignment."""
        self._engines = engines

    def replace_network(
        self, network: Network, engines: Engines, plans: Sequence[PlanEntered] = ()
    ) -> None:
        """Run another version of the network, in each partition from its next record on; ``plans``
        are all that are open.
        """
        self._engines, self._newest = engines, network
        for partition in self.partitions.values():
            partition.replace_network(network, plans)

    @property
    def partitions(self) -> Mapping[Place, Partition]:
        """What is held now."""
        return {place: partition for place, (partition, _) in self._held.items()}

    @property
    def trouble(self) -> str | None:
        """Why not all is well; None if it is."""
        if not self.assigned.is_set():
            return "no partition was assigned yet"
        fenced = [place for place, (partition, _) in self._held.items() if partition.fenced]
        return f"partition {fenced[0][1]} is another worker's" if fenced else None

    async def assign(self, places: Iterable[Place]) -> Mapping[Place, int | None]:
        """Hold these partitions and no others; where to read each from (None: it never began)."""
        async with self._assigning:
            began_s, wanted = monotonic(), set(places)
            idle = await self._stop_all()
            offsets: dict[Place, int | None] = {}
            for place in sorted(wanted):
                offsets[place] = await self._insist(place, idle.get(place))
            self.assigned.set()
            self.assignment_s = monotonic() - began_s
            log.info("partitions_assigned", partitions=len(wanted), kept=len(wanted & idle.keys()))
            return offsets

    async def take(self, place: Place, record: Incoming) -> None:
        """Queue a record with its partition; those of others are dropped: they will read them."""
        held = self._held.get(place)
        if held is not None:
            await held[0].take(record)

    async def watch(self) -> None:
        """Return never; raise when a partition has failed, or stays fenced although it is ours.

        Raises:
            Fenced: Kafka says that a partition is ours and the database that it is not.
        """
        fenced_s = 0.0
        while True:
            await asyncio.sleep(WATCH_S)
            for partition, task in self._held.values():
                if task.done() and not partition.fenced:
                    task.result()
            fenced = any(partition.fenced for partition in self.partitions.values())
            fenced_s = fenced_s + WATCH_S if fenced else 0.0
            if fenced_s > 2 * self._settings.session_s:
                raise Fenced(f"{self.trouble}, and Kafka says it is ours; start this one again")

    async def stop(self) -> None:
        """Hold nothing."""
        async with self._assigning:
            await self._stop_all()

    async def _stop_all(self) -> Mapping[Place, Partition]:
        """At the same time, for each may wait for its commit."""
        held = tuple(self._held)
        return dict(zip(held, await asyncio.gather(*map(self._stop, held)), strict=True))

    async def _insist(self, place: Place, idle: Partition | None) -> int | None:
        """Hold a partition; while the database is away nothing is assigned."""
        while True:
            try:
                return await self._hold(place, idle)
            except Unreachable as away:
                log.warning("assignment_waits", reason=away.message, retry_in_s=away.retry_in_s)
                await asyncio.sleep(away.retry_in_s)

    async def _hold(self, place: Place, idle: Partition | None) -> int | None:
        topic, number = place
        claim = await self._engines.claim(topic, number, None)
        kept = idle is not None and idle.as_committed and idle.committed_offset == claim.next_offset
        if idle is not None and kept:
            holding = self._holding(claim, idle.engines, idle.network)
        else:
            holding = await self._loaded(claim)
        partition = Partition(
            holding,
            slugs=self._engines.slugs(number) if topic == self._frames else {},
            commit=self._engines.commit,
            committed=self._engines.committed,
            begin_again=self._begin_again,
            renumber=self._engines.renumber,
            settings=self._settings,
            stream=self._stream,
        )
        if self._newest is not None:
            partition.replace_network(self._newest)
        task = asyncio.create_task(partition.run(), name=f"{topic}/{number}")
        self._held[place] = (partition, task)
        return claim.next_offset

    async def _begin_again(self, claim: Claim) -> Holding:
        again = await self._engines.claim(claim.topic, claim.partition, claim.generation)
        return await self._loaded(again)

    async def _loaded(self, claim: Claim) -> Holding:
        source = self._engines  # of one version of the network, whatever comes meanwhile
        ours = claim.topic == self._frames
        engines = await source.load(claim.partition) if ours else {}
        return self._holding(claim, engines, source.network)

    def _holding(self, claim: Claim, engines: Mapping[int, Engine], network: str) -> Holding:
        return Holding(claim, engines, network, self._engines.opening(engines))

    async def _stop(self, place: Place) -> Partition:
        partition, task = self._held.pop(place)
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("partition_failed", topic=place[0], partition=place[1], error=repr(error))
        return partition
