"""What people enter and ask for: calls, plans, who looked at what, and how old our hearing is."""

from typing import Any

import msgspec
import psycopg

from grid.public import PublicCall, PublicPlan
from grid.times import maybe_rfc3339, to_rfc3339
from store.moments import maybe_moment_ms, moment, moment_ms
from store.queries import SQL
from store.sayable import sayable
from store.sealing import Sealer

Connection = psycopg.AsyncConnection[Any]


class SourceAge(msgspec.Struct, frozen=True):
    """When we last heard a kind of source, by our clock; None for never.

    ``source``: meter, terminal, breaker, concentrator, call; or a gateway, mqtt or modbus, whose
    backlog is awaited while ``deaf_since_ms`` is not None.
    """

    source: str
    heard_ms: int | None
    readings: int
    deaf_since_ms: int | None


class AuditLine(msgspec.Struct, frozen=True):
    """Who asked for what, when, from where."""

    at_ms: int
    event: str
    subject: str | None
    address: str | None
    detail: str


class NewCall(msgspec.Struct, frozen=True, kw_only=True):
    """A trouble call.  ``kind`` no_power, partial or restored."""

    customer_id: str
    at_ms: int
    kind: str
    text: str
    entered_by: str
    received_ms: int


class NewPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A planned outage.  ``kind`` a value of grid.outage.OutageKind."""

    plan_id: str
    device_id: str
    districts: tuple[str, ...]
    from_ms: int
    to_ms: int
    kind: str
    reason: str
    entered_by: str
    entered_ms: int


async def add_call(connection: Connection, sealer: Sealer, new: NewCall) -> PublicCall:
    """Keep a call, its words sealed."""
    cursor = await connection.execute(
        SQL["add_call"],
        (
            new.customer_id, moment(new.at_ms), moment(new.received_ms), new.kind,
            sayable(new.entered_by), sealer.seal_text(new.text, f"call:{new.customer_id}"),
        ),
    )  # fmt: skip
    return read_call(sealer, await cursor.fetchone())


async def calls(
    connection: Connection, sealer: Sealer, customer_id: str | None, limit: int
) -> tuple[PublicCall, ...]:
    """Calls, newest first; of one customer or of all."""
    asked = {"customer_id": customer_id, "limit": limit}
    cursor = await connection.execute(SQL["calls"], asked)
    return tuple(read_call(sealer, row) for row in await cursor.fetchall())


def read_call(sealer: Sealer, row: Any) -> PublicCall:
    """A call as it is told, its words opened."""
    call_no, customer_id, at, received, kind, entered_by, sealed = row
    return PublicCall(
        id=str(call_no),
        customer_id=customer_id,
        at=to_rfc3339(moment_ms(at)),
        kind=kind,
        text=sealer.open_text(sealed, f"call:{customer_id}"),
        entered_by=entered_by,
        received_at=to_rfc3339(moment_ms(received)),
    )


async def add_plan(connection: Connection, new: NewPlan) -> PublicPlan:
    """Keep a plan; the same id again changes nothing but what was blank."""
    cursor = await connection.execute(
        SQL["add_plan"],
        (
            new.plan_id, new.device_id, moment(new.from_ms), moment(new.to_ms), new.kind,
            list(new.districts), sayable(new.reason), sayable(new.entered_by),
            moment(new.entered_ms),
        ),
    )  # fmt: skip
    return _plan(await cursor.fetchone())


async def plans(
    connection: Connection, *, open_at_ms: int | None, limit: int
) -> tuple[PublicPlan, ...]:
    """Plans by their begin: those neither over nor cancelled at a moment, or all."""
    asked = {"open_at": None if open_at_ms is None else moment(open_at_ms), "limit": limit}
    cursor = await connection.execute(SQL["plans"], asked)
    return tuple(_plan(row) for row in await cursor.fetchall())


async def cancel_plan(
    connection: Connection, plan_id: str, by: str, at_ms: int
) -> PublicPlan | None:
    """Cancel a plan; the first cancellation counts.  None where there is no such plan."""
    asked = {"plan_id": plan_id, "by": sayable(by), "at": moment(at_ms)}
    cursor = await connection.execute(SQL["cancel_plan"], asked)
    row = await cursor.fetchone()
    return _plan(row) if row else None


def _plan(row: Any) -> PublicPlan:
    plan_id, device_id, since, to, kind, districts, reason, entered_by, entered, cancelled = row
    return PublicPlan(
        id=plan_id,
        device_id=device_id,
        districts=tuple(districts),
        from_=to_rfc3339(moment_ms(since)),
        to=to_rfc3339(moment_ms(to)),
        kind=kind,
        reason=reason,
        entered_by=entered_by,
        entered_at=to_rfc3339(moment_ms(entered)),
        cancelled_at=maybe_rfc3339(maybe_moment_ms(cancelled)),
    )


async def customers_by_phone(connection: Connection, sealer: Sealer, phone: str) -> tuple[str, ...]:
    """Ids of the customers with a number, however it is written."""
    index = sealer.phone_index(phone)
    if index is None:
        return ()
    cursor = await connection.execute(SQL["customers_by_phone"], (index,))
    return tuple(customer_id for (customer_id,) in await cursor.fetchall())


async def add_audit(connection: Connection, line: AuditLine) -> None:
    """Keep a line of the audit log."""
    subject = None if line.subject is None else sayable(line.subject)
    await connection.execute(
        SQL["add_audit"],
        (moment(line.at_ms), line.event, subject, line.address, sayable(line.detail)),
    )


async def audit_lines(connection: Connection, limit: int) -> tuple[AuditLine, ...]:
    """The newest lines of the audit log, newest first."""
    cursor = await connection.execute(SQL["audit_lines"], (limit,))
    return tuple(AuditLine(moment_ms(at), *rest) for at, *rest in await cursor.fetchall())


async def source_ages(connection: Connection) -> tuple[SourceAge, ...]:
    """When each kind of source was last heard."""
    cursor = await connection.execute(SQL["source_ages"])
    return tuple(
        SourceAge(source, maybe_moment_ms(heard), readings, maybe_moment_ms(deaf))
        for source, heard, readings, deaf in await cursor.fetchall()
    )
