"""Who is told what in a commit: the dispatch channels, and the customers whom it concerns."""

from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg

from grid.outage import Outcome
from grid.public import PublicOutage
from store import feednews, payload
from store.feedlog import CUSTOMER
from store.moments import maybe_moment_ms
from store.queries import SQL
from store.sayable import sayable_json
from store.standing import Head, News, Standing, concerned, follow, head_of

Connection = psycopg.AsyncConnection[Any]

_json = msgspec.json.Encoder().encode
_outage = msgspec.json.Decoder(PublicOutage).decode


class ToldCustomers(msgspec.Struct, frozen=True):
    """What customers are told, in order, and how they stand after it."""

    news: tuple[News, ...]
    standings: dict[str, Standing]


async def heads_of(cursor: psycopg.AsyncCursor[Any]) -> dict[str, Head]:
    """The heads that statement ``heads`` found."""
    return {outage_id: head_of(_outage(body)) for outage_id, body in await cursor.fetchall()}


async def customers_told(
    connection: Connection, outcomes: Sequence[Outcome], heads: dict[str, Head]
) -> ToldCustomers:
    """What customers are told of some frames' outcomes, and how they stand after them."""
    whom = [concerned(outcome.changes, heads) for outcome in outcomes]
    everybody = {c for of_frame in whom for customers in of_frame for c in customers}
    asked = _json(list(everybody)).decode()
    cursor = await connection.execute(SQL["standings"], (asked,), binary=True)
    standings: dict[str, Standing] = {}
    for outage, off, on, inferred, customers in await cursor.fetchall():
        standing = Standing(outage, maybe_moment_ms(off), maybe_moment_ms(on), inferred)
        standings |= dict.fromkeys(customers, standing)
    news = [
        item
        for outcome, customers in zip(outcomes, whom, strict=True)
        for item in follow(outcome.changes, customers, standings)
    ]
    return ToldCustomers(tuple(news), standings)


async def tell(
    connection: Connection, outcomes: Sequence[Outcome], told: ToldCustomers | None
) -> None:
    """Write to the feeds, last of all, for their locks are wanted most.

    The customers come after ``tell``: its lock on the row of channel ``dispatch`` makes the commits
    that tell customers wait for one another.
    """
    feed = [entry for outcome in outcomes for entry in payload.feed_entries(outcome)]
    if not feed:
        return
    await take_in(connection, "tell", feed)
    channels = dict.fromkeys(entry.channel for entry in feed)
    rows = payload.told_rows(told.news) if told else []
    if told and rows:
        customers = dict.fromkeys(c for row in rows for c in row.customers)
        standings = payload.power_rows((c, told.standings[c]) for c in customers)
        await connection.execute(
            SQL["tell_customers"],
            {"told": _json(rows).decode(), "standings": _json(standings).decode()},
        )
        channels |= dict.fromkeys(f"{CUSTOMER}{c}" for c in customers)
    await connection.execute(SQL["wake_feeds"], (feednews.written(channels),))


async def take_in(connection: Connection, name: str, rows: Sequence[msgspec.Struct]) -> None:
    """Run a statement that takes its rows as JSON."""
    await connection.execute(SQL[name], (sayable_json(_json(rows).decode()),))
