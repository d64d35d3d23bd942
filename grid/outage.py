"""Outages, their changes and what else an engine says.  States as CIM IEC 61968-3
``OutageStatusKind``, with side exits.
"""

from enum import StrEnum

import msgspec

from grid.reasons import Evidence, Why
from grid.work import Acknowledged, Decision, Progress, Stage


class State(StrEnum):
    """The life of an outage: predicted, confirmed, partially_restored, restored, closed; and the
    side exits.
    """

    PREDICTED = "predicted"
    CONFIRMED = "confirmed"
    PARTIALLY_RESTORED = "partially_restored"
    RESTORED = "restored"
    CLOSED = "closed"
    VERIFY = "verify"
    REJECTED = "rejected"
    MOMENTARY = "momentary"


RUNNING = frozenset({State.PREDICTED, State.CONFIRMED, State.PARTIALLY_RESTORED, State.VERIFY})
"""Somebody is, or may be, in the dark."""

ENDED = frozenset({State.CLOSED, State.REJECTED, State.MOMENTARY})
"""Nothing will change any more."""


class OutageKind(StrEnum):
    """The outage pool (停电池)."""

    FAULT = "fault"
    PLANNED = "planned"
    TEMPORARY = "temporary"
    ARREARS = "arrears"
    CURTAILMENT = "curtailment"
    CUSTOMER_OWNED = "customer_owned"
    UNKNOWN = "unknown"


class Etr(msgspec.Struct, frozen=True):
    """Estimated time of restoration: not before ``earliest_ms``, and with probability
    ``confidence`` by ``at_ms``.

    ``source``: history (P20 and P80 of what is left), crew (or a dispatcher for it), plan.
    """

    at_ms: int
    source: str
    confidence: float
    earliest_ms: int | None = None
    said_ms: int | None = None  # stream time
    reason: str | None = None  # why it changed, of a person


class Step(msgspec.Struct, frozen=True):
    """Customers with the same off and on time.  ``inferred``: their meters could not say it
    themselves.
    """

    off_ms: int
    on_ms: int | None  # None while out
    customers: tuple[str, ...]
    inferred: bool = False


class Outage(msgspec.Struct, frozen=True):
    """One failed or opened device and the customers behind it, as of ``version``."""

    id: str
    version: int
    group: int
    state: State
    kind: OutageKind
    cause: str | None
    device_id: str
    device_kind: str
    feeder_id: str | None
    districts: tuple[str, ...]
    phases: str
    probability: float
    started_ms: int
    detected_ms: int
    confirmed_ms: int | None
    restored_ms: int | None
    customers_affected: int
    customers_out: int
    etr: Etr | None
    evidence: tuple[str, ...]  # sentences
    parent_id: str | None  # the outage it was left behind by
    steps: tuple[Step, ...]
    reasons: tuple[Evidence, ...] = ()  # the evidence again, for and against, with codes
    acknowledged: Acknowledged | None = None
    crew: str | None = None  # id of the crew whose work order it is
    stage: Stage = Stage.NONE
    progress: tuple[Progress, ...] = ()  # in the order in which the stages were reached


class Change(msgspec.Struct, frozen=True):
    """One line of the change log: the outage after it, why, and whose state it changes."""

    at_ms: int  # stream time
    outage: Outage
    reason: str  # a sentence
    customers: tuple[str, ...]
    reasons: tuple[Why, ...] = ()  # the same with codes
    by: str | None = None  # who decided it; None: the engine
    decision: str | None = None  # id of that decision


class Finding(msgspec.Struct, frozen=True):
    """What was noticed and is no outage: comms loss, phase loss, a suppressed alarm, a plan that
    matched.

    ``id`` is deterministic; a finding said again with the same id replaces the earlier one (its
    end, its count).
    """

    id: str
    at_ms: int
    group: int
    kind: str  # comms_loss, breaker_unknown, phase_loss ...: docs/detection.md, Findings
    device_id: str
    district: str
    since_ms: int
    until_ms: int | None
    reason: str


class Ping(msgspec.Struct, frozen=True):
    """A meter to be asked."""

    at_ms: int
    device_id: str


class Outcome(msgspec.Struct, frozen=True):
    """What the engine says to a frame.  ``wake_ms``: when silence alone will make it speak; None if
    never.
    """

    changes: tuple[Change, ...] = ()
    findings: tuple[Finding, ...] = ()
    pings: tuple[Ping, ...] = ()
    wake_ms: int | None = None
    # rows of the frame that were heard before: not to be stored again
    repeat_rows: tuple[int, ...] = ()
    decisions: tuple[Decision, ...] = ()  # what became of the decisions in the frame
