"""What is known of outages, findings and customers, now or at any past moment."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
import psycopg

from grid.outage import Step
from grid.public import (
    CustomerStatus,
    PublicChange,
    PublicFinding,
    PublicOutage,
    PublicOutageDetail,
    PublicStep,
)
from grid.public import customer_status as public_status
from grid.reasons import Why
from grid.times import maybe_rfc3339, to_rfc3339
from store.moments import maybe_moment_ms, moment, moment_ms
from store.queries import SQL

Connection = psycopg.AsyncConnection[Any]

_outage = msgspec.json.Decoder(PublicOutage).decode
_reasons = msgspec.json.Decoder(tuple[Why, ...]).decode


async def listed(
    connection: Connection,
    *,
    state: str | None,
    at_ms: int | None,
    districts: Collection[str] | None,
    limit: int,
) -> tuple[PublicOutage, ...]:
    """Outages, newest first: those in a state, or those that have not ended; of some districts."""
    asked: dict[str, object] = {
        "state": state,
        "limit": limit,
        "districts": _maybe_list(districts),
    }
    if at_ms is None:
        cursor = await connection.execute(SQL["outages"], asked, binary=True)
    else:
        asked["at"] = moment(at_ms)
        cursor = await connection.execute(SQL["outages_at"], asked, binary=True)
    return tuple(_outage(body) for (body,) in await cursor.fetchall())


def _maybe_list(districts: Collection[str] | None) -> list[str] | None:
    return None if districts is None else list(districts)


async def detail(connection: Connection, outage_id: str) -> PublicOutageDetail | None:
    """One outage with its steps and its change log."""
    async with connection.pipeline():
        logged = await connection.execute(SQL["changes_of"], (outage_id,), binary=True)
        stepped = await connection.execute(SQL["steps_of"], (outage_id,), binary=True)
    changes = tuple(
        PublicChange(
            to_rfc3339(moment_ms(at)), reason, changed, _outage(body), _reasons(why), by, decision
        )
        for at, reason, changed, body, why, by, decision in await logged.fetchall()
    )
    if not changes:
        return None
    steps = tuple(
        PublicStep(
            to_rfc3339(moment_ms(off)), maybe_rfc3339(maybe_moment_ms(on)), tuple(who), inferred
        )
        for off, on, inferred, who in await stepped.fetchall()
    )
    now = msgspec.structs.asdict(changes[-1].outage)
    return PublicOutageDetail(**now, steps=steps, changes=changes)


async def findings(
    connection: Connection, *, open_only: bool, districts: Collection[str] | None, limit: int
) -> tuple[PublicFinding, ...]:
    """What was noticed and is no outage, newest first."""
    asked = {"open_only": open_only, "limit": limit, "districts": _maybe_list(districts)}
    cursor = await connection.execute(SQL["findings"], asked, binary=True)
    return tuple(
        PublicFinding(
            id=finding_id, at=to_rfc3339(moment_ms(at)), kind=kind, device_id=device_id,
            district=district, since=to_rfc3339(moment_ms(since)),
            until=maybe_rfc3339(maybe_moment_ms(until)), reason=reason,
        )
        for finding_id, at, kind, device_id, district, since, until, reason
        in await cursor.fetchall()
    )  # fmt: skip


class Darkness(msgspec.Struct, frozen=True):
    """Who has no power now and by which outage; of each running outage the calls and texts."""

    customers: tuple[tuple[str, str], ...]  # customer id, outage id
    calls: dict[str, int]
    texts: dict[str, int]


async def darkness(connection: Connection) -> Darkness:
    """Who has no power now, how many called, and how many texts were sent."""
    async with connection.pipeline():
        dark = await connection.execute(SQL["dark_now"], binary=True)
        called = await connection.execute(SQL["calls_now"], binary=True)
        texted = await connection.execute(SQL["texts_now"], binary=True)
    return Darkness(
        tuple(await dark.fetchall()), dict(await called.fetchall()), dict(await texted.fetchall())
    )


async def customer_status(connection: Connection, customer_id: str) -> CustomerStatus | None:
    """What a customer may know; None where there is no such customer."""
    cursor = await connection.execute(SQL["customer_status"], (customer_id,), binary=True)
    row = await cursor.fetchone()
    return _status(customer_id, row) if row else None


def _status(customer_id: str, row: Sequence[Any]) -> CustomerStatus:
    """As ``grid.public.customer_statuses`` says it, of the last step and the outage as it is
    now.
    """
    off, on, inferred, body, updated = row
    step = None if off is None else Step(moment_ms(off), maybe_moment_ms(on), (), inferred)
    outage = None if body is None else _outage(body)
    return public_status(customer_id, outage, step, to_rfc3339(moment_ms(updated)))
