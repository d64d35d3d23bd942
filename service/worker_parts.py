"""What a worker is made of beside Faust: the store, the engines it loads, the words it says."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import numpy as np
import structlog

from detectors.engine import Engine
from detectors.settings import EngineSettings
from grid.errors import BadPayload, ConfigError, LastgaspError
from grid.frame import NOT_YET, Command, PlanEntered, Rows, SettingsChanged
from grid.network import Group, Network
from grid.times import from_rfc3339
from service import stored
from service.metrics import Metrics
from service.pulse import Pulse
from service.role_run import RoleRun
from store.postgres import Store
from stream.holding import Done
from stream.kafka_clients import topic_of
from stream.producing import Producer
from stream.records import Ask, Committed, Record, Word, partition_of, word_bytes
from stream.worker import Engines, Worker

log = structlog.get_logger()

LOADING_MAX = 4  # groups read from the database at a time
GroupIn = Callable[[str, str], Awaitable[Group]]
"""A group, by its slug, in a version of the network."""


class Numberings:
    """Versions of the network that gateways may number their rows by, each read once."""

    def __init__(self, store: Store, network: Network, limit: int) -> None:
        self._store = store
        self._limit = limit
        self._reading = asyncio.Lock()
        self._known = {network.version: network}

    def know(self, network: Network) -> None:
        """One more; the oldest of too many is let go."""
        self._known[network.version] = network
        while len(self._known) > self._limit:
            del self._known[next(iter(self._known))]

    async def group(self, slug: str, version: str) -> Group:
        """A group as it is in a version.

        Raises:
            ConfigError: The database does not hold that version, or the group was not in it.
        """
        async with self._reading:
            if version not in self._known:
                self.know(await stored.network_in(self._store, version))
        return stored.group_in(self._known[version], slug)


class Mouth:
    """Says words to gateways and desks: those that nobody hears are said again by nobody."""

    def __init__(self, run: RoleRun, producer: Producer) -> None:
        self._settings = run.settings.kafka
        self._topic = topic_of(run.settings.kafka, "commands")
        self._producer = producer

    async def committed(self, done: Done) -> None:
        """What is committed may be forgotten by its devices, and meters are asked."""
        for sender, tickets in done.tickets.items():
            await self._say(sender, Committed(tuple(tickets)))
        if done.pings and done.asked is not None:
            await self._say(done.asked, Ask(tuple(done.pings)))

    async def _say(self, to: str, word: Word) -> None:
        partition = partition_of(to, self._settings.partitions)
        try:
            answered = await self._producer.begin(self._topic, partition, to, word_bytes(word))
        except LastgaspError as error:
            log.warning("word_not_said", to=to, reason=error.message)
            return
        answered.add_done_callback(lambda done: done.exception())


def engines_for(
    run: RoleRun, store: Store, network: Network, *, owner: str, numberings: Numberings,
    pulse: Pulse, mouth: Mouth,
) -> Engines:  # fmt: skip
    """How a worker loads, commits and tells; ``owner`` is this process, whatever the network."""
    partitions, wanted = run.settings.kafka.partitions, run.settings.engine
    by_partition: dict[int, dict[str, int]] = {}
    for group in network.groups:
        mine = by_partition.setdefault(partition_of(group.slug, partitions), {})
        mine[group.slug] = group.no

    async def load(partition: int) -> Mapping[int, Engine]:
        room = asyncio.Semaphore(LOADING_MAX)

        async def one(number: int) -> Engine:
            async with room:
                return await stored.engine_of(store, network, number, wanted)

        numbers = list(by_partition.get(partition, {}).values())
        return dict(zip(numbers, await asyncio.gather(*map(one, numbers)), strict=True))

    return Engines(
        claim=lambda topic, partition, held: store.claim(topic, partition, owner, held=held),
        load=load,
        slugs=lambda partition: by_partition.get(partition, {}),
        network=network.version,
        commit=pulse.commit,
        committed=mouth.committed,
        opening=partial(settings_to_tell, wanted),
        renumber=partial(renumbered, numberings.group),
    )


def settings_to_tell(
    wanted: EngineSettings, engines: Mapping[int, Engine]
) -> tuple[tuple[int, Command], ...]:
    """Settings are part of the recorded stream: an engine that has others is told."""
    numbers = {name: getattr(wanted, name) for name in wanted.__struct_fields__}
    others = [n for n, e in engines.items() if e.limits != wanted or e.position == 0]
    return tuple((number, SettingsChanged(NOT_YET, numbers)) for number in others)


async def open_plans(store: Store, at_ms: int) -> list[PlanEntered]:
    """Plans that are neither over nor cancelled.

    Raises:
        Unreachable: The database is away.
    """
    return [
        PlanEntered(NOT_YET, p.id, p.device_id, from_rfc3339(p.from_), from_rfc3339(p.to), p.kind,
                    p.reason)
        for p in await store.plans(at_ms)
    ]  # fmt: skip


async def renumbered(group_in: GroupIn, record: Record, rows: Rows, new: Group) -> Rows:
    """The rows of a record by the group that we run: devices are the same where their ids are, and
    what is said of one that is not here is let go.

    Raises:
        BadPayload: The database does not hold that version.
    """
    try:
        old = await group_in(record.group, record.network)
    except ConfigError as unknown:
        raise BadPayload(unknown.message) from unknown
    nodes = _translation(old.ids, new.ids)
    dcus = _translation(old.dcus, new.dcus)
    moved = rows.copy()
    moved["group"] = new.no
    moved["node"] = nodes[rows["node"]]
    moved["dcu"] = np.where(rows["dcu"] < 0, -1, dcus[rows["dcu"]]) if len(dcus) else -1
    here: Rows = moved[moved["node"] >= 0]
    if len(here) < len(rows):
        log.warning("readings_of_devices_elsewhere", readings=len(rows) - len(here),
                    group=record.group, numbered_by=record.network)  # fmt: skip
    return here


def _translation(
    old: Sequence[str], new: Sequence[str]
) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    place = {name: index for index, name in enumerate(new)}
    return np.array([place.get(name, -1) for name in old], np.int64)


def worker_figures(metrics: Metrics, worker: Worker, now_ms: Callable[[], int]) -> None:
    """What Prometheus is told of a worker's partitions."""
    metrics.gauge("lastgasp_bus_partitions", "Partitions held", lambda: len(worker.partitions))
    metrics.gauge(
        "lastgasp_bus_assignment_seconds",
        "From the last assignment of partitions to their engines being as committed",
        lambda: worker.assignment_s,
    )
    metrics.gauge(
        "lastgasp_bus_waiting_records",
        "Records read and not applied",
        lambda: sum(partition.waiting for partition in worker.partitions.values()),
    )

    def behind_s() -> float:
        held = [
            partition.stream_ms for partition in worker.partitions.values() if partition.engines
        ]
        return max(0.0, (now_ms() - min(held)) / 1000) if held else 0.0

    metrics.gauge(
        "lastgasp_bus_behind_seconds", "How far stream time is behind our clock", behind_s
    )
