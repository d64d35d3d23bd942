"""Reaching the database: a bounded pool, and one sentence for every way in which a database can be
away.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from grid.errors import ConfigError, Refused, Unreachable
from store.settings import StoreSettings

Connection = psycopg.AsyncConnection[Any]
AWAY = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    PoolTimeout,
    TooManyRequests,
    TimeoutError,
)

LASTING = """
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off'
"""
APPLICATION = "lastgasp"  # what pg_stat_activity shows

CLOSE_S = 2.0  # connections that a silent server holds are left to it

log = structlog.get_logger()


class Reach:
    """Connections to one database."""

    def __init__(self, pool: "AsyncConnectionPool[Connection]", settings: StoreSettings) -> None:
        self._pool = pool
        self._settings = settings

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """As ``within``, for the time that a database may take to answer."""
        return self.within(self._settings.answer_s)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """As ``connection``, for statements that each stand alone: without a transaction, which
        would cost two more round trips.
        """
        async with self.connection() as connection:
            await connection.set_autocommit(True)
            try:
                yield connection
            finally:
                if not connection.closed:
                    await connection.set_autocommit(False)

    @asynccontextmanager
    async def within(self, limit_s: float | None) -> AsyncIterator[Connection]:
        """A connection; what was not committed at the end is, and rolled back where the block
        raises.

        Raises:
            Unreachable: The database is away, restarting, full, or does not answer in time.
            Refused: It was handed a value that it cannot keep, like a character 0.
        """
        try:
            async with asyncio.timeout(limit_s), self._pool.connection() as connection:
                yield connection
        except AWAY as away:
            log.warning("database_unreachable", error=type(away).__name__, why=_sentence(away))
            raise Unreachable(
                f"the database does not answer: {_sentence(away)}",
                retry_in_s=self._settings.retry_s,
            ) from away
        except psycopg.DataError as wrong:
            raise Refused(f"the database cannot take that: {_sentence(wrong)}") from wrong


async def connect(url: str, settings: StoreSettings) -> Connection:
    """One connection outside any pool, which says at once why there is none.

    Raises:
        ConfigError: The URL is none, or the server does not let us in.
        Unreachable: Nobody answers there, or not yet.
    """
    try:
        return await psycopg.AsyncConnection.connect(
            url,
            connect_timeout=max(2, int(settings.connection_wait_s)),
            application_name=APPLICATION,
        )
    except psycopg.ProgrammingError as wrong:
        raise ConfigError(f"--database is not a PostgreSQL URL: {_sentence(wrong)}") from wrong
    except psycopg.OperationalError as away:
        raise Unreachable(
            f"the database does not answer: {_sentence(away)}", retry_in_s=settings.retry_s
        ) from away


@asynccontextmanager
async def reach(url: str, settings: StoreSettings) -> AsyncIterator[Reach]:
    """A pool of connections to a database that has answered before."""
    pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
        url,
        min_size=1,
        max_size=settings.connections_max,
        timeout=settings.connection_wait_s,
        kwargs={"application_name": APPLICATION},
        configure=_lasting,
        open=False,
    )
    await pool.open()
    try:
        yield Reach(pool, settings)
    finally:
        await pool.close(CLOSE_S)


async def _lasting(connection: Connection) -> None:
    """What is committed outlives a server that is killed, whatever its default is: devices and
    Kafka are told that they may forget it.
    """
    await connection.set_autocommit(True)
    await connection.execute(LASTING)
    await connection.set_autocommit(False)


def _sentence(error: BaseException) -> str:
    """The first line of what the driver says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
