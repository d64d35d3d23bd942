"""From a scenario to its story: devices chosen, faults tripped, reclosed, isolated, repaired."""

from collections import defaultdict
from typing import assert_never

import msgspec

from grid.errors import ConfigError
from grid.network import PHASE_BITS, Network, NodeKind, Place
from grid.reading import Kind
from simulators.chance import Chance
from simulators.pick import Picker
from simulators.power import NEVER, Opening
from simulators.scenario import (
    BreakerSilence,
    ClockJump,
    DcuSilence,
    Event,
    FalseAlarm,
    FalseGasp,
    Fault,
    Momentary,
    PhaseLoss,
    Pick,
    Planned,
    Restore,
    Scenario,
)
from simulators.storm import storm_events
from simulators.story import (
    FalseOne,
    Happening,
    Jump,
    Operation,
    PhaseGone,
    PlannedWork,
    Silence,
    Story,
)

_LOCKOUT_MS = 100  # a recloser knows at once that it may not try again
_ISOLATED_MS = 2000  # a crew opens the next switch this long before the part above it comes back
_FAULT_A = (1500.0, 6000.0)


def tell(network: Network, scenario: Scenario, start_ms: int, chance: Chance) -> Story:
    """The story of a scenario on a network.

    Raises:
        ConfigError: An event's device is not there.
    """
    teller = _Teller(network, scenario, start_ms, chance)
    named = [
        (event.name or f"{type(event).__name__.lower()}-{number}", event)
        for number, event in enumerate(scenario.event, 1)
    ]
    for name, event in _with_repairs(named, scenario.name or "scenario"):
        teller.tell(name, event)
    if scenario.storm is not None:
        for name, event in storm_events(scenario.storm, teller.picker, chance):
            teller.tell(name, event)
    return teller.story()


def _with_repairs(named: list[tuple[str, Event]], where: str) -> list[tuple[str, Event]]:
    """The events without ``restore``: what it repairs has its time now."""
    faults = {name: event for name, event in named if isinstance(event, Fault)}
    for name, event in named:
        if not isinstance(event, Restore):
            continue
        fault = faults.get(event.of)
        if fault is None or fault.restore_s is not None or event.at_s <= fault.at_s:
            raise ConfigError(
                f"{where}: event {name}: of = {event.of!r} must be the name of an earlier fault "
                "without restore_s"
            )
        after_s = event.at_s - fault.at_s
        faults[event.of] = msgspec.structs.replace(fault, restore_s=after_s)
    return [(name, faults.get(name, e)) for name, e in named if not isinstance(e, Restore)]


class _Teller:
    """Writes the pieces of a story, event by event."""

    def __init__(self, network: Network, scenario: Scenario, start_ms: int, chance: Chance) -> None:
        self.picker = Picker(network, chance, scenario.name or "scenario")
        self._network = network
        self._field = scenario.field
        self._start_ms = start_ms
        self._chance = chance
        self._openings: list[Opening] = []
        self._operations: defaultdict[Place, list[Operation]] = defaultdict(list)
        self._happenings: list[Happening] = []
        self._plans: list[PlannedWork] = []
        self._dcu_silences: list[Silence] = []
        self._breaker_silences: list[Silence] = []
        self._phases_gone: list[PhaseGone] = []
        self._false_gasps: list[tuple[int, Place]] = []
        self._false_alarms: list[FalseOne] = []
        self._jumps: list[Jump] = []

    def story(self) -> Story:
        """What has been told so far."""
        operations = {
            place: tuple(sorted(mine, key=lambda op: op.at_ms))
            for place, mine in self._operations.items()
        }
        return Story(
            tuple(self._openings),
            operations,
            tuple(sorted(self._happenings, key=lambda h: (h.off_ms, h.nested_in is not None))),
            tuple(self._plans),
            tuple(self._dcu_silences),
            tuple(self._breaker_silences),
            tuple(self._phases_gone),
            tuple(self._false_gasps),
            tuple(self._false_alarms),
            tuple(self._jumps),
        )

    def tell(self, name: str, event: Event) -> None:
        """Add one event."""
        match event:
            case Fault():
                self._fault(name, self._place(name, event), event)
            case Momentary():
                self._momentary(name, self._place(name, event), event)
            case Planned():
                self._planned(name, self._place(name, event), event)
            case PhaseLoss():
                self._phase_loss(name, self._place(name, event), event)
            case Restore():
                raise AssertionError("restore events were resolved before")
            case _:
                self._tell_of_words(name, event)

    def _tell_of_words(
        self, name: str, event: DcuSilence | BreakerSilence | FalseGasp | FalseAlarm | ClockJump
    ) -> None:
        """What only the devices' words are about, and power is not."""
        match event:
            case DcuSilence():
                dcu = self.picker.concentrator(event.device, name)
                until_ms = self._ms(event.at_s + event.duration_s)
                self._dcu_silences.append(Silence(dcu, self._ms(event.at_s), until_ms, event.keeps))
            case BreakerSilence():
                device_id = self.picker.id_of(self._place(name, event))
                until_ms = self._ms(event.at_s + event.duration_s)
                self._breaker_silences.append(
                    Silence(device_id, self._ms(event.at_s), until_ms, keeps=True)
                )
            case FalseGasp():
                at_ms = self._ms(event.at_s)
                self._false_gasps += [(at_ms, m) for m in self._meters(name, event, event.count)]
            case FalseAlarm():
                self._false_alarm(name, self._place(name, event), event)
            case ClockJump():
                at_ms, by_ms = self._ms(event.at_s), round(event.by_s * 1000)
                self._jumps += [
                    Jump(m, at_ms, by_ms) for m in self._meters(name, event, event.count)
                ]
            case _:
                assert_never(event)

    def _fault(self, name: str, place: Place, fault: Fault) -> None:
        self.picker.take(name, place)
        off_ms = self._ms(fault.at_s)
        open_ms = self._tripped(place, off_ms, fault.recloses)
        ends = [self._ms(fault.at_s + step.after_s) for step in fault.steps]
        ends.append(NEVER if fault.restore_s is None else self._ms(fault.at_s + fault.restore_s))
        stages = [(off_ms, place)]
        self._openings.append(Opening(place.group, place.node, open_ms, ends[0]))
        for step, begin_ms, end_ms in zip(fault.steps, ends, ends[1:], strict=False):
            kept = self.picker.like(step.keep, f"{name}/step-{len(stages)}", under=stages[-1][1])
            self._operate(stages[-1][1], begin_ms, Kind.CLOSE)
            self._operate(kept, begin_ms - _ISOLATED_MS, Kind.OPEN)
            self._openings.append(Opening(kept.group, kept.node, begin_ms - _ISOLATED_MS, end_ms))
            stages.append((begin_ms, kept))
            self.picker.name(f"{name}/step-{len(stages) - 1}", kept)
        if ends[-1] != NEVER:
            self._operate(stages[-1][1], ends[-1], Kind.CLOSE)
        told = tuple(stages) if len(stages) > 1 else ()
        self._happenings.append(Happening(name, place, "fault", fault.cause, off_ms, told))
        for number, part in enumerate(fault.left, 1):
            after_s = part.after_s
            on_ms = NEVER if after_s is None else self._ms(fault.at_s + after_s)
            part_name = f"{name}/left-{number}"
            place = self.picker.like(part.pick, part_name, under=stages[-1][1])
            self.picker.leave(part_name, place)
            self._openings.append(Opening(place.group, place.node, off_ms, on_ms))
            self._happenings.append(
                Happening(part_name, place, "fault", "", off_ms, nested_in=name)
            )

    def _tripped(self, place: Place, off_ms: int, recloses: int) -> int:
        """Trip a device, let it try as often as it may, and say since when it is open for good."""
        kind = self._network.groups[place.group].kind[place.node]
        attempts = recloses if kind in (NodeKind.BREAKER, NodeKind.RECLOSER) else 0
        reclose_ms = round(self._field.reclose_s * 1000)
        retrip_ms = max(1, round(self._field.retrip_s * 1000))
        for _ in range(attempts):
            self._operate(place, off_ms, Kind.TRIP)
            self._operate(place, off_ms + reclose_ms, Kind.CLOSE, commanded=False)
            self._openings.append(Opening(place.group, place.node, off_ms, off_ms + reclose_ms))
            off_ms += reclose_ms + retrip_ms
        self._operate(place, off_ms, Kind.TRIP)
        if attempts:
            self._operate(place, off_ms + _LOCKOUT_MS, Kind.LOCKOUT)
        return off_ms

    def _operate(
        self, place: Place, at_ms: int, kind: Kind, *, commanded: bool | None = None
    ) -> None:
        if commanded is None:
            commanded = kind in (Kind.OPEN, Kind.CLOSE)
        count = len(self._operations[place])
        fault_a = self._chance.between(_FAULT_A, "fault_a", place.group, place.node, count)
        amps = round(fault_a, 1) if kind is Kind.TRIP else 0.0
        self._operations[place].append(Operation(at_ms, kind, commanded, amps))

    def _momentary(self, name: str, place: Place, event: Momentary) -> None:
        self.picker.take(name, place)
        off_ms, on_ms = self._ms(event.at_s), self._ms(event.at_s + event.duration_s)
        self._operate(place, off_ms, Kind.TRIP)
        self._operate(place, on_ms, Kind.CLOSE, commanded=False)
        self._openings.append(Opening(place.group, place.node, off_ms, on_ms))
        self._happenings.append(Happening(name, place, "fault", "", off_ms, momentary=True))

    def _planned(self, name: str, place: Place, event: Planned) -> None:
        self.picker.take(name, place)
        off_ms, on_ms = self._ms(event.at_s), self._ms(event.at_s + event.duration_s)
        self._operate(place, off_ms, Kind.OPEN)
        self._operate(place, on_ms, Kind.CLOSE)
        self._openings.append(Opening(place.group, place.node, off_ms, on_ms))
        self._happenings.append(Happening(name, place, event.plan_kind, event.reason, off_ms))
        margin_ms = round(event.margin_s * 1000)
        self._plans.append(
            PlannedWork(
                plan_id=name,
                device_id=self.picker.id_of(place),
                from_ms=off_ms - margin_ms,
                to_ms=on_ms + margin_ms,
                kind=event.plan_kind,
                reason=event.reason,
                announced_ms=max(self._start_ms, self._ms(event.at_s - event.announced_s)),
            )
        )

    def _false_alarm(self, name: str, place: Place, event: FalseAlarm) -> None:
        self.picker.name(name, place)
        group = self._network.groups[place.group]
        below = range(place.node, group.below(place.node).stop)
        meters = [Place(place.group, n) for n in below if group.kind[n] == NodeKind.METER]
        at_ms = self._ms(event.at_s)
        until_ms = self._ms(event.at_s + event.mute_s)
        gasps = tuple(meters[: event.gasps])
        self._false_gasps += [(at_ms, meter) for meter in gasps]
        self._false_alarms.append(FalseOne(name, place, at_ms, until_ms, gasps))

    def _phase_loss(self, name: str, place: Place, event: PhaseLoss) -> None:
        self.picker.take(name, place)
        off_ms, on_ms = self._ms(event.at_s), self._ms(event.at_s + event.duration_s)
        self._phases_gone.append(PhaseGone(name, place, event.phase, off_ms, on_ms))
        group = self._network.groups[place.group]
        for node in range(place.node, group.below(place.node).stop):
            if group.kind[node] == NodeKind.METER and group.phases[node] == PHASE_BITS[event.phase]:
                self._openings.append(Opening(place.group, node, off_ms, on_ms))

    def _meters(self, name: str, event: FalseGasp | ClockJump, count: int) -> list[Place]:
        if event.device is not None:
            return [self.picker.by_id(event.device, name)]
        pick = event.pick or Pick(kind="meter", customers_min=0)
        places = [self.picker.like(pick, f"{name}/{i}") for i in range(count)]
        return list(dict.fromkeys(places))

    def _place(self, name: str, event: Event) -> Place:
        if event.device is not None:
            return self.picker.by_id(event.device, name)
        assert event.pick is not None  # the file was checked for it
        return self.picker.like(event.pick, name)

    def _ms(self, at_s: float) -> int:
        return self._start_ms + round(at_s * 1000)
