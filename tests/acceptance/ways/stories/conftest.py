"""A cluster of real processes: Apache Kafka, TimescaleDB, Mosquitto, and a process each role.

What a story wants of a service (tests/acceptance) it finds here under the same names, so the same
stories are told over both ways: ``tales`` in one process each, ``cluster_tales`` here.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg
import pytest

from service.clock import now_ms
from simulators.smsc import Smsc

LASTGASP = str(Path(sys.executable).with_name("lastgasp"))
ROLES = ("worker", "dispatch", "push", "mqtt-gateway", "modbus-gateway", "texts")
PARTITIONS = 4
READY_S = 180.0
QUEUES = "max_queued_messages 0\nmax_inflight_messages 1000"
T = TypeVar("T")


@dataclass
class Member:
    """One process of a role."""

    role: str
    instance: str
    config: Path
    health: int
    log: Path
    process: subprocess.Popen[bytes] | None = None
    answer: str = ""  # the last of /readyz

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ready(self) -> bool:
        """Whether /readyz says so."""
        assert self.alive, f"{self.role} has ended: {self.tail()}"
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.health}/readyz", timeout=2)
        except httpx.HTTPError as error:
            self.answer = repr(error)
            return False
        self.answer = answer.text
        return answer.status_code == 200

    def tail(self) -> str:
        """The last that it said."""
        said = self.log.read_text(errors="replace").splitlines()[-15:]
        return "\n".join([*said, f"/readyz: {self.answer}"])


@dataclass
class Cluster:
    """All of it.  ``members`` by ``role/instance``."""

    data: Path
    kafka: Any
    mosquitto: Any
    database: Any
    http: int
    feeds: int
    sms: int
    network: str
    config: str
    free_port: Callable[[], int]
    until: Callable[..., Any]
    scenario: Path | None = None
    members: dict[str, Member] = field(default_factory=dict)
    field_process: subprocess.Popen[bytes] | None = None

    # -- what is done to it ------------------------------------------------------------------------

    def start(self) -> "Cluster":
        """Topics, tables, network, then one of each role, then the field; or the roles again."""
        first = not self.members
        if first:
            self.prepare()
        for role in ROLES:
            self.begin(role)
        if first and self.scenario is not None:
            self.play()
        self.wait_ready()
        return self

    def prepare(self) -> None:
        """Topics, tables, network."""
        self.data.mkdir(parents=True, exist_ok=True)
        self.once("admin", "--network", self.network)

    def stop(self) -> None:
        """Every role, in order; servers and field go on."""
        for role in reversed(ROLES):
            self.end(role)

    def kill(self) -> None:
        """``kill -9`` of every role."""
        for role in ROLES:
            self.end(role, kill=True)

    def once(self, role: str, *arguments: str) -> None:
        """Run a role that ends by itself."""
        member = self._member(role, "1")
        with member.log.open("ab") as log:
            subprocess.run(
                self._command(member, *arguments), env=self._env, stdout=log, stderr=log,
                timeout=180, check=True,
            )  # fmt: skip

    def begin(self, role: str, instance: str = "1") -> Member:
        """Start a process of a role."""
        member = self.members.get(f"{role}/{instance}") or self._member(role, instance)
        self.members[f"{role}/{instance}"] = member
        with member.log.open("ab") as log:
            member.process = subprocess.Popen(
                self._command(member), env=self._env, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True,
            )  # fmt: skip
        return member

    def end(self, role: str, instance: str = "1", *, kill: bool = False) -> float:
        """Stop a process of a role; how many seconds that took."""
        member = self.members[f"{role}/{instance}"]
        if member.process is None:
            return 0.0
        began = time.monotonic()
        os.killpg(member.process.pid, signal.SIGKILL if kill else signal.SIGTERM)
        member.process.wait(30)
        member.process = None
        return time.monotonic() - began

    def play(self) -> None:
        """Let the field play the scenario."""
        arguments = [
            "simulate", str(self.scenario), "--network", self.network, "--folder",
            str(self.data / "field"), "--mqtt-url", self.mosquitto.url, "--http",
            f"http://127.0.0.1:{self.http}", "--token", self.anna,
        ]  # fmt: skip
        (self.data / "field").mkdir(exist_ok=True)
        centre = Smsc(self.sms, self.data / "field" / "smsc.jsonl", now_ms)
        threading.Thread(target=lambda: asyncio.run(centre.run()), daemon=True).start()
        with (self.data / "field.log").open("ab") as log:
            self.field_process = subprocess.Popen(
                [LASTGASP, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def tear_down(self) -> None:
        """All of it, with its servers."""
        self.client.close()
        if self.field_process is not None:
            self.field_process.kill()
            self.field_process.wait(10)
        for member in self.members.values():
            if member.process is not None and member.process.poll() is None:
                os.killpg(member.process.pid, signal.SIGKILL)
                member.process.wait(10)
        self.kafka.stop(kill=True)
        self.mosquitto.stop(kill=True)
        self.database.stop()

    # -- what is asked of it -----------------------------------------------------------------------

    def wait_ready(self, within_s: float = READY_S) -> None:
        """Until every process says that it is ready."""
        for member in self.members.values():
            if member.process is not None:
                self.until(member.ready, within_s, lambda m=member: f"{m.role}: {m.tail()}")

    def wait(self, condition: Callable[[], T], within_s: float, what: str) -> T:
        """The first true value of a condition."""
        return self.until(condition, within_s, lambda: f"{what}: {self.tail()}")

    def tail(self) -> str:
        return "\n".join(f"-- {m.role}\n{m.tail()}" for m in self.members.values())

    @property
    def _env(self) -> dict[str, str]:
        return {**os.environ, "LASTGASP_DATABASE_URL": self.database.url}  # noqa: TID251

    def _command(self, member: Member, *arguments: str) -> list[str]:
        common = ["--data", str(self.data), "--config", str(member.config)]
        return [LASTGASP, "run", member.role, *common, *arguments]

    def _member(self, role: str, instance: str) -> Member:
        health = self.http if role == "dispatch" else self.free_port()
        path = self.data / f"{role}-{instance}.toml"
        path.write_text(
            f"""
[kafka]
bootstrap = "{self.kafka.bootstrap}"
partitions = {PARTITIONS}
instance = "{instance}"
session_s = 6.0
[mqtt]
url = "{self.mosquitto.url}"
[http]
listen = "127.0.0.1:{self.http}"
[feeds]
listen = "127.0.0.1:{self.feeds}"
[health]
listen = "127.0.0.1:{health}"
{self.config if "[sms]" in self.config else self.config + "[sms]"}
url = "smpp://127.0.0.1:{self.sms}"
receipt_owed_s = 300.0
"""
        )
        log = self.data / f"{role}-{instance}.log"
        return Member(role, instance, path, health, log)

    def token(self, role: str = "dispatcher", subject: str = "anna", *more: str) -> str:
        said = subprocess.run(
            [LASTGASP, "token", "--data", str(self.data), "--role", role, "--subject", subject,
             *more], capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        return said.stdout.strip()

    @cached_property
    def anna(self) -> str:
        """The token of a dispatcher of everything."""
        return self.token()

    @cached_property
    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.http}", timeout=10)

    def get(self, path: str, token: str | None = None, **query: str) -> Any:
        """What the API answers, as JSON; it is asked again while it says to come back (503)."""
        headers = {"Authorization": f"Bearer {token or self.anna}"}

        def asked() -> httpx.Response | None:
            answer = self.client.get(path, headers=headers, params=query)
            return None if answer.status_code == 503 else answer

        answer = self.until(asked, 60, lambda: f"the API: {self.tail()}")
        assert answer is not None
        assert answer.status_code == 200, answer.text
        return json.loads(answer.content)

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        with psycopg.connect(self.database.url, autocommit=True) as connection:
            return connection.execute(query).fetchall()  # type: ignore[call-overload]

    def command(self, name: str, *arguments: str) -> str:
        """What a command on this cluster's database prints."""
        ran = subprocess.run(
            [LASTGASP, *name.split(), "--data", str(self.data), "--database", self.database.url,
             *arguments], capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@pytest.fixture(scope="module")
def cluster_of(
    kafka: Callable[[], Any],
    own_timescale: Callable[[], Any],
    lasting_mosquitto: Callable[..., Any],
    cluster_network: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
    free_port: Callable[[], int],
    until: Callable[..., Any],
) -> Iterator[Callable[..., Cluster]]:
    """Make clusters: ``cluster_of("city:2000:7", scenario="...", config="...")``; not started."""
    made: list[Cluster] = []
    tmp_path_factory.getbasetemp()  # made once, before two stories make it at the same time

    def make(network: str, *, scenario: str | None = None, config: str = "") -> Cluster:
        data = tmp_path_factory.mktemp("cluster") / "data"
        database = own_timescale()
        path = None
        if scenario is not None:
            path = data.parent / "scenario.toml"
            path.write_text(scenario)
        made.append(
            Cluster(
                data, kafka(), lasting_mosquitto(QUEUES), database, free_port(), free_port(),
                free_port(), cluster_network(network), config, free_port, until, path,
            )
        )  # fmt: skip
        return made[-1]

    yield make
    for cluster in made:
        cluster.tear_down()


@pytest.fixture(scope="module")
def play_on_cluster(
    cluster_of: Callable[..., Cluster], story_of: Callable[..., Any]
) -> Iterator[Callable[..., Any]]:
    """As ``play``: a story of a network, a scenario's text and a configuration; not begun yet."""
    made: list[Any] = []

    def make(network: str, scenario: str, config: str) -> Any:
        made.append(story_of(cluster_of(network, scenario=scenario, config=config)))
        return made[-1]

    yield make
    for story in made:
        story.leave()


class Tales:
    """Stories by name, each told from when it is first asked for: ``tales["demo"].result()``."""

    def __init__(self, pool: ThreadPoolExecutor, tell: dict[str, Callable[[], Any]]) -> None:
        self._pool = pool
        self._tell = tell
        self._told: dict[str, Future[Any]] = {}

    def __getitem__(self, name: str) -> "Future[Any]":
        if name not in self._told:
            self._told[name] = self._pool.submit(self._tell[name])
        return self._told[name]


@pytest.fixture(scope="module")
def cluster_tales(
    play_on_cluster: Callable[..., Any],
    storm_text: tuple[str, str],
    demo_text: tuple[str, str, str],
    quiet_city: Callable[..., Any],
    told: Callable[..., Any],
    outlived: Callable[[Any], Any],
) -> Iterator[Tales]:
    """The short stories by name, each on a cluster of its own."""

    def storm() -> Any:
        return outlived(play_on_cluster("city:2000:7", *storm_text))

    def demo() -> Any:
        return told(play_on_cluster(*demo_text), 240)

    def quiet() -> Any:
        times = {"heartbeat_s": 5.0, "slack_s": 4.0, "away_s": 11.0}
        return quiet_city(play_on_cluster, **times, leaves=["kill"])  # in order: in process

    with ThreadPoolExecutor(2) as pool:
        yield Tales(pool, {"demo": demo, "storm": storm, "quiet": quiet})
