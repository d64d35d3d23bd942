"""What the API may ask about decisions, crews and switches: ``dispatch.desk.Desk.work``."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from grid.public import PublicCall, PublicCrew, PublicDecision, PublicOutage


class NewDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A person's decision about an outage, checked but for what only the engine knows.

    ``id`` None: one is made.  The other fields are those of ``grid.frame.Decided``.
    """

    id: str | None
    outage_id: str
    version: int
    action: str
    by: str
    role: str
    reason: str
    when_ms: int | None = None
    device_id: str | None = None
    other_id: str | None = None
    other_version: int | None = None
    cause: str | None = None
    kind: str | None = None
    crew: str | None = None
    etr_ms: int | None = None
    earliest_ms: int | None = None
    confidence: float | None = None
    undoes: str | None = None


class NewSwitching(msgspec.Struct, frozen=True, kw_only=True):
    """A person's word that a device was opened or closed by hand."""

    device_id: str
    closed: bool
    when_ms: int
    by: str
    reason: str


class NewCrew(msgspec.Struct, frozen=True):
    """A crew to be kept; the same id again replaces it."""

    id: str
    name: str
    district: str | None
    active: bool


class Answered(msgspec.Struct, frozen=True):
    """A decision that is committed, and the outage as it is now; None where there is none."""

    decision: PublicDecision
    outage: PublicOutage | None


class WorkDesk(Protocol):
    """Decisions, crews and switches."""

    async def decide(self, new: NewDecision) -> Answered:
        """Let the engine decide on it; returns once what became of it is committed.

        Raises:
            Unreachable: Not committed in time; the same ``id`` may be sent again.
        """

    async def decisions(self, outage_id: str) -> Sequence[PublicDecision]:
        """All decisions about an outage, those not accepted too, oldest first."""

    async def outage_calls(self, outage_id: str) -> Sequence[PublicCall]:
        """Calls of the customers of an outage since an hour before it began, newest first."""

    async def throw(self, new: NewSwitching) -> PublicDecision:
        """Tell the engine that a device was opened or closed by hand; as ``decide``."""

    def network_version(self) -> str:
        """The version of the network that is in force."""

    async def crews(self) -> Sequence[PublicCrew]:
        """All crews by id, with what they are busy with."""

    async def put_crew(self, new: NewCrew) -> PublicCrew:
        """Keep a crew."""
