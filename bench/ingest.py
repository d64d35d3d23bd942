"""MQTT in: received and committed, against Debian's C client and an idle paho that only receive.

Single events at QoS 1 of 2,000 meters flow through one Mosquitto that limits neither its queues nor
what is in flight.  The same bytes are published by the same process for all three, in turns; time
runs from the first byte published until the last message is committed (ours: the real gateway,
engines, store, and an embedded PostgreSQL that syncs its log) or received (the others).
``drained``: the same where all of it waits in the broker before the client connects.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from statistics import median
from typing import Protocol

import structlog
import uvloop

from bench import peers
from detectors.settings import EngineSettings
from devices.mqtt_v1 import topic_of
from grid.build import build
from grid.network import Network, NodeKind
from grid.parcel import Batch, Quarantined
from ingest.mqtt import MqttGateway
from ingest.packing import Packer
from ingest.settings import MqttSettings
from service.clock import now_ms
from service.postgres import PostgresSettings, embedded
from service.stored import engines_of
from simulators.city import city
from store.postgres import open_store
from store.sealing import Keys
from store.settings import StoreSettings
from stream.inprocess import InProcess

METERS = 2_000
MESSAGES = 40_000  # a run; below 65,536, so that each has a packet id of its own
RUNS = 7
DRAINS = 3
CLIENT = "bench"


def run() -> dict[str, object]:
    """Ratios of medians over alternating runs."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with tempfile.TemporaryDirectory(prefix="lastgasp-ingest-") as name:
        os.chmod(name, 0o755)  # where we are root the database runs as somebody else
        with (
            peers.broker(Path(name)) as broker,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            return runner.run(_compare(Path(name), broker))


async def _compare(folder: Path, broker: peers.Broker) -> dict[str, object]:
    flowing: dict[str, list[float]] = {}
    drained: dict[str, list[float]] = {}
    async with AsyncExitStack() as opened:
        ours = await _open_ours(opened, folder)
        stream = _Stream(broker, folder / "messages", ours.network)
        contestants = (ours, _Process(peers.mosquitto_sub), _Process(peers.paho))
        for turn in range(1 + RUNS + DRAINS):
            stream.prepare_next()
            for one in contestants:
                rate = await stream.measure(one, drained=turn > RUNS)
                if turn:  # the first warms up
                    (drained if turn > RUNS else flowing).setdefault(one.name, []).append(rate)
    rates = {name: median(found) for name, found in flowing.items()}
    others = [name for name in rates if name != "ours"]
    return {
        "runs": RUNS,
        "ratios": {f"of_{name}": round(rates["ours"] / rates[name], 4) for name in others},
        "raw": {f"of_{name}": [round(rates["ours"]), round(rates[name])] for name in others},
        "our_cpu_us_a_message": round(median(ours.cpu_us), 1),
        "drained": {name: round(median(found)) for name, found in drained.items()},
    }


class _Stream:
    """The messages of a turn, and who publishes them."""

    def __init__(self, broker: peers.Broker, packets: Path, network: Network) -> None:
        self.broker = broker
        self._packets = packets
        self._network = network
        self._turn = 0

    def prepare_next(self) -> None:
        """Write down events that nobody has sent before."""
        self._turn += 1
        at_ms = now_ms()
        topics = [
            topic_of("meter", device_id)
            for group in self._network.groups
            for device_id, kind in zip(group.ids, group.kind, strict=True)
            if kind == NodeKind.METER
        ]
        said = b'{"boot":"t%d","seq":%d,"at":%d,"kind":"voltage","volts":[229.5,230.25,231.0]}'
        self._packets.write_bytes(
            b"".join(
                peers.publish_packet(
                    topics[i % len(topics)], said % (self._turn, i, at_ms + i // 100), 1 + i
                )
                for i in range(MESSAGES)
            )
        )
        self._packets.with_suffix(".count").write_text(str(MESSAGES))

    async def measure(self, client: "_Client", *, drained: bool) -> float:
        """Messages a second that a client gets through, all published first if ``drained``."""
        self.broker.keep(CLIENT)
        publisher = await asyncio.to_thread(peers.publisher, self.broker.port, self._packets)
        await client.prepare(self.broker)
        if drained:
            publisher.go()
            await asyncio.to_thread(publisher.wait)
            began_s = time.perf_counter()
            await client.connect()
        else:
            await client.connect()
            await client.ready()
            began_s = publisher.go()
        await client.through()
        took_s = time.perf_counter() - began_s
        if not drained:
            await asyncio.to_thread(publisher.wait)
        await client.close()
        self.broker.forget(CLIENT)
        return MESSAGES / took_s


class _Client(Protocol):
    """Whoever receives."""

    name: str

    async def prepare(self, broker: peers.Broker) -> None:
        """Be ready to connect."""

    async def connect(self) -> None:
        """Begin."""

    async def ready(self) -> None:
        """Return when it hears what is published from now on."""

    async def through(self) -> None:
        """Return when every message is."""

    async def close(self) -> None:
        """Leave."""


class _Process:
    """A client of another house, in a process of its own that ends when it is through."""

    def __init__(self, start: Callable[[int, str, int], peers.Waiting]) -> None:
        self.name = start.__name__
        self._start = start

    async def prepare(self, broker: peers.Broker) -> None:
        self._broker = broker
        self._waiting = await asyncio.to_thread(self._start, broker.port, CLIENT, MESSAGES)

    async def connect(self) -> None:
        self._before = self._broker.connections(CLIENT)
        self._waiting.go()

    async def ready(self) -> None:
        await asyncio.to_thread(self._broker.wait_for_connections, CLIENT, self._before + 1)

    async def through(self) -> None:
        await asyncio.to_thread(self._waiting.wait)

    async def close(self) -> None:
        pass


class _Ours:
    """The service's way from the broker to the commit, without its face."""

    name = "ours"

    def __init__(self, network: Network, runner: InProcess) -> None:
        self.network = network
        self.cpu_us: list[float] = []
        self.committed = 0
        self.changed = asyncio.Event()
        self._runner = runner
        self._wanted = 0

    async def prepare(self, broker: peers.Broker) -> None:
        settings = MqttSettings(url=f"mqtt://127.0.0.1:{broker.port}", client_id=CLIENT)
        self._gateway = MqttGateway(settings, Packer(self.network), self._runner, now_ms)
        self._wanted = self.committed + MESSAGES
        self._cpu_s = time.process_time()

    async def connect(self) -> None:
        self._running = asyncio.create_task(self._gateway.run())

    async def ready(self) -> None:
        while not self._gateway.ready:
            await asyncio.sleep(0.01)

    async def through(self) -> None:
        while self.committed < self._wanted:
            self.changed.clear()
            await self.changed.wait()
        self.cpu_us.append((time.process_time() - self._cpu_s) / MESSAGES * 1e6)

    async def close(self) -> None:
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running

    def count(self, batch: Batch) -> None:
        """What is new in a transaction."""
        self.committed += sum(len(one.frame.rows) - len(one.outcome.repeat_rows) for one in batch)
        self.changed.set()


async def _open_ours(opened: AsyncExitStack, folder: Path) -> _Ours:
    """Store, engines and runner as ``lastgasp up`` puts them together."""
    database = opened.enter_context(embedded(folder / "data", PostgresSettings()))
    keys = Keys(os.urandom(32), os.urandom(32))
    store = await opened.enter_async_context(open_store(database.url, keys, StoreSettings()))
    graph = city(METERS, 3)
    network = build(graph).network
    assert network is not None
    await store.save_network(graph, network, now_ms(), "bench")
    engines = await engines_of(store, network, EngineSettings())

    async def commit(batch: Batch, quarantined: Sequence[Quarantined]) -> None:
        await store.commit(batch, quarantined)
        ours.count(batch)

    runner = InProcess(
        engines,
        network=network.version,
        commit=commit,
        now_ms=now_ms,
    )
    ours = _Ours(network, runner)
    running = asyncio.create_task(runner.run())
    opened.push_async_callback(_cancelled, running)
    return ours


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
