"""Letting go of what is old enough, and making room for tomorrow."""

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

    reading_days: int
    event_days: int
    frames: int
    snapshots: int
    feed_rows: int
    quarantined: int
    audit_lines: int


async def let_go(connection: Connection, settings: StoreSettings, now_ms: int) -> LetGo:
    """Forget what is older than the settings keep.  Each kind in a transaction of its own.

    The recorded stream goes up to a snapshot only, so that what stays can be replayed.
    """
    now = moment(now_ms)

    async def went(name: str, days: int) -> int:
        asked = {"before": now - timedelta(days=days)}
        cursor = await connection.execute(SQL[name], asked)
        row = await cursor.fetchone() if cursor.description else None
        await connection.commit()
        return int(row[0]) if row else cursor.rowcount

    return LetGo(
        reading_days=await went("drop_readings", settings.keep_readings_days),
        event_days=await went("drop_events", settings.keep_events_days),
        frames=await went("forget_frames", settings.keep_recorded_days),
        snapshots=await went("forget_snapshots", settings.keep_recorded_days)
        + await went("thin_snapshots", settings.snapshots_hourly_days),
        feed_rows=await went("feed_trim", settings.keep_feed_days),
        quarantined=await went("forget_quarantined", settings.keep_quarantine_days),
        audit_lines=await went("forget_audit", settings.keep_audit_days),
    )
