"""The truth of a story in words: who was without power, by which device, from when to when."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from grid.network import Network, NodeKind, Place
from grid.times import maybe_rfc3339, to_rfc3339
from simulators.power import NEVER, Dark, Power
from simulators.story import Happening, PhaseGone, Silence, Story
from simulators.truth import (
    ClockTruth,
    CommsLossTruth,
    FalseAlarmTruth,
    FalseGaspTruth,
    OutageTruth,
    PhaseLossTruth,
    Stage,
    TrueStep,
    Truth,
)

_DIP_MS = 5000  # power that is back for less than this, between two trips, is not back


def chronicle(network: Network, story: Story, power: Power) -> Iterator[Truth]:
    """The lines of a story: outages by their begin, then what is no outage."""
    for happening in story.happenings:
        yield _outage(network, power, happening)
    for silence in (*story.dcu_silences, *story.breaker_silences):
        yield _comms_loss(network, silence)
    for gone in story.phases_gone:
        loss = _phase_loss(network, power, gone)
        yield loss
        if loss.customers:
            yield _phase_outage(network, gone, loss)
    for at_ms, place in story.false_gasps:
        yield FalseGaspTruth(device_id=_id(network, place), at=to_rfc3339(at_ms))
    for alarm in story.false_alarms:
        yield FalseAlarmTruth(
            id=alarm.id,
            device_id=_id(network, alarm.place),
            from_at=to_rfc3339(alarm.at_ms),
            until_at=to_rfc3339(alarm.until_ms),
            customers=network.groups[alarm.place.group].customers_below(alarm.place.node),
        )
    for jump in story.jumps:
        yield ClockTruth(
            device_id=_id(network, jump.place), at=to_rfc3339(jump.at_ms), by_s=jump.by_ms / 1000
        )


def _outage(network: Network, power: Power, happening: Happening) -> OutageTruth:
    group = network.groups[happening.place.group]
    node = happening.place.node
    steps = _steps(network, power, happening.place, happening.off_ms)
    # an outage without customers still has an end: that of its device
    ends = [step.on_ms for step in steps] or [
        _seen(power.dark(happening.place), happening.off_ms).on_ms
    ]
    return OutageTruth(
        id=happening.id,
        device_id=group.ids[node],
        device_kind=NodeKind(group.kind[node]).word,
        kind=happening.kind,
        cause=happening.cause,
        momentary=happening.momentary,
        nested_in=happening.nested_in,
        off_at=to_rfc3339(happening.off_ms),
        on_at=_maybe(max(ends)),
        stages=tuple(
            Stage(to_rfc3339(at_ms), _id(network, place)) for at_ms, place in happening.stages
        ),
        steps=tuple(
            TrueStep(to_rfc3339(dark.off_ms), _maybe(dark.on_ms), tuple(sorted(customers)))
            for dark, customers in sorted(steps.items())
        ),
        customers=tuple(sorted(group.customers_below(node))),
    )


def _steps(network: Network, power: Power, place: Place, off_ms: int) -> dict[Dark, list[str]]:
    """The customers behind a device by the interval in which they were without power."""
    group = network.groups[place.group]
    steps: defaultdict[Dark, list[str]] = defaultdict(list)
    own = np.diff(group.customer_from)
    below = group.below(place.node)
    for node in (np.flatnonzero(own[below]) + place.node).tolist():
        dark = _seen(power.dark(Place(place.group, node)), off_ms)
        first, last = group.customer_from[node], group.customer_from[node + 1]
        steps[dark] += group.customer_ids[first:last]
    return steps


def _seen(darks: tuple[Dark, ...], off_ms: int) -> Dark:
    """The darkness that begins at a moment, with what follows after too short a return."""
    on_ms = off_ms
    for dark in darks:
        if dark.off_ms <= on_ms + (_DIP_MS if on_ms > off_ms else 0) and dark.on_ms > on_ms:
            on_ms = dark.on_ms
    return Dark(off_ms, on_ms)


def _comms_loss(network: Network, silence: Silence) -> CommsLossTruth:
    places = network.dcu_places.get(silence.device_id, {})
    meters = sum(int((network.groups[no].dcu == index).sum()) for no, index in places.items())
    return CommsLossTruth(
        device_id=silence.device_id,
        from_at=to_rfc3339(silence.from_ms),
        until_at=to_rfc3339(silence.until_ms),
        meters=meters,
    )


def _phase_loss(network: Network, power: Power, gone: PhaseGone) -> PhaseLossTruth:
    group = network.groups[gone.place.group]
    below = group.below(gone.place.node)
    customers: list[str] = []
    for node in range(below.start, below.stop):
        if not power.at(Place(gone.place.group, node), gone.off_ms):
            customers += group.customer_ids[
                group.customer_from[node] : group.customer_from[node + 1]
            ]
    return PhaseLossTruth(
        id=gone.id,
        device_id=group.ids[gone.place.node],
        phase=gone.phase,
        from_at=to_rfc3339(gone.off_ms),
        until_at=to_rfc3339(gone.on_ms),
        customers=tuple(sorted(customers)),
    )


def _phase_outage(network: Network, gone: PhaseGone, loss: PhaseLossTruth) -> OutageTruth:
    """Whom the loss of a phase leaves without any, as an outage of the device."""
    group = network.groups[gone.place.group]
    return OutageTruth(
        id=gone.id,
        device_id=loss.device_id,
        device_kind=NodeKind(group.kind[gone.place.node]).word,
        kind="fault",
        cause="",
        momentary=False,
        nested_in=None,
        off_at=loss.from_at,
        on_at=_maybe(gone.on_ms),
        stages=(),
        steps=(TrueStep(loss.from_at, _maybe(gone.on_ms), loss.customers),),
        customers=loss.customers,
        phases=gone.phase,
    )


def _id(network: Network, place: Place) -> str:
    return network.groups[place.group].ids[place.node]


def _maybe(on_ms: int) -> str | None:
    return maybe_rfc3339(None if on_ms >= NEVER else on_ms)
