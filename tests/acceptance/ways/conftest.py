"""Peers of a cluster, each a real process that can be killed: Apache Kafka and Mosquitto."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import psycopg
import pytest

from grid.build import build
from grid.csvfolder import write
from grid.graph import BreakerAddress
from grid.network import NodeKind
from service.clock import now_ms
from service.sources import load_graph

ROOT = Path(__file__).resolve().parent.parent.parent.parent
T = TypeVar("T")


def until(condition: Callable[[], T], within_s: float, what: Callable[[], str]) -> T:
    """The first true value of a condition."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {within_s} s for {what()}")


def listens(port: int, process: "subprocess.Popen[bytes] | None") -> bool:
    """Whether a process that goes on has taken its port."""
    assert process is not None
    assert process.poll() is None, f"ended with {process.returncode}"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


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
        until(lambda: listens(self.port, self.process), 120, lambda: "Kafka")

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
) -> Iterator[Callable[[], Kafka]]:
    """Start brokers: ``kafka()``."""
    if not (ROOT / "build" / "kafka" / ".ready").exists() or shutil.which("java") is None:
        left_out("Apache Kafka", "make services, as root on Debian (Java, Maven, 45 MB)")
    started: list[Kafka] = []

    def start() -> Kafka:
        broker = Kafka(tmp_path_factory.mktemp("kafka"), pair_of_ports(free_port))
        started.append(broker)
        broker.start()
        return broker

    yield start
    for broker in started:
        broker.stop(kill=True)


@dataclass
class Mosquitto:
    """A broker of devices, of a test's own."""

    port: int
    command: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and return once it listens."""
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(lambda: listens(self.port, self.process), 20, lambda: "Mosquitto")

    def stop(self, *, kill: bool = False) -> None:
        """Stop it."""
        if self.process is not None:
            self.process.kill() if kill else self.process.terminate()
            self.process.wait(10)
            self.process = None


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


@pytest.fixture(scope="session")
def broker_of_devices(
    tool: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
    free_port: Callable[[], int],
) -> Iterator[Callable[[], Mosquitto]]:
    """Start a Mosquitto: it has to outlive a test."""
    started: list[Mosquitto] = []

    def start() -> Mosquitto:
        port = free_port()
        path = tmp_path_factory.mktemp("mosquitto") / "mosquitto.conf"
        user = "user root\n" if os.geteuid() == 0 else ""
        limits = "max_queued_messages 0\nmax_inflight_messages 1000\n"
        path.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n{user}{limits}")
        broker = Mosquitto(port, (tool("mosquitto"), "-c", str(path)))
        started.append(broker)
        broker.start()
        return broker

    yield start
    for broker in started:
        broker.stop(kill=True)


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
