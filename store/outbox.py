"""The outbox: texts that wait, are on their way, and what became of them.

The number of a customer is opened in ``claim`` and ``silent`` alone; everywhere else it is shown
masked.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

import msgspec
import psycopg

from grid.notice import SMS, Decision, Facts, Phase, Recipient
from grid.outbox import Asked, Back, Claimed, Figures, Receipt, Sent, Unknown, Unreached
from grid.public import PublicNotice, PublicNoticeDecision, PublicOutage
from grid.times import maybe_rfc3339, to_rfc3339
from store import noticing
from store.masking import masked, masked_address
from store.moments import maybe_moment_ms, moment, moment_ms
from store.noticing import Group
from store.queries import SQL
from store.reaching import Reach
from store.sealing import Sealer
from store.settings import StoreSettings
from store.telling import take_in

Connection = psycopg.AsyncConnection[Any]
EXPIRED_MAX = 10_000  # in one transaction
LATELY_MS = 7 * 86_400_000

_facts = msgspec.json.Decoder(Facts).decode
_outage = msgspec.json.Decoder(PublicOutage).decode


class Outbox:
    """Each method is one transaction and may raise ``Unreachable``."""

    def __init__(self, reached: Reach, sealer: Sealer, settings: StoreSettings) -> None:
        self._reach = reached
        self._sealer = sealer
        self._settings = settings

    # -- what is decided beside the changes --------------------------------------------------------

    async def recipients(self, customers: Iterable[str], at_ms: int) -> dict[str, Recipient]:
        """What is known of customers and what they were told."""
        async with self._reach.connection() as connection:
            return await noticing.recipients(connection, customers, at_ms)

    async def add(
        self,
        of: str,
        at_ms: int,
        decisions: Sequence[tuple[Decision, Sequence[str]]],
        version: int = 0,
    ) -> None:
        """Keep decisions that no change brought, and queue what they send; ``of`` a plan, or an
        outage as of ``version``.
        """
        groups = [Group(of, version, at_ms, one, tuple(some)) for one, some in decisions]
        if groups:
            async with self._reach.connection() as connection:
                await noticing.write(connection, groups)

    async def promised(
        self, by_ms: int, since_ms: int
    ) -> tuple[tuple[PublicOutage, int, tuple[str, ...]], ...]:
        """Who was promised a word by a moment (and after another), and is in the dark still: the
        outage, since when, and the customers.
        """
        asked = {"by": moment(by_ms), "since": moment(since_ms)}
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL["promised"], asked)
            rows = await cursor.fetchall()
        return tuple((_outage(body), moment_ms(off), tuple(some)) for body, off, some in rows)

    # -- the sender --------------------------------------------------------------------------------

    async def claim(self, now_ms: int, limit: int, channel: str = SMS) -> tuple[Claimed, ...]:
        """Take what is due, the most urgent first; committed before it returns."""
        async with self._reach.connection() as connection:
            asked = {"now": moment(now_ms), "limit": limit, "channel": channel}
            cursor = await connection.execute(SQL["claim_notices"], asked)
            rows = await cursor.fetchall()
        return tuple(sorted(map(self._claimed, rows), key=lambda c: (c.lane, c.notice_no)))

    def _claimed(self, row: Any) -> Claimed:
        *known, phase, edition, lane, attempts, facts, language, priority = row[:10]
        number, outage_id, customer_id = known
        phone, address, place = row[10:]
        return Claimed(
            number, outage_id, customer_id, Phase(phase), edition, lane, attempts, _facts(facts),
            language, priority,
            self._sealer.open_text(phone, f"phone:{customer_id}"),
            self._sealer.open_text(place, f"address:{customer_id}"),
            self._sealer.open_text(address, f"contact:{customer_id}"),
        )  # fmt: skip

    async def sent(self, some: Sequence[Sent]) -> None:
        """The gateway has these; receipts that came too early are applied."""
        rows = [
            _SentRow(s.notice_no, to_rfc3339(s.at_ms), s.body, s.bare, maybe_rfc3339(s.next_ms),
                     s.message_ids)
            for s in some
        ]  # fmt: skip
        numbers = [s.notice_no for s in some]
        async with self._reach.connection() as connection:
            await connection.execute(SQL["one_by_one"])
            await take_in(connection, "notices_sent", rows)
            cursor = await connection.execute(SQL["take_receipts"], (numbers,))
            early = [
                Receipt(moment_ms(at), message_id, stat)
                for message_id, stat, at in await cursor.fetchall()
            ]
            if early:
                await _apply(connection, early)
            await connection.execute(SQL["settle_notices"], (await _told(connection, numbers),))

    async def back(self, some: Sequence[Back]) -> None:
        """The gateway has these not: they wait again, or are refused."""
        rows = [
            _BackRow(b.notice_no, "refused" if b.again_ms is None else "queued", b.reason,
                     maybe_rfc3339(b.again_ms), to_rfc3339(b.at_ms))
            for b in some
        ]  # fmt: skip
        async with self._reach.connection() as connection:
            await connection.execute(SQL["one_by_one"])
            await take_in(connection, "notices_back", rows)

    async def worded(self, one: Claimed, body: str) -> bool:
        """Keep the words before they are handed over; false if the claim is ours no more."""
        asked = {"notice_no": one.notice_no, "attempts": one.attempts, "body": body}
        async with self._reach.connection() as connection:
            return (await connection.execute(SQL["notice_worded"], asked)).rowcount == 1

    async def unknown(self, some: Sequence[Unknown]) -> None:
        """Nobody knows of these."""
        async with self._reach.connection() as connection:
            await connection.execute(SQL["one_by_one"])
            await take_in(connection, "notices_unknown", some)

    async def tidy(
        self,
        now_ms: int,
        *,
        left_ms: int,
        owed_ms: int | None,
        safety_ms: int | None,
        channel: str = SMS,
    ) -> dict[str, int]:
        """As ``grid.outbox.OutboxLog`` says."""
        now, never = moment(now_ms), moment(0)
        async with self._reach.connection() as connection:
            expired = await connection.execute(
                SQL["expire_notices"], {"now": now, "limit": EXPIRED_MAX}
            )
            await connection.execute(SQL["one_by_one"])
            left = await connection.execute(
                SQL["notices_left"], {"before": moment(left_ms), "channel": channel}
            )
            again = await connection.execute(
                SQL["resend_unknown"],
                {
                    "now": now,
                    "channel": channel,
                    "owed": never if owed_ms is None else moment(owed_ms),
                    "safety": never if safety_ms is None else moment(safety_ms),
                },
            )
        return {"expired": expired.rowcount, "unknown": left.rowcount, "again": again.rowcount}

    # -- receipts ----------------------------------------------------------------------------------

    async def receipts(self, some: Sequence[Receipt]) -> int:
        """Apply receipts; how many are of nothing we know yet, which are kept."""
        async with self._reach.connection() as connection:
            await connection.execute(SQL["one_by_one"])
            asked = list({r.message_id for r in some})
            cursor = await connection.execute(SQL["known_messages"], (asked,))
            known = {message_id for (message_id,) in await cursor.fetchall()}
            mine = [r for r in some if r.message_id in known or await self._adopted(connection, r)]
            kept = [r for r in some if r not in mine]
            for one in kept:
                await connection.execute(
                    SQL["keep_receipt"], (moment(one.at_ms), one.message_id, one.stat)
                )
            if mine:
                await connection.execute(SQL["settle_notices"], (await _apply(connection, mine),))
        return len(kept)

    async def _adopted(self, connection: Connection, one: Receipt) -> bool:
        phone = self._sealer.phone_index(one.phone)
        if phone is None:
            return False
        asked = {"phone": phone, "reference": one.reference, "message_id": one.message_id}
        cursor = await connection.execute(SQL["adopt_receipt"], asked)
        return await cursor.fetchone() is not None

    async def silent(
        self, before_ms: int, since_ms: int, limit: int, channel: str = SMS
    ) -> tuple[Asked, ...]:
        """Texts handed over in between of which the gateway never said what became of them."""
        asked = {
            "before": moment(before_ms), "since": moment(since_ms), "limit": limit,
            "channel": channel,
        }  # fmt: skip
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL["silent"], asked)
            rows = await cursor.fetchall()
        return tuple(
            Asked(number, self._sealer.open_text(phone, f"phone:{customer}"), moment_ms(at),
                  message_id, body)
            for number, at, message_id, body, _, customer, phone in rows
        )  # fmt: skip

    async def absent(self, notices: Sequence[int], now_ms: int) -> None:
        """The gateway knows of none of these: they may go again."""
        async with self._reach.connection() as connection:
            await connection.execute(SQL["one_by_one"])
            asked = {"notices": list(notices), "now": moment(now_ms)}
            await connection.execute(SQL["notices_absent"], asked)

    # -- who was not reached -----------------------------------------------------------------------

    async def fall_back(
        self,
        now_ms: int,
        before_ms: tuple[int, int],
        receipted: Sequence[str],
        next_of: Callable[[Unreached], str | None],
        limit: int,
    ) -> int:
        """Look for another channel for what did not arrive: handed over before ``before_ms`` (of
        key and vulnerable customers the second), on channels that give receipts.  How many.
        """
        usual, safety = map(moment, before_ms)
        asked = {"now": moment(now_ms), "before": usual, "safety": safety,
                 "receipted": list(receipted), "limit": limit}  # fmt: skip
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL["unreached"], asked)
            rows = await cursor.fetchall()
            if not rows:
                return 0
            people = await noticing.recipients(connection, {row[1] for row in rows}, now_ms)
            missed = [
                _MissedRow(number, next_of(
                    Unreached(number, customer, Phase(phase), channel, people[customer])))
                for number, customer, phase, channel in rows
            ]  # fmt: skip
            told = {"missed": msgspec.json.encode(missed).decode(), "now": moment(now_ms)}
            await connection.execute(SQL["fall_back"], told)
            await connection.execute(SQL["wake_outbox"])
        return sum(one.channel is not None for one in missed)

    # -- looking on --------------------------------------------------------------------------------

    async def news(self) -> AsyncIterator[None]:
        """Yield whenever somebody, in whatever process, queued a text."""
        async with self._reach.within(None) as connection:
            await connection.set_autocommit(True)
            await connection.execute(SQL["listen_outbox"])
            async for _ in connection.notifies():
                yield None

    async def figures(self, now_ms: int) -> Figures:
        """How much waits, and since when."""
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL["outbox_figures"], {"now": moment(now_ms)})
            rows = await cursor.fetchall()
        queued = {lane: count for state, lane, count, _ in rows if state == "queued"}
        counts = {
            wanted: sum(count for state, _, count, _ in rows if state == wanted)
            for wanted in ("sending", "unknown")
        }
        due = [moment_ms(at) for state, _, _, at in rows if state == "queued" and at is not None]
        return Figures(queued, counts["sending"], counts["unknown"], min(due, default=None))

    async def of_outage(self, outage_id: str) -> tuple[PublicNotice, ...]:
        """What customers were told of an outage, newest first; phones masked."""
        return await self._notices(outage_id=outage_id)

    async def of_customer(self, customer_id: str) -> tuple[PublicNotice, ...]:
        """What a customer was told, newest first; phones masked."""
        return await self._notices(customer_id=customer_id)

    async def _notices(
        self, *, outage_id: str | None = None, customer_id: str | None = None
    ) -> tuple[PublicNotice, ...]:
        asked = {"outage_id": outage_id, "customer_id": customer_id,
                 "limit": self._settings.listed_max}  # fmt: skip
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL["notices_told"], asked)
            return tuple(self._notice(row) for row in await cursor.fetchall())

    def _notice(self, row: Any) -> PublicNotice:
        (number, outage_id, customer_id, phase, edition, channel, state, reason, decided, lane,
         *times, body, sealed) = row  # fmt: skip
        at, due, sent, ended = (maybe_rfc3339(maybe_moment_ms(time)) for time in times)
        return PublicNotice(
            id=str(number), outage_id=outage_id, customer_id=customer_id, phase=phase,
            edition=edition, channel=channel, state=state, reason=reason, decided=decided,
            lane=lane, at=at or "", due_at=due or "", sent_at=sent, ended_at=ended, text=body,
            phone=self._masked(channel, customer_id, sealed),
        )  # fmt: skip

    def _masked(self, channel: str, customer_id: str, sealed: bytes | None) -> str:
        if channel == SMS:
            return masked(self._sealer.open_text(sealed, f"phone:{customer_id}"))
        return masked_address(self._sealer.open_text(sealed, f"contact:{customer_id}"))

    async def decisions(
        self, *, outage_id: str | None = None, customer_id: str | None = None, since_ms: int = 0
    ) -> tuple[PublicNoticeDecision, ...]:
        """What was decided for an outage's customers, or for one customer, in order."""
        name = "decisions_for_outage" if outage_id is not None else "decisions_for_customer"
        asked = {
            "outage_id": outage_id, "customer_id": customer_id, "since": moment(since_ms),
            "limit": self._settings.listed_max,
        }  # fmt: skip
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL[name], asked)
            return tuple(
                PublicNoticeDecision(to_rfc3339(moment_ms(at)), *rest)
                for at, *rest in await cursor.fetchall()
            )

    async def last_told(self, phone: str, now_ms: int) -> tuple[str, ...]:
        """Customers with a number who were told something lately, the last first."""
        index = self._sealer.phone_index(phone)
        asked = {"phone": index, "since": moment(now_ms - LATELY_MS)}
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL["last_told_by_phone"], asked)
            return tuple(customer_id for (customer_id,) in await cursor.fetchall())


class _SentRow(msgspec.Struct, frozen=True):
    notice_no: int
    at: str
    body: str
    bare: bool
    next_at: str | None
    message_ids: tuple[str, ...]


class _MissedRow(msgspec.Struct, frozen=True):
    notice_no: int
    channel: str | None


class _BackRow(msgspec.Struct, frozen=True):
    notice_no: int
    state: str
    reason: str
    due_at: str | None
    at: str


class _ReceiptRow(msgspec.Struct, frozen=True):
    message_id: str
    stat: str
    final: bool
    at: str


async def _apply(connection: Connection, some: Sequence[Receipt]) -> list[int]:
    """Keep what receipts say of segments; the notices that they are of."""
    rows = [_ReceiptRow(r.message_id, r.stat, r.final, to_rfc3339(r.at_ms)) for r in some]
    text = msgspec.json.encode(rows).decode()
    cursor = await connection.execute(SQL["apply_receipts"], (text,))
    return [number for (number,) in await cursor.fetchall()]


async def _told(connection: Connection, numbers: Sequence[int]) -> list[int]:
    """Those of some notices of which a receipt says something."""
    cursor = await connection.execute(SQL["receipted"], (list(numbers),))
    return [number for (number,) in await cursor.fetchall()]
