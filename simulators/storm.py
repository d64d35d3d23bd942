"""A storm becomes single events: faults of several kinds, none inside another."""

from collections.abc import Iterator

import msgspec

from grid.network import Place
from simulators.chance import Chance
from simulators.pick import Picker
from simulators.scenario import Event, Fault, LeftBehind, Momentary, PhaseLoss, Pick, Storm

_PART_KINDS = ("transformer", "fuse")


def storm_events(storm: Storm, picker: Picker, chance: Chance) -> Iterator[tuple[str, Event]]:
    """Name and event of everything a storm does; each must be told before the next is asked for.

    A kind that the network has no more room for is passed over, so there may be fewer faults.
    """
    exhausted: set[str] = set()
    made = turn = 0
    while made < storm.faults and len(exhausted) < len(set(storm.kinds)):
        kind = storm.kinds[turn % len(storm.kinds)]
        turn += 1
        if kind in exhausted:
            continue
        name = f"storm-{made + 1:02d}"
        place = picker.find(Pick(kind=kind, customers_min=storm.customers_min), name)
        if place is None:
            exhausted.add(kind)
            continue
        made += 1
        yield name, _fault(storm, name, place, picker, chance)
    for number in range(1, storm.momentaries + 1):
        name = f"dip-{number:02d}"
        place = picker.find(Pick(kind="breaker"), name)
        if place is not None:
            yield name, Momentary(at_s=_when(storm, name, chance), device=picker.id_of(place))
    for number in range(1, storm.phase_losses + 1):
        name = f"phase-{number:02d}"
        kinds = storm.phase_kinds
        kind = kinds[(number - 1) % len(kinds)]
        place = picker.find(Pick(kind=kind, customers_min=storm.customers_min), name)
        if place is not None:
            yield (
                name,
                PhaseLoss(
                    at_s=_when(storm, name, chance),
                    device=picker.id_of(place),
                    phase=chance.choose("ABC", "phase", name),
                    duration_s=storm.phase_loss_s,
                ),
            )


def _when(storm: Storm, name: str, chance: Chance) -> float:
    return storm.at_s + storm.spread_s * chance.one("when", name)


def _fault(storm: Storm, name: str, place: Place, picker: Picker, chance: Chance) -> Fault:
    """One fault of a storm, with its repair and what the repair leaves behind."""
    device = picker.id_of(place)
    fault = Fault(at_s=_when(storm, name, chance), device=device, recloses=storm.recloses)
    if storm.restore_s is None:
        return fault
    restore_s = chance.between(storm.restore_s, "repair", name)
    fault = msgspec.structs.replace(fault, restore_s=restore_s)
    if chance.one("left", name) >= storm.nested:
        return fault
    half = picker.customers(place) // 2
    pick = Pick(kind=_PART_KINDS, customers_min=storm.customers_min, customers_max=half)
    part = picker.find(pick, f"{name}/part", under=place)
    if part is None:  # too small to have a part of its own
        return fault
    after_s = None if storm.nested_s is None else restore_s + storm.nested_s
    left = LeftBehind(pick=Pick(id=picker.id_of(part)), after_s=after_s)
    return msgspec.structs.replace(fault, left=(left,))
