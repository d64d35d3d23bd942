"""The one transaction: readings, events, outages, changes, the feed log and the engines' progress,
or nothing.

A batch may come again when nobody knows whether its commit arrived.  What is recorded already is
left out by position, and must be the very same frame: another one there means that somebody else
drives the same group.

Order of the locks, the same for everybody: partition, progress, notices, sources, outages,
customers, channels.
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
import psycopg

from grid.errors import Fenced
from grid.frame import Frame, Rows, joined, to_bytes
from grid.network import NodeKind
from grid.notice import Decide
from grid.parcel import Advance, Applied, Batch, Quarantined
from grid.times import EPOCH
from store import payload
from store.copying import (
    EVENT_COLUMNS,
    READING_COLUMNS,
    Column,
    copy_statement,
    copy_stream,
    events_of,
)
from store.moments import moment
from store.networks import GroupNumbers
from store.noticing import notice
from store.queries import SQL
from store.sayable import sayable
from store.telling import customers_told, heads_of, take_in, tell
from store.work import decision_rows

Connection = psycopg.AsyncConnection[Any]

COPY_READINGS = copy_statement("readings", READING_COLUMNS)
COPY_EVENTS = copy_statement("device_events", EVENT_COLUMNS)
DAY_MS = 86_400_000

_json = msgspec.json.Encoder().encode
assert len(NodeKind) == 7, "payload.source_rows knows seven kinds"


class Entry(msgspec.Struct, frozen=True):
    """An applied frame, its group, and its bytes as they are recorded."""

    applied: Applied
    group: GroupNumbers
    body: bytes

    @property
    def frame(self) -> Frame:
        """The frame."""
        return self.applied.frame

    @property
    def key(self) -> tuple[str, int]:
        """Where it stands in the recorded streams."""
        return self.group.slug, self.applied.frame.position


def entries(batch: Batch, groups_of: Callable[[str], Sequence[GroupNumbers]]) -> tuple[Entry, ...]:
    """The entries of a batch."""
    return tuple(
        Entry(a, groups_of(a.frame.network)[a.frame.group], a.recorded or to_bytes(a.frame))
        for a in batch
    )


def days_of(batch: Iterable[Entry]) -> set[int]:
    """The days (since 1970-01-01 UTC) on which the readings were received."""
    received = [entry.frame.rows["received_ms"] // DAY_MS for entry in batch]
    return set(np.unique(np.concatenate(received)).tolist()) if received else set()


async def ensure_days(connection: Connection, days: Iterable[int]) -> None:
    """Make room for the readings of some days."""
    dates = [(EPOCH + timedelta(days=day)).date() for day in sorted(days)]
    await connection.execute(SQL["ensure_days"], (dates,))


async def write(
    connection: Connection,
    batch: Sequence[Entry],
    quarantined: Sequence[Quarantined],
    begun: Callable[[str], None],
    decide: Decide | None = None,
    *,
    advance: Advance | None = None,
) -> None:
    """Write a batch and commit, and how far it brings the partition of a bus that it came from.

    ``decide``: what its changes say to whom by text; None: nothing.

    ``begun`` is told the transaction's number where its outcome can be doubted later: with payloads
    for the quarantine, which have no position that tells whether they were kept.

    Raises:
        Fenced: Somebody else wrote another frame at the same position, or one is missing before
            it, or the partition was taken over.
    """
    if advance is not None and await _is_committed(connection, advance):
        return
    slugs = sorted({entry.group.slug for entry in batch})
    ids = {change.outage.id for e in batch for change in e.applied.outcome.changes}
    async with connection.pipeline():
        locked = await connection.execute(SQL["lock_progress"], (slugs,))
        if ids:
            headed = await connection.execute(SQL["heads"], (list(ids),))
        if quarantined:
            numbered = await connection.execute(SQL["this_transaction"])
    if quarantined:
        begun(str((await numbered.fetchone() or ("",))[0]))
    positions: dict[str, int] = dict(await locked.fetchall())
    fresh = await _fresh(connection, batch, positions)
    if batch and not fresh and advance is None:
        return  # all of it was committed before, and what came with it
    outcomes = [entry.applied.outcome for entry in fresh]
    told = await customers_told(connection, outcomes, await heads_of(headed)) if ids else None
    await _copy(connection, fresh)
    if told is not None and decide is not None:
        await notice(connection, told.news, decide)
    async with connection.pipeline():
        await _record(connection, fresh)
        if told is not None:
            await _write_changes(connection, fresh)
        await _write_findings(connection, fresh)
        await tell(connection, outcomes, told)
        await _quarantine(connection, quarantined)
        await _advance(connection, advance)
    # Never within: psycopg's commit waits there for an answer while it still holds bytes back that
    # the server waits for (only a pipeline's end sends everything first).
    await connection.commit()


async def _advance(connection: Connection, to: Advance | None) -> None:
    if to is not None:
        there = (to.next_offset, to.marks, to.topic, to.partition)
        await connection.execute(SQL["advance_partition"], there)


async def _write_findings(connection: Connection, fresh: Sequence[Entry]) -> None:
    """What was noticed, and what became of decisions."""
    findings = [(e.group.slug, f) for e in fresh for f in e.applied.outcome.findings]
    if findings:
        await take_in(connection, "write_findings", payload.finding_rows(findings))
    decisions = [row for e in fresh for row in decision_rows(*e.key, e.applied.outcome)]
    if decisions:
        await take_in(connection, "write_decisions", decisions)


async def _is_committed(connection: Connection, advance: Advance) -> bool:
    """Whether an earlier try arrived although its answer did not.

    Raises:
        Fenced: The partition is another worker's now.
    """
    cursor = await connection.execute(
        SQL["hold_partition"], (advance.topic, advance.partition), binary=True
    )
    row = await cursor.fetchone()
    if row is None or row[0] != advance.generation:
        raise Fenced(f"partition {advance.partition} of {advance.topic} was taken over")
    return row[1] is not None and int(row[1]) >= advance.next_offset


async def _fresh(
    connection: Connection, batch: Sequence[Entry], positions: dict[str, int]
) -> tuple[Entry, ...]:
    """What is not recorded yet, which must follow what is without a gap."""
    fresh: list[Entry] = []
    again: list[Entry] = []
    for entry in batch:
        slug, position = entry.key
        at = positions.get(slug, 0)
        if position <= at:
            again.append(entry)
            continue
        if position != at + 1:
            raise Fenced(f"{slug} is at frame {at} in the database and was offered {position}")
        positions[slug] = position
        fresh.append(entry)
    if again:
        await _require_same(connection, again)
    return tuple(fresh)


async def _require_same(connection: Connection, again: Sequence[Entry]) -> None:
    """Refuse to go on beside another process that drives the same group."""
    slugs, positions = zip(*(entry.key for entry in again), strict=True)
    cursor = await connection.execute(SQL["recorded_digests"], (list(slugs), list(positions)))
    recorded = {(slug, position): digest for slug, position, digest in await cursor.fetchall()}
    for entry in again:
        if recorded.get(entry.key, -1) not in (-1, zlib.crc32(entry.body)):
            raise Fenced(
                f"another process wrote frame {entry.key[1]} of {entry.key[0]} already; "
                "two services must not run on one database"
            )


async def _copy(connection: Connection, fresh: Sequence[Entry]) -> None:
    """The readings that were not heard before, and once more those of them that are events, which
    are kept longer.
    """
    kept = [(entry.group, _new(entry.applied)) for entry in fresh]
    if not any(len(rows) for _, rows in kept):
        return
    rows = joined([rows for _, rows in kept])
    device_nos = np.concatenate([group.device_nos[rows["node"]] for group, rows in kept])
    via_nos = np.concatenate([group.dcu_nos[rows["dcu"]] for group, rows in kept])
    await _copy_into(connection, COPY_READINGS, READING_COLUMNS, rows, device_nos, via_nos)
    events = events_of(rows)
    if events.any():
        await _copy_into(
            connection,
            COPY_EVENTS,
            EVENT_COLUMNS,
            rows.take(np.flatnonzero(events)),  # a mask copies rows far slower
            device_nos[events],
            via_nos[events],
        )


def _new(applied: Applied) -> Rows:
    """The rows of a frame without its repeats."""
    rows, repeats = applied.frame.rows, applied.outcome.repeat_rows
    if not repeats:
        return rows
    new = np.ones(len(rows), np.bool_)
    new[list(repeats)] = False
    return rows.take(np.flatnonzero(new))


async def _copy_into(
    connection: Connection,
    statement: bytes,
    columns: tuple[Column, ...],
    rows: "np.ndarray[Any, Any]",
    device_nos: "np.ndarray[Any, Any]",
    via_nos: "np.ndarray[Any, Any]",
) -> None:
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        await copy.write(b"".join(copy_stream(rows, device_nos, via_nos, columns)))


async def _record(connection: Connection, fresh: Sequence[Entry]) -> None:
    """The frames, snapshots, progress, and who was heard."""
    if not fresh:
        return
    frames = [(*e.key, moment(e.frame.until_ms), len(e.frame.rows), zlib.crc32(e.body), e.body)
              for e in fresh]  # fmt: skip
    await connection.execute(SQL["record_frames"], _columns(frames))
    kept = [(*e.key, moment(e.frame.until_ms), e.applied.snapshot)
            for e in fresh if e.applied.snapshot is not None]  # fmt: skip
    if kept:
        await connection.execute(SQL["keep_snapshots"], _columns(kept))
    last = {e.group.slug: e for e in fresh}
    reached = [(*e.key, moment(e.frame.until_ms), e.frame.network)
               for _, e in sorted(last.items())]  # fmt: skip
    await connection.execute(SQL["advance"], _columns(reached))
    sources = payload.source_rows([(e.group, e.frame) for e in fresh])
    if sources:
        await connection.execute(SQL["hear_sources"], {"rows": _json(sources).decode()})
    await _plans(connection, [e.frame for e in fresh])


async def _plans(connection: Connection, frames: Sequence[Frame]) -> None:
    entered, cancelled = payload.plan_commands(frames)
    if entered:
        rows = [(p.plan_id, p.device_id, moment(p.from_ms), moment(p.to_ms), p.kind,
                 sayable(p.reason), moment(p.at_ms)) for p in entered]  # fmt: skip
        await connection.execute(SQL["enter_plans"], _columns(rows))
    if cancelled:
        gone = [(p.plan_id, moment(p.at_ms)) for p in cancelled]
        await connection.execute(SQL["cancel_plans"], _columns(gone))


async def _write_changes(connection: Connection, fresh: Sequence[Entry]) -> None:
    """The change log, and each outage and its steps as of its last version."""
    changes = [(e, c) for e in fresh for c in e.applied.outcome.changes]
    if not changes:
        return
    last = {change.outage.id: change.outage for _, change in changes}
    rows = payload.outage_rows((e.group.slug, change) for e, change in changes)
    await take_in(connection, "write_outages", rows)
    await take_in(connection, "write_steps", payload.step_rows(last.values()))
    kept = [(outage.id, len(outage.steps)) for outage in last.values()]
    await connection.execute(SQL["drop_steps"], _columns(kept))
    lines = [payload.change_row(*e.key, change) for e, change in changes]
    await take_in(connection, "log_changes", lines)


async def _quarantine(connection: Connection, quarantined: Sequence[Quarantined]) -> None:
    if quarantined:
        rows = [(moment(q.received_ms), q.source, sayable(q.topic), sayable(q.reason), q.body,
                 q.length, q.sha256) for q in quarantined]  # fmt: skip
        await connection.execute(SQL["keep_quarantined"], _columns(rows))


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    """Rows as the columns that ``unnest`` wants."""
    return [list(column) for column in zip(*rows, strict=True)]
