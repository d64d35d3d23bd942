"""The channels that somebody listens to: one reader of the log for all, and a way in for each.

Whoever joins is first brought to where the channel is (a gapless replay, or a snapshot and what
followed it), reading on their own and paced by their own socket; then they are one of its members.
From then on the reader reads each channel once for all members.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import structlog

from grid.errors import Unreachable
from notify.client import Client
from notify.closing import Closing
from notify.log import FeedLog, FeedRow, follows
from notify.messages import Heading, Pos, Since, Subscribed, text_frame, write
from notify.returning import Returning
from notify.settings import FeedSettings
from notify.tally import Tally

log = structlog.get_logger()

Rows = Mapping[str, Sequence[FeedRow]]
OFFERS_MAX = 500  # made before the sockets and everybody else get their turn


@dataclass(slots=True)
class Channel:
    """A channel with members, all of whom were offered everything up to ``offset``."""

    name: str
    epoch: str
    offset: int
    members: dict[Client, int] = field(default_factory=dict)  # -> nothing up to here is news
    heading: Heading = field(init=False)

    def __post_init__(self) -> None:
        self.heading = Heading(self.name, self.epoch)


@dataclass(slots=True)
class Opening:
    """What a joining client is told first."""

    epoch: str
    at: int  # offset it will then have
    top: int
    snapshot: bytes | None  # None: recovered
    rows: Sequence[FeedRow] = ()


class Hub:
    """Members by channel, and the reading of the log."""

    def __init__(
        self, feed_log: FeedLog, settings: FeedSettings, tally: Tally, now_ms: Callable[[], int]
    ) -> None:
        self._log = feed_log
        self._settings = settings
        self._tally = tally
        self._now_ms = now_ms
        self._channels: dict[str, Channel] = {}
        self._news: set[str] = set()  # channels to be looked at
        self._woken = asyncio.Event()
        self._returning = Returning(feed_log, settings)
        self._reading = asyncio.Semaphore(settings.reads_parallel_max)
        self._offers = 0  # made since the last turn of the others
        self._snapshots: dict[str, asyncio.Task[tuple[str, int, bytes]]] = {}
        self.epoch = ""
        self.healthy = False

    def __len__(self) -> int:
        return len(self._channels)

    # -- members -----------------------------------------------------------------------------------

    async def join(self, client: Client, channel: str, requested: str, since: Since | None) -> None:
        """Answer a subscription and bring the client up to date.

        Raises:
            Unreachable: The log cannot be read now.
            ConnectionClosed: The client has gone.
        """
        self.leave(client, channel)
        opening = await self._open(channel, since)
        self._tally.subscribed["snapshot" if opening.snapshot is not None else "recovered"] += 1
        first = _subscribed(channel, requested, opening, since)
        await self._catch_up(client, channel, opening, first)

    def leave(self, client: Client, channel: str) -> None:
        """Take a client out of a channel, and what waits for it."""
        live = self._channels.get(channel)
        if live is not None and live.members.pop(client, None) is not None:
            client.forget(channel)
            if not live.members:
                del self._channels[channel]

    def told(self, channel: str) -> int:
        """The offset up to which its members were told."""
        live = self._channels.get(channel)
        return live.offset if live is not None else 0

    def positions(self, client: Client) -> bytes:
        """How far each of a client's channels has come, as frames."""
        frames = b""
        for name in client.talk.channels:
            live = self._channels.get(name)
            if live is not None and client in live.members:
                offset = max(live.offset, live.members[client])
                frames += text_frame(write(Pos(name, live.epoch, offset)))
        return frames

    async def _open(self, channel: str, since: Since | None) -> Opening:
        if since is not None:
            found = await self._returning.ask(channel, since.offset)
            back = found.top - since.offset
            near = since.epoch == found.epoch and 0 <= back <= self._settings.replay_max
            if near and (not back or follows(found.rows, since.offset)):
                return Opening(found.epoch, since.offset, found.top, None, found.rows)
        epoch, offset, body = await self._snapshot(channel)
        return Opening(epoch, offset, offset, body)

    async def _snapshot(self, channel: str) -> tuple[str, int, bytes]:
        """The channel's state; those who ask while it is being read share the answer."""
        task = self._snapshots.get(channel)
        if task is None:
            task = self._snapshots[channel] = asyncio.create_task(self._read_snapshot(channel))
            task.add_done_callback(lambda done: self._snapshot_read(channel, done))
        return await asyncio.shield(task)

    async def _read_snapshot(self, channel: str) -> tuple[str, int, bytes]:
        async with self._reading:
            return await self._log.feed_snapshot(channel)

    def _snapshot_read(self, channel: str, done: asyncio.Task[tuple[str, int, bytes]]) -> None:
        del self._snapshots[channel]
        if not done.cancelled():
            done.exception()  # those who wait are told; when none does any more, nobody cares

    async def _catch_up(self, client: Client, channel: str, opening: Opening, first: bytes) -> None:
        """Say ``first``, replay until the client is where the channel is, and make it a member in
        that moment.
        """
        at, rows, said = opening.at, opening.rows, [first]
        heading = Heading(channel, opening.epoch)
        while True:
            said += [heading.pub(row, self._now_ms()).text for row in rows]
            await client.send_all(said)
            at, said = rows[-1].offset if rows else at, []
            live = self._channels.get(channel)
            if live is not None and live.epoch != opening.epoch:
                return client.hang_up(Closing.INSUFFICIENT_STATE)
            if at >= (opening.top if live is None else live.offset):
                break
            rows = await self._read(channel, at)
            if not follows(rows, at):
                return client.hang_up(Closing.INSUFFICIENT_STATE)
        if live is None:
            live = self._channels[channel] = Channel(channel, opening.epoch, at)
        live.members[client] = at
        return self._wake((channel,))  # for what was committed while nobody listened

    async def _read(self, channel: str, after: int) -> Sequence[FeedRow]:
        async with self._reading:
            return await self._log.feed_read(channel, after, self._settings.page_max)

    # -- the reader --------------------------------------------------------------------------------

    def _wake(self, channels: Iterable[str] | None = None) -> None:
        """Something was committed: in these channels, or who knows where."""
        self._news.update(self._channels if channels is None else channels)
        self._woken.set()

    async def listen(self) -> None:
        """Be woken by whoever commits, in whatever process; without it the poll finds the news."""
        while True:
            try:
                async with contextlib.aclosing(self._log.feed_news()) as news:
                    async for channels in news:
                        self._wake(channels)
            except Unreachable as error:
                await asyncio.sleep(error.retry_in_s)

    async def open(self) -> None:
        """Learn the log's epoch; waits for a log that is away."""
        while not self.healthy:
            try:
                self.epoch, _ = await self._log.feed_position("dispatch")
                self.healthy = True
            except Unreachable as error:
                await self._wait_out(error)

    async def run(self) -> None:
        """Read what is new whenever somebody says so, and now and then anyway."""
        loop = asyncio.get_running_loop()
        look_at = loop.time()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(look_at):
                    await self._woken.wait()
            self._woken.clear()
            try:
                if loop.time() >= look_at:
                    self._news.update(self._channels)
                    await self._check_epoch()
                    look_at = loop.time() + self._settings.poll_s
                await self._read_news()
                self.healthy = True
            except Unreachable as error:
                self._wake()  # look at everything again
                await self._wait_out(error)

    def close(self) -> None:
        """Stop reading for those who are still joining."""
        self._returning.close()
        for task in self._snapshots.values():
            task.cancel()

    async def _wait_out(self, error: Unreachable) -> None:
        if self.healthy:
            log.warning("feed_log_unreachable", reason=error.message)
        self.healthy = False
        await asyncio.sleep(error.retry_in_s)

    async def _read_news(self) -> None:
        """Fan out everything new; the dispatch channels first, whose names come last."""
        while due := sorted(self._news & self._channels.keys(), reverse=True):
            self._news.clear()
            size = self._settings.read_channels_max
            await self._read_channels([due[i : i + size] for i in range(0, len(due), size)])
        self._news.clear()

    async def _read_channels(self, parts: Sequence[Sequence[str]]) -> None:
        """Read part after part, the next one while what was read is written: the database and the
        sockets work at the same time.
        """
        reading = self._read_ahead(parts[0])
        try:
            for number in range(len(parts)):
                found, reads = reading
                rows = await reads
                if number + 1 < len(parts):
                    reading = self._read_ahead(parts[number + 1])
                await self._spread(found, rows)
        finally:
            reading[1].cancel()  # no harm to one that is done

    def _read_ahead(self, names: Sequence[str]) -> tuple[dict[str, int], "asyncio.Task[Rows]"]:
        channels = self._channels
        after = {name: live.offset for name in names if (live := channels.get(name)) is not None}
        return after, asyncio.create_task(self._read_after(after))

    async def _read_after(self, after: Mapping[str, int]) -> Rows:
        return await self._log.feed_read_many(after, self._settings.page_max) if after else {}

    async def _spread(self, after: Mapping[str, int], found: Rows) -> None:
        for name, rows in found.items():
            live = self._channels.get(name)
            if live is None:
                continue
            if live.offset != after[name]:
                self._news.add(name)  # left and joined anew while we read
            elif not follows(rows, live.offset):
                self._lose(live)
            else:
                await self._fan_out(live, rows)

    async def _fan_out(self, live: Channel, rows: Sequence[FeedRow]) -> None:
        unsent, room = 0, self._settings.direct_bytes_max // 2
        for row in rows:
            unsent += self._offer(live, row)
            if self._offers >= OFFERS_MAX or unsent >= room:
                self._offers = unsent = 0
                await asyncio.sleep(0)  # let the sockets be written, or fast readers look slow
        if len(rows) >= self._settings.page_max:
            self._news.add(live.name)

    def _offer(self, live: Channel, row: FeedRow) -> int:
        """Give the next row to all members; how many bytes each was given."""
        offset = live.offset = row.offset
        item = live.heading.pub(row, self._now_ms())
        for client, known in live.members.items():
            if offset > known:
                client.offer(item)
        count, tally = len(live.members), self._tally
        tally.published += 1
        tally.delivered += count
        self._offers += 1 + count
        return len(item.frame)

    async def _check_epoch(self) -> None:
        """One channel's position now and then tells whether history is still the same."""
        epoch, _ = await self._log.feed_position("dispatch")
        if epoch != self.epoch:
            log.warning("feed_epoch_changed", was=self.epoch, now=epoch)
            self.epoch = epoch
            for live in tuple(self._channels.values()):
                self._lose(live)

    def _lose(self, live: Channel) -> None:
        """What came next in a channel is gone: its members have to subscribe again."""
        log.warning("feed_history_lost", channel=live.name, offset=live.offset)
        del self._channels[live.name]
        for client in live.members:
            client.hang_up(Closing.INSUFFICIENT_STATE)


def _subscribed(channel: str, requested: str, opening: Opening, since: Since | None) -> bytes:
    snapshot = None if opening.snapshot is None else msgspec.Raw(opening.snapshot)
    return write(
        Subscribed(
            channel=channel,
            requested=requested,
            epoch=opening.epoch,
            offset=opening.at,
            top=opening.top,
            recovered=snapshot is None,
            was_recovering=since is not None,
            snapshot=snapshot,
        )
    )
