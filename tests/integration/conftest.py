"""Programs of other houses, and the village of docs/examples that they talk to."""

import asyncio
import contextlib
import json
import os
import selectors
import shlex
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NoReturn

import msgspec
import numpy as np
import psycopg
import pytest

from grid.build import build
from grid.drawing import draw_graph
from grid.frame import READING, Frame
from grid.outage import Change, Outage, OutageKind, Outcome, State, Step
from grid.parcel import Applied
from service.clock import now_ms
from service.settings import Settings
from store.postgres import Store

ROOT = Path(__file__).resolve().parents[2]
WS = ROOT / "build" / "node" / "node_modules"
VILLAGE = ROOT / "docs" / "examples" / "village"


@dataclass
class Talk:
    """What another program says, line by line."""

    process: subprocess.Popen[bytes]

    def until(self, wanted: Callable[[str], Any], within_s: float = 20) -> str:
        """The first line that is wanted."""
        assert self.process.stdout is not None
        heard: list[str] = []
        deadline = time.monotonic() + within_s
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while selector.select(max(0.0, deadline - time.monotonic())):
                line = self.process.stdout.readline().decode()
                if not line:
                    break
                heard.append(line)
                if wanted(line):
                    return line
        raise AssertionError(f"not within {within_s} s; it said: {''.join(heard)}")

    def message(self, within_s: float = 20, **wanted: Any) -> dict[str, Any]:
        """The first JSON object with these values."""
        found: dict[str, Any] = json.loads(
            self.until(lambda line: wanted.items() <= json.loads(line).items(), within_s)
        )
        return found


@pytest.fixture
def talk() -> Iterator[Callable[..., Talk]]:
    """Start a program whose lines are wanted; it is ended with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*command: str, **environment: str) -> Talk:
        process = subprocess.Popen(
            ["stdbuf", "-oL", *command], bufsize=0,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={"PATH": os.defpath, **environment},
        )  # fmt: skip
        started.append(process)
        return Talk(process)

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def node_feed(
    tool: Callable[[str], str], left_out: Callable[[str, str], NoReturn], talk: Callable[..., Talk]
) -> Callable[..., Talk]:
    """A feed client on Node's ``ws``: ``node_feed(port, token, channel)``."""
    if not (WS / "ws").is_dir():
        left_out("the Node package ws", "make services")

    def start(port: int, token: str, channel: str, origin: str = "") -> Talk:
        url, script = f"ws://127.0.0.1:{port}", str(ROOT / "docs" / "examples" / "feed.cjs")
        return talk(tool("node"), script, url, token, channel, origin, NODE_PATH=str(WS))

    return start


@pytest.fixture(scope="session")
def village(lastgasp_up: Callable[..., Any]) -> Iterator[Any]:
    """A running service on the village, nothing simulated."""
    service = lastgasp_up("--network", str(VILLAGE)).start()
    yield service
    assert service.stop() == 0


@pytest.fixture(scope="session")
def bearer(village: Any) -> Callable[[str, str], str]:
    """The token of a role and subject, made once: ``bearer("customer", "C7")``."""
    return cache(village.token)


@pytest.fixture
def publish(tool: Callable[[str], str], village: Any) -> Callable[[str, bytes | dict], None]:
    """``mosquitto_pub`` at QoS 1: bytes as they are, a dict as JSON."""

    def send(topic: str, payload: bytes | dict[str, Any]) -> None:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        whole_input = "-s" if body else "-n"
        subprocess.run(
            [tool("mosquitto_pub"), "-p", str(village.mqtt), "-q", "1",
             "-t", f"lastgasp/v1/{topic}", whole_input],
            input=body, check=True, timeout=30,
        )  # fmt: skip

    return send


@pytest.fixture
def psql(tool: Callable[[str], str]) -> Callable[[Any, str], list[str]]:
    """Lines of a query, through the command line that the service itself names."""

    def ask(service: Any, query: str) -> list[str]:
        note = json.loads((service.data / "service.json").read_bytes())
        command = [tool("psql"), *shlex.split(note["psql"])[1:], "-AtX", "-c", query]
        ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
        return ran.stdout.splitlines()

    return ask


OPEN = "SELECT count(*) FROM notices WHERE state IN ('queued', 'sending', 'sent', 'unknown')"
STATES = "SELECT state, reason, count(*) FROM notices GROUP BY 1, 2"


class Street:
    """A transformer with many homes, dark or not as a test wants."""

    def __init__(self, store: Store, url: str, homes: int) -> None:
        lines = ["source S1", "  breaker B1", "    transformer T1"]
        lines += [f"      meter M{n}" for n in range(homes)]
        graph = draw_graph("\n".join(lines))
        customers = tuple(
            msgspec.structs.replace(c, phone=f"+86100{n:08}", address=f"Lane {n}",
                                    language="zh" if n % 2 else "en")
            for n, c in enumerate(graph.customers)
        )  # fmt: skip
        self.graph = msgspec.structs.replace(graph, customers=customers)
        network = build(self.graph).network
        assert network is not None
        self.network, self.store, self.url = network, store, url
        self.version = 0
        self.off_ms = now_ms() - 60_000

    @property
    def customers(self) -> tuple[str, ...]:
        return tuple(c.customer_id for c in self.graph.customers)

    async def becomes(
        self,
        state: str,
        on_ms: int | None = None,
        *,
        some: tuple[str, ...] | None = None,
        outage_id: str = "S1-1",
    ) -> None:
        """The next version of the one outage, or of one of some homes."""
        self.version += 1
        now, everybody = now_ms(), self.customers if some is None else some
        step = Step(self.off_ms, on_ms, everybody)
        out = 0 if on_ms else len(everybody)
        outage = Outage(
            id=outage_id, version=self.version, group=0, state=State(state), kind=OutageKind.FAULT,
            cause=None, device_id="T1", device_kind="transformer", feeder_id="B1", districts=(),
            phases="ABC", probability=1.0, started_ms=self.off_ms, detected_ms=self.off_ms,
            confirmed_ms=None, restored_ms=on_ms, customers_affected=len(everybody),
            customers_out=out, etr=None, evidence=(), parent_id=None, steps=(step,),
        )  # fmt: skip
        frame = Frame(0, self.version, self.network.version, now, np.zeros(0, READING))
        change = Change(now, outage, "drawn", everybody)
        await self.store.commit([Applied(frame, Outcome(changes=(change,)))], ())

    async def settled(self, within_s: float = 30.0) -> None:
        """Wait until every text has its receipt."""
        deadline = time.monotonic() + within_s
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            while True:
                row = await (await connection.execute(OPEN)).fetchone()
                if row == (0,):
                    return
                if time.monotonic() > deadline:
                    raise AssertionError(await (await connection.execute(STATES)).fetchall())
                await asyncio.sleep(0.05)

    async def until(self, condition: Callable[[], bool], within_s: float = 30.0) -> None:
        """Wait for something to be so."""
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110  what is waited for has no event
                await asyncio.sleep(0.01)


@pytest.fixture
def make_street() -> Callable[[Store, str, int], Street]:
    """``make_street(store, url, homes)``."""
    return Street


class Cable:
    """What lies between us and a server: it can be cut, with all that is in it."""

    def __init__(self, to: int) -> None:
        self.to = to
        self._ends: list[asyncio.StreamWriter] = []

    async def joins(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", self.to)
        self._ends += [writer, there[1]]
        await asyncio.gather(self._pass(reader, there[1]), self._pass(there[0], writer))

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                sink.write(data)
        sink.close()

    def cut(self) -> None:
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()


@pytest.fixture
def make_cable() -> Callable[[int], Cable]:
    """``make_cable(port)`` to a server of this machine."""
    return Cable


async def _killed_often(street: Street, settings: Settings, seed: int, runs: int) -> None:
    dice = Random(seed)
    program = str(Path(__file__).with_name("send_texts.py"))
    told = msgspec.json.encode(settings).decode()
    nest = await asyncio.create_subprocess_exec(
        sys.executable, program, street.url, told, "nest", cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert nest.stdin is not None
    assert nest.stdout is not None
    for run in range(runs):
        some = street.customers[4 * run : 4 * run + 4]
        await street.becomes("confirmed", some=some, outage_id=f"S1-{run}")
        nest.stdin.write(f"{dice.uniform(0.0, 0.15)}\n".encode())
        while b"killed" not in await nest.stdout.readline():
            pass  # lines of the log
    nest.stdin.close()
    await nest.wait()


@pytest.fixture
def killed_often() -> Callable[[Street, Settings, int, int], Awaitable[None]]:
    """``killed_often(street, settings, seed, runs)``: in each run four homes more are in the dark,
    and their sender is killed at a drawn moment.
    """
    return _killed_often
