"""What a day's verdicts were worth: each fault beside what was said of it, and when.

A fault's verdict falls just before its repair; a part left behind has its own at the end of the
day.  What was right is right to the customer: the whole set, and not one more.  A device is the
right one if it feeds the same customers as the true one: of a switch and the only transformer
behind it no meter can tell which it was.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from grid.network import ALL_PHASES, PHASE_BITS, Place
from grid.outage import RUNNING, Change, Outage, State
from grid.times import from_rfc3339
from simulators.truth import OutageTruth, PhaseLossTruth
from simulators.world import World

BEFORE_MS = 1000  # a verdict falls so long before the repair
CLOCK_MS = 15_000  # a meter's clock may be off by this, and its word of power still be true
_SAID_OUT = frozenset(RUNNING - {State.VERIFY})
VOICES = ("breaker", "terminal", "meter")  # who can say that there is no power
Customers = frozenset[str]


class Word(NamedTuple):
    """That there is no power, as it was received."""

    received_ms: int
    cls: str  # of who said it: breaker, terminal, meter


@dataclass(slots=True)
class Day:
    """What was said of a story."""

    changes: list[Change] = field(default_factory=list)  # by time
    pings: int = 0
    readings: int = 0
    heard_off: dict[str, list[Word]] = field(default_factory=dict)  # by device, in order
    rule: dict[int, list[tuple[str, Customers]]] = field(default_factory=dict)  # at -> declared


class FaultScore(msgspec.Struct, frozen=True, kw_only=True):
    """One true outage.  Seconds are of stream time; None where there was nothing to measure."""

    id: str
    device_id: str
    device_kind: str
    customers: int
    nested: bool
    exact: bool
    device_right: bool
    f1: float
    ours: tuple[str, ...]  # "device:customers" of all that was said to touch it
    detect_s: float | None  # from the first word of no power below it to the first right verdict
    after_s: float | None  # from the failure to the first right verdict
    voice: str | None  # the class of the device that spoke of it first
    etr_error_s: float | None  # actual minus estimated, of the last estimate before the repair
    rule_exact: bool
    rule_f1: float


class Claim(msgspec.Struct, frozen=True):
    """One outage that was declared: how sure, and whether its device was the one.

    ``standing`` is its probability at a verdict, None where it was gone by then: merged into
    another, or rejected.
    """

    first: float
    first_right: bool
    standing: float | None
    standing_right: bool


class DayScore(msgspec.Struct, frozen=True, kw_only=True):
    """One story."""

    seed: int
    faults: tuple[FaultScore, ...]
    claims: tuple[Claim, ...]
    false: tuple[str, ...]  # outages in which nobody was in the dark
    rule_false: int
    wrong_restored: int  # customers who were said to have power by their own meter and had none
    twice: int  # customers in two open outages at a verdict
    pings: int
    readings: int
    meter_days: float


def score(world: World, day: Day) -> DayScore:
    """Lay a day beside the truth of its world."""
    truth = [t for t in world.truth() if isinstance(t, OutageTruth)]
    real = [t for t in truth if t.kind == "fault" and not t.momentary and t.customers]
    dark = frozenset(c for t in world.truth() for c in _dark_of(t))
    history = _by_outage(day.changes)
    moments = sorted({_verdict_ms(t, world) for t in real})
    standing = {at_ms: _standing(history, at_ms) for at_ms in moments}
    meters = sum(len(group.customer_ids) for group in world.network.groups)
    rule_sets = {said for sets in day.rule.values() for _, said in sets}
    return DayScore(
        seed=world.scenario.seed,
        faults=tuple(_fault(t, standing[_verdict_ms(t, world)], world, day) for t in real),
        claims=tuple(_claims(history, standing, _to_blame(world, truth))),
        false=tuple(o for o, told in history.items() if not _everybody(told) & dark),
        rule_false=sum(not said & dark for said in rule_sets),
        wrong_restored=_wrong_restored(day.changes, world),
        twice=max((_twice(outages) for outages in standing.values()), default=0),
        pings=day.pings,
        readings=day.readings,
        meter_days=meters * (world.end_ms - world.start_ms) / 86_400_000,
    )


def _dark_of(line: object) -> Sequence[str]:
    return line.customers if isinstance(line, OutageTruth | PhaseLossTruth) else ()


def _verdict_ms(truth: OutageTruth, world: World) -> int:
    """Just before its repair begins; of what is left behind, at the end."""
    ends = [from_rfc3339(step.on_at) for step in truth.steps if step.on_at]
    if truth.nested_in or not ends:
        return world.end_ms if not ends else min(ends) - BEFORE_MS
    return min(ends) - BEFORE_MS


def _by_outage(changes: Sequence[Change]) -> dict[str, list[Change]]:
    """The changes of every outage that was ever declared."""
    told: dict[str, list[Change]] = {}
    for change in changes:
        told.setdefault(change.outage.id, []).append(change)
    return {o: lines for o, lines in told.items() if any(_says_out(c.outage) for c in lines)}


def _says_out(outage: Outage) -> bool:
    return outage.state in _SAID_OUT and outage.customers_affected > 0


def feeds(world: World, device_id: str, phases: str = "") -> Customers:
    """The customers behind a device, or those who have no phase but some."""
    place = world.network.places.get(device_id)
    if place is None:
        return frozenset()
    group = world.network.groups[place.group]
    bits = sum(PHASE_BITS[letter] for letter in phases) or ALL_PHASES
    if bits == ALL_PHASES or bits == group.phases[place.node]:
        return frozenset(group.customers_below(place.node))
    below = range(place.node, group.below(place.node).stop)
    mine = (node for node in below if not int(group.phases[node]) & ~bits)
    first = group.customer_from
    return frozenset(c for n in mine for c in group.customer_ids[first[n] : first[n + 1]])


def out_of(outage: Outage) -> Customers:
    """Who is said to be in the dark now."""
    return frozenset(c for step in outage.steps if step.on_ms is None for c in step.customers)


def _everybody(told: Sequence[Change]) -> Customers:
    return frozenset(c for change in told for c in change.customers)


def _standing(
    history: Mapping[str, Sequence[Change]], at_ms: int
) -> list[tuple[Outage, Customers]]:
    """The outages that stand at a moment, each with who is out."""
    last = (
        next((c.outage for c in reversed(told) if c.at_ms <= at_ms), None)
        for told in history.values()
    )
    said = [(outage, out_of(outage)) for outage in last if outage and outage.state in _SAID_OUT]
    return [(outage, out) for outage, out in said if out]


def _twice(standing: Sequence[tuple[Outage, Customers]]) -> int:
    return sum(len(out) for _, out in standing) - len(
        frozenset(c for _, out in standing for c in out)
    )


def _fault(
    truth: OutageTruth, standing: Sequence[tuple[Outage, Customers]], world: World, day: Day
) -> FaultScore:
    mine = frozenset(truth.customers)
    touching = [(outage, out) for outage, out in standing if out & mine]
    off_ms = from_rfc3339(truth.off_at)
    right_ms = _first_right(day.changes, mine, off_ms, world)
    first = _first_heard(truth, off_ms, world, day)
    at_ms = _verdict_ms(truth, world)
    ruled = next((sets for when, sets in sorted(day.rule.items()) if when >= at_ms), [])
    return FaultScore(
        id=truth.id,
        device_id=truth.device_id,
        device_kind=truth.device_kind,
        customers=len(mine),
        nested=truth.nested_in is not None,
        exact=any(out == mine for _, out in touching),
        device_right=any(out == mine == feeds(world, o.device_id, o.phases) for o, out in touching),
        f1=max((_f1(mine, out) for _, out in touching), default=0.0),
        ours=tuple(f"{outage.device_id}:{len(out)}" for outage, out in touching),
        detect_s=_seconds(first.received_ms if first else None, right_ms),
        after_s=_seconds(off_ms, right_ms),
        voice=first.cls if first else None,
        etr_error_s=_etr_error(truth, [o for o, out in touching if out == mine]),
        rule_exact=any(out == mine for _, out in ruled),
        rule_f1=max((_f1(mine, out) for _, out in ruled), default=0.0),
    )


def _seconds(from_ms: int | None, to_ms: int | None) -> float | None:
    return None if from_ms is None or to_ms is None else max(0, to_ms - from_ms) / 1000


def _f1(real: Customers, said: Customers) -> float:
    return 2 * len(real & said) / (len(real) + len(said))


def _first_right(
    changes: Sequence[Change], mine: Customers, off_ms: int, world: World
) -> int | None:
    """When the right device was named with the right customers for the first time."""
    return next(
        (
            change.at_ms
            for change in changes
            if change.at_ms >= off_ms
            and change.outage.state in _SAID_OUT
            and out_of(change.outage) == mine
            and mine == feeds(world, change.outage.device_id, change.outage.phases)
        ),
        None,
    )


def _first_heard(truth: OutageTruth, off_ms: int, world: World, day: Day) -> Word | None:
    """The first word of no power since the failure, of the device or anything below it."""
    place = world.network.places[truth.device_id]
    group = world.network.groups[place.group]
    words = (day.heard_off.get(name, ()) for name in group.ids[group.below(place.node)])
    return min((w for said in words for w in said if w.received_ms >= off_ms), default=None)


def _etr_error(truth: OutageTruth, exact: Sequence[Outage]) -> float | None:
    back = [from_rfc3339(step.on_at) for step in truth.steps if step.on_at]
    said = [outage.etr.at_ms for outage in exact if outage.etr]
    return (max(back) - said[0]) / 1000 if back and said else None


def _to_blame(world: World, truth: Sequence[OutageTruth]) -> Callable[[Outage], bool]:
    """Whether a device failed, or was open, at some time of the story."""
    devices = {(t.device_id, t.phases) for t in truth}
    devices |= {(stage.device_id, "") for t in truth for stage in t.stages}
    real = {feeds(world, *device) for device in devices}
    return lambda outage: feeds(world, outage.device_id, outage.phases) in real


def _claims(
    history: Mapping[str, Sequence[Change]],
    standing: Mapping[int, Sequence[tuple[Outage, Customers]]],
    to_blame: Callable[[Outage], bool],
) -> Iterator[Claim]:
    stood = {o.id: o for at_ms in sorted(standing) for o, _ in standing[at_ms]}
    for outage_id, told in history.items():
        first = next(c.outage for c in told if _says_out(c.outage))
        last = stood.get(outage_id)
        yield Claim(
            first=first.probability,
            first_right=to_blame(first),
            standing=last.probability if last else None,
            standing_right=last is not None and to_blame(last),
        )


def _wrong_restored(changes: Sequence[Change], world: World) -> int:
    """Customers whose own meter is said to have power while they are in the dark."""
    meters = world.network.customer_meters
    wrong: set[str] = set()
    for change in changes:
        whom = frozenset(change.customers)
        for step in change.outage.steps if whom else ():
            if step.on_ms is None or step.inferred:
                continue
            wrong |= {
                customer
                for customer in whom.intersection(step.customers)
                if _stays_dark(world, world.network.places[meters[customer]], step.on_ms, change)
            }
    return len(wrong)


def _stays_dark(world: World, place: Place, on_ms: int, change: Change) -> bool:
    """Whether power is off from around the moment that is told until it is told."""
    return any(
        dark.off_ms <= on_ms - CLOCK_MS
        and on_ms + CLOCK_MS < dark.on_ms
        and dark.holds(change.at_ms)
        for dark in world.power.dark(place)
    )
