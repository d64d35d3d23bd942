"""Adding up what is over, then letting go of what is old enough."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import msgspec
import psycopg

from store.moments import moment
from store.queries import SQL
from store.settings import StoreSettings

Connection = psycopg.AsyncConnection[Any]


class LetGo(msgspec.Struct, frozen=True):
    """How much went: rows, but for readings and events, which go by days."""

    load_rows: int
    reading_days: int
    event_days: int
    frames: int
    snapshots: int
    feed_rows: int
    quarantined: int
    audit_lines: int
    notices: int


async def let_go(connection: Connection, settings: StoreSettings, now_ms: int) -> LetGo:
    """Forget what is older than the settings keep.  Each kind in a transaction of its own.

    The recorded stream goes up to a snapshot only, so that what stays can be replayed.  What goes
    has been added up before: by ``add_up``, or by TimescaleDB itself where it can.
    """
    now = moment(now_ms)
    await add_up(connection, now_ms)
    for relation, days in (
        ("readings", settings.keep_readings_days),
        ("device_events", settings.keep_events_days),
        ("load_half_hours", settings.keep_load_days),
    ):
        await connection.execute(SQL["keep_days"], {"relation": relation, "days": days})
    await connection.commit()

    async def went(name: str, days: float) -> int:
        asked = {"before": now - timedelta(days=days)}
        cursor = await connection.execute(SQL[name], asked)
        row = await cursor.fetchone() if cursor.description else None
        await connection.commit()
        return int(row[0]) if row else cursor.rowcount

    return LetGo(
        load_rows=await went("forget_load", settings.keep_load_days),
        reading_days=await went("drop_readings", settings.keep_readings_days),
        event_days=await went("drop_events", settings.keep_events_days),
        frames=await went("forget_frames", settings.keep_recorded_days),
        snapshots=await went("forget_snapshots", settings.keep_recorded_days)
        + await went("thin_snapshots", settings.snapshots_hourly_days)
        + await went("thin_snapshots_hourly", settings.snapshots_all_hours / 24),
        feed_rows=await went("feed_trim", settings.keep_feed_days),
        quarantined=await went("forget_quarantined", settings.keep_quarantine_days),
        audit_lines=await went("forget_audit", settings.keep_audit_days),
        notices=await _notices(went, settings.keep_notices_days),
    )


async def _notices(went: Callable[[str, int], Awaitable[int]], days: int) -> int:
    """Notices that are over, and what only they needed."""
    notices = await went("forget_notices", days)
    for left in ("forget_notice_decisions", "forget_notice_parts", "forget_receipts"):
        await went(left, days)
    return notices


async def add_up(connection: Connection, now_ms: int) -> None:
    """Load by half hour, and interruptions by feeder and district.  Again is harmless."""
    for statement in (SQL["keep_load"], SQL["count_interruptions"]):
        await connection.execute(statement, {"now_at": moment(now_ms)})
        await connection.commit()
