"""What the API may ask of the rest of the house.  ``service/desk.py`` answers.

Every method may raise ``Unreachable`` (answered 503 with Retry-After) and ``Refused``
(answered 409 with its sentence).
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from dispatch.feeddesk import FeedDesk
from dispatch.noticedesk import NoticeDesk
from dispatch.workdesk import WorkDesk
from grid.public import (
    CustomerStatus,
    PublicCall,
    PublicFinding,
    PublicOutage,
    PublicOutageDetail,
    PublicPlan,
)


class NewCall(msgspec.Struct, frozen=True):
    """A customer's word, checked.

    ``kind`` no_power, partial or restored; ``entered_by`` "customer" or a dispatcher's name.
    """

    customer_id: str
    at_ms: int
    kind: str
    text: str
    entered_by: str
    received_ms: int


class NewPlan(msgspec.Struct, frozen=True):
    """A plan, checked: from before to, the device known.  ``kind`` as grid.outage.OutageKind."""

    device_id: str
    districts: tuple[str, ...]
    from_ms: int
    to_ms: int
    kind: str
    reason: str
    entered_by: str
    entered_ms: int


class Component(msgspec.Struct, frozen=True):
    """Whether a part works: since when (RFC 3339), and why not (a sentence)."""

    ready: bool
    since: str | None = None
    reason: str | None = None


class Watched(Protocol):
    """A process that can be asked how it is."""

    def ready(self) -> Mapping[str, Component]:
        """Each part the service cannot do without, by name: database, engine, mqtt, feeds."""

    def metrics(self) -> bytes:
        """Prometheus text format 0.0.4."""


class Desk(Watched, Protocol):
    """The service, as a person at a desk may ask it."""

    @property
    def feed(self) -> FeedDesk:
        """The feed log."""

    @property
    def notices(self) -> NoticeDesk:
        """What customers were told."""

    @property
    def work(self) -> WorkDesk:
        """Decisions, crews and switches."""

    async def outages(
        self,
        *,
        state: str | None = None,
        at_ms: int | None = None,
        districts: Sequence[str] | None = None,
    ) -> Sequence[PublicOutage]:
        """Outages, newest first: everything not closed, or those in ``state``.

        ``at_ms``: as they stood then.  ``districts``: only those that touch one of them.
        """

    async def outage(self, outage_id: str) -> PublicOutageDetail | None:
        """One outage with its steps and changes; None where there is none."""

    async def findings(self, *, open_only: bool = True) -> Sequence[PublicFinding]:
        """What was noticed and is no outage, newest first."""

    async def customer_status(self, customer_id: str) -> CustomerStatus | None:
        """What a customer may know; None where there is no such customer."""

    async def customers_by_phone(self, phone: str) -> Sequence[str]:
        """Customer ids of a phone number."""

    def customer_district(self, customer_id: str) -> str | None:
        """The district of a customer's meter; None where there is no such customer."""

    def device_districts(self, device_id: str) -> tuple[str, ...] | None:
        """The districts behind a device; None where there is no such device."""

    async def call(self, new: NewCall) -> PublicCall:
        """Keep a call and give it to the engine; returns once committed."""

    async def plans(self, *, open_only: bool = True) -> Sequence[PublicPlan]:
        """Plans by their begin: those that are neither over nor cancelled, or all."""

    async def plan(self, new: NewPlan) -> PublicPlan:
        """Enter a plan; returns once the engine has it, committed."""

    async def cancel_plan(self, plan_id: str, by: str) -> PublicPlan | None:
        """Cancel a plan; None where there is none with that id."""
