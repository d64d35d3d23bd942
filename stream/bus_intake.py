"""The stream, as a gateway or desk of the cluster sees it: records to the topics, receipts back.

Implements ``grid.parcel.Stream``.  What is handed over is gathered for a moment, so that a record
holds many readings of one feeder group; ``deliver`` returns when Kafka has it, and the receipt is
done when a worker says that it is committed.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog

from grid.errors import LastgaspError, Unreachable
from grid.frame import NOT_YET, CaughtUp, Command, Deaf, Rows, SourceLost
from grid.parcel import Parcel, Quarantined, Receipt
from stream.kafka_clients import topic_of
from stream.producing import Producer
from stream.records import EVERY_GROUP, Record, partition_of, record_bytes
from stream.settings import BusSettings

log = structlog.get_logger()

TICKETS_MAX = 50_000  # waited for; above: the oldest is forgotten, and with it who waits for it


@dataclass(slots=True, eq=False)
class _Shipment:
    """What was handed over at once, in as many records as it takes."""

    safe: "asyncio.Future[None]"
    committed: "asyncio.Future[None]"
    unsafe: int = 0
    uncommitted: int = 0


@dataclass(slots=True, eq=False)
class _Entry:
    shipment: _Shipment
    parcel: Parcel | None = None
    command: Command | None = None
    group: int | None = None


@dataclass(slots=True, eq=False)
class _Draft:
    """A record in the making."""

    network: str = ""
    rows: list[Rows] = field(default_factory=list)
    count: int = 0
    commands: tuple[Command, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    shipments: list[_Shipment] = field(default_factory=list)


Drafts = dict[tuple[str, str], _Draft]
"""By the slug of the group and the version of the network that its rows are numbered by."""


class BusIntake:
    """One sender.  ``run`` it; give it what workers say with ``committed``."""

    def __init__(
        self,
        producer: Producer,
        settings: BusSettings,
        *,
        sender: str,
        groups: Sequence[str],
        now_ms: Callable[[], int],
    ) -> None:
        self._producer = producer
        self._settings = settings
        self._sender = sender
        self._groups = tuple(groups)
        self._now_ms = now_ms
        self._frames = topic_of(settings, "frames")
        self._quarantine = topic_of(settings, "quarantine")
        where = [partition_of(slug, settings.partitions) for slug in groups]
        self._partition_of = dict(zip(groups, where, strict=True))
        self._partitions = sorted(set(where))
        self._entries: list[_Entry] = []
        self._arrived = asyncio.Event()
        self._tickets: OrderedDict[int, list[_Shipment]] = OrderedDict()
        self._ticket = 0
        self._sent_ms = 0
        self._told_ms = dict.fromkeys(self._partitions, 0)  # when a partition last heard of us
        self._beating: set[int] = set()
        self._answers: set[asyncio.Task[None]] = set()

    @property
    def unconfirmed(self) -> int:
        """Records that are not known to be committed."""
        return len(self._tickets)

    async def deliver(self, parcel: Parcel) -> Receipt:
        """Return once Kafka has the parcel; the receipt is done once it is committed."""
        return await self._enter(_Entry(self._shipment(), parcel=parcel))

    async def lost(self, source: str) -> None:
        """From now on silence is no evidence."""
        await self._enter(_Entry(self._shipment(), command=SourceLost(NOT_YET, self._own(source))))

    async def deaf(self, source: str, from_ms: int, until_ms: int) -> None:
        """A source is back and hands over its backlog; ``from_ms`` 0 is "since this was up"."""
        command = Deaf(NOT_YET, self._own(source), from_ms, until_ms)
        await self._enter(_Entry(self._shipment(), command=command))

    async def caught_up(self, source: str, answered_ms: int = 0) -> None:
        """A source's backlog is in."""
        command = CaughtUp(NOT_YET, self._own(source), answered_ms)
        await self._enter(_Entry(self._shipment(), command=command))

    async def command(self, command: Command, group: int | None = None) -> None:
        """Put a command into the stream of one group or all; return once it is committed.

        Raises:
            Unreachable: Kafka is away, or has it and no worker has committed it yet.
        """
        await self.within(await self._enter(_Entry(self._shipment(), command=command, group=group)))

    async def within(self, receipt: Receipt) -> None:
        """Wait for a receipt as long as a person would.

        Raises:
            Unreachable: It is on its way and not committed yet.
        """
        try:
            async with asyncio.timeout(self._settings.commit_wait_s):
                await receipt
        except TimeoutError as late:
            raise Unreachable(
                "it is kept on the bus, but the worker of its feeder group is behind; look again "
                "before it is entered twice"
            ) from late

    def committed(self, tickets: Sequence[int]) -> None:
        """A worker says that records of ours are committed."""
        for ticket in tickets:
            for shipment in self._tickets.pop(ticket, ()):
                shipment.uncommitted -= 1
                if shipment.uncommitted == 0 and not shipment.committed.done():
                    shipment.committed.set_result(None)

    async def run(self) -> None:
        """Send what is handed over, and say now and then that we are there; for ever."""
        while True:
            await self._gather()
            entries, self._entries = self._entries, []
            drafts: Drafts = {}
            for entry in entries:
                if entry.parcel is not None:
                    await self._pack(entry.parcel, entry.shipment, drafts)
                elif entry.command is not None:
                    await self._flush(drafts)
                    await self._say(entry.command, entry.group, entry.shipment)
            await self._flush(drafts)
            for entry in entries:
                self._count_off(entry.shipment)
            await self._beat()

    # -- handing over ------------------------------------------------------------------------------

    def _own(self, source: str) -> str:
        return f"{source}/{self._sender}"

    def _shipment(self) -> _Shipment:
        loop = asyncio.get_running_loop()
        # One each is for the entry itself: it is counted off when all its records are made.
        return _Shipment(loop.create_future(), loop.create_future(), 1, 1)

    async def _enter(self, entry: _Entry) -> Receipt:
        self._entries.append(entry)
        self._arrived.set()
        await entry.shipment.safe
        return entry.shipment.committed

    async def _gather(self) -> None:
        if not self._entries:
            self._arrived.clear()
            soonest = min(self._told_ms.values(), default=self._now_ms()) + self._beat_ms
            pause_s = min(max(soonest - self._now_ms(), 0) / 1000, self._settings.beat_s)
            try:
                async with asyncio.timeout(max(pause_s, 0.01)):
                    await self._arrived.wait()
            except TimeoutError:
                return
        await asyncio.sleep(self._settings.linger_ms / 1000)

    @property
    def _beat_ms(self) -> int:
        return int(self._settings.beat_s * 1000)

    # -- making records ----------------------------------------------------------------------------

    async def _pack(self, parcel: Parcel, shipment: _Shipment, drafts: Drafts) -> None:
        groups = parcel.rows["group"]
        for group in sorted(set(groups.tolist())):
            rows = parcel.rows.take(np.flatnonzero(groups == group))
            key = self._groups[group], parcel.network
            for begin in range(0, len(rows), self._settings.record_rows_max):
                part = rows[begin : begin + self._settings.record_rows_max]
                draft = drafts.setdefault(key, _Draft(parcel.network))
                if draft.count and draft.count + len(part) > self._settings.record_rows_max:
                    await self._send(self._frames, key[0], drafts.pop(key))
                    draft = drafts.setdefault(key, _Draft(parcel.network))
                draft.rows.append(part)
                draft.count += len(part)
                self._add(draft, shipment)
        for one in parcel.quarantined:
            draft = _Draft(quarantined=(one,))
            self._add(draft, shipment)
            await self._send(self._quarantine, one.topic, draft)

    def _add(self, draft: _Draft, shipment: _Shipment) -> None:
        draft.shipments.append(shipment)
        shipment.unsafe += 1
        shipment.uncommitted += 1

    async def _flush(self, drafts: Drafts) -> None:
        for key in tuple(drafts):
            await self._send(self._frames, key[0], drafts.pop(key))

    async def _say(self, command: Command, group: int | None, shipment: _Shipment) -> None:
        """One record where it is for one group, else one for each partition."""
        if group is not None:
            draft = _Draft(commands=(command,))
            self._add(draft, shipment)
            await self._send(self._frames, self._groups[group], draft)
            return
        for partition in self._partitions:
            draft = _Draft(commands=(command,))
            self._add(draft, shipment)
            await self._send(self._frames, EVERY_GROUP, draft, partition)

    async def _beat(self) -> None:
        now = self._now_ms()
        for partition, told_ms in self._told_ms.items():
            if now - told_ms >= self._beat_ms and partition not in self._beating:
                self._beating.add(partition)
                await self._send(self._frames, EVERY_GROUP, _Draft(), partition)

    async def _send(
        self, topic: str, group: str, draft: _Draft, partition: int | None = None
    ) -> None:
        if partition is None:
            partition = self._partition_of.get(group, -1)
        if partition < 0 or topic == self._quarantine:
            partition = partition_of(group, self._settings.partitions)
        self._sent_ms = max(self._sent_ms, self._now_ms())
        if topic == self._frames:
            self._told_ms[partition] = self._sent_ms
        record = Record(
            sender=self._sender,
            sent_ms=self._sent_ms,
            ticket=self._ticket_for(draft.shipments),
            network=draft.network,
            group=group if topic == self._frames else EVERY_GROUP,
            rows=b"".join(rows.tobytes() for rows in draft.rows),
            commands=draft.commands,
            quarantined=draft.quarantined,
        )
        try:
            answered = await self._producer.begin(topic, partition, group, record_bytes(record))
        except LastgaspError as error:
            self._settle(draft, record.ticket, error)
            return
        beat = None if draft.shipments else partition
        task = asyncio.ensure_future(self._answered(answered, draft, record.ticket, beat))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    def _ticket_for(self, shipments: list[_Shipment]) -> int:
        if not shipments:
            return 0
        self._ticket += 1
        self._tickets[self._ticket] = shipments
        while len(self._tickets) > TICKETS_MAX:
            _, forgotten = self._tickets.popitem(last=False)
            for shipment in forgotten:
                shipment.committed.cancel()
        return self._ticket

    # -- what became of them -----------------------------------------------------------------------

    async def _answered(
        self, answered: "asyncio.Future[None]", draft: _Draft, ticket: int, beat: int | None
    ) -> None:
        try:
            await answered
        except LastgaspError as error:
            self._settle(draft, ticket, error)
        else:
            for shipment in draft.shipments:
                self._made_safe(shipment)
        finally:
            if beat is not None:
                self._beating.discard(beat)

    def _settle(self, draft: _Draft, ticket: int, error: LastgaspError) -> None:
        """Kafka did not take it: whoever handed it over keeps it and offers it again."""
        self._tickets.pop(ticket, None)
        if draft.shipments:
            log.warning("record_not_taken", reason=error.message)
        for shipment in draft.shipments:
            if not shipment.safe.done():
                shipment.safe.set_exception(error)

    def _made_safe(self, shipment: _Shipment) -> None:
        shipment.unsafe -= 1
        if shipment.unsafe == 0 and not shipment.safe.done():
            shipment.safe.set_result(None)

    def _count_off(self, shipment: _Shipment) -> None:
        """All records of an entry are on their way."""
        self._made_safe(shipment)
        shipment.uncommitted -= 1
        if shipment.uncommitted == 0 and not shipment.committed.done():
            shipment.committed.set_result(None)  # there was nothing in it
