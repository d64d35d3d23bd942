"""One partition of the bus at a worker: its records become frames, in one transaction each batch.

While a transaction is under way the next batch is already applied.  What is applied is a function
of the records in their order (``stream/watermarks.py`` says where time comes from), so it does not
matter which worker does it, nor how often it had to begin again.

A record that cannot be read goes to quarantine; so does one that cannot be applied or committed,
after it was tried alone and from the last commit ``tries_max`` times.  The offset moves on.
"""

import asyncio
import contextlib
import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec
import structlog

from detectors.engine import Engine
from grid.errors import BadPayload, Fenced, Unreachable
from grid.frame import Command, PlanEntered, Rows, to_bytes
from grid.network import Network
from grid.parcel import BODY_BYTES_MAX, Advance, Applied, Claim, Quarantined
from stream.holding import Commit, Done, Holding, Incoming, Renumber
from stream.records import EVERY_GROUP, Record, read_record
from stream.sequencing import Sequencer
from stream.settings import BusSettings, StreamSettings
from stream.watermarks import Marks, Watermarks

log = structlog.get_logger()
T = TypeVar("T")

_marks = msgspec.msgpack.Decoder(Marks).decode
_encode = msgspec.msgpack.Encoder().encode


@dataclass(slots=True, eq=False)
class _Step:
    records: Sequence[Incoming]
    quarantined: list[Quarantined]
    advance: Advance
    done: Done

    @property
    def empty(self) -> bool:
        """Whether there is nothing to commit: then the offset alone is not worth it."""
        return not self.done.batch and not self.quarantined and not self.done.tickets


class Partition:
    """Applies and commits what it is given, in order, until it is stopped or fenced."""

    def __init__(
        self,
        holding: Holding,
        *,
        slugs: Mapping[str, int],
        commit: Commit,
        committed: Callable[[Done], Awaitable[None]],
        begin_again: Callable[[Claim], Awaitable[Holding]],
        renumber: Renumber,
        settings: BusSettings,
        stream: StreamSettings,
    ) -> None:
        self._slugs = slugs
        self._commit = commit
        self._committed = committed
        self._begin_again = begin_again
        self._renumber = renumber
        self._settings = settings
        self._stream = stream
        self._waiting: deque[Incoming] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._stopping = False
        self._newer: Network | None = None
        self._plans: Sequence[PlanEntered] = ()  # until they are committed
        self.fenced = False
        self._set(holding)

    def replace_network(self, network: Network, plans: Sequence[PlanEntered] = ()) -> None:
        """From the next record on the groups are those of another version of the network.

        What comes to a group from one that is another partition's begins there as never heard;
        ``plans`` (all that are open) have those of its devices.
        """
        self._newer, self._plans = network, plans

    def _set(self, holding: Holding) -> None:
        claim = holding.claim
        marks = _marks(claim.marks) if claim.marks else Marks()
        self.claim = claim
        self.network = holding.network
        self._opening = holding.opening
        self.next_offset = claim.next_offset  # of what is applied
        self.committed_offset = claim.next_offset
        self._ahead = 0  # steps that are applied and not committed
        self._watermarks = Watermarks(marks, self._settings)
        self._sequencer = Sequencer(
            dict(holding.engines),
            network=self.network,
            settings=self._stream,
            stream_ms=marks.stream_ms,
            behind=marks.behind,
        )

    @property
    def engines(self) -> Mapping[int, Engine]:
        """As of the last record that was applied."""
        return self._sequencer.engines

    @property
    def stream_ms(self) -> int:
        """The stream time that it has come to."""
        return self._sequencer.stream_ms

    @property
    def waiting(self) -> int:
        """Records read ahead."""
        return len(self._waiting)

    async def take(self, record: Incoming) -> None:
        """Queue a record; wait while too many are queued."""
        while len(self._waiting) >= self._settings.waiting_records_max and not self._gone:
            self._room.clear()
            await self._room.wait()
        if not self._gone:
            self._waiting.append(record)
            self._arrived.set()

    @property
    def as_committed(self) -> bool:
        """Whether the engines are what the database has."""
        return not self.fenced and self._ahead == 0

    @property
    def _gone(self) -> bool:
        return self.fenced or self._stopping

    async def run(self) -> None:
        """Apply and commit until cancelled; what is under way then is given its time."""
        under_way: asyncio.Task[bool] | None = None
        before: Sequence[Incoming] = ()
        try:
            while not self.fenced:
                records = await self._gather()
                step = await self._applied(records)
                if under_way is not None:
                    fine = await asyncio.shield(under_way)
                    under_way = None
                    if not fine:
                        records, step = [*before, *records], None
                if step is None:
                    await self._one_by_one(records)
                    continue
                under_way, before = asyncio.create_task(self._finish(step)), records
                if not self._waiting:
                    fine = await asyncio.shield(under_way)
                    under_way = None
                    if not fine:
                        await self._one_by_one(records)
        finally:
            self._stopping = True
            self._room.set()
            if under_way is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._settings.stop_s):
                        await under_way

    async def _gather(self) -> list[Incoming]:
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        records: list[Incoming] = []
        size, limits = 0, self._settings
        while self._waiting and len(records) < limits.batch_records_max:
            size += len(self._waiting[0].body)
            if records and size > limits.batch_bytes_max:
                break
            records.append(self._waiting.popleft())
        self._room.set()
        return records

    # -- applying ----------------------------------------------------------------------------------

    async def _applied(self, records: Sequence[Incoming]) -> _Step | None:
        """The batch, applied; None where it cannot be, and the engines are not to be used."""
        try:
            return await self._apply(records)
        except Exception:
            log.exception("records_not_applied", **self._where(records))
            self._ahead += 1
            return None

    async def _apply(self, records: Sequence[Incoming]) -> _Step:
        sequencer, done = self._sequencer, Done(self._another_network())
        self._opening += self._missing_plans()
        quarantined: list[Quarantined] = []
        for incoming in records:
            if self.next_offset is not None and incoming.offset < self.next_offset:
                continue  # applied before
            try:
                record = read_record(incoming.body)
                rows = await self._rows(record)
            except BadPayload as bad:
                quarantined.append(self._quarantined(incoming, bad.message))
            else:
                self._take_in(incoming, record, rows)
                quarantined += record.quarantined
                if record.ticket:
                    done.tickets.setdefault(record.sender, []).append(record.ticket)
            self.next_offset = incoming.offset + 1
        # Deflating takes longer than applying, and meanwhile the database has the batch before.
        done.batch += [replace(a, recorded=to_bytes(a.frame)) for a in sequencer.cut()]
        self._ahead += bool(done.batch)
        done.pings = [ping for applied in done.batch for ping in applied.outcome.pings]
        done.asked = next(iter(self._watermarks.listeners("mqtt-gateway")), None)
        marks = self._watermarks.marks
        marks.stream_ms, marks.behind = sequencer.stream_ms, dict(sequencer.behind)
        claim = self.claim
        advance = Advance(
            claim.topic, claim.partition, claim.generation, self.next_offset or 0, _encode(marks)
        )
        return _Step(records, quarantined, advance, done)

    def _another_network(self) -> list[Applied]:
        """Take up the version that waits; before time has begun nothing is to be carried over."""
        newer = self._newer
        if newer is None or newer.version == self.network or self._sequencer.stream_ms == 0:
            return []
        self.network = newer.version
        return self._sequencer.replace(newer)

    @property
    def _taken_up(self) -> Network | None:
        """The version that took another's place, once it runs."""
        newer = self._newer
        return newer if newer is not None and newer.version == self.network else None

    def _missing_plans(self) -> tuple[tuple[int, PlanEntered], ...]:
        """Plans that our groups have no word of, for devices that are theirs over this version."""
        newer = self._taken_up
        places = newer.places if newer is not None else {}
        theirs = [(places[p.device_id].group, p) for p in self._plans if p.device_id in places]
        return tuple(
            (no, plan)
            for no, plan in theirs
            if no in self.engines and plan.plan_id not in self.engines[no].plans
        )

    async def _rows(self, record: Record) -> Rows:
        """The readings of a record, numbered by the network that runs.

        Raises:
            BadPayload: They are of nobody here.
        """
        rows = record.readings()
        if record.group != EVERY_GROUP and record.group not in self._slugs:
            raise BadPayload(f"feeder group {record.group!r} is not of this partition")
        if len(rows) == 0:
            return rows
        group = self.engines[self._slugs[record.group]].group
        if record.network and record.network != self.network:
            rows = await self._renumber(record, rows, group)
        known = (rows["group"] == group.no) & (rows["node"] >= 0) & (rows["node"] < len(group.ids))
        if not (known & (rows["dcu"] >= -1) & (rows["dcu"] < len(group.dcus))).all():
            raise BadPayload(f"rows of the record are not of feeder group {record.group!r}")
        return rows

    def _take_in(self, incoming: Incoming, record: Record, rows: Rows) -> None:
        sequencer = self._sequencer
        # A sender whose clock is wrong must not take everybody's time with it.
        sent_ms = min(record.sent_ms, incoming.appended_ms + int(self._settings.lost_s * 1000))
        marks, sender = self._watermarks, record.sender
        if sequencer.stream_ms == 0:  # the first record ever: time begins
            sequencer.move_to(sent_ms)
        for command in marks.noticed(sender, sent_ms, max(sequencer.stream_ms, sent_ms)):
            sequencer.command(command)
        sequencer.move_to(sent_ms)
        opening, self._opening = self._opening, ()
        for group, command in opening:
            sequencer.command(command, group)
        for command in marks.heard(sender, sent_ms, record.commands):
            sequencer.command(command, self._group(command, record))
        sequencer.rows(rows)

    def _group(self, command: Command, record: Record) -> int | None:
        own = record.group != EVERY_GROUP and any(command is one for one in record.commands)
        return self._slugs[record.group] if own else None

    # -- committing --------------------------------------------------------------------------------

    async def _finish(self, step: _Step) -> bool:
        """Commit until it is done, then say so; when stopped, try only once more.

        False: the database will not take it, and the engines are ahead of it.
        """
        while not step.empty:
            try:
                await self._commit(step.done.batch, step.quarantined, step.advance)
                break
            except Unreachable as away:
                if self._stopping:
                    return True
                log.warning("commit_waits", reason=away.message, retry_in_s=away.retry_in_s)
                await asyncio.sleep(away.retry_in_s)
            except Fenced as fenced:
                self._fence(fenced)
                return True
            except Exception:
                log.exception("records_not_committed", **self._where(step.records))
                return False
        await self._behind_us(step)
        return True

    async def _behind_us(self, step: _Step) -> None:
        self._ahead -= bool(step.done.batch)
        if self._taken_up is not None and self._ahead == 0 and not self._missing_plans():
            self._plans = ()  # or one that is cancelled later would come again
        if not step.empty:
            self.committed_offset = step.advance.next_offset
            await self._committed(step.done)
        for incoming in step.records:
            incoming.done()

    def _fence(self, fenced: Fenced) -> None:
        log.warning("partition_fenced", reason=fenced.message)
        self.fenced = True
        self._room.set()

    async def _one_by_one(self, records: Sequence[Incoming]) -> None:
        """From the last commit on, each record by itself, and those to quarantine that fail."""
        if self.fenced:
            return
        try:
            await self._start_over()
            for incoming in records:
                await self._tried(incoming)
        except Fenced as fenced:
            self._fence(fenced)

    async def _start_over(self) -> None:
        self._set(await self._insist(lambda: self._begin_again(self.claim)))

    async def _tried(self, incoming: Incoming) -> None:
        reason = ""
        for _ in range(self._settings.tries_max):
            try:
                await self._commit_step(await self._apply([incoming]))
            except Fenced:
                raise
            except Exception as error:
                log.exception("record_not_taken", **self._where([incoming]))
                reason = f"it cannot be applied: {type(error).__name__}: {error}"
                await self._start_over()
            else:
                return
        log.error("record_to_quarantine", **self._where([incoming]), reason=reason)
        self.next_offset = incoming.offset + 1
        step = await self._apply([])
        step.quarantined.append(self._quarantined(incoming, reason))
        await self._commit_step(step)
        incoming.done()

    async def _commit_step(self, step: _Step) -> None:
        commit = self._commit
        if not step.empty:
            await self._insist(lambda: commit(step.done.batch, step.quarantined, step.advance))
        await self._behind_us(step)

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await call()
            except Unreachable as away:
                log.warning("partition_waits", reason=away.message, retry_in_s=away.retry_in_s)
                await asyncio.sleep(away.retry_in_s)

    def _quarantined(self, incoming: Incoming, reason: str) -> Quarantined:
        body, claim = incoming.body, self.claim
        return Quarantined(
            incoming.appended_ms,
            "bus",
            f"{claim.topic}/{claim.partition}@{incoming.offset}",
            reason,
            body[:BODY_BYTES_MAX],
            len(body),
            hashlib.sha256(body).hexdigest(),
        )

    def _where(self, records: Sequence[Incoming]) -> dict[str, object]:
        return {
            "topic": self.claim.topic,
            "partition": self.claim.partition,
            "offset": records[0].offset if records else self.next_offset,
            "records": len(records),
        }
