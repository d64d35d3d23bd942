"""Who speaks: meters and terminals, each with a clock, a rhythm and a path of its own."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from grid.network import Group, Network, NodeKind, Place
from simulators.chance import Chance, normal
from simulators.scenario import Field

SINGLE_PHASES = frozenset({1, 2, 4})
_SPREAD_V = 0.012  # standard deviation of the voltage between places, per unit of nominal


class Speaker(NamedTuple):
    """A meter or a terminal as it is over the whole story."""

    cls: str  # meter, terminal
    id: str
    place: Place
    dcu: str | None  # the concentrator that its word goes through
    skew_ms: int  # what its clock is ahead
    period_ms: int  # between its heartbeats
    phase_ms: int  # of the first, from the beginning of the story
    base_v: float
    phases: int
    solar: bool


def speakers(network: Network, field: Field, chance: Chance) -> Iterator[Speaker]:
    """Everything that speaks MQTT of its own; devices that never speak are left out."""
    for group in network.groups:
        for node in np.flatnonzero(group.kind == NodeKind.METER).tolist():
            meter = _meter(group, node, field, chance)
            if meter is not None:
                yield meter
        for node in np.flatnonzero(group.kind == NodeKind.TRANSFORMER).tolist():
            terminal = _terminal(group, node, field, chance)
            if terminal is not None:
                yield terminal


def _meter(group: Group, node: int, field: Field, chance: Chance) -> Speaker | None:
    name = group.ids[node]
    silent, solar, phase, level = chance.four("meter", name)
    if silent < field.silent:
        return None
    one, other, _, _ = chance.four("clock", name)
    period_ms = max(1, round(field.heartbeat_s * 1000))
    dcu = int(group.dcu[node])
    return Speaker(
        cls="meter",
        id=name,
        place=Place(group.no, node),
        dcu=group.dcus[dcu] if dcu >= 0 else None,
        skew_ms=round(normal(one, other) * field.skew_s * 1000),
        period_ms=period_ms,
        phase_ms=int(phase * period_ms),
        base_v=field.nominal_v * (1 + _SPREAD_V * normal(level, silent)),
        phases=int(group.phases[node]),
        solar=solar < field.solar,
    )


def _terminal(group: Group, node: int, field: Field, chance: Chance) -> Speaker | None:
    name = group.ids[node]
    there, phase, level, other = chance.four("terminal", name)
    if there >= field.terminals:
        return None
    period_ms = max(1, round(field.terminal_heartbeat_s * 1000))
    return Speaker(
        cls="terminal",
        id=name,
        place=Place(group.no, node),
        dcu=None,
        skew_ms=round(normal(level, other) * field.skew_s * 1000),
        period_ms=period_ms,
        phase_ms=int(phase * period_ms),
        base_v=field.nominal_v * (1 + _SPREAD_V * normal(other, level)),
        phases=int(group.phases[node]),
        solar=False,
    )
