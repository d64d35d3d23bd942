"""Peers of a cluster, each a real process that can be killed, and a day for its bus."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from grid.build import build
from grid.csvfolder import write
from grid.frame import NO_ROWS, NOT_YET, CaughtUp, Command, Deaf, PlanEntered
from grid.graph import BreakerAddress
from grid.network import Network, NodeKind
from ingest.packing import Packer
from service.clock import now_ms
from service.replaying import network_of
from service.sources import load_graph
from simulators.day import heard
from simulators.scenario import load
from simulators.world import World
from stream.kafka_clients import Credentials
from stream.producing import open_producer
from stream.records import Record, partition_of, record_bytes
from stream.settings import BusSettings

ROOT = Path(__file__).resolve().parent.parent.parent.parent


def pair_of_ports(free_port: Callable[[], int]) -> int:
    """A free port whose next one is free as well: a broker's and its controller's."""
    for _ in range(50):
        port = free_port()
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port + 1))
            return port
    raise AssertionError("no two free ports beside each other")


@dataclass
class Kafka:
    """A broker of a test's own."""

    folder: Path
    port: int
    wait_for_port: Callable[..., None]
    process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and return once it answers."""
        script = str(ROOT / "scripts" / "kafka.sh")
        if not (self.folder / "server.properties").exists():
            subprocess.run([script, "format", str(self.folder), str(self.port)], check=True)
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [script, "run", str(self.folder)], stdout=log, stderr=log
            )
        self.wait_for_port(self.port, self.process, 120)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It holds its connections and says nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop(self, *, kill: bool = False) -> None:
        """Stop it."""
        if self.process is not None:
            self.process.kill() if kill else self.process.terminate()
            self.process.wait(30)
            self.process = None


@pytest.fixture(scope="session")
def kafka(
    tmp_path_factory: pytest.TempPathFactory,
    free_port: Callable[[], int],
    left_out: Callable[[str, str], Any],
    wait_for_port: Callable[..., None],
) -> Iterator[Callable[[], Kafka]]:
    """Start brokers: ``kafka()``."""
    if not (ROOT / "build" / "kafka" / ".ready").exists() or shutil.which("java") is None:
        left_out("Apache Kafka", "make services, as root on Debian (Java, Maven, 45 MB)")
    started: list[Kafka] = []

    def start() -> Kafka:
        broker = Kafka(tmp_path_factory.mktemp("kafka"), pair_of_ports(free_port), wait_for_port)
        started.append(broker)
        broker.start()
        return broker

    yield start
    for broker in started:
        broker.stop(kill=True)


@pytest.fixture(scope="session")
def cluster_network(
    tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> Callable[[str], str]:
    """A network's folder with addresses for its breakers: ``cluster_network("city:2000:7")``."""

    def make(source: str) -> str:
        graph, _ = load_graph(source)
        network = build(graph).network
        assert network is not None
        switches = [
            group.ids[node]
            for group in network.groups
            for node in group.telemetered.nonzero()[0].tolist()
            if NodeKind.BREAKER <= group.kind[node] <= NodeKind.FUSE
        ]
        port = free_port()
        addresses = tuple(
            BreakerAddress(name, "127.0.0.1", port, unit, "fr100")
            for unit, name in enumerate(switches, 1)
        )
        folder = tmp_path_factory.mktemp("network")
        for name, text in write(
            msgspec.structs.replace(graph, breakers=addresses), contacts=True
        ).items():
            (folder / name).write_text(text)
        return str(folder)

    return make


@dataclass
class Timescale:
    """A TimescaleDB of a story's own, which may be killed."""

    name: str
    port: int
    script: str = str(ROOT / "scripts" / "timescale.sh")

    @property
    def url(self) -> str:
        return f"postgresql://lastgasp@127.0.0.1:{self.port}/lastgasp"

    def start(self) -> None:
        """A new one, with an empty database that has the extension."""
        self._run("start", self.name, str(self.port))
        admin = f"postgresql://postgres@127.0.0.1:{self.port}/"
        with psycopg.connect(f"{admin}postgres", autocommit=True) as connection:
            connection.execute("CREATE ROLE lastgasp LOGIN")
            connection.execute("CREATE DATABASE lastgasp OWNER lastgasp TEMPLATE template0")
        with psycopg.connect(f"{admin}lastgasp", autocommit=True) as connection:
            connection.execute("CREATE EXTENSION timescaledb")

    def kill(self) -> None:
        """``kill -9`` of all its processes."""
        self._run("kill", self.name)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It holds its connections and says nothing."""
        self._run("freeze", self.name)
        try:
            yield
        finally:
            self._run("thaw", self.name)

    def again(self) -> None:
        """Start it again, as it was."""
        self._run("again", self.name, str(self.port))

    def stop(self) -> None:
        """Stop it and throw it away."""
        self._run("stop", self.name)

    def _run(self, *words: str) -> None:
        subprocess.run([self.script, *words], check=True, timeout=90)


@pytest.fixture(scope="session")
def own_timescale(
    free_port: Callable[[], int], left_out: Callable[[str, str], Any]
) -> Iterator[Callable[[], Timescale]]:
    """Start databases: ``own_timescale()``."""
    if not (ROOT / "build" / "trixie" / ".ready").exists() or os.geteuid() != 0:
        left_out("TimescaleDB", "make services, as root on Debian (debootstrap, 700 MB)")
    started: list[Timescale] = []

    def start() -> Timescale:
        database = Timescale(f"t-{uuid.uuid4().hex[:12]}", free_port())
        started.append(database)
        database.start()
        return database

    yield start
    for database in started:
        database.stop()


BEGIN_MS = 1_793_491_200_000
SENDER = "mqtt-gateway@day"
DAY_PARTITIONS = 4  # as many as a story's cluster has


class Day:
    """A scenario on its way over a cluster's bus as fast as workers take it, in its own time."""

    def __init__(
        self, cluster: Any, text: str, *, slices: int = 1, begin_ms: int = BEGIN_MS
    ) -> None:
        path = cluster.data.parent / "day.toml"
        path.write_text(text)
        network = network_of(cluster.network)
        world = World(network, load(path), begin_ms)
        self.cluster = cluster
        self.truth = list(world.truth())
        self.sent = 0
        self._slug = network.groups[0].slug
        self._partition = partition_of(self._slug, DAY_PARTITIONS)
        records = list(self._records(world, network))
        size = -(-len(records) // slices)
        self._slices = [records[i : i + size] for i in range(0, len(records), size)]
        cluster.prepare()
        cluster.begin("worker")
        cluster.wait_ready()

    def _records(self, world: World, network: Network) -> Iterator[Record]:
        """A record each second of the story; plans are entered when they are announced."""
        packer = Packer(network)
        rows = {
            second: packer.pack((r for m in messages for r in m.readings), second * 1000)[0]
            for second, messages in groupby(heard(world), lambda m: m.received_ms // 1000)
        }
        begin_ms = world.start_ms
        for second in range(begin_ms // 1000, world.end_ms // 1000):
            told: list[Command] = [
                PlanEntered(NOT_YET, p.plan_id, p.device_id, p.from_ms, p.to_ms, p.kind, p.reason)
                for p in world.plans
                if max(p.announced_ms, begin_ms) // 1000 == second
            ]
            if second * 1000 == begin_ms:
                told += [Deaf(NOT_YET, "mqtt", 0, begin_ms), CaughtUp(NOT_YET, "mqtt")]
            yield Record(
                sender=SENDER, sent_ms=second * 1000 + 999, network=network.version,
                group=self._slug, rows=rows.get(second, NO_ROWS).tobytes(), commands=tuple(told),
            )  # fmt: skip

    @property
    def left(self) -> bool:
        """Whether there are slices yet."""
        return bool(self._slices)

    def next(self, *, again: bool = False, swapped: bool = False) -> None:
        """Send a slice; all of it once more, or each two of it the wrong way round."""
        records = self._slices.pop(0)
        if swapped:
            records = [
                r for pair in zip(records[1::2], records[::2], strict=False) for r in pair
            ] + records[len(records) // 2 * 2 :]
        self.send([record_bytes(record) for record in records])
        if again:
            self.send([record_bytes(record) for record in records])

    def send(self, bodies: list[bytes]) -> None:
        settings = BusSettings(bootstrap=self.cluster.kafka.bootstrap, partitions=DAY_PARTITIONS)

        async def sending() -> None:
            async with open_producer(settings, Credentials()) as producer:
                for body in bodies:
                    await producer.send("lastgasp.frames", self._partition, self._slug, body)

        asyncio.run(sending())
        self.sent += len(bodies)

    def committed(self) -> bool:
        """Whether everything sent is behind us."""
        rows = self.cluster.sql(
            "SELECT next_offset FROM bus_partitions WHERE topic = 'lastgasp.frames' "
            f"AND partition = {self._partition}"
        )
        return bool(rows) and rows[0][0] == self.sent


@pytest.fixture(scope="session")
def day_on_the_bus() -> Callable[..., Day]:
    """Begin a worker, and have a day for it: ``day_on_the_bus(cluster, scenario, slices=8)``."""
    return Day


FIRST_S = 13.0  # of the storm: the first faults have struck
APART_S = 4.5  # between two kills: the last comes before the last repair


def kill_a_role(role: str) -> Callable[[Any], None]:
    def act(cluster: Any) -> None:
        cluster.end(role, kill=True)
        cluster.begin(role)

    return act


def kill_a_server(name: str) -> Callable[[Any], None]:
    def act(cluster: Any) -> None:
        server = getattr(cluster, name)
        server.stop(kill=True)
        server.start()

    return act


def kill_the_database(cluster: Any) -> None:
    cluster.database.kill()
    cluster.database.again()


KILLS = (
    kill_a_role("worker"),
    kill_a_role("mqtt-gateway"),
    kill_a_role("push"),
    kill_a_server("kafka"),
    kill_the_database,
    kill_a_server("mosquitto"),
)


def outlive(story: Any) -> Any:
    """Live through the storm while each part is killed in turn and started again."""
    cluster = story.begin().service
    for number, kill in enumerate(KILLS):
        second = FIRST_S + number * APART_S
        begun_ms = story.begun_ms()
        cluster.wait(
            lambda begun_ms=begun_ms, second=second: now_ms() >= begun_ms + second * 1000,
            second + 60, f"second {second} of the story",
        )  # fmt: skip
        kill(cluster)
    cluster.wait_ready(120)
    story.wait_until_over(200)
    return story


@pytest.fixture(scope="session")
def outlived() -> Callable[[Any], Any]:
    """Live through a storm: ``outlived(story)``."""
    return outlive
