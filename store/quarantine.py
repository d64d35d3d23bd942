"""Payloads that could not be read: looked at, replayed once their reason is mended, let go."""

from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg

from store.moments import maybe_moment_ms, moment, moment_ms
from store.queries import SQL

Connection = psycopg.AsyncConnection[Any]


class QuarantineLine(msgspec.Struct, frozen=True):
    """A payload in the quarantine, without its bytes.  ``whole``: all of its bytes were kept."""

    no: int
    received_ms: int
    source: str
    topic: str
    reason: str
    length: int
    sha256: str
    whole: bool
    replayed_ms: int | None


class QuarantinedPayload(msgspec.Struct, frozen=True):
    """A payload in the quarantine with the bytes that were kept, 64 KiB at most."""

    line: QuarantineLine
    body: bytes


async def listed(
    connection: Connection, *, before: int | None, limit: int
) -> tuple[QuarantineLine, ...]:
    """The newest first; below a number, to page on."""
    cursor = await connection.execute(SQL["quarantine_list"], {"before": before, "limit": limit})
    return tuple(_line(row) for row in await cursor.fetchall())


async def shown(connection: Connection, no: int) -> QuarantinedPayload | None:
    """One payload; None where there is none with that number."""
    cursor = await connection.execute(SQL["quarantine_show"], (no,))
    row = await cursor.fetchone()
    return QuarantinedPayload(_line(row[:-1]), row[-1]) if row else None


async def taken(
    connection: Connection, numbers: Sequence[int] | None, *, at_ms: int, limit: int
) -> tuple[QuarantinedPayload, ...]:
    """Whole payloads by number, or the oldest that were not replayed yet; marked as replayed."""
    asked = {
        "numbers": None if numbers is None else list(numbers),
        "at": moment(at_ms),
        "limit": limit,
    }
    cursor = await connection.execute(SQL["quarantine_take"], asked)
    return tuple(QuarantinedPayload(_line(r[:-1]), r[-1]) for r in await cursor.fetchall())


def _line(row: Sequence[Any]) -> QuarantineLine:
    no, received, source, topic, reason, length, sha256, whole, replayed = row
    return QuarantineLine(
        no, moment_ms(received), source, topic, reason, length, sha256, whole,
        maybe_moment_ms(replayed),
    )  # fmt: skip
