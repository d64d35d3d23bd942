"""What a person at a desk asks of the service: the store's answers, and words for the engine.

A call becomes a reading at the customer's meter, a plan a command in the stream; both are in the
recorded stream before they are in their own tables, so nothing is listed that the engine missed.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence

from dispatch.desk import Component, NewCall, NewPlan
from grid.errors import Refused
from grid.frame import NOT_YET, PlanCancelled, PlanEntered
from grid.network import Network, Place
from grid.parcel import Parcel, Stream
from grid.public import (
    CustomerStatus,
    PublicCall,
    PublicFinding,
    PublicOutage,
    PublicOutageDetail,
    PublicPlan,
)
from grid.reading import Kind, Reading
from ingest.packing import Packer
from service.feeddesk import ServiceFeedDesk
from service.health import Health
from service.metrics import Metrics
from service.texting import Planned
from service.workdesk import ServiceWorkDesk
from store import desk as rows
from store.postgres import Store

KIND_OF_CALL: Mapping[str, Kind] = {
    "no_power": Kind.CALL_NO_POWER,
    "partial": Kind.CALL_PARTIAL,
    "restored": Kind.CALL_RESTORED,
}


class ServiceDesk:
    """The ``dispatch.desk.Desk`` of one running service."""

    def __init__(
        self,
        store: Store,
        runner: Stream,
        network: Network,
        health: Health,
        metrics: Metrics,
        now_ms: Callable[[], int],
        *,
        work: ServiceWorkDesk,
        feed: ServiceFeedDesk,
        planned: Planned,
    ) -> None:
        self.work = work
        self.feed = feed
        self.notices = store.outbox
        self._planned = planned
        self._store = store
        self._runner = runner
        self._network = network
        self._packer = Packer(network)
        self._health = health
        self._metrics = metrics
        self._now_ms = now_ms

    def replace_network(self, network: Network) -> None:
        """From now on devices and customers are those of another version."""
        self._network, self._packer = network, Packer(network)
        self.work.replace_network(network)

    async def outages(
        self,
        *,
        state: str | None = None,
        at_ms: int | None = None,
        districts: Sequence[str] | None = None,
    ) -> Sequence[PublicOutage]:
        """Outages, newest first."""
        return await self._store.outages(state=state, at_ms=at_ms, districts=districts)

    async def outage(self, outage_id: str) -> PublicOutageDetail | None:
        """One outage with its steps and changes."""
        return await self._store.outage(outage_id)

    async def findings(self, *, open_only: bool = True) -> Sequence[PublicFinding]:
        """What was noticed and is no outage, newest first."""
        return await self._store.findings(open_only=open_only)

    async def customer_status(self, customer_id: str) -> CustomerStatus | None:
        """What a customer may know."""
        return await self._store.customer_status(customer_id)

    async def customers_by_phone(self, phone: str) -> Sequence[str]:
        """Customer ids of a phone number."""
        return await self._store.customers_by_phone(phone)

    def customer_district(self, customer_id: str) -> str | None:
        """The district of a customer's meter."""
        meter_id = self._network.customer_meters.get(customer_id)
        place = self._network.places.get(meter_id) if meter_id else None
        return self._network.groups[place.group].district[place.node] if place else None

    def device_districts(self, device_id: str) -> tuple[str, ...] | None:
        """The districts behind a device."""
        place = self._network.places.get(device_id)
        if place is None:
            return None
        group = self._network.groups[place.group]
        return tuple(sorted({d for d in group.district[group.below(place.node)] if d}))

    async def call(self, new: NewCall) -> PublicCall:
        """Keep a call and give it to the engine; returns once committed.

        Raises:
            Refused: The customer's meter is in no feeder.
        """
        meter_id = self._network.customer_meters.get(new.customer_id, "")
        reading = Reading(meter_id, KIND_OF_CALL[new.kind], new.at_ms)
        packer = self._packer
        packed, refused = packer.pack([reading], new.received_ms)
        if refused:
            raise Refused(f"customer {new.customer_id} has no meter in the network")
        receipt = await self._runner.deliver(Parcel(packed, network=packer.version))
        if receipt is not None:
            await receipt
        return await self._store.add_call(
            rows.NewCall(
                customer_id=new.customer_id,
                at_ms=new.at_ms,
                kind=new.kind,
                text=new.text,
                entered_by=new.entered_by,
                received_ms=new.received_ms,
            )
        )

    async def still_out(self, customer_id: str, at_ms: int) -> None:
        """A customer answers a text: they have no power.

        Raises:
            Refused: The customer's meter is in no feeder.
        """
        await self.call(NewCall(customer_id, at_ms, "no_power", "", "sms", at_ms))

    async def plans(self, *, open_only: bool = True) -> Sequence[PublicPlan]:
        """Plans by their begin: those that are neither over nor cancelled, or all."""
        return await self._store.plans(self._now_ms() if open_only else None)

    async def plan(self, new: NewPlan) -> PublicPlan:
        """Enter a plan; returns once the engine has it, committed."""
        place = self._place(new.device_id)
        plan_id = f"plan-{secrets.token_hex(6)}"

        entered = PlanEntered(
            NOT_YET, plan_id, new.device_id, new.from_ms, new.to_ms, new.kind, new.reason
        )
        await self._runner.command(entered, place.group)
        kept = await self._store.add_plan(
            rows.NewPlan(
                plan_id=plan_id,
                device_id=new.device_id,
                districts=new.districts,
                from_ms=new.from_ms,
                to_ms=new.to_ms,
                kind=new.kind,
                reason=new.reason,
                entered_by=new.entered_by,
                entered_ms=new.entered_ms,
            )
        )
        await self._planned.announce(kept, self._behind(place))
        return kept

    async def cancel_plan(self, plan_id: str, by: str) -> PublicPlan | None:
        """Cancel a plan; None where there is none with that id."""
        cancelled = await self._store.cancel_plan(plan_id, by, self._now_ms())
        if cancelled is not None:
            place = self._network.places.get(cancelled.device_id)
            if place is not None:
                await self._planned.call_off(cancelled, self._behind(place))
            group = place.group if place else None
            await self._runner.command(PlanCancelled(NOT_YET, plan_id), group)
        return cancelled

    def ready(self) -> Mapping[str, Component]:
        """Each part the service cannot do without, by name."""
        return self._health.ready()

    def metrics(self) -> bytes:
        """Prometheus text format 0.0.4."""
        return self._metrics.text()

    def _behind(self, place: Place) -> tuple[str, ...]:
        """The customers behind a device."""
        return self._network.groups[place.group].customers_below(place.node)

    def _place(self, device_id: str) -> Place:
        place = self._network.places.get(device_id)
        if place is None:
            raise Refused(f"there is no device {device_id!r} in the network")
        return place
