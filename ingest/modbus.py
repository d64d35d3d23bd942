"""The Modbus gateway: polls hundreds of breakers, each by a task of its own, never in step.

A breaker that does not answer costs its neighbours nothing; its state becomes unknown, and that is
told once.  What the polls tell is devices/switching.py's to decide.  Several gateways share the
breakers by their names.
"""

import asyncio
import logging
import zlib
from collections.abc import Callable, Sequence

import structlog
from prometheus_client import CollectorRegistry

from devices.families import FAMILIES
from devices.relay import Family
from devices.switching import SwitchLimits, Watch, on_no_answer, on_sample
from grid.errors import BadPayload, ConfigError, Unreachable
from grid.graph import BreakerAddress
from grid.network import Network
from grid.parcel import Intake, Parcel
from grid.reading import Reading
from ingest.backoff import Backoff
from ingest.insist import insist
from ingest.metrics import IngestMetrics
from ingest.packing import Packer
from ingest.relay_client import RelayClient
from ingest.settings import ModbusSettings, share_of

log = structlog.get_logger(__name__)
SOURCE = "modbus"


class ModbusGateway:
    """Polls the breakers of breakers.csv.  ``run`` it until it is cancelled."""

    def __init__(
        self,
        settings: ModbusSettings,
        breakers: Sequence[BreakerAddress],
        packer: Packer,
        intake: Intake,
        now_ms: Callable[[], int],
        *,
        metrics: IngestMetrics | None = None,
    ) -> None:
        self._settings = settings
        number, of = share_of(settings.share)
        self._breakers = tuple(one for one in breakers if _falls_to(one.branch_id, of) == number)
        self._families = [_family_of(one) for one in self._breakers]
        self._packer = packer
        self._intake = intake
        self._now_ms = now_ms
        self._metrics = metrics or IngestMetrics(CollectorRegistry())
        self._limits = SwitchLimits(
            int(settings.heartbeat_s * 1000),
            settings.amps_deadband,
            settings.volts_deadband_pct,
            settings.failures_max,
        )
        self._told: asyncio.Queue[Reading] = asyncio.Queue(settings.outstanding_readings_max)
        self._under_way = asyncio.Semaphore(settings.deliveries_max)
        self._unpolled = len(self._breakers)
        self._first_round = asyncio.Event()
        self._answering: set[str] = set()
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # each failure is told below

    @property
    def breakers(self) -> tuple[BreakerAddress, ...]:
        """Those that fall to this gateway."""
        return self._breakers

    @property
    def ready(self) -> bool:
        """Whether every breaker was asked once."""
        return self._first_round.is_set() or not self._breakers

    def replace_network(self, network: Network) -> None:
        """From the next poll on, devices are those of another version."""
        self._packer = Packer(network)

    async def run(self) -> None:
        """Poll and deliver, for ever."""
        if not self._breakers:
            await asyncio.get_running_loop().create_future()
        started_ms = self._now_ms()
        await insist(lambda: self._intake.deaf(SOURCE, 0, started_ms))
        async with asyncio.TaskGroup() as tasks:
            for place, (breaker, family) in enumerate(
                zip(self._breakers, self._families, strict=True)
            ):
                phase_s = self._settings.poll_s * place / len(self._breakers)
                tasks.create_task(self._watch(breaker, family, phase_s))
            tasks.create_task(self._greet())
            while True:
                await self._send(tasks)

    async def _watch(self, breaker: BreakerAddress, family: Family, phase_s: float) -> None:
        """Poll one breaker, for ever."""
        settings, loop = self._settings, asyncio.get_running_loop()
        client = RelayClient(breaker, family, settings.timeout_s)
        backoff = Backoff(settings.reconnect_s_min, settings.reconnect_s_max)
        watch = Watch(breaker.branch_id)
        due_s = loop.time() + phase_s
        first = True
        try:
            while True:
                await asyncio.sleep(due_s - loop.time())
                watch, answered = await self._poll(client, family, watch)
                if first:
                    first = False
                    self._polled_once()
                if answered:
                    backoff.reset()
                    due_s = _next_slot(due_s, settings.poll_s, loop.time())
                else:
                    client.close()
                    due_s = loop.time() + backoff.next_s()
        finally:
            client.close()

    async def _poll(self, client: RelayClient, family: Family, watch: Watch) -> tuple[Watch, bool]:
        """One poll and what it tells; whether it was answered."""
        branch_id = watch.branch_id
        try:
            sample = family.decode(await client.poll())
        except (Unreachable, BadPayload) as failure:
            watch, told = on_no_answer(watch, self._now_ms(), self._limits)
            if told:
                log.warning("breaker_unknown", branch_id=branch_id, reason=failure.message)
            self._answering.discard(branch_id)
            answered = False
        else:
            watch, told = on_sample(watch, sample, self._now_ms(), self._limits)
            if branch_id not in self._answering:
                log.info("breaker_answers", branch_id=branch_id, closed=sample.closed)
            self._answering.add(branch_id)
            answered = True
        self._metrics.messages.labels(SOURCE, "read" if answered else "no_answer").inc()
        self._metrics.connected.labels(SOURCE).set(len(self._answering))
        for reading in told:
            await self._told.put(reading)
        return watch, answered

    async def _send(self, tasks: asyncio.TaskGroup) -> None:
        """Deliver what was told since; while the commits are behind, more at a time."""
        readings = [await self._told.get()]
        await self._under_way.acquire()
        while not self._told.empty():
            readings.append(self._told.get_nowait())
        tasks.create_task(self._deliver(readings))

    async def _deliver(self, readings: Sequence[Reading]) -> None:
        packer = self._packer
        rows, refused = packer.pack(readings, self._now_ms())
        for reading, reason in refused:
            log.warning("breaker_not_in_network", branch_id=reading.device_id, reason=reason)
        try:
            if len(rows):
                await insist(lambda: self._intake.deliver(Parcel(rows, network=packer.version)))
        finally:
            self._under_way.release()
            for _ in readings:
                self._told.task_done()

    def _polled_once(self) -> None:
        self._unpolled -= 1
        if not self._unpolled:
            self._first_round.set()

    async def _greet(self) -> None:
        """Say when the first word of every breaker is in, or that we wait no longer."""
        try:
            async with asyncio.timeout(self._settings.caught_up_s_max):
                await self._first_round.wait()
        except TimeoutError:
            log.info("breakers_not_polled_yet", breakers=self._unpolled)
            self._first_round.set()
        await self._told.join()
        await insist(lambda: self._intake.caught_up(SOURCE))


def _falls_to(branch_id: str, gateways: int) -> int:
    """Which gateway, from 1, polls a breaker: the same in every process."""
    return 1 + zlib.crc32(branch_id.encode()) % gateways


def _next_slot(due_s: float, poll_s: float, now_s: float) -> float:
    """The next moment of this breaker's own rhythm; missed ones are left out."""
    missed = max(0, int((now_s - due_s) // poll_s))
    return due_s + (missed + 1) * poll_s


def _family_of(breaker: BreakerAddress) -> Family:
    family = FAMILIES.get(breaker.family)
    if family is None:
        known = ", ".join(sorted(FAMILIES))
        raise ConfigError(
            f"breakers.csv: {breaker.branch_id}: unknown family {breaker.family!r}; known: {known}"
        )
    return family
