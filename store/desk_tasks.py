"""Whom the desk is to call: notices on the channel of last resort, listed and closed."""

from typing import Any

import msgspec
import psycopg

from grid.notice import Facts
from grid.times import maybe_rfc3339, to_rfc3339
from grid.told import PublicTask
from store.masking import masked
from store.moments import maybe_moment_ms, moment
from store.queries import SQL
from store.reaching import Reach
from store.sealing import Sealer
from store.settings import StoreSettings

Connection = psycopg.AsyncConnection[Any]

TOLD = "told"
_facts = msgspec.json.Decoder(Facts).decode


class DeskTasks:
    """Each method is one transaction and may raise ``Unreachable``."""

    def __init__(self, reached: Reach, sealer: Sealer, settings: StoreSettings) -> None:
        self._reach = reached
        self._sealer = sealer
        self._settings = settings

    async def tasks(
        self, now_ms: int, *, open_only: bool = True, number: int | None = None
    ) -> tuple[PublicTask, ...]:
        """Whom to call, the most urgent first; numbers masked."""
        asked = {
            "now": moment(now_ms), "open_only": open_only, "notice_no": number,
            "limit": self._settings.listed_max,
        }  # fmt: skip
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL["desk_tasks"], asked)
            return tuple(self._task(row) for row in await cursor.fetchall())

    def _task(self, row: Any) -> PublicTask:
        number, outage_id, customer_id, phase, state, reason, lane, *times = row[:11]
        at, due, expires, ended = (maybe_moment_ms(time) for time in times)
        by, note, facts, language, priority, phone, place = row[11:]
        known = _facts(facts)
        return PublicTask(
            id=str(number), outage_id=outage_id, customer_id=customer_id, phase=phase,
            state="open" if state == "queued" else state, reason=reason, lane=lane,
            priority=priority, language=language, at=to_rfc3339(at or 0),
            due_at=to_rfc3339(due or 0), expires_at=to_rfc3339(expires or 0),
            off_at=maybe_rfc3339(known.off_ms),
            etr_at=maybe_rfc3339(known.etr.to_ms if known.etr else None),
            ended_at=maybe_rfc3339(ended), ended_by=by, note=note,
            phone=masked(self._sealer.open_text(phone, f"phone:{customer_id}")),
            address=self._sealer.open_text(place, f"address:{customer_id}"),
        )  # fmt: skip

    async def number_of(self, customer_id: str) -> str:
        """A customer's telephone number, for whoever is to call it; blank where none is known."""
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL["wishes"], (customer_id,))
            row = await cursor.fetchone()
        return self._sealer.open_text(row[2], f"phone:{customer_id}") if row else ""

    async def close(self, number: int, outcome: str, note: str, by: str, now_ms: int) -> bool:
        """Close a task; false where there is none that is open.

        ``outcome`` told, or why not: nobody_answered, not_needed, ...
        """
        asked = {
            "notice_no": number, "state": "delivered" if outcome == TOLD else "undelivered",
            "reason": outcome, "body": note or None, "by": by, "now": moment(now_ms),
        }  # fmt: skip
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL["close_desk_task"], asked)
            return await cursor.fetchone() is not None
