"""Where returning clients' channels stand and what they missed, read for many in one round trip.

When a push server dies, thousands come back within seconds.  Each needs its channel's position and
the rows after its own; read one by one that would cost the database some thousand round trips a
second.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from grid.errors import LastgaspError
from notify.log import FeedLog, FeedRow
from notify.settings import FeedSettings

ROWS_MAX = 16  # of each channel in the common read; who missed more reads on by itself

Asked = tuple[str, int]  # channel, and the offset that the client has


@dataclass(frozen=True, slots=True)
class Standing:
    """The epoch and top of a channel, and at least the first rows after an offset."""

    epoch: str
    top: int
    rows: Sequence[FeedRow]


class Returning:
    """Gathers what is asked while a read is under way, and reads it together next."""

    def __init__(self, feed_log: FeedLog, settings: FeedSettings) -> None:
        self._log = feed_log
        self._settings = settings
        self._waiting: dict[Asked, asyncio.Future[Standing]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def ask(self, channel: str, after: int) -> Standing:
        """The channel's standing, read after this was asked.

        Raises:
            Unreachable: The log cannot be read now.
        """
        found = self._waiting.get((channel, after))
        if found is None:
            found = asyncio.get_running_loop().create_future()
            self._waiting[channel, after] = found
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return await asyncio.shield(found)  # others may wait for the same

    def close(self) -> None:
        """Stop reading, and let nobody wait for it."""
        if self._reading is not None:
            self._reading.cancel()
        for found in self._waiting.values():
            found.cancel()

    async def _read(self) -> None:
        try:
            while self._waiting:
                await self._read_some(self._take())
        finally:
            self._reading = None

    def _take(self) -> dict[Asked, asyncio.Future[Standing]]:
        """A batch in which each channel is asked for once."""
        batch: dict[str, Asked] = {}
        for asked in self._waiting:
            if len(batch) >= self._settings.read_channels_max:
                break
            batch.setdefault(asked[0], asked)
        return {asked: self._waiting.pop(asked) for asked in batch.values()}

    async def _read_some(self, batch: dict[Asked, asyncio.Future[Standing]]) -> None:
        try:
            epoch, tops = await self._log.feed_positions([channel for channel, _ in batch])
            behind = {channel: after for channel, after in batch if after < tops[channel]}
            limit = min(ROWS_MAX, self._settings.page_max)
            rows = await self._log.feed_read_many(behind, limit) if behind else {}
        except asyncio.CancelledError:
            for found in batch.values():
                found.cancel()
            raise
        except LastgaspError as error:
            for found in batch.values():
                found.set_exception(error)
                found.exception()  # those who wait are told; when none does, nobody cares
        else:
            for (channel, _), found in batch.items():
                found.set_result(Standing(epoch, tops[channel], rows.get(channel, ())))
