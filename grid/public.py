"""Outages as others see them: the objects of the API, the feeds and the change log
(docs/protocols.md).

Every key is always there, null where unknown.  Times are RFC 3339 UTC.
"""

import msgspec

from grid.outage import Change, Etr, Finding, Outage, Step
from grid.reasons import Evidence, Why
from grid.times import maybe_rfc3339, to_rfc3339
from grid.work import Decision


class PublicEtr(msgspec.Struct, frozen=True):
    """Power is expected back by ``at``, with probability ``confidence``, not before ``earliest``.

    ``source``: history, crew or plan.  ``reason``: why a person changed it.
    """

    at: str
    source: str
    confidence: float
    earliest: str | None = None
    said_at: str | None = None
    reason: str | None = None


class PublicAcknowledged(msgspec.Struct, frozen=True):
    """Who takes care of an outage, and since when."""

    at: str
    by: str


class PublicProgress(msgspec.Struct, frozen=True):
    """A stage of the repair, and when it was reached."""

    stage: str
    at: str
    by: str


class PublicOutage(msgspec.Struct, frozen=True, kw_only=True):
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
    reasons: tuple[Evidence, ...] = ()
    acknowledged: PublicAcknowledged | None = None
    crew: str | None = None
    stage: str = "none"
    progress: tuple[PublicProgress, ...] = ()


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
    reasons: tuple[Why, ...] = ()
    by: str | None = None
    decision: str | None = None


class PublicOutageDetail(PublicOutage, frozen=True, kw_only=True):
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


class PublicDecision(msgspec.Struct, frozen=True):
    """A person's decision and what became of it; ``version`` is the outage's after it."""

    id: str
    outage_id: str
    at: str
    by: str
    role: str
    action: str
    reason: str
    accepted: bool
    why: str
    version: int
    undoes: str | None


class PublicCrew(msgspec.Struct, frozen=True):
    """A crew: free, or busy with these outages.  ``active`` false: not on duty."""

    id: str
    name: str
    district: str | None
    active: bool
    busy: bool
    outages: tuple[str, ...]


class CustomerProgress(msgspec.Struct, frozen=True):
    """A stage of the repair as a customer may know it: when, and not who."""

    stage: str
    at: str


class CustomerStatus(msgspec.Struct, frozen=True):
    """What one customer may know of their own premises.  ``power``: on, off, or unknown.

    ``homes`` and ``homes_out`` are of the whole outage, null below five.
    """

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
    stage: str = "none"
    progress: tuple[CustomerProgress, ...] = ()
    detected_at: str | None = None
    confirmed_at: str | None = None
    homes: int | None = None
    homes_out: int | None = None


class PublicNotice(msgspec.Struct, frozen=True, kw_only=True):
    """What one customer was told on one channel, or will be; the number is masked.

    ``state`` queued, held, sending, sent, delivered, undelivered, unknown, refused or expired, and
    ``reason`` why; ``decided`` why it was to be told at all.
    """

    id: str
    outage_id: str  # or the plan's
    customer_id: str
    phase: str
    edition: int
    channel: str
    state: str
    reason: str
    decided: str
    lane: int
    at: str
    due_at: str
    sent_at: str | None
    ended_at: str | None
    text: str | None  # as it was sent
    phone: str


class PublicNoticeDecision(msgspec.Struct, frozen=True):
    """Why customers were told of a phase, or why not; ``customers`` counts them."""

    at: str
    outage_id: str
    version: int
    phase: str
    send: bool
    reason: str
    customers: int


FEW = 5
"""Below so many, a number of homes would point at somebody."""


def public_etr(etr: Etr | None) -> PublicEtr | None:
    """The estimate, for everybody."""
    if etr is None:
        return None
    earliest, said = maybe_rfc3339(etr.earliest_ms), maybe_rfc3339(etr.said_ms)
    at = to_rfc3339(etr.at_ms)
    return PublicEtr(at, etr.source, etr.confidence, earliest, said, etr.reason)


def public_outage(outage: Outage) -> PublicOutage:
    """The outage without its steps."""
    seen = outage.acknowledged
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
        etr=public_etr(outage.etr),
        evidence=outage.evidence,
        parent_id=outage.parent_id,
        reasons=outage.reasons,
        acknowledged=PublicAcknowledged(to_rfc3339(seen.at_ms), seen.by) if seen else None,
        crew=outage.crew,
        stage=outage.stage.value,
        progress=tuple(
            PublicProgress(p.stage.value, to_rfc3339(p.at_ms), p.by) for p in outage.progress
        ),
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
        change.reasons,
        change.by,
        change.decision,
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


def public_decision(decision: Decision) -> PublicDecision:
    """A decision for the dispatch centre."""
    return PublicDecision(
        id=decision.id,
        outage_id=decision.outage_id,
        at=to_rfc3339(decision.at_ms),
        by=decision.by,
        role=decision.role,
        action=decision.action,
        reason=decision.reason,
        accepted=decision.accepted,
        why=decision.why,
        version=decision.version,
        undoes=decision.undoes,
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
    if step is None:
        return customer_status(customer_id, None, None, to_rfc3339(at_ms))
    return customer_status(customer_id, public_outage(outage), step, to_rfc3339(at_ms))


def customer_status(
    customer_id: str, outage: PublicOutage | None, step: Step | None, updated_at: str
) -> CustomerStatus:
    """What a customer may know of the outage that concerns them, and of their step in it."""
    if outage is None or step is None:
        return CustomerStatus(
            customer_id, "on", None, None, None, None, None, None, True, None, updated_at
        )
    out = step.on_ms is None
    many = outage.customers_affected >= FEW
    return CustomerStatus(
        customer_id=customer_id,
        power="off" if out else "unknown" if step.inferred else "on",
        outage_id=outage.id,
        state=outage.state,
        kind=outage.kind,
        cause=outage.cause,
        off_at=to_rfc3339(step.off_ms),
        on_at=maybe_rfc3339(step.on_ms),
        verified=not step.inferred,
        etr=outage.etr if out else None,
        updated_at=updated_at,
        stage=outage.stage,
        progress=tuple(CustomerProgress(p.stage, p.at) for p in outage.progress),
        detected_at=outage.detected_at,
        confirmed_at=outage.confirmed_at,
        homes=outage.customers_affected if many else None,
        homes_out=outage.customers_out if many and outage.customers_out >= FEW else None,
    )
