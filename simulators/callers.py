"""Customers in the dark who pick up the telephone."""

from collections.abc import Iterator

import numpy as np

from grid.network import NodeKind, Place
from grid.reading import Kind, Reading
from simulators.chance import Chance
from simulators.day import Heard
from simulators.tables import Span
from simulators.world import World

WAIT_S: Span = (60.0, 600.0)  # in the dark, before somebody calls


def calls(world: World, share: float, chance: Chance) -> Iterator[Heard]:
    """The calls of a story by time, each once for a customer's darkness that lasts long enough."""
    made: list[Heard] = []
    for group in world.network.groups if share else ():
        for node in np.flatnonzero(group.kind == NodeKind.METER).tolist():
            meter = group.ids[node]
            for number, dark in enumerate(world.power.dark(Place(group.no, node))):
                one, wait, _, _ = chance.four("call", meter, number)
                at_ms = dark.off_ms + round(1000 * (WAIT_S[0] + wait * (WAIT_S[1] - WAIT_S[0])))
                if one < share and at_ms < min(dark.on_ms, world.end_ms):
                    reading = Reading(meter, Kind.CALL_NO_POWER, at_ms)
                    made.append(Heard(at_ms, "call", meter, (reading,)))
    yield from sorted(made, key=lambda call: (call.received_ms, call.id))
