"""What people decided, and the crews that mend things: reading it back, and keeping crews."""

from typing import Any

import msgspec
import psycopg

from grid.outage import Outcome
from grid.public import PublicCall, PublicCrew, PublicDecision, public_decision
from grid.times import to_rfc3339
from store.desk import read_call
from store.moments import moment_ms
from store.queries import SQL
from store.reaching import Reach
from store.sayable import sayable
from store.sealing import Sealer
from store.settings import StoreSettings

Connection = psycopg.AsyncConnection[Any]


class DecisionRow(msgspec.Struct, frozen=True):
    """A row of decisions."""

    id: str
    outage_id: str
    group_slug: str
    at: str
    by: str
    role: str
    action: str
    reason: str
    accepted: bool
    why: str
    version: int
    undoes: str | None
    position: int


def decision_rows(slug: str, position: int, outcome: Outcome) -> list[DecisionRow]:
    """What became of the decisions of one frame."""
    rows = []
    for decision in outcome.decisions:
        public = public_decision(decision)
        rows.append(
            DecisionRow(
                public.id, public.outage_id, slug, public.at, public.by, public.role,
                public.action, public.reason, public.accepted, public.why, public.version,
                public.undoes, position,
            )
        )  # fmt: skip
    return rows


class WorkStore:
    """Decisions and crews.  Every method is one transaction and may raise ``Unreachable``."""

    def __init__(self, reached: Reach, sealer: Sealer, settings: StoreSettings) -> None:
        self._reach = reached
        self._sealer = sealer
        self._settings = settings

    async def decision(self, decision_id: str) -> PublicDecision | None:
        """What became of a decision; None while nothing has."""
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL["decision"], (decision_id,))
            row = await cursor.fetchone()
            return _decision(row) if row else None

    async def decisions(self, outage_id: str) -> tuple[PublicDecision, ...]:
        """All decisions about an outage or a switch, oldest first."""
        asked = {"outage_id": outage_id, "limit": self._settings.listed_max}
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL["decisions_of"], asked)
            return tuple(_decision(row) for row in await cursor.fetchall())

    async def told_since(self, outage_id: str, version: int) -> bool:
        """Whether customers were told, or may have been, of a version of an outage or a later
        one.
        """
        asked = {"outage_id": outage_id, "version": version}
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL["told_since"], asked)
            row = await cursor.fetchone()
            return bool(row and row[0])

    async def outage_calls(self, outage_id: str) -> tuple[PublicCall, ...]:
        """Calls of an outage's customers since an hour before it began, newest first."""
        asked = {"outage_id": outage_id, "limit": self._settings.listed_max}
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL["outage_calls"], asked)
            return tuple(read_call(self._sealer, row) for row in await cursor.fetchall())

    async def crews(self) -> tuple[PublicCrew, ...]:
        """All crews by id, and what they are busy with."""
        async with self._reach.connection() as connection:
            cursor = await connection.execute(SQL["crews"])
            return tuple(_crew(row) for row in await cursor.fetchall())

    async def put_crew(
        self, crew_id: str, *, name: str, district: str | None, active: bool
    ) -> PublicCrew:
        """Keep a crew; the same id again replaces it."""
        row = (sayable(crew_id), sayable(name), district and sayable(district), active)
        async with self._reach.connection() as connection:
            await connection.execute(SQL["put_crew"], row)
        return next(crew for crew in await self.crews() if crew.id == row[0])


def _crew(row: Any) -> PublicCrew:
    crew_id, name, district, active, outages = row
    return PublicCrew(crew_id, name, district, active, bool(outages), tuple(outages))


def _decision(row: Any) -> PublicDecision:
    decision_id, outage_id, at, *rest = row
    return PublicDecision(decision_id, outage_id, to_rfc3339(moment_ms(at)), *rest)
