"""The audit trail of the API: every line is in the log, and in the database up to a rate.

The rate keeps a flood of bad tokens from becoming a flood of writes.
"""

from collections.abc import Callable

import structlog

from grid.errors import Unreachable
from grid.people import Audit

log = structlog.get_logger()


class Trail:
    """At most ``per_minute_max`` lines a minute go to ``audit``."""

    def __init__(self, audit: Audit, per_minute_max: int, now_ms: Callable[[], int]) -> None:
        self._audit = audit
        self._per_minute_max = per_minute_max
        self._now_ms = now_ms
        self._minute = 0
        self._kept = 0
        self.dropped = 0  # lines that only the log has

    async def keep(
        self, event: str, *, subject: str | None, address: str | None, detail: str
    ) -> None:
        """Keep a line; a database that is away does not fail the request."""
        now = self._now_ms()
        log.info("audit", what=event, subject=subject, address=address, detail=detail)
        if now // 60_000 != self._minute:
            self._minute, self._kept = now // 60_000, 0
        if self._kept >= self._per_minute_max:
            self.dropped += 1
            return
        self._kept += 1
        try:
            await self._audit(event, at_ms=now, subject=subject, address=address, detail=detail)
        except Unreachable:
            self.dropped += 1
