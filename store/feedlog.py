"""The feed log, read: positions, what came after one, and the state at exactly one.

A channel's offsets have no gaps.  Rows that were trimmed are gone: who was away longer finds the
first row it gets beyond its own offset + 1, or the top beyond it and no rows, and takes a snapshot.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import psycopg

from grid.public import PublicFinding, PublicOutage
from store import outages
from store.moments import moment
from store.payload import DISPATCH
from store.queries import SQL

Connection = psycopg.AsyncConnection[Any]

CUSTOMER = "customer:"


class FeedRow(msgspec.Struct, frozen=True, gc=False):
    """One committed message.  ``type`` change, finding or status; ``body`` its JSON."""

    offset: int
    at_ms: int
    type: str
    body: bytes


class DispatchState(msgspec.Struct, frozen=True):
    """What a dispatch channel has said so far, as it stands: outages and findings not ended."""

    outages: tuple[PublicOutage, ...]
    findings: tuple[PublicFinding, ...]


async def position(connection: Connection, channel: str) -> tuple[str, int]:
    """The epoch, and the channel's last offset (0 where it has none)."""
    name = "customer_feed_position" if channel.startswith(CUSTOMER) else "feed_position"
    cursor = await connection.execute(SQL[name], (channel.removeprefix(CUSTOMER),))
    row = await cursor.fetchone()
    assert row is not None, "schema.sql makes an epoch"
    return row[0], row[1]


async def positions(connection: Connection, channels: Sequence[str]) -> tuple[str, dict[str, int]]:
    """The epoch, and the last offset of each of some channels, at least one."""
    cursor = await connection.execute(SQL["feed_positions"], (list(channels),))
    found = await cursor.fetchall()
    return found[0][0], {channel: top for _, channel, top in found}


async def read(connection: Connection, channel: str, after: int, limit: int) -> tuple[FeedRow, ...]:
    """At most ``limit`` rows with offsets above ``after``, ascending."""
    cursor = await connection.execute(SQL["feed_read"], (channel, after, limit), binary=True)
    return tuple(FeedRow(*row) for row in await cursor.fetchall())


async def read_many(
    connection: Connection, after: Mapping[str, int], limit: int
) -> Mapping[str, Sequence[FeedRow]]:
    """As ``read``, for many channels in one round trip; those without news are absent."""
    asked = msgspec.json.encode(after)
    cursor = await connection.execute(SQL["feed_read_many"], (asked, limit), binary=True)
    found: dict[str, list[FeedRow]] = {}
    for channel, offset, at_ms, kind, body in await cursor.fetchall():
        row = FeedRow(offset, at_ms, kind, body)
        if channel in found:
            found[channel].append(row)
        else:
            found[channel] = [row]
    for rows in found.values():
        if len(rows) > 1:
            rows.sort(key=_offset)  # the statement need not sort what is nearly always one
    return found


def _offset(row: FeedRow) -> int:
    return row.offset


async def snapshot(connection: Connection, channel: str, limit: int) -> tuple[str, int, bytes]:
    """Epoch, offset, and the JSON of the channel's state at exactly that offset.

    A customer's is their CustomerStatus (``null`` for one we do not know), a dispatch channel's
    ``{"outages": [...], "findings": [...]}`` of what has not ended.
    """
    await connection.execute(SQL["one_moment"])
    epoch, offset = await position(connection, channel)
    if channel.startswith(CUSTOMER):
        status = await outages.customer_status(connection, channel.removeprefix(CUSTOMER))
        return epoch, offset, msgspec.json.encode(status)
    districts = None if channel == DISPATCH else (channel.removeprefix(f"{DISPATCH}:"),)
    state = DispatchState(
        await outages.listed(connection, state=None, at_ms=None, districts=districts, limit=limit),
        await outages.findings(connection, open_only=True, districts=districts, limit=limit),
    )
    return epoch, offset, msgspec.json.encode(state)


async def trim(connection: Connection, before_ms: int) -> int:
    """Forget what was said before a moment; how many rows went.  Tops stay."""
    cursor = await connection.execute(SQL["feed_trim"], {"before": moment(before_ms)})
    return cursor.rowcount
