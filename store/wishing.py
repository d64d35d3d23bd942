"""How people want to be told, what proves it, and the staff of districts.

Numbers and addresses leave this module masked, but for ``export``, which is the customer's own.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import psycopg

from grid.times import maybe_rfc3339, to_rfc3339
from grid.told import PublicConsent, PublicStaff, PublicWishes
from store import networks
from store.masking import masked, masked_address
from store.moments import maybe_moment_ms, moment, moment_ms
from store.queries import SQL
from store.reaching import Reach
from store.sayable import sayable
from store.sealing import Sealer
from store.telling import take_in

Connection = psycopg.AsyncConnection[Any]


class NewWishes(msgspec.Struct, frozen=True, kw_only=True):
    """All of a customer's wishes; None: as usual.  ``contacts`` None: as they are."""

    customer_id: str
    language: str | None = None
    channels: tuple[str, ...] | None = None
    phases: tuple[str, ...] | None = None
    quiet: tuple[str, str] | None = None
    zone: str | None = None
    contacts: dict[str, str] | None = None
    by: str
    at_ms: int

    def __repr__(self) -> str:
        """Addresses stay out of logs and tracebacks."""
        return f"NewWishes({self.customer_id!r})"


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """A customer wants to be told no more, or again.  ``source``: reply, api or command."""

    customer_id: str
    at_ms: int
    wanted: bool
    source: str
    by: str
    words: str = ""

    def __repr__(self) -> str:
        """Their words stay out of logs and tracebacks."""
        return f"Consent({self.customer_id!r}, {self.wanted})"


class NewStaff(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody of staff.  ``duty``: cell_lead or dispatcher."""

    staff_id: str
    duty: str
    district: str
    language: str
    name: str
    phone: str

    def __repr__(self) -> str:
        """Names and numbers stay out of logs and tracebacks."""
        return f"NewStaff({self.staff_id!r})"


class SeenRow(msgspec.Struct, frozen=True):
    """A customer has seen their channel of the feed up to an offset."""

    customer_id: str
    offset: int
    at: str


ERASE = (
    SQL["erase_customer"], SQL["erase_texts"], SQL["erase_calls"], SQL["erase_words"],
    SQL["erase_contacts"], SQL["erase_seen"],
)  # fmt: skip


class Wishing:
    """Each method is one transaction and may raise ``Unreachable``."""

    def __init__(self, reached: Reach, sealer: Sealer) -> None:
        self._reach = reached
        self._sealer = sealer

    async def wishes(self, customer_id: str) -> PublicWishes | None:
        """How a customer wants to be told; None for one nobody knows."""
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL["wishes"], (customer_id,))
            row = await cursor.fetchone()
            cursor = await connection.execute(SQL["contacts"], (customer_id,))
            contacts = dict(await cursor.fetchall())
        if row is None:
            return None
        usual, priority, phone, _, _, language, channels, phases, begin, end, zone, out, at, by = (
            row
        )
        opened = self._sealer.open_text
        return PublicWishes(
            customer_id=customer_id, priority=priority, language=language or usual,
            channels=_tuple(channels), phases=_tuple(phases),
            quiet=(begin, end) if begin is not None else None, time_zone=zone,
            opted_out_at=maybe_rfc3339(maybe_moment_ms(out)),
            phone=masked(opened(phone, f"phone:{customer_id}")),
            contacts={
                channel: masked_address(opened(sealed, f"contact:{customer_id}"))
                for channel, sealed in contacts.items()
            },
            changed_at=maybe_rfc3339(maybe_moment_ms(at)), changed_by=by,
        )  # fmt: skip

    async def wish(self, new: NewWishes) -> None:
        """Keep how a customer wants to be told."""
        begin, end = new.quiet or (None, None)
        asked = {
            "customer_id": new.customer_id, "language": new.language,
            "channels": _list(new.channels), "phases": _list(new.phases), "quiet_from": begin,
            "quiet_to": end, "time_zone": new.zone, "at": moment(new.at_ms), "by": new.by,
        }  # fmt: skip
        async with self._reach.connection() as connection:
            await connection.execute(SQL["keep_wishes"], asked)
            if new.contacts is not None:
                await connection.execute(SQL["forget_contacts"], (new.customer_id,))
                for channel, address in new.contacts.items():
                    sealed = self._sealer.seal_text(address, f"contact:{new.customer_id}")
                    if sealed is not None:
                        row = (new.customer_id, channel, sealed)
                        await connection.execute(SQL["keep_contact"], row)

    async def consent(self, some: Sequence[Consent]) -> None:
        """Keep that customers want to be told no more, or again, with the proof of it."""
        async with self._reach.connection() as connection:
            for new in some:
                words = sayable(new.words)
                asked = {
                    "customer_id": new.customer_id, "at": moment(new.at_ms), "wanted": new.wanted,
                    "source": new.source, "by": new.by,
                    "words": self._sealer.seal_text(words, f"consent:{new.customer_id}"),
                }  # fmt: skip
                await connection.execute(SQL["consent"], asked)

    async def consents(self, customer_id: str) -> tuple[PublicConsent, ...]:
        """The proof of a customer's opt-outs and opt-ins, oldest first."""
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL["consents"], (customer_id,))
            return tuple(
                PublicConsent(
                    to_rfc3339(moment_ms(at)), wanted, source, by,
                    self._sealer.open_text(words, f"consent:{customer_id}"),
                )
                for at, wanted, source, by, words in await cursor.fetchall()
            )  # fmt: skip

    async def seen(self, some: Sequence[SeenRow]) -> None:
        """Keep how far customers have seen their pages."""
        async with self._reach.connection() as connection:
            await take_in(connection, "see_page", some)

    # -- staff -------------------------------------------------------------------------------------

    async def staff(self) -> tuple[PublicStaff, ...]:
        """Staff, by id; numbers masked."""
        opened = self._sealer.open_text
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL["staff"])
            return tuple(
                PublicStaff(
                    staff_id, duty, district, language, opened(name, f"name:staff:{staff_id}"),
                    masked(opened(phone, f"phone:staff:{staff_id}")),
                )
                for staff_id, duty, district, language, name, phone in await cursor.fetchall()
            )  # fmt: skip

    async def keep_staff(self, new: NewStaff) -> None:
        """Somebody of staff, new or changed."""
        asked = {
            "staff_id": new.staff_id, "duty": new.duty, "district": new.district,
            "language": new.language, "index": self._sealer.phone_index(new.phone),
            "name": self._sealer.seal_text(new.name, f"name:staff:{new.staff_id}"),
            "phone": self._sealer.seal_text(new.phone, f"phone:staff:{new.staff_id}"),
        }  # fmt: skip
        async with self._reach.connection() as connection:
            await connection.execute(SQL["keep_staff"], asked)

    async def remove_staff(self, staff_id: str) -> bool:
        """Somebody of staff is told no more; false where nobody has that id."""
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL["remove_staff"], (staff_id,))
            return cursor.rowcount > 0

    # -- what a person may ask for -----------------------------------------------------------------

    async def address(self, customer_id: str) -> str:
        """Where a customer lives; empty for one nobody knows."""
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL["wishes"], (customer_id,))
            row = await cursor.fetchone()
        return self._sealer.open_text(row[4], f"address:{customer_id}") if row else ""

    async def export(self, customer_id: str) -> dict[str, object] | None:
        """Everything that is kept of a customer, readable; None for one nobody knows."""
        wishes = await self.wishes(customer_id)
        if wishes is None:
            return None
        consents = await self.consents(customer_id)
        opened = self._sealer.open_text
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL["wishes"], (customer_id,))
            row = await cursor.fetchone()
            assert row is not None
            contacts = await _rows(connection, SQL["contacts"], customer_id)
            texts = await _rows(connection, SQL["words_of"], customer_id)
            calls = await _rows(connection, SQL["calls_of"], customer_id)
            power = await _rows(connection, SQL["power_of"], customer_id)
        return {
            "customer_id": customer_id,
            "name": opened(row[3], f"name:{customer_id}"),
            "phone": opened(row[2], f"phone:{customer_id}"),
            "address": opened(row[4], f"address:{customer_id}"),
            "contacts": {c: opened(sealed, f"contact:{customer_id}") for c, sealed in contacts},
            "wishes": msgspec.to_builtins(wishes),
            "consents": msgspec.to_builtins(consents),
            "notices": [
                {"phase": phase, "channel": channel, "state": state, "sent_at": _time(at),
                 "text": body}
                for phase, channel, state, at, body in texts
            ],
            "calls": [
                {"at": _time(at), "kind": kind, "entered_by": by,
                 "text": opened(text, f"call:{customer_id}")}
                for at, kind, by, _, text in calls
            ],
            "without_power": [
                {"outage_id": outage, "off_at": _time(off), "on_at": _time(on)}
                for outage, off, on in power
            ],
        }  # fmt: skip

    async def erase(self, customer_id: str) -> bool:
        """Forget who a customer is and all words about them; false for one nobody knows.

        Network versions are gone through too.  That there was an outage at the meter stays: it is
        the network's history, and names nobody.
        """
        asked = {"customer_id": customer_id}
        async with self._reach.connection() as connection:
            for statement in ERASE:
                cursor = await connection.execute(statement, asked)
                if statement is ERASE[0] and not cursor.rowcount:
                    return False
            await networks.forget_contact(connection, self._sealer, customer_id)
        return True


async def _rows(connection: Connection, statement: bytes, customer_id: str) -> list[Any]:
    cursor = await connection.execute(statement, (customer_id,))
    return await cursor.fetchall()


def _time(at: datetime | None) -> str | None:
    return maybe_rfc3339(maybe_moment_ms(at))


def _tuple(some: list[str] | None) -> tuple[str, ...] | None:
    return None if some is None else tuple(some)


def _list(some: tuple[str, ...] | None) -> list[str] | None:
    return None if some is None else list(some)
