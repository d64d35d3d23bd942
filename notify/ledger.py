"""Audit lines on their way to the database: written to the log at once, kept in order, bounded.

While the database is away lines wait; when too many do, or too many come in a minute, the newest
are dropped and counted, and only the log has them.
"""

import asyncio
from collections.abc import Callable

import structlog

from grid.errors import Unreachable
from grid.people import Audit
from notify.pace import Pace
from notify.settings import FeedSettings
from notify.tally import Tally

log = structlog.get_logger()

ALL = ""

Line = tuple[str, int, str | None, str, str]


class Ledger:
    """A bounded queue of audit lines before ``audit``."""

    def __init__(
        self, audit: Audit, settings: FeedSettings, tally: Tally, now_ms: Callable[[], int]
    ) -> None:
        self._audit = audit
        self._lines: asyncio.Queue[Line] = asyncio.Queue(settings.audit_max)
        per_minute = settings.audit_per_minute_max
        self._pace = Pace(per_minute / 60, per_minute, names_max=1)
        self._tally = tally
        self._now_ms = now_ms

    def keep(self, event: str, *, subject: str | None, address: str, detail: str) -> None:
        """Keep a line; never waits."""
        now = self._now_ms()
        log.info("audit", what=event, subject=subject, address=address, detail=detail)
        if self._lines.full() or not self._pace.take(ALL, now):
            self._tally.audit_dropped += 1
        else:
            self._lines.put_nowait((event, now, subject, address, detail))

    async def run(self) -> None:
        """Hand lines over, one after the other, for as long as it takes."""
        while True:
            event, at_ms, subject, address, detail = await self._lines.get()
            while True:
                try:
                    await self._audit(
                        event, at_ms=at_ms, subject=subject, address=address, detail=detail
                    )
                except Unreachable as error:
                    await asyncio.sleep(error.retry_in_s)
                else:
                    break
