"""What customers are told on their channels, decided in the transaction of the change.

Customers who stand alike and were told the same before are decided for together, whether they are
one or a hundred thousand; what comes of it is a row for each text and one for each decision.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import psycopg

from grid.notice import STAFF, Decide, Decision, Past, Recipient, Seen, Window, Wishes, after
from grid.times import to_rfc3339
from store.moments import moment
from store.queries import SQL
from store.standing import News
from store.telling import take_in

Connection = psycopg.AsyncConnection[Any]

MEMORY_MS = 7 * 86_400_000  # what somebody was told longer ago they do not go by any more

_json = msgspec.json.Encoder().encode
_past = msgspec.json.Decoder(tuple[Past, ...]).decode
_wishes = msgspec.json.Decoder(Wishes).decode
_window = msgspec.json.Decoder(Window).decode


class Group(msgspec.Struct, frozen=True):
    """Customers for whom the same was decided, and how they stood before."""

    outage_id: str
    version: int
    at_ms: int
    decided: Decision
    customers: tuple[str, ...]
    waiting: bool = True  # something may be queued for them
    of_outage: bool = False  # only what is queued of this outage is overtaken


class DecisionRow(msgspec.Struct, frozen=True):
    """A row of notice_decisions."""

    decision_no: int
    at: str
    outage_id: str
    version: int
    phase: str
    send: bool
    reason: str
    facts: msgspec.Raw
    customers: tuple[str, ...]


class QueuedRow(msgspec.Struct, frozen=True):
    """Rows of notices, alike but for the customer."""

    outage_id: str
    phase: str
    edition: int
    channel: str
    decision_no: int
    reason: str
    lane: int
    due_at: str
    expires_at: str
    customers: tuple[str, ...]


class SeenRow(msgspec.Struct, frozen=True):
    """Rows of notice_seen, alike but for the customer."""

    customers: tuple[str, ...]
    outage_id: str
    phase: str
    etr: Window | None
    at: str


class CustomersRow(msgspec.Struct, frozen=True):
    """Some customers, and of which outage; None: of any."""

    customers: tuple[str, ...]
    outage_id: str | None = None


async def recipients(
    connection: Connection, customers: Iterable[str], at_ms: int
) -> dict[str, Recipient]:
    """What is known of customers and what they were told; those we do not know are absent."""
    asked = {
        "customers": _json(list(customers)).decode(),
        "since": moment(at_ms - MEMORY_MS),
    }
    cursor = await connection.execute(SQL["recipients"], asked)
    found: dict[str, Recipient] = {}
    for row in await cursor.fetchall():
        language, priority, reachable, outage, phase, etr, past, wishes, alike = row
        seen = Seen(outage, phase, _window(etr) if etr else None) if outage else None
        who = Recipient(
            language,
            priority,
            reachable,
            seen,
            _past(past) if past else (),
            _wishes(wishes) if wishes else None,
        )
        found |= dict.fromkeys(alike, who)
    return found


def decided(news: Iterable[News], people: dict[str, Recipient], decide: Decide) -> list[Group]:
    """What is decided for whom, in order; ``people`` are brought up to date."""
    groups: list[Group] = []
    for item in news:
        outage = item.change.outage
        for told in item.told:
            for who, customers in _alike(told.customers, people):
                now = who
                for one in decide(item.change, told.status, who):
                    waiting = any(p.queued for p in now.past)
                    at_ms = item.change.at_ms
                    groups.append(Group(outage.id, outage.version, at_ms, one, customers, waiting))
                    now = after(now, outage.id, one)
                if now is not who:
                    people |= dict.fromkeys(customers, now)
    return groups


def _alike(
    customers: Iterable[str], people: dict[str, Recipient]
) -> Iterable[tuple[Recipient, tuple[str, ...]]]:
    """Customers by what is known of them: the same object for those alike, so its id will do."""
    alike: dict[int, list[str]] = {}
    whose: dict[int, Recipient] = {}
    for customer in customers:
        who = people.get(customer)
        if who is not None:
            alike.setdefault(id(who), []).append(customer)
            whose[id(who)] = who
    return [(whose[key], tuple(some)) for key, some in alike.items()]


async def notice(connection: Connection, news: Sequence[News], decide: Decide) -> int:
    """Decide and queue what the news of a commit say to whom; how many decisions there were.

    Not within a pipeline: it asks before it writes.
    """
    if not news:
        return 0
    customers = {c for item in news for told in item.told for c in told.customers}
    at_ms = max(item.change.at_ms for item in news)
    await connection.execute(SQL["hold_notices"], (_json(list(customers)).decode(),))
    people = await recipients(connection, customers, at_ms) if customers else {}
    before = dict(people)
    groups = decided(news, people, decide)
    groups += await _of_staff(connection, news, decide, at_ms)
    if groups:
        await write(connection, groups)
        await _see(connection, before, people, at_ms)
    return len(groups)


async def _of_staff(
    connection: Connection, news: Sequence[News], decide: Decide, at_ms: int
) -> list[Group]:
    """What is decided for the staff of the districts that the news touch."""
    districts = {d for item in news for d in item.change.outage.districts}
    if not districts:
        return []
    asked = {"districts": list(districts), "since": moment(at_ms - MEMORY_MS)}
    cursor = await connection.execute(SQL["staff_of"], asked)
    groups: list[Group] = []
    for staff_id, district, language, reachable, past in await cursor.fetchall():
        who = Recipient(language, "staff", reachable, past=_past(past) if past else ())
        for change in (item.change for item in news if district in item.change.outage.districts):
            outage = change.outage
            for one in decide(change, None, who):
                named = (f"{STAFF}{staff_id}",)
                groups.append(Group(outage.id, outage.version, change.at_ms, one, named,
                                    of_outage=True))  # fmt: skip
                mine = after(who, outage.id, one)
                if not one.send:  # of staff it is remembered by what was queued alone
                    continue
                who = msgspec.structs.replace(who, past=(*who.past, mine.past[-1]))
    return groups


async def write(connection: Connection, groups: Sequence[Group]) -> None:
    """Keep decisions and queue what they send."""
    cursor = await connection.execute(SQL["notice_numbers"], (len(groups),))
    numbered = [
        (number, group) for (number,), group in zip(await cursor.fetchall(), groups, strict=True)
    ]
    async with connection.pipeline():
        rows = [_decision_row(number, group) for number, group in numbered]
        await take_in(connection, "keep_notice_decisions", rows)
        for some in _rounds(numbered):
            gone = [
                CustomersRow(g.customers, g.outage_id if g.of_outage else None)
                for _, g in some
                if g.decided.withdraw and g.waiting
            ]
            if gone:
                await take_in(connection, "withdraw_notices", gone)
            queued = [_queued_row(number, g) for number, g in some if g.decided.send]
            if queued:
                await take_in(connection, "queue_notices", queued)
        await connection.execute(SQL["wake_outbox"])


def _rounds(numbered: Iterable[tuple[int, Group]]) -> Iterable[list[tuple[int, Group]]]:
    """The groups in order, cut where a customer comes again: within a round order means nothing."""
    some: list[tuple[int, Group]] = []
    whose: set[str] = set()
    for number, group in numbered:
        if not whose.isdisjoint(group.customers):
            yield some
            some, whose = [], set()
        some.append((number, group))
        whose.update(group.customers)
    if some:
        yield some


async def _see(
    connection: Connection,
    before: dict[str, Recipient],
    people: dict[str, Recipient],
    at_ms: int,
) -> None:
    seen: dict[Seen, list[str]] = {}
    for customer, who in people.items():
        if who.seen is not None and who.seen != before[customer].seen:
            seen.setdefault(who.seen, []).append(customer)
    rows = [
        SeenRow(tuple(some), s.outage_id, s.phase, s.etr, to_rfc3339(at_ms))
        for s, some in seen.items()
    ]
    if rows:
        await take_in(connection, "see_notices", rows)


def _decision_row(number: int, group: Group) -> DecisionRow:
    one = group.decided
    return DecisionRow(
        number, to_rfc3339(group.at_ms), group.outage_id, group.version, one.phase.value, one.send,
        one.reason.value, msgspec.Raw(_json(one.facts)), group.customers,
    )  # fmt: skip


def _queued_row(number: int, group: Group) -> QueuedRow:
    one = group.decided
    return QueuedRow(
        group.outage_id, one.phase.value, one.edition, one.channel, number, one.reason.value,
        int(one.lane), to_rfc3339(one.due_ms), to_rfc3339(one.expires_ms), group.customers,
    )  # fmt: skip
