"""The task boundary: what runs beside, what becomes of it when it fails, and how it is stopped."""

import asyncio
import faulthandler
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog

log = structlog.get_logger()


class Failure:
    """The first task that failed, for whoever waits for it."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.error: BaseException | None = None

    def note(self, error: BaseException) -> None:
        """Keep the first."""
        if self.error is None:
            self.error = error
        self._event.set()

    async def wait(self) -> None:
        """Return when something has failed."""
        await self._event.wait()


@asynccontextmanager
async def running(
    name: str, work: Coroutine[Any, Any, None], failure: Failure, *, stop_s: float
) -> AsyncIterator[None]:
    """Run a part beside the block, and stop it when the block is left.

    A part that fails ends the service: half of one is worse than none, and a supervisor starts it
    again.  A part that has not stopped after half of its time is told again, which cuts off a
    clean-up that waits for a silent peer; one that does not stop even then is left behind with a
    line in the log.
    """
    task = asyncio.get_running_loop().create_task(_boundary(name, work, failure), name=name)
    try:
        yield
    finally:
        for _ in range(2):
            task.cancel()
            _, late = await asyncio.wait({task}, timeout=stop_s / 2)
            if not late:
                break
        else:
            log.error("task_did_not_stop", task=name, within_s=stop_s)


async def _boundary(name: str, work: Coroutine[Any, Any, None], failure: Failure) -> None:
    try:
        await work
    except asyncio.CancelledError:
        raise
    except Exception as error:
        log.exception("task_failed", task=name)
        failure.note(_inner(error))
        raise
    else:
        log.debug("task_ended", task=name)


def _inner(error: BaseException) -> BaseException:
    """The first failure inside a group of them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def first_of(*waits: Coroutine[Any, Any, Any]) -> None:
    """Return when one of them does; the others are cancelled."""
    tasks = {asyncio.ensure_future(wait) for wait in waits}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def leave_within(limit_s: float) -> None:
    """End this process then, whatever hangs; standard error says where each thread was.

    Threads that wait for a peer cannot be stopped, and Python waits for every one of them before
    it ends.  What is committed stands; what is not comes again.
    """
    # Faust has put something of its own in the place of sys.stderr
    faulthandler.dump_traceback_later(limit_s, exit=True, file=sys.__stderr__ or 2)
