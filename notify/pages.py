"""The same log for those who cannot hold a websocket: one page of it, or page after page.

The rule is the feeds': a page goes on without a gap where its reader was, or it is a snapshot.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

import msgspec

from grid.errors import Unreachable
from notify.log import FeedLog, follows
from notify.messages import Since, pub
from notify.settings import FeedSettings


class Page(msgspec.Struct, frozen=True):
    """Who has read it is at ``offset`` of the channel, whose newest message is ``top``.

    ``snapshot`` is the state (JSON) where nothing else would do, else None; ``pubs`` are pub
    messages (JSON), each one beyond the one before.
    """

    channel: str
    epoch: str
    offset: int
    top: int
    snapshot: bytes | None
    pubs: tuple[bytes, ...]

    @property
    def since(self) -> Since:
        """Where its reader goes on."""
        return Since(self.epoch, self.offset)


class Pages:
    """Pages of the log, and readers that are woken when there is another."""

    def __init__(
        self, feed_log: FeedLog, settings: FeedSettings, now_ms: Callable[[], int]
    ) -> None:
        self._log = feed_log
        self._settings = settings
        self._now_ms = now_ms
        self._readers: dict[asyncio.Event, str] = {}

    @property
    def full(self) -> bool:
        """Whether no more may follow."""
        return len(self._readers) >= self._settings.streams_max

    async def page(self, channel: str, since: Since | None) -> Page:
        """What came after, or a snapshot.

        Raises:
            Unreachable: The log cannot be read now.
        """
        if since is not None:
            epoch, top = await self._log.feed_position(channel)
            back = top - since.offset
            if since.epoch == epoch and 0 <= back <= self._settings.replay_max:
                limit = self._settings.page_max
                rows = await self._log.feed_read(channel, since.offset, limit) if back else ()
                if not back or follows(rows, since.offset):
                    now = self._now_ms()
                    pubs = tuple(pub(channel, epoch, row, now).text for row in rows)
                    at = since.offset + len(pubs)
                    return Page(channel, epoch, at, max(top, at), None, pubs)
        epoch, offset, body = await self._log.feed_snapshot(channel)
        return Page(channel, epoch, offset, offset, body, ())

    async def follow(self, channel: str, since: Since | None) -> AsyncGenerator[Page]:
        """Page after page, as it happens; one without anything every ``poll_s`` of silence.

        Raises:
            Unreachable: The log cannot be read now.
        """
        news = asyncio.Event()
        self._readers[news] = channel
        try:
            while True:
                news.clear()
                page = await self.page(channel, since)
                since = page.since
                yield page
                if page.offset >= page.top:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._settings.poll_s):
                            await news.wait()
        finally:
            del self._readers[news]

    async def run(self) -> None:
        """Wake the readers whose channels have news; without it they look every ``poll_s``."""
        while True:
            try:
                async with contextlib.aclosing(self._log.feed_news()) as told:
                    async for channels in told:
                        for news, channel in self._readers.items():
                            if channels is None or channel in channels:
                                news.set()
            except Unreachable as error:
                await asyncio.sleep(error.retry_in_s)
