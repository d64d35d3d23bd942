"""The MQTT gateway: devices' messages in, acknowledgements out once they are committed.

The promise (design.md 2, step 6; docs/protocols.md): a message is acknowledged to the broker after
``Intake.deliver`` has returned, in the order of receipt and only on the connection that brought it;
to its device once it is committed, which in process is the same moment.  What is outstanding is
bounded; at the bound we stop reading, and what comes stays with the broker.  Whoever sends what
cannot be read is answered like everybody else.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog
from prometheus_client import CollectorRegistry

from devices.mqtt_v1 import encode_ping, topic_of
from grid.errors import Unreachable
from grid.network import Network
from grid.outage import Ping
from grid.parcel import Intake
from ingest.answering import Answering
from ingest.backlog import Backlog, BacklogRule
from ingest.backoff import Backoff
from ingest.concentrators import Concentrators
from ingest.deliveries import Deliveries, Delivery
from ingest.insist import insist
from ingest.link import Link
from ingest.metrics import IngestMetrics
from ingest.packets import Message, pubacks, publish
from ingest.packing import Packer
from ingest.settings import MqttSettings
from ingest.unloading import SOURCE, Load, Unloader

log = structlog.get_logger(__name__)
LOOK_S = 0.05  # at least, between two looks whether a backlog is in


class MqttGateway:
    """Hears every device of one broker.  ``run`` it until it is cancelled."""

    def __init__(
        self,
        settings: MqttSettings,
        packer: Packer,
        intake: Intake,
        now_ms: Callable[[], int],
        *,
        username: str = "",
        password: str = "",
        metrics: IngestMetrics | None = None,
    ) -> None:
        self._settings = settings
        self._packer = packer
        self._intake = intake
        self._now_ms = now_ms
        self._metrics = metrics or IngestMetrics(CollectorRegistry())
        self._unloader = Unloader(settings.prefix, settings.payload_bytes_max)
        concentrators = Concentrators(settings.concentrators_max, settings.gap_arrays_max)
        self._answering = Answering(
            settings.prefix, concentrators, self._tell, settings.unconfirmed_deliveries_max
        )
        self._deliveries = Deliveries(settings, intake, unload=self._unload, answer=self._answer)
        self._link = Link(
            settings, username=username, password=password, now_ms=now_ms, heard=self._take
        )
        self._backlog: Backlog | None = None
        self._greeted_epoch = -1
        self._caught_up_epoch = -1
        self._heard_until_ms = 0  # 0: since before this process

    @property
    def ready(self) -> bool:
        """Whether a message published now will be acted on."""
        return self._link.connected and self._caught_up_epoch == self._link.epoch

    @property
    def connected(self) -> bool:
        """Whether there is a broker."""
        return self._link.connected

    @property
    def last_heard_ms(self) -> int:
        """When the broker last said anything; 0 for never."""
        return self._link.last_heard_ms

    @property
    def outstanding(self) -> int:
        """Messages received and not yet committed."""
        return self._deliveries.messages

    def replace_network(self, network: Network) -> None:
        """From the next message on, devices are those of another version."""
        self._packer = Packer(network)

    async def ping(self, pings: Sequence[Ping]) -> None:
        """Ask meters whether they have power; while the broker is away nobody is asked."""
        if not self._link.connected:
            log.warning("mqtt_pings_not_sent", pings=len(pings))
            return
        prefix = self._settings.prefix
        self._link.send(
            b"".join(
                publish(
                    topic_of("meter", ping.device_id, "ping", prefix=prefix),
                    encode_ping(ping.at_ms),
                )
                for ping in pings
            )
        )

    async def run(self) -> None:
        """Stay connected and deliver, for ever."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._deliveries.run())
                await self._stay_connected(tasks)
        finally:
            self._answering.close()
            self._link.close()

    async def _stay_connected(self, tasks: asyncio.TaskGroup) -> None:
        settings = self._settings
        backoff = Backoff(settings.reconnect_s_min, settings.reconnect_s_max)
        loop = asyncio.get_running_loop()
        while True:
            opened_s = loop.time()
            try:
                await self._link.open()
                reason = await self._while_connected()
                tasks.create_task(insist(lambda: self._intake.lost(SOURCE)))
            except Unreachable as away:
                reason = away.message
            finally:
                self._link.close()
                self._metrics.connected.labels(SOURCE).set(0)
            if loop.time() - opened_s > settings.reconnect_s_max:
                backoff.reset()  # it lasted: no broker that throws us out at once
            wait_s = backoff.next_s()
            log.warning("mqtt_disconnected", reason=reason, retry_in_s=round(wait_s, 3))
            await asyncio.sleep(wait_s)

    async def _while_connected(self) -> str:
        """Until the connection is lost; the reason."""
        self._metrics.connected.labels(SOURCE).set(1)
        greeting = asyncio.ensure_future(self._greet())
        closed = asyncio.ensure_future(self._link.closed())
        try:
            await asyncio.wait({greeting, closed}, return_when=asyncio.FIRST_COMPLETED)
            if greeting.done():
                greeting.result()  # its failure is ours
            return await closed
        finally:
            self._backlog = None
            if self._greeted_epoch == self._link.epoch:
                self._heard_until_ms = self._link.last_heard_ms
            greeting.cancel()
            closed.cancel()
            await asyncio.gather(greeting, closed, return_exceptions=True)

    async def _greet(self) -> None:
        """Say since when we were deaf, let the backlog in, and say when it is."""
        settings, loop, epoch = self._settings, asyncio.get_running_loop(), self._link.epoch
        connected_ms, from_ms = self._now_ms(), self._heard_until_ms
        rule = BacklogRule(
            settings.caught_up_quiet_s,
            settings.caught_up_s_min,
            settings.caught_up_s_max,
            settings.caught_up_s_max_in_all,
            int(settings.caught_up_old_s * 1000),
            settings.caught_up_stragglers,
        )
        await insist(lambda: self._intake.deaf(SOURCE, from_ms, connected_ms))
        self._greeted_epoch = epoch
        greeted_s = loop.time()
        self._backlog = backlog = Backlog(rule, connected_ms, greeted_s)
        self._deliveries.open(epoch)
        await self._link.subscribed()
        backlog.subscribed(loop.time())
        while True:
            await self._deliveries.settled()
            wait_s = backlog.in_at_s() - loop.time()
            if wait_s <= 0:
                break
            await asyncio.sleep(min(wait_s, max(settings.caught_up_quiet_s, LOOK_S)))
        waited_s = 0.0 if backlog.answered_s is None else backlog.answered_s - greeted_s
        answered_ms = connected_ms + round(1000 * waited_s)
        await insist(lambda: self._intake.caught_up(SOURCE, answered_ms))
        self._caught_up_epoch = epoch
        log.info("mqtt_caught_up", epoch=epoch)

    def _take(self, messages: list[Message]) -> None:
        self._deliveries.take(self._link.epoch, messages)
        self._metrics.outstanding.labels(SOURCE).set(self._deliveries.messages)
        if self._deliveries.full:
            self._link.pause()

    def _unload(self, messages: Sequence[Message]) -> Load:
        now_ms = self._now_ms()
        load = self._unloader.unload(messages, self._packer, now_ms)
        happened_ms = load.parcel.rows["happened_ms"]
        if len(happened_ms):
            if self._backlog is not None:
                old = int((happened_ms < self._backlog.old_before_ms).sum())
                at_s = asyncio.get_running_loop().time()
                if self._backlog.heard(old, len(happened_ms), at_s):
                    load.backlog = self._backlog
            lag_s = (now_ms - int(happened_ms.max())) / 1000
            self._metrics.lag_s.labels(SOURCE).set(max(0.0, lag_s))
        self._metrics.messages.labels(SOURCE, "read").inc(len(happened_ms))
        for cause in load.causes:
            self._metrics.messages.labels(SOURCE, "quarantined").inc()
            self._metrics.quarantined.labels(SOURCE, cause).inc()
        return load

    def _answer(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge what is safe to the broker where it may be, and to the devices once it is
        committed.
        """
        epoch = self._link.epoch
        self._tell(b"".join(pubacks(d.load.mids) for d in deliveries if d.epoch == epoch))
        for delivery in deliveries:
            self._answering.when_committed(delivery.load, delivery.epoch, delivery.receipt)
        self._metrics.outstanding.labels(SOURCE).set(self._deliveries.messages)
        if not self._deliveries.full:
            self._link.resume()

    def _tell(self, packets: bytes) -> None:
        if packets and self._link.connected:
            self._link.send(packets)
