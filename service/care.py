"""What is done now and then: what is older than its time is let go."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from grid.errors import Unreachable

log = structlog.get_logger()


class Forgets(Protocol):
    """The store, as far as its age goes."""

    async def let_go(self, now_ms: int) -> object:
        """Drop what is older than its time."""


async def keep_house(store: Forgets, now_ms: Callable[[], int], every_s: float) -> None:
    """Let old things go, for ever; a database that is away is tried again the next time."""
    while True:
        try:
            gone = await store.let_go(now_ms())
            log.info("old_things_let_go", gone=str(gone))
        except Unreachable as away:
            log.warning("care_waits", reason=away.message)
        await asyncio.sleep(every_s)
