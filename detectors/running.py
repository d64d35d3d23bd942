"""An outage while it runs: who is behind it, who is back, and its steps.

A member is a meter node with customers.  Times of members are in the devices' own clocks: they are
what people are told.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from detectors.compiled import compiled
from detectors.tree import how_many
from grid.network import ALL_PHASES, F64, I64, Bools, Group, phase_letters
from grid.outage import Etr, Outage, OutageKind, State, Step
from grid.reasons import Evidence
from grid.work import Acknowledged, Progress, Stage

NOT_EXPLAINED = (-1, -1)  # of ``counted``
STILL_OUT = np.int64(1 << 60)  # sorts last
OUT = np.int64(0)  # in ``on_ms``: still out
STEP_GAP_MS = 20_000  # power-ups closer together than this are one restoration
COLUMNS_OF_MEMBERS = ("members", "off_ms", "on_ms", "mute", "inferred", "inherited", "not_before")


@dataclass(slots=True, eq=False)
class Running:
    """One outage that is not ended.  M members, ascending nodes."""

    sequence: int
    node: int  # the device
    start_ms: int  # device clock
    since_ms: int  # our clock: earliest moment from which a word from below is news
    detected_ms: int
    kind: OutageKind = OutageKind.FAULT
    cause: str | None = None
    state: State = State.PREDICTED
    version: int = 0
    probability: float = 0.0
    confirmed_ms: int | None = None
    restored_ms: int | None = None  # device clock, of the last member
    back_ms: int | None = None  # our clock: first sign of restoration
    ended_ms: int | None = None  # stream time when it was seen restored
    unsupported_ms: int | None = None  # since when inference no longer holds it
    parent: int | None = None  # sequence of the outage it was left behind by
    plan_id: str | None = None
    overrun: bool = False  # it lasts longer than its plan said
    wider_than: str | None = None  # a plan that covers a part of it
    telemetered: bool = False  # opened by the word of the device itself
    locked_out: bool = False  # it will not reclose by itself
    closed_ms: int | None = None  # device clock: the device itself said that it closed again
    reopened: bool = False  # it was restored, and dark again before it was over
    told: float = 0.0  # probability last published
    fitted: bool = False  # its members are exactly the meters behind its device
    taught: tuple[float, float] = (0.0, 0.0)  # last gasps heard, of how many members that could
    relays: tuple[float, float] = (0.0, 0.0)  # concentrators that let nothing through, of how many
    counted: tuple[int, int] = (
        NOT_EXPLAINED  # gasps and missed heartbeats when it was last explained
    )
    etr: Etr | None = None
    evidence: tuple[str, ...] = ()
    reasons: tuple[Evidence, ...] = ()
    acknowledged: Acknowledged | None = None
    crew: str | None = None
    stage: Stage = Stage.NONE
    progress: tuple[Progress, ...] = ()
    placed_by: str | None = None  # a person said that it is at this device
    placed_ms: int = 0  # stream time of that
    vouched_by: str | None = None  # a person said that it is real
    margin: float = 0.0  # log-odds at the last verdict against outages of its parts alone
    doubt_ms: int | None = None  # stream time: one of its silent members spoke, and nobody else yet
    carried: bool = False  # switching took some of its members elsewhere, who are still out
    phases: int = ALL_PHASES  # that are dead: all that its device has, or these alone
    phase_back_ms: int | None = (
        None  # our clock: a device behind it had lost one of them, and has it
    )
    members: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    off_ms: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    on_ms: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    mute: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))  # cannot say it themselves
    inferred: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))
    inherited: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))  # off since another
    not_before: I64 = field(default_factory=lambda: np.zeros(0, np.int64))  # an earlier step's end
    margins: F64 = field(default_factory=lambda: np.zeros(0))  # were that node alive, from the ...
    margins_from: int = 0  # ... node on that was declared

    @property
    def out(self) -> Bools:
        """Members still out."""
        out: Bools = self.on_ms == OUT
        return out

    @property
    def dark(self) -> int:
        """How many are still out."""
        return len(self.on_ms) - int(np.count_nonzero(self.on_ms))  # OUT is 0

    def add(
        self, members: I64, off_ms: I64, mute: Bools, not_before: I64, *, inherited: bool
    ) -> None:
        """Take in members who are not here yet."""
        count = len(members)
        order = np.argsort(np.concatenate([self.members, members]), kind="stable")

        self.members = np.concatenate([self.members, members])[order]
        self.off_ms = np.concatenate([self.off_ms, off_ms])[order]
        self.on_ms = np.concatenate([self.on_ms, np.zeros(count, np.int64)])[order]
        self.mute = np.concatenate([self.mute, mute])[order]
        self.inferred = np.concatenate([self.inferred, np.zeros(count, np.bool_)])[order]
        self.inherited = np.concatenate([self.inherited, np.full(count, inherited)])[order]
        self.not_before = np.concatenate([self.not_before, not_before])[order]

    def keep(self, which: Bools) -> None:
        """Let the other members go."""
        self.fitted = False
        self.members, self.off_ms, self.on_ms = (
            self.members[which],
            self.off_ms[which],
            self.on_ms[which],
        )
        self.mute, self.inferred = self.mute[which], self.inferred[which]
        self.inherited, self.not_before = self.inherited[which], self.not_before[which]

    def margin_with(self, alive: I64) -> float:
        """Log-odds at the last verdict against outages that leave some nodes alive, at least."""
        places = alive - self.margins_from
        known = self.margins[places[(places >= 0) & (places < len(self.margins))]]
        return float(known.max(initial=0.0))

    def begin(self, start_ms: int) -> None:
        """Move the beginning, for all who did not inherit theirs from an earlier outage."""
        self.start_ms = start_ms
        self.off_ms = np.where(self.inherited, self.off_ms, np.maximum(start_ms, self.not_before))


def outage_id(group: Group, sequence: int) -> str:
    """Deterministic and URL-safe."""
    return f"{group.slug}-{sequence}"


def customers_of(group: Group, members: I64) -> tuple[str, ...]:
    """Ids of the customers at meter nodes."""
    found: list[str] = []
    starts, ends = group.customer_from[members], group.customer_from[members + 1]
    if how_many(ends - starts == 1) == len(members):  # one each, most often
        return tuple(map(group.customer_ids.__getitem__, starts.tolist()))
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        found.extend(group.customer_ids[start:end])
    return tuple(found)


def steps_of(group: Group, outage: Running) -> tuple[Step, ...]:
    """Customers with the same off and on time; who is still out comes last."""
    on, off, inferred = outage.on_ms, outage.off_ms, outage.inferred
    members = outage.members
    cuts = changes(on, off, inferred)
    if len(cuts) > 1:
        order = np.lexsort((inferred, off, np.where(outage.out, STILL_OUT, on)))
        on, off, inferred, members = on[order], off[order], inferred[order], members[order]
        cuts = changes(on, off, inferred)
    steps = []
    for begin, end in pairwise([*cuts.tolist(), len(members)]):
        began_ms, back_ms = int(off[begin]), int(on[begin])
        until_ms = None if back_ms == OUT else max(back_ms, began_ms)
        customers = customers_of(group, members[begin:end])
        steps.append(Step(began_ms, until_ms, customers, bool(inferred[begin])))
    return tuple(steps)


@compiled
def changes(on_ms: I64, off_ms: I64, inferred: Bools) -> I64:
    """The first member, and each who is not of the same step as the one before."""
    found, count = np.empty(len(on_ms), np.int64), 0
    for place in range(len(on_ms)):
        last = max(place - 1, 0)
        same = on_ms[place] == on_ms[last] and off_ms[place] == off_ms[last]
        if place == 0 or not (same and inferred[place] == inferred[last]):
            found[count] = place
            count += 1
    return found[:count]


def published(group: Group, outage: Running) -> Outage:
    """The outage as everybody else sees it."""
    node = outage.node
    affected = group.customer_from[outage.members + 1] - group.customer_from[outage.members]
    feeder = int(group.feeder[node])
    districts = {group.district[n] for n in outage.members.tolist()} or {group.district[node]}
    return Outage(
        id=outage_id(group, outage.sequence),
        version=outage.version,
        group=group.no,
        state=outage.state,
        kind=outage.kind,
        cause=outage.cause,
        device_id=group.ids[node],
        device_kind=group.kind_word(node),
        feeder_id=group.ids[feeder] if feeder >= 0 else None,
        districts=tuple(sorted(districts)),
        phases=phase_letters(int(group.phases[node]) & outage.phases),
        probability=outage.probability,
        started_ms=outage.start_ms,
        detected_ms=outage.detected_ms,
        confirmed_ms=outage.confirmed_ms,
        restored_ms=outage.restored_ms,
        customers_affected=int(affected.sum()),
        customers_out=int(affected[outage.out].sum()),
        etr=outage.etr,
        evidence=outage.evidence,
        parent_id=None if outage.parent is None else outage_id(group, outage.parent),
        steps=steps_of(group, outage),
        reasons=outage.reasons,
        acknowledged=outage.acknowledged,
        crew=outage.crew,
        stage=outage.stage,
        progress=outage.progress,
    )
