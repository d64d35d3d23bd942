"""How far customers have seen their own pages: gathered from the feeds, kept now and then.

Whoever saw an outage on the page needs no text of it on a second channel.
"""

import asyncio
from collections.abc import Callable

import structlog

from grid.errors import Unreachable
from grid.people import Principal, Role
from grid.times import to_rfc3339
from store.wishing import SeenRow, Wishing

log = structlog.get_logger(__name__)

KEEP_S = 2.0
WAITING_MAX = 50_000  # customers whose word waits for the database; of more nothing is kept


class Seeing:
    """The last word of each customer, until it is kept."""

    def __init__(self, wishing: Wishing, now_ms: Callable[[], int]) -> None:
        self._wishing = wishing
        self._now_ms = now_ms
        self._waiting: dict[str, int] = {}

    def note(self, who: Principal, channel: str, offset: int) -> None:
        """A person has seen a channel up to an offset; of customers it is kept."""
        if who.role is not Role.CUSTOMER or len(self._waiting) >= WAITING_MAX:
            return
        self._waiting[who.subject] = max(offset, self._waiting.get(who.subject, 0))

    async def run(self) -> None:
        """Keep what was said, for ever."""
        while True:
            await asyncio.sleep(KEEP_S)
            await self.keep()

    async def keep(self) -> None:
        """Keep what was said since; while the database is away it waits."""
        if not self._waiting:
            return
        some, at = self._waiting, to_rfc3339(self._now_ms())
        self._waiting = {}
        try:
            await self._wishing.seen(
                [SeenRow(customer, offset, at) for customer, offset in sorted(some.items())]
            )
        except Unreachable as away:
            log.warning("seen_waits", reason=away.message)
            self._waiting = some | self._waiting
