"""What a batch writes, as JSON records that one statement each takes in (``json_to_recordset``).
Pure.

Names of the fields are those of the columns.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np

from grid.frame import CaughtUp, Deaf, Frame, PlanCancelled, PlanEntered, Rows
from grid.network import NodeKind
from grid.outage import ENDED, Change, Finding, Outage, Outcome
from grid.public import (
    CustomerStatus,
    PublicChange,
    PublicFinding,
    PublicOutage,
    public_change,
    public_finding,
    public_outage,
)
from grid.reading import Kind
from grid.reasons import Why
from grid.times import maybe_rfc3339, to_rfc3339
from store.networks import GroupNumbers
from store.standing import News, Standing

DISPATCH = "dispatch"


def district_channel(district: str) -> str:
    """The dispatch channel of one district."""
    return f"{DISPATCH}:{district}"


def customer_channel(customer_id: str) -> str:
    """The channel of one customer."""
    return f"customer:{customer_id}"


class OutageRow(msgspec.Struct, frozen=True):
    """A row of outages."""

    id: str
    version: int
    group_slug: str
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
    etr_at: str | None
    etr_source: str | None
    etr_confidence: float | None
    evidence: tuple[str, ...]
    parent_id: str | None
    changed_at: str
    ended_at: str | None
    acknowledged_at: str | None
    acknowledged_by: str | None
    crew: str | None
    stage: str


class StepRow(msgspec.Struct, frozen=True):
    """A row of outage_steps."""

    outage_id: str
    step_no: int
    off_at: str
    on_at: str | None
    inferred: bool
    customers: tuple[str, ...]


class ChangeRow(msgspec.Struct, frozen=True):
    """A row of changes."""

    outage_id: str
    version: int
    group_slug: str
    at: str
    reason: str
    customers: tuple[str, ...]
    outage: PublicOutage
    position: int
    reasons: tuple[Why, ...]
    by: str | None
    decision: str | None


class FindingRow(msgspec.Struct, frozen=True):
    """A row of findings."""

    id: str
    group_slug: str
    at: str
    kind: str
    device_id: str
    district: str
    since_at: str
    until_at: str | None
    reason: str


class PowerRow(msgspec.Struct, frozen=True):
    """Rows of customer_power that differ by the customer only."""

    customers: list[str]
    outage_id: str | None
    off_at: str | None
    on_at: str | None
    inferred: bool
    changed_at: str


class ToldRow(msgspec.Struct, frozen=True):
    """Rows of customers' channels that differ by the customer only; ``body`` lacks their id."""

    customers: tuple[str, ...]
    at: str
    body: msgspec.Raw


class FeedEntry(msgspec.Struct, frozen=True):
    """A row of a dispatch channel, but for its offset."""

    channel: str
    at: str
    type: str
    body: PublicChange | PublicFinding


class SourceRow(msgspec.Struct, frozen=True):
    """News of a source.  ``deaf_since`` counts only where ``tells`` is true."""

    source: str
    group_slug: str
    heard_at: str | None
    readings: int
    tells: bool = False
    deaf_since: str | None = None


def outage_rows(changes: Iterable[tuple[str, Change]]) -> list[OutageRow]:
    """The last version of each outage of some changes, which are in order; with them the slugs of
    their groups.
    """
    last = {change.outage.id: (slug, change) for slug, change in changes}
    return [_outage_row(slug, change) for slug, change in last.values()]


def _outage_row(slug: str, change: Change) -> OutageRow:
    outage = change.outage
    public, etr = public_outage(outage), outage.etr
    seen = public.acknowledged
    return OutageRow(
        id=outage.id, version=outage.version, group_slug=slug, state=public.state,
        kind=public.kind, cause=outage.cause, device_id=outage.device_id,
        device_kind=outage.device_kind, feeder_id=outage.feeder_id, districts=outage.districts,
        phases=outage.phases, probability=outage.probability, started_at=public.started_at,
        detected_at=public.detected_at, confirmed_at=public.confirmed_at,
        restored_at=public.restored_at, customers_affected=outage.customers_affected,
        customers_out=outage.customers_out, etr_at=to_rfc3339(etr.at_ms) if etr else None,
        etr_source=etr.source if etr else None, etr_confidence=etr.confidence if etr else None,
        evidence=outage.evidence, parent_id=outage.parent_id, changed_at=to_rfc3339(change.at_ms),
        ended_at=to_rfc3339(change.at_ms) if outage.state in ENDED else None,
        acknowledged_at=seen.at if seen else None, acknowledged_by=seen.by if seen else None,
        crew=outage.crew, stage=public.stage,
    )  # fmt: skip


def step_rows(outages: Iterable[Outage]) -> list[StepRow]:
    """The steps of some outages."""
    return [
        StepRow(
            outage.id, no, to_rfc3339(s.off_ms), maybe_rfc3339(s.on_ms), s.inferred, s.customers
        )
        for outage in outages
        for no, s in enumerate(outage.steps)
    ]


def change_row(slug: str, position: int, change: Change) -> ChangeRow:
    """A line of the change log."""
    outage = change.outage
    return ChangeRow(
        outage.id, outage.version, slug, to_rfc3339(change.at_ms), change.reason,
        change.customers, public_outage(outage), position, change.reasons, change.by,
        change.decision,
    )  # fmt: skip


def finding_rows(findings: Iterable[tuple[str, Finding]]) -> list[FindingRow]:
    """Each finding as last said."""
    last = {finding.id: (slug, finding) for slug, finding in findings}
    return [
        FindingRow(
            f.id, slug, to_rfc3339(f.at_ms), f.kind, f.device_id, f.district,
            to_rfc3339(f.since_ms), maybe_rfc3339(f.until_ms), f.reason,
        )
        for slug, f in last.values()
    ]  # fmt: skip


def power_rows(standings: Iterable[tuple[str, Standing]]) -> list[PowerRow]:
    """The standings of customers, alike ones together."""
    alike: dict[Standing, list[str]] = {}
    for customer, standing in standings:
        alike.setdefault(standing, []).append(customer)
    return [
        PowerRow(
            customers, s.outage_id, maybe_rfc3339(s.off_ms), maybe_rfc3339(s.on_ms), s.inferred,
            to_rfc3339(s.changed_ms),
        )
        for s, customers in alike.items()
    ]  # fmt: skip


def told_rows(news: Iterable[News]) -> list[ToldRow]:
    """What customers are told, in order."""
    return [
        ToldRow(told.customers, told.status.updated_at, _without_id(told.status))
        for item in news
        for told in item.told
    ]


def _without_id(status: CustomerStatus) -> msgspec.Raw:
    """The status without its first field, which the statement puts back for each customer."""
    fields = msgspec.to_builtins(status)
    del fields["customer_id"]
    return msgspec.Raw(msgspec.json.encode(fields))


def feed_entries(outcome: Outcome) -> Iterator[FeedEntry]:
    """What the dispatch feeds tell of one frame, in order."""
    for change in outcome.changes:
        public = public_change(change)
        for channel in _dispatch_channels(change.outage.districts):
            yield FeedEntry(channel, public.at, "change", public)
    for finding in outcome.findings:
        said = public_finding(finding)
        for channel in _dispatch_channels((finding.district,)):
            yield FeedEntry(channel, said.at, "finding", said)


def _dispatch_channels(districts: Iterable[str]) -> tuple[str, ...]:
    return (DISPATCH, *(district_channel(district) for district in districts if district))


def plan_commands(
    frames: Iterable[Frame],
) -> tuple[list[PlanEntered], list[PlanCancelled]]:
    """What the frames say of plans."""
    commands = [command for frame in frames for command in frame.commands]
    entered = [c for c in commands if isinstance(c, PlanEntered)]
    return entered, [c for c in commands if isinstance(c, PlanCancelled)]


_SOURCES = ("meter", "terminal", "breaker", "concentrator", "call")
_SOURCE_OF_KIND = np.full(len(NodeKind), _SOURCES.index("breaker"))
_SOURCE_OF_KIND[NodeKind.METER] = _SOURCES.index("meter")
_SOURCE_OF_KIND[NodeKind.TRANSFORMER] = _SOURCES.index("terminal")


def source_rows(frames: Sequence[tuple[GroupNumbers, Frame]]) -> list[SourceRow]:
    """When each kind of source was heard in each group, and what was said of being deaf to it."""
    found: dict[tuple[str, str], SourceRow] = {}
    for group, frame in frames:
        for row in (*_heard(group, frame.rows), *_deafness(group.slug, frame)):
            key = (row.source, row.group_slug)
            found[key] = _later(found[key], row) if key in found else row
    return [found[key] for key in sorted(found)]


def _heard(group: GroupNumbers, rows: Rows) -> Iterator[SourceRow]:
    """A meter that speaks by its concentrator is heard, and so is the concentrator."""
    kind, received_ms = rows["kind"], rows["received_ms"]
    source = _SOURCE_OF_KIND.take(group.kinds.take(rows["node"]))
    source[kind >= Kind.CALL_NO_POWER] = _SOURCES.index("call")
    source[kind == Kind.NO_ANSWER] = len(_SOURCES)  # our own word, not theirs
    for no, name in enumerate(_SOURCES):
        spoke = rows["dcu"] >= 0 if name == "concentrator" else source == no
        count = int(np.count_nonzero(spoke))
        if count:
            last_ms = int(received_ms.max(where=spoke, initial=0))
            yield SourceRow(name, group.slug, to_rfc3339(last_ms), count)


def _deafness(slug: str, frame: Frame) -> Iterator[SourceRow]:
    for command in frame.commands:
        if isinstance(command, Deaf):
            since = to_rfc3339(command.from_ms)
            yield SourceRow(command.source, slug, None, 0, tells=True, deaf_since=since)
        elif isinstance(command, CaughtUp):
            yield SourceRow(command.source, slug, to_rfc3339(command.at_ms), 0, tells=True)


def _later(first: SourceRow, then: SourceRow) -> SourceRow:
    heard = max(filter(None, (first.heard_at, then.heard_at)), default=None)
    word = then if then.tells else first
    return SourceRow(
        first.source, first.group_slug, heard, first.readings + then.readings,
        tells=word.tells, deaf_since=word.deaf_since,
    )  # fmt: skip
