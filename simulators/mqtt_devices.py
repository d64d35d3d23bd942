"""Meters, terminals and concentrators on MQTT: what a world's devices say, and keep until it is
committed.

One loop for all of them: take what is due, write it to the store, send it, hear the
acknowledgements.  While the broker is away the devices keep their facts; a device without power
cannot, and what it could not say in time is lost.
"""

import asyncio
import heapq
import zlib
from collections.abc import Callable
from itertools import count

import msgspec
import structlog

from devices.mqtt_v1 import (
    PREFIX,
    decode_ack,
    encode,
    encode_array,
    parse_topic,
    topic_of,
)
from grid.errors import BadPayload, Unreachable
from simulators.fact import Fact
from simulators.feed import Feed
from simulators.links import Links, LinkSettings
from simulators.outbox import Message, Outbox, OutboxSettings
from simulators.wal import Wal
from simulators.world import World

log = structlog.get_logger(__name__)


class MqttDeviceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the simulated devices reach their broker."""

    link: LinkSettings = msgspec.field(default_factory=LinkSettings)
    outbox: OutboxSettings = msgspec.field(default_factory=OutboxSettings)
    prefix: str = PREFIX
    packed: bool = False  # MessagePack instead of JSON
    tick_s: float = 0.05
    reconnect_s_min: float = 0.2
    reconnect_s_max: float = 5.0
    answers_max: int = 10_000  # pings being answered; above: not answered


class MqttDevices:
    """The MQTT side of a world."""

    def __init__(
        self,
        world: World,
        feed: Feed,
        wal: Wal,
        settings: MqttDeviceSettings,
        now_ms: Callable[[], int],
    ) -> None:
        self._world = world
        self._feed = feed
        self._wal = wal
        self._settings = settings
        self._now_ms = now_ms
        self.outbox = Outbox(wal.boot, settings.outbox, wal.kept(now_ms()))
        self._links = Links(settings.link, down_topics(settings.prefix))
        self._answers: list[tuple[int, int, Fact]] = []
        self._ties = count()
        self.told_ms = 0  # how far the story is in the devices' stores

    @property
    def connected(self) -> bool:
        """Whether the broker hears the devices."""
        return self._links.open

    @property
    def unheard(self) -> int:
        """Acks and pings that came down faster than they were read, and were dropped."""
        return self._links.dropped

    async def run(self) -> None:
        """Speak until cancelled; a broker that is away is looked for again and again."""
        pause_s = self._settings.reconnect_s_min
        dial: asyncio.Task[None] | None = None
        next_dial = 0.0
        loop = asyncio.get_running_loop()
        try:
            while True:
                if dial is not None and dial.done():
                    pause_s = self._dialled(dial, pause_s)
                    next_dial = loop.time() + pause_s
                    dial = None
                if not self._links.open and dial is None and loop.time() >= next_dial:
                    self.outbox.lost_connection()
                    dial = asyncio.create_task(self._dial(), name="simulated-devices-connect")
                self.step(self._now_ms(), sending=self._links.open and dial is None)
                await asyncio.sleep(self._settings.tick_s)
        finally:
            if dial is not None:
                dial.cancel()
                await asyncio.gather(dial, return_exceptions=True)
            await self._links.close()

    async def _dial(self) -> None:
        await self._links.close()
        await self._links.connect()

    def _dialled(self, dial: "asyncio.Task[None]", pause_s: float) -> float:
        """Look at how a connection attempt ended; returns the pause before the next one."""
        try:
            dial.result()
        except Unreachable as error:
            log.info("simulated_devices_unreachable", reason=error.message, kept=len(self.outbox))
            return min(2 * pause_s, self._settings.reconnect_s_max)
        log.info("simulated_devices_connected", kept=len(self.outbox))
        return self._settings.reconnect_s_min

    def step(self, now_ms: int, *, sending: bool) -> None:
        """One turn of the loop: what is due is on disk before any of it is sent."""
        self.outbox.add(self._feed.until(now_ms))
        for topic, body in self._links.heard():
            self._hear(topic, body, now_ms)
        messages = self.outbox.take(now_ms) if sending else []
        changes = self.outbox.changes()
        if changes:  # else the old cursor does: there is nothing between them
            self._wal.write(changes, cursor_ms=str(now_ms))
        self.told_ms = now_ms
        for message in messages:
            self._send(message)
        while self._answers and self._answers[0][0] <= now_ms:
            fact = heapq.heappop(self._answers)[2]
            if sending:
                self._send(Message((fact.cls, fact.id), (fact.reading,)))

    def _send(self, message: Message) -> None:
        if not self._links.open:
            return  # it is in the store, and comes again
        cls, name = message.sender
        packed = self._settings.packed
        if cls == "dcu":
            body = encode_array(list(message.readings), packed=packed)
        else:
            body = encode(message.readings[0], packed=packed)
        topic = topic_of(cls, name, prefix=self._settings.prefix)
        self._links.send(zlib.crc32(name.encode()), topic, body)

    def _hear(self, topic: str, body: bytes, now_ms: int) -> None:
        """An acknowledgement or a ping; anything else is nothing to a device."""
        try:
            address = parse_topic(topic, self._settings.prefix)
            if address.leaf == "ack":
                ack = decode_ack(body)
                self.outbox.acked((address.cls, address.id), ack.boot, ack.seq)
                return
        except BadPayload as bad:
            log.warning("simulated_device_cannot_read", topic=topic, reason=bad.message)
            return
        if address.leaf == "ping" and len(self._answers) < self._settings.answers_max:
            answer = self._world.answer(address.id, now_ms)
            if answer is not None:
                heapq.heappush(self._answers, (answer.due_ms, next(self._ties), answer))


def down_topics(prefix: str) -> tuple[str, ...]:
    """What the devices listen to."""
    acks = tuple(topic_of(cls, "+", "ack", prefix=prefix) for cls in ("meter", "terminal", "dcu"))
    return (*acks, topic_of("meter", "+", "ping", prefix=prefix))
