"""Bringing a database to this program's schema: ``schema.sql`` for a new one, numbered migrations
for an older one.

Version 1 is the schema of the first release.  ``migrations/0002_what_it_does.sql`` and so on each
bring the version before to their own, forward only; after them ``schema.sql``, which is idempotent,
brings views and functions.  It all happens in one transaction under a lock, so two processes that
start together do it once.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psycopg
import structlog

from grid.errors import ConfigError

LOCK = 0x6C617374  # "last": the advisory lock of whoever changes the schema
FIRST = 1

log = structlog.get_logger()


class Migration(msgspec.Struct, frozen=True):
    """A step from version ``number - 1`` to ``number``."""

    number: int
    name: str
    sql: str


def schema_text() -> str:
    """``schema.sql``: beside this file in a wheel, at the root in an editable install."""
    here = Path(__file__).resolve().parent
    for place in (here / "schema.sql", here.parent / "schema.sql"):
        if place.exists():
            return place.read_text("utf-8")
    raise ConfigError(f"schema.sql is neither in {here} nor above it; install lastgasp again")


def migrations(folder: Path | None = None) -> tuple[Migration, ...]:
    """The migrations in their order, without gaps from version 2."""
    folder = folder or Path(__file__).resolve().parent / "migrations"
    found = tuple(
        Migration(int(path.stem.partition("_")[0]), path.stem, path.read_text("utf-8"))
        for path in sorted(folder.glob("[0-9]*.sql"))
    )
    assert [m.number for m in found] == list(range(FIRST + 1, FIRST + 1 + len(found))), found
    return found


async def bring_up(
    connection: psycopg.AsyncConnection,
    schema: str | None = None,
    steps: Sequence[Migration] | None = None,
) -> int:
    """Make the database one of this program's version, and return that version.

    Raises:
        ConfigError: The database is of a newer program, or of none of ours; or its role may not
            change it.
    """
    schema = schema_text() if schema is None else schema
    steps = migrations() if steps is None else steps
    target = steps[-1].number if steps else FIRST
    digest = hashlib.sha256(schema.encode()).hexdigest()
    if await _standing(connection) == (target, digest):
        return target
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            version, had = await _standing(connection)
            if (version, had) != (target, digest):
                await _climb(connection, version, target, steps)
                await connection.execute(schema.encode())
                await _record(connection, steps, target, digest)
                log.info("schema_brought_up", version_before=version, version=target)
    except psycopg.errors.InsufficientPrivilege as refused:
        raise ConfigError(
            f"the database role may not make tables here ({refused.diag.message_primary}); "
            "let it own the database"
        ) from refused
    return target


async def _standing(connection: psycopg.AsyncConnection) -> tuple[int, str]:
    """Version and digest of what is there; 0 and nothing for an empty database."""
    async with connection.transaction():
        cursor = await connection.execute("SELECT to_regclass('schema_version') IS NOT NULL")
        row = await cursor.fetchone()
        if row is None or not row[0]:
            return 0, ""
        cursor = await connection.execute(
            "SELECT version, digest FROM schema_version ORDER BY version DESC LIMIT 1"
        )
        found = await cursor.fetchone()
        return (int(found[0]), str(found[1])) if found else (0, "")


async def _climb(
    connection: psycopg.AsyncConnection, version: int, target: int, steps: Sequence[Migration]
) -> None:
    if version > target:
        raise ConfigError(
            f"the database is of version {version} and this program knows {target}; "
            "install the lastgasp that wrote it, or a newer one"
        )
    for step in steps:
        if 0 < version < step.number:
            await connection.execute(step.sql.encode())


async def _record(
    connection: psycopg.AsyncConnection, steps: Sequence[Migration], target: int, digest: str
) -> None:
    names = {FIRST: "schema", **{step.number: step.name for step in steps}}
    for number, name in names.items():
        await connection.execute(
            "INSERT INTO schema_version (version, name, digest) VALUES (%s, %s, %s)"
            " ON CONFLICT (version) DO UPDATE SET digest = excluded.digest"
            " WHERE schema_version.version = %s",
            (number, name, digest, target),
        )
