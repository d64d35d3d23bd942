"""The stream in one process: what gateways hand over becomes frames, goes through the engines and
into one transaction.

While one transaction is under way the next frames are already applied; they are committed in order,
and a transaction that fails is tried again with the same frames, for the engines have moved on.
Nothing is acknowledged before.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from detectors.engine import Engine
from grid.errors import Unreachable
from grid.frame import NOT_YET, CaughtUp, Command, Deaf, Rows, SourceLost
from grid.network import Network
from grid.outage import Ping
from grid.parcel import Applied, Batch, Parcel, Quarantined
from stream.renumbering import renumbered
from stream.sequencing import Sequencer
from stream.settings import StreamSettings

log = structlog.get_logger()

Commit = Callable[[Batch, Sequence[Quarantined]], Awaitable[None]]


@dataclass(slots=True, eq=False)
class _Entry:
    done: "asyncio.Future[None]"
    parcel: Parcel | None = None
    command: Command | None = None
    group: int | None = None  # None: all of them
    network: tuple[Network, Network] | None = None  # before, after


class InProcess:
    """Implements ``grid.parcel.Intake`` over engines in this process."""

    def __init__(
        self,
        engines: dict[int, Engine],
        *,
        network: str,
        commit: Commit,
        now_ms: Callable[[], int],
        ping: Callable[[Sequence[Ping]], Awaitable[None]] | None = None,
        sources: Sequence[str] = ("mqtt",),
        settings: StreamSettings | None = None,
    ) -> None:
        self._commit = commit
        self._now_ms = now_ms
        self._ping = ping
        self._settings = settings or StreamSettings()
        self._sequencer = Sequencer(
            engines,
            network=network,
            settings=self._settings,
            behind=dict.fromkeys(sources, 0),
        )
        self._version = network
        self._numbered: dict[str, Network] = {}  # by the versions that were in force
        self._entries: list[_Entry] = []
        self._waiting_rows = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Condition()
        self._stopping = False

    @property
    def caught_up_with(self) -> bool:
        """Whether what comes in now is acted on now: no source has a backlog."""
        return not self._sequencer.behind

    @property
    def waiting_rows(self) -> int:
        """Rows handed over and not yet framed."""
        return self._waiting_rows

    async def deliver(self, parcel: Parcel) -> None:
        """Return once the parcel is committed; wait for room first while too much is waiting."""
        count = len(parcel.rows)
        async with self._room:
            limit = self._settings.waiting_rows_max
            await self._room.wait_for(
                lambda: self._waiting_rows == 0 or self._waiting_rows + count <= limit
            )
            self._waiting_rows += count
        await self._enter(_Entry(self._future(), parcel=parcel))

    async def lost(self, source: str) -> None:
        """From now on silence is no evidence."""
        await self.command(SourceLost(NOT_YET, source))

    async def deaf(self, source: str, from_ms: int, until_ms: int) -> None:
        """A source is back and hands over its backlog; ``from_ms`` 0 is "since this process is
        up".
        """
        since = from_ms or self._sequencer.stream_ms
        await self.command(Deaf(NOT_YET, source, since, until_ms))

    async def caught_up(self, source: str, answered_ms: int = 0) -> None:
        """A source's backlog is in."""
        await self.command(CaughtUp(NOT_YET, source, answered_ms))

    async def command(self, command: Command, group: int | None = None) -> None:
        """Put a command into the stream of one group or all, at the stream time that its turn
        brings; return once it is committed.
        """
        await self._enter(_Entry(self._future(), command=command, group=group))

    async def replace_network(self, before: Network, after: Network) -> None:
        """Carry the engines over to another version of the network, between two frames; return
        once that is committed.

        What is handed over meanwhile, numbered by the version before, is numbered anew.
        """
        await self._enter(_Entry(self._future(), network=(before, after)))

    def _future(self) -> "asyncio.Future[None]":
        return asyncio.get_running_loop().create_future()

    async def _enter(self, entry: _Entry) -> None:
        self._entries.append(entry)
        self._arrived.set()
        await entry.done

    async def run(self) -> None:
        """Frame, apply and commit until cancelled."""
        await self._go_deaf_until_heard()
        under_way: asyncio.Task[None] | None = None
        entries: list[_Entry] = []
        try:
            while True:
                await self._gather()
                entries = self._take()
                batch, quarantined = self._apply(entries)
                if under_way is not None:
                    await asyncio.shield(under_way)
                    under_way = None
                await self._make_room()
                if batch or quarantined or entries:
                    under_way = asyncio.create_task(self._finish(batch, quarantined, entries))
                    if not self._entries:
                        await asyncio.shield(under_way)
                        under_way = None
        finally:
            self._stopping = True
            try:
                if under_way is not None:
                    await asyncio.shield(under_way)
            finally:
                for entry in entries + self._entries:
                    entry.done.cancel()  # not acknowledged; does nothing to what was committed

    async def _go_deaf_until_heard(self) -> None:
        """A process that starts was deaf: each source tells when it has handed over what waited.

        This comes before time moves on, for what fell due meanwhile was not listened to.
        """
        sequencer, now = self._sequencer, self._now_ms()
        since = sequencer.stream_ms or now
        sequencer.move_to(since)
        for source in tuple(sequencer.behind):
            sequencer.command(Deaf(NOT_YET, source, since, now))
            sequencer.behind[source] = now  # it is waited for from now on, not from then
        if sequencer.behind:
            await self._finish(sequencer.cut(), [], [])

    async def _gather(self) -> None:
        """Wait for entries and a little longer for their neighbours, or until time itself is
        due.
        """
        if not self._entries:
            self._arrived.clear()
            pause_s = max(self._next_frame_ms() - self._now_ms(), 0) / 1000
            try:
                async with asyncio.timeout(pause_s):
                    await self._arrived.wait()
            except TimeoutError:
                return
        if self._waiting_rows < self._settings.frame_rows_max:
            await asyncio.sleep(self._settings.linger_ms / 1000)

    def _next_frame_ms(self) -> int:
        soonest = self._sequencer.next_ms()
        if soonest is None:
            soonest = self._now_ms() + int(self._settings.idle_frame_s * 1000)
        if self._sequencer.behind:
            soonest = min(soonest, self._now_ms() + 1000)
        return soonest

    def _take(self) -> list[_Entry]:
        rows = 0
        for i, entry in enumerate(self._entries):
            rows += 0 if entry.parcel is None else len(entry.parcel.rows)
            if rows > self._settings.frame_rows_max and i > 0:
                taken, self._entries = self._entries[:i], self._entries[i:]
                break
        else:
            taken, self._entries = self._entries, []
        self._waiting_rows -= sum(len(e.parcel.rows) for e in taken if e.parcel is not None)
        return taken

    async def _make_room(self) -> None:
        async with self._room:
            self._room.notify_all()

    def _apply(self, entries: list[_Entry]) -> tuple[list[Applied], list[Quarantined]]:
        """Number the entries by stream time, cut them by group, and let the engines have them."""
        sequencer = self._sequencer
        sequencer.move_to(self._now_ms())
        applied: list[Applied] = []
        quarantined: list[Quarantined] = []
        for entry in entries:
            if entry.parcel is not None:
                quarantined += entry.parcel.quarantined
                sequencer.rows(self._rows(entry.parcel))
            elif entry.network is not None:
                applied += self._replace(*entry.network)
            elif entry.command is not None:
                sequencer.command(entry.command, entry.group)
        return [*applied, *sequencer.cut()], quarantined

    def _replace(self, before: Network, after: Network) -> list[Applied]:
        """Change the numbering; the oldest of too many that were in force is let go."""
        self._numbered.pop(after.version, None)
        self._numbered[before.version] = before
        if len(self._numbered) > self._settings.numberings_max:
            self._numbered.pop(next(iter(self._numbered)))
        self._numbered[after.version] = after
        self._version = after.version
        log.info("network_replaced", version=after.version, before=before.version)
        return self._sequencer.replace(after)

    def _rows(self, parcel: Parcel) -> Rows:
        version = parcel.network or self._version
        if version == self._version or len(parcel.rows) == 0:
            return parcel.rows
        return renumbered(parcel.rows, self._numbered[version], self._numbered[self._version])

    async def _finish(
        self, batch: list[Applied], quarantined: list[Quarantined], entries: list[_Entry]
    ) -> None:
        """Commit until it is done, then tell whoever waits; when stopped, try only once more."""
        while True:
            try:
                await self._commit(batch, quarantined)
                break
            except Unreachable as away:
                if self._stopping:
                    return
                log.warning("commit_waits", reason=away.message, retry_in_s=away.retry_in_s)
                await asyncio.sleep(away.retry_in_s)
        for entry in entries:
            if not entry.done.done():
                entry.done.set_result(None)
        pings = [ping for applied in batch for ping in applied.outcome.pings]
        if pings and self._ping is not None:
            await self._ping(pings)
