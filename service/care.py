"""Done now and then: old things are let go, and what has died beside us is started again."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from grid.errors import ConfigError, Unreachable

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


async def keep_alive(revivers: Mapping[str, Callable[[], bool]], every_s: float) -> None:
    """Start the broker and the database again when they die, for ever."""
    while True:
        for name, revive in revivers.items():
            try:
                if await asyncio.to_thread(revive):
                    log.warning("started_again", what=name)
            except ConfigError as wrong:
                log.error("does_not_start_again", what=name, reason=wrong.message)
        await asyncio.sleep(every_s)
