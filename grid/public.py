"""Outages as others see them: the objects of the API, the feeds and the change log
(docs/protocols.md).

Every key is always there, null where unknown.  Times are RFC 3339 UTC.
"""

import msgspec

from grid.outage import Change, Finding, Outage, Step
from grid.times import maybe_rfc3339, to_rfc3339


class PublicEtr(msgspec.Struct, frozen=True):
    """When power is expected back, who says so, and how sure (0 to 1)."""

    at: str
    source: str
    confidence: float


class PublicOutage(msgspec.Struct, frozen=True):
    """An outage for the dispatch centre."""

    id: str
    version: int
    state: str
    kind: str
    cause: str | None
    device_id: str
    device_kind: str
    feeder_id: str | None
    districts: tuple[str, ...]
    phases: str
    probability: float
    started_at: str
    detected_at: str
    confirmed_at: str | None
    restored_at: str | None
    customers_affected: int
    customers_out: int
    etr: PublicEtr | None
    evidence: tuple[str, ...]
    parent_id: str | None


class PublicStep(msgspec.Struct, frozen=True):
    """Customers with the same off and on time; ``on_at`` is null while they are out."""

    off_at: str
    on_at: str | None
    customers: tuple[str, ...]
    inferred: bool


class PublicChange(msgspec.Struct, frozen=True):
    """A change as the dispatch feed carries it: absolute values, and whose state it changes."""

    at: str
    reason: str
    customers_changed: int
    outage: PublicOutage


class PublicOutageDetail(PublicOutage, frozen=True):
    """An outage with its steps, oldest first, and its change log, oldest first."""

    steps: tuple[PublicStep, ...]
    changes: tuple[PublicChange, ...]


class PublicFinding(msgspec.Struct, frozen=True):
    """Something noticed that is no outage."""

    id: str
    at: str
    kind: str
    device_id: str
    district: str
    since: str
    until: str | None
    reason: str


class PublicPlan(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """An outage foreseen for a device's subtree: planned, temporary, arrears or curtailment."""

    id: str
    device_id: str
    districts: tuple[str, ...]
    from_: str
    to: str
    kind: str
    reason: str
    entered_by: str
    entered_at: str
    cancelled_at: str | None


class PublicCall(msgspec.Struct, frozen=True):
    """A customer's word about their power: no_power, partial or restored."""

    id: str
    customer_id: str
    at: str
    kind: str
    text: str
    entered_by: str  # "customer" or the dispatcher's name
    received_at: str


class CustomerStatus(msgspec.Struct, frozen=True):
    """What one customer may know of their own premises.  ``power``: on, off, or unknown."""

    customer_id: str
    power: str
    outage_id: str | None
    state: str | None
    kind: str | None
    cause: str | None
    off_at: str | None
    on_at: str | None
    verified: bool  # false where the meter itself could not confirm the restoration
    etr: PublicEtr | None
    updated_at: str


def public_outage(outage: Outage) -> PublicOutage:
    """The outage without its steps."""
    etr = outage.etr
    return PublicOutage(
        id=outage.id,
        version=outage.version,
        state=outage.state.value,
        kind=outage.kind.value,
        cause=outage.cause,
        device_id=outage.device_id,
        device_kind=outage.device_kind,
        feeder_id=outage.feeder_id,
        districts=outage.districts,
        phases=outage.phases,
        probability=round(outage.probability, 4),
        started_at=to_rfc3339(outage.started_ms),
        detected_at=to_rfc3339(outage.detected_ms),
        confirmed_at=maybe_rfc3339(outage.confirmed_ms),
        restored_at=maybe_rfc3339(outage.restored_ms),
        customers_affected=outage.customers_affected,
        customers_out=outage.customers_out,
        etr=None if etr is None else PublicEtr(to_rfc3339(etr.at_ms), etr.source, etr.confidence),
        evidence=outage.evidence,
        parent_id=outage.parent_id,
    )


def public_steps(steps: tuple[Step, ...]) -> tuple[PublicStep, ...]:
    """The steps of an outage."""
    return tuple(
        PublicStep(to_rfc3339(s.off_ms), maybe_rfc3339(s.on_ms), s.customers, s.inferred)
        for s in steps
    )


def public_change(change: Change) -> PublicChange:
    """A change for the dispatch feed."""
    return PublicChange(
        to_rfc3339(change.at_ms),
        change.reason,
        len(change.customers),
        public_outage(change.outage),
    )


def public_finding(finding: Finding) -> PublicFinding:
    """A finding for the dispatch feed."""
    return PublicFinding(
        id=finding.id,
        at=to_rfc3339(finding.at_ms),
        kind=finding.kind,
        device_id=finding.device_id,
        district=finding.district,
        since=to_rfc3339(finding.since_ms),
        until=maybe_rfc3339(finding.until_ms),
        reason=finding.reason,
    )


def customer_statuses(change: Change) -> dict[str, CustomerStatus]:
    """What each customer whom the change concerns may know after it.

    Those whose own state changes; with a changed outage state or ETR the caller asks for all who
    are still out.
    """
    outage = change.outage
    of: dict[str, Step] = {}
    for step in outage.steps:
        for customer in step.customers:
            of[customer] = step
    return {c: _status(c, outage, of.get(c), change.at_ms) for c in change.customers}


def _status(customer_id: str, outage: Outage, step: Step | None, at_ms: int) -> CustomerStatus:
    etr = outage.etr
    out = step is not None and step.on_ms is None
    return CustomerStatus(
        customer_id=customer_id,
        power="off" if out else "on" if step is None or not step.inferred else "unknown",
        outage_id=outage.id if step else None,
        state=outage.state.value if step else None,
        kind=outage.kind.value if step else None,
        cause=outage.cause if step else None,
        off_at=to_rfc3339(step.off_ms) if step else None,
        on_at=maybe_rfc3339(step.on_ms) if step else None,
        verified=not (step and step.inferred),
        etr=PublicEtr(to_rfc3339(etr.at_ms), etr.source, etr.confidence) if etr and out else None,
        updated_at=to_rfc3339(at_ms),
    )
