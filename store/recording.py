"""The recorded stream of each feeder group: how far it is, its frames in order, and the engines
kept on the way.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import psycopg

from grid.errors import Fenced, Refused
from grid.frame import Frame, from_bytes
from grid.parcel import Claim
from store.moments import moment, moment_ms
from store.queries import SQL

Connection = psycopg.AsyncConnection[Any]
Connect = Callable[[], AbstractAsyncContextManager[Connection]]


class Progress(msgspec.Struct, frozen=True):
    """How far a group is.  Position 0 and no snapshot: it never began."""

    position: int = 0
    snapshot: bytes | None = None
    snapshot_position: int = 0
    until_ms: int = 0


class Snapshot(msgspec.Struct, frozen=True):
    """An engine after the frame at ``position``."""

    position: int
    until_ms: int
    body: bytes


async def progress(connection: Connection, slug: str) -> Progress:
    """How far a group is, and its newest snapshot."""
    cursor = await connection.execute(SQL["progress"], (slug,), binary=True)
    row = await cursor.fetchone()
    if row is None:
        return Progress()
    position, until, snapshot_position, body = row
    return Progress(position, body, snapshot_position or 0, moment_ms(until))


async def snapshot_before(connection: Connection, slug: str, at_ms: int) -> Snapshot | None:
    """The last engine kept that had not come beyond a moment."""
    cursor = await connection.execute(SQL["snapshot_before"], (slug, moment(at_ms)), binary=True)
    row = await cursor.fetchone()
    return Snapshot(row[0], moment_ms(row[1]), row[2]) if row else None


async def frames(
    connect: Connect, slug: str, *, after: int, to_ms: int | None, chunk: int
) -> AsyncIterator[Frame]:
    """The frames after a position, in order, up to the one that reaches ``to_ms``; read ``chunk``
    at a time.

    Raises:
        Refused: Frames in between were forgotten already.
    """
    while True:
        async with connect() as connection:
            cursor = await connection.execute(SQL["recorded"], (slug, after, chunk), binary=True)
            rows = await cursor.fetchall()
        for position, body in rows:
            if position != after + 1:
                raise Refused(
                    f"the recorded stream of {slug} begins at frame {position}, and frame "
                    f"{after + 1} is asked for; go back less far"
                )
            after = position
            frame = from_bytes(body)
            yield frame
            if to_ms is not None and frame.until_ms >= to_ms:
                return
        if len(rows) < chunk:
            return


async def claim(
    connection: Connection, topic: str, partition: int, *, owner: str, held: int | None
) -> Claim:
    """Take a partition of a bus over: unless that generation of ours is no longer in force.

    Raises:
        Fenced: It is not.
    """
    wanted = {"topic": topic, "partition": partition, "owner": owner, "held": held}
    cursor = await connection.execute(SQL["claim_partition"], wanted)
    row = await cursor.fetchone()
    if row is None:
        raise Fenced(f"partition {partition} of {topic} was taken over")
    generation, next_offset, marks = row
    return Claim(topic, partition, generation, next_offset, bytes(marks))
