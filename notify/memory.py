"""A feed log in memory: for tests, and for trying a client without a database.

It keeps the contract of notify/log.py (tests/contracts/test_feed_log.py), and can be made to fail.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence

import msgspec

from grid.errors import Unreachable


class MemoryRow(msgspec.Struct, frozen=True):
    """A row of the log."""

    offset: int
    at_ms: int
    type: str
    body: bytes


class MemoryLog:
    """Channels of rows.  ``away`` makes every read raise; ``reads`` counts them by method."""

    def __init__(self, epoch: str = "e1") -> None:
        self.epoch = epoch
        self.away = False
        self.reads: Counter[str] = Counter()
        self.gate = asyncio.Event()  # reads wait for it
        self.gate.set()
        self.mute = False  # nobody is told of news
        self._listeners: dict[asyncio.Event, set[str]] = {}
        self._broken: set[asyncio.Event] = set()
        self._rows: dict[str, list[MemoryRow]] = {}
        self._tops: dict[str, int] = {}
        self._states: dict[str, bytes] = {}

    def append(self, channel: str, body: bytes, *, type: str = "change", at_ms: int = 0) -> int:  # noqa: A002  the column's name
        """Commit a row and say its offset."""
        offset = self._tops.get(channel, 0) + 1
        self._tops[channel] = offset
        self._rows.setdefault(channel, []).append(MemoryRow(offset, at_ms, type, body))
        for woken, names in self._listeners.items() if not self.mute else ():
            names.add(channel)
            woken.set()
        return offset

    def interrupt(self) -> None:
        """As when the database's connection breaks: whoever listens has to listen anew."""
        for woken in self._listeners:
            self._broken.add(woken)
            woken.set()

    def set_state(self, channel: str, body: bytes) -> None:
        """What a snapshot of the channel shows from now on."""
        self._states[channel] = body

    def trim(self, channel: str, upto: int) -> None:
        """Forget rows up to an offset."""
        self._rows[channel] = [row for row in self._rows[channel] if row.offset > upto]

    def lose_everything(self, epoch: str) -> None:
        """As after a restore from an empty backup: a new epoch, offsets from 1 again."""
        self.epoch = epoch
        self._rows.clear()
        self._tops.clear()

    async def feed_position(self, channel: str) -> tuple[str, int]:
        """The epoch and the last offset."""
        await self._read("position")
        return self.epoch, self._tops.get(channel, 0)

    async def feed_positions(self, channels: Sequence[str]) -> tuple[str, Mapping[str, int]]:
        """The epoch and the last offsets."""
        await self._read("positions")
        return self.epoch, {name: self._tops.get(name, 0) for name in channels}

    async def feed_read(self, channel: str, after: int, limit: int) -> Sequence[MemoryRow]:
        """Rows after an offset."""
        await self._read("read")
        return self._after(channel, after, limit)

    async def feed_read_many(
        self, after: Mapping[str, int], limit: int
    ) -> Mapping[str, Sequence[MemoryRow]]:
        """Rows of many channels."""
        await self._read("read_many")
        found = {name: self._after(name, offset, limit) for name, offset in after.items()}
        return {name: rows for name, rows in found.items() if rows}

    async def feed_snapshot(self, channel: str) -> tuple[str, int, bytes]:
        """The state at the last offset."""
        await self._read("snapshot")
        return self.epoch, self._tops.get(channel, 0), self._states.get(channel, b"{}")

    async def feed_news(self) -> AsyncGenerator[frozenset[str] | None]:
        """Channels that were written to."""
        woken = asyncio.Event()
        names = self._listeners[woken] = set()
        try:
            yield None
            while True:
                await woken.wait()
                if woken in self._broken:
                    raise Unreachable("nobody tells us any more", retry_in_s=0.01)
                told = frozenset(names)
                names.clear()
                woken.clear()
                yield told
        finally:
            del self._listeners[woken]
            self._broken.discard(woken)

    def _after(self, channel: str, after: int, limit: int) -> list[MemoryRow]:
        rows = self._rows.get(channel, [])
        return [row for row in rows if row.offset > after][:limit]

    async def _read(self, what: str) -> None:
        self.reads[what] += 1
        await self.gate.wait()
        if self.away:
            raise Unreachable("the log is away", retry_in_s=0.01)
