"""Peers of the gateways: an intake that remembers, devices, a network to be heard of."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client import CollectorRegistry

from grid.drawing import draw
from grid.errors import Unreachable
from grid.network import Network
from grid.parcel import Parcel, Quarantined
from grid.reading import Kind
from ingest.metrics import IngestMetrics
from ingest.mqtt import MqttGateway
from ingest.packing import Packer
from ingest.settings import MqttSettings

DEADLINE_S = 60.0

CITY = """
source S1
  breaker B1 telemetered
    transformer T1
      meter M1 [dcu=D1]
      meter M2 [dcu=D1]
    transformer T2
      meter M3
"""


def wall_ms() -> int:
    """The wall clock: these tests run against real peers."""
    return time.time_ns() // 1_000_000


@pytest.fixture
def now_ms() -> Callable[[], int]:
    return wall_ms


@pytest.fixture(scope="session")
def city() -> Network:
    return draw(CITY)


class RecordingIntake:
    """A stream that keeps what is committed.  ``hold`` keeps commits waiting, ``away`` refuses."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.parcels: list[Parcel] = []
        self.said: list[tuple[Any, ...]] = []  # deaf, caught_up and deliver, in order of the calls
        self.offered = 0
        self.away = 0  # deliveries to refuse
        self.commit_s = 0.0  # how long a commit takes
        self._go = asyncio.Event()
        self._go.set()
        self._changed = asyncio.Condition()

    async def deliver(self, parcel: Parcel) -> None:
        self.offered += 1
        await self._note("deliver", len(parcel.rows))
        if self.away:
            self.away -= 1
            raise Unreachable("the database is away", retry_in_s=0.01)
        await self._go.wait()
        if self.commit_s:
            await asyncio.sleep(self.commit_s)
        self.parcels.append(parcel)
        await self._note("committed", len(parcel.rows))

    async def lost(self, source: str) -> None:
        await self._note("lost", source)

    async def deaf(self, source: str, from_ms: int, until_ms: int) -> None:
        await self._note("deaf", source, from_ms, until_ms)

    async def caught_up(self, source: str, answered_ms: int = 0) -> None:
        await self._note("caught_up", source, answered_ms)

    def hold(self) -> None:
        self._go.clear()

    def release(self) -> None:
        self._go.set()

    async def until(self, true: Callable[[], object]) -> None:
        """Wait for a condition on what is recorded."""
        async with asyncio.timeout(DEADLINE_S), self._changed:
            await self._changed.wait_for(lambda: bool(true()))

    async def poke(self) -> None:
        """Let waiters look again."""
        async with self._changed:
            self._changed.notify_all()

    @property
    def words(self) -> list[str]:
        return [entry[0] for entry in self.said]

    @property
    def heard(self) -> list[tuple[str, str, int]]:
        """(device, kind, seq) of everything committed, in order."""
        group = self.network.groups[0]
        return [
            (group.ids[row["node"]], Kind(row["kind"]).name, int(row["seq"]))
            for parcel in self.parcels
            for row in parcel.rows
        ]

    @property
    def seqs(self) -> list[int]:
        return [int(seq) for parcel in self.parcels for seq in parcel.rows["seq"]]

    @property
    def quarantined(self) -> list[Quarantined]:
        return [one for parcel in self.parcels for one in parcel.quarantined]

    async def _note(self, *entry: object) -> None:
        self.said.append(entry)
        async with self._changed:
            self._changed.notify_all()


@pytest.fixture(scope="session")
def recorder() -> type[RecordingIntake]:
    """For a loop of the test's own."""
    return RecordingIntake


@pytest.fixture
async def intake(city: Network) -> RecordingIntake:
    return RecordingIntake(city)


@dataclass
class Device:
    """Somebody else's MQTT client: stock paho on a thread of its own."""

    client: Client
    loop: asyncio.AbstractEventLoop
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def say(self, topic: str, body: bytes, qos: int = 1) -> None:
        """Publish; ``told`` waits for the broker to have it."""
        self._last = self.client.publish(topic, body, qos)

    async def told(self) -> None:
        await asyncio.to_thread(self._last.wait_for_publish, DEADLINE_S)
        assert self._last.is_published()

    async def connected(self) -> None:
        """Wait until it is connected and subscribed, again."""
        async with asyncio.timeout(DEADLINE_S):
            await self.ready.wait()

    async def until(self, true: Callable[[list[tuple[str, bytes]]], object]) -> None:
        async with asyncio.timeout(DEADLINE_S), self._changed:
            await self._changed.wait_for(lambda: bool(true(self.heard)))

    async def _on_message(self, topic: str, body: bytes) -> None:
        self.heard.append((topic, body))
        async with self._changed:
            self._changed.notify_all()


@pytest.fixture
async def device() -> AsyncIterator[Callable[..., Any]]:
    """``await device(port, "lastgasp/v1/+/+/ack")``: a connected client with subscriptions."""
    loop = asyncio.get_running_loop()
    clients: list[Client] = []

    async def connect(port: int, *topics: str) -> Device:
        client = Client(CallbackAPIVersion.VERSION2)
        client.max_inflight_messages_set(1000)
        made = Device(client, loop)

        def on_connect(*_: object) -> None:
            client.subscribe([(topic, 1) for topic in topics or ("nothing",)])

        def on_subscribe(*_: object) -> None:
            loop.call_soon_threadsafe(made.ready.set)

        def on_disconnect(*_: object) -> None:
            loop.call_soon_threadsafe(made.ready.clear)

        def on_message(_c: object, _u: object, message: MQTTMessage) -> None:
            asyncio.run_coroutine_threadsafe(made._on_message(message.topic, message.payload), loop)

        client.on_connect, client.on_subscribe = on_connect, on_subscribe
        client.on_message, client.on_disconnect = on_message, on_disconnect
        client.reconnect_delay_set(1, 1)
        await asyncio.to_thread(client.connect, "127.0.0.1", port)
        client.loop_start()
        clients.append(client)
        await made.connected()
        return made

    yield connect
    for client in clients:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)


class Gateways:
    """``await gateway(port, payload_bytes_max=10)``: a running gateway, caught up."""

    def __init__(self, network: Network, intake: RecordingIntake) -> None:
        self._network = network
        self._intake = intake
        self._running: dict[MqttGateway, asyncio.Task[None]] = {}

    async def __call__(self, port: int, *, ready: bool = True, **settings: Any) -> MqttGateway:
        quick = {
            "url": f"mqtt://127.0.0.1:{port}",
            "reconnect_s_min": 0.02,
            "reconnect_s_max": 0.2,
            "caught_up_quiet_s": 0.05,
            "caught_up_s_min": 0.02,
        }
        made = MqttGateway(
            MqttSettings(**(quick | settings)),
            Packer(self._network),
            self._intake,
            wall_ms,
            metrics=IngestMetrics(CollectorRegistry()),
        )
        times = self._intake.words.count("caught_up")
        self._running[made] = asyncio.create_task(made.run())
        if ready:
            await self._intake.until(lambda: self._intake.words.count("caught_up") > times)
        return made

    async def stop(self, gateway: MqttGateway) -> None:
        task = self._running.pop(gateway)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def stop_all(self) -> None:
        for gateway in list(self._running):
            await self.stop(gateway)


@pytest.fixture
async def gateway(city: Network, intake: RecordingIntake) -> AsyncIterator[Gateways]:
    gateways = Gateways(city, intake)
    yield gateways
    await gateways.stop_all()
