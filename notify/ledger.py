"""Audit lines on their way to the database: written to the log at once, kept in order, bounded.

While the database is away lines wait; when too many do, the newest are dropped and counted, and
only the log has them.
"""

import asyncio
from collections.abc import Callable

import structlog

from grid.errors import Unreachable
from grid.people import Audit
from notify.tally import Tally

log = structlog.get_logger()

Line = tuple[str, int, str | None, str, str]


class Ledger:
    """A queue of at most ``lines_max`` audit lines before ``audit``."""

    def __init__(
        self, audit: Audit, lines_max: int, tally: Tally, now_ms: Callable[[], int]
    ) -> None:
        self._audit = audit
        self._lines: asyncio.Queue[Line] = asyncio.Queue(lines_max)
        self._tally = tally
        self._now_ms = now_ms

    def keep(self, event: str, *, subject: str | None, address: str, detail: str) -> None:
        """Keep a line; never waits."""
        log.info("audit", what=event, subject=subject, address=address, detail=detail)
        try:
            self._lines.put_nowait((event, self._now_ms(), subject, address, detail))
        except asyncio.QueueFull:
            self._tally.audit_dropped += 1

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
