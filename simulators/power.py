"""Who has power when: devices opened for a while, and everything below them dark meanwhile.

Times are epoch milliseconds; an interval holds its begin and not its end.  Pure, and changed only
while the story is written.
"""

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from grid.network import Bools, Network, Place

NEVER = 2**62
"""The end of what does not end."""

_MASKS_MAX = 64  # of the latest moments asked for


class Opening(NamedTuple):
    """A device that is open, or has failed, from ``off_ms`` until ``on_ms``."""

    group: int
    node: int
    off_ms: int
    on_ms: int


class Dark(NamedTuple):
    """An interval without power."""

    off_ms: int
    on_ms: int

    def holds(self, at_ms: int) -> bool:
        """Whether a moment lies in it."""
        return self.off_ms <= at_ms < self.on_ms


class Power:
    """The supply of every node of a network over a story."""

    def __init__(self, network: Network, openings: Iterable[Opening]) -> None:
        self._network = network
        self._of: list[list[Opening]] = [[] for _ in network.groups]
        for opening in sorted(openings):
            self._of[opening.group].append(opening)
        self._moments = [
            sorted({ms for o in mine for ms in (o.off_ms, o.on_ms)}) for mine in self._of
        ]
        self._masks: dict[tuple[int, int], Bools] = {}
        self._dark = [self._intervals(no) for no in range(len(network.groups))]

    def _intervals(self, no: int) -> dict[int, tuple[Dark, ...]]:
        """The dark intervals of each node that has any; what touches is one."""
        group = self._network.groups[no]
        loose: dict[int, list[Dark]] = {}
        for opening in self._of[no]:
            below = group.below(opening.node)
            for node in range(below.start, below.stop):
                loose.setdefault(node, []).append(Dark(opening.off_ms, opening.on_ms))
        return {node: tuple(_united(darks)) for node, darks in loose.items()}

    def dark(self, place: Place) -> tuple[Dark, ...]:
        """The intervals in which a node has no power, in order."""
        return self._dark[place.group].get(place.node, ())

    def nodes_ever_dark(self, group: int) -> Iterable[int]:
        """The nodes of a group that lose power at some time, ascending."""
        return sorted(self._dark[group])

    def at(self, place: Place, at_ms: int) -> bool:
        """Whether a node has power."""
        return not any(dark.holds(at_ms) for dark in self.dark(place))

    def stage(self, group: int, at_ms: int) -> int:
        """Counts the changes of supply in a group so far: where it is equal, so is the supply."""
        return bisect_right(self._moments[group], at_ms)

    def mask(self, group: int, at_ms: int) -> Bools:
        """Which nodes of a group have power, as a column that must not be written to."""
        stage = self.stage(group, at_ms)
        found = self._masks.get((group, stage))
        if found is None:
            if len(self._masks) >= _MASKS_MAX:
                self._masks.pop(next(iter(self._masks)))
            found = self._masks[group, stage] = self._mask(group, at_ms)
        return found

    def _mask(self, no: int, at_ms: int) -> Bools:
        group = self._network.groups[no]
        alive = np.ones(len(group.ids), np.bool_)
        for opening in self._of[no]:
            if opening.off_ms <= at_ms < opening.on_ms:
                alive[group.below(opening.node)] = False
        return alive


def _united(darks: list[Dark]) -> list[Dark]:
    """The same darkness in as few intervals as it takes, in order."""
    united: list[Dark] = []
    for dark in sorted(darks):
        if united and dark.off_ms <= united[-1].on_ms:
            united[-1] = Dark(united[-1].off_ms, max(united[-1].on_ms, dark.on_ms))
        else:
            united.append(dark)
    return united
