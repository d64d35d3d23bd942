"""To say something to the stream until it is accepted."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from grid.errors import Unreachable

log = structlog.get_logger(__name__)


T = TypeVar("T")


async def insist(say: Callable[[], Awaitable[T]]) -> T:
    """Call, and again after as long as the refusal says, until it is accepted; the answer."""
    attempts = 0
    while True:
        try:
            return await say()
        except Unreachable as away:
            attempts += 1
            if attempts == 1:
                log.warning("stream_away", reason=away.message)
            await asyncio.sleep(away.retry_in_s)
