"""The peer: the count-and-percentage rule that outage systems are sold with.

A device is out when at least three meters below it reported so, and they are at least half of the
meters below it; of several on one path the topmost is (domain.md 1.2; IEEE 1366 has no say in it).
It knows no rates, no heartbeats and no concentrators.
"""

import numpy as np

from grid.frame import Rows
from grid.network import Group, Network, NodeKind
from grid.reading import Kind

REPORTS_MIN = 3
SHARE_MIN = 0.5
_SAYS_ON = np.array([k in (Kind.POWER_UP, Kind.HEARTBEAT, Kind.VOLTAGE, Kind.PING_REPLY)
                     for k in Kind])  # fmt: skip
_SAYS_OFF = np.array([k in (Kind.LAST_GASP, Kind.CALL_NO_POWER) for k in Kind])
_NEVER = -(1 << 60)


class Rule:
    """The reports of one network's meters, and what the rule makes of them."""

    def __init__(self, network: Network) -> None:
        self._groups = network.groups
        self._off_ms = [np.full(len(g.ids), _NEVER) for g in network.groups]
        self._on_ms = [np.full(len(g.ids), _NEVER) for g in network.groups]

    def take(self, rows: Rows) -> None:
        """Take in what was heard."""
        for group in np.unique(rows["group"]).tolist():
            mine = rows[rows["group"] == group]
            for says, column in ((_SAYS_OFF, self._off_ms[group]), (_SAYS_ON, self._on_ms[group])):
                said = mine[says[mine["kind"]]]
                np.maximum.at(column, said["node"], said["happened_ms"])

    def declared(self) -> list[tuple[str, frozenset[str]]]:
        """Devices that are out, each with its customers."""
        return [
            (group.ids[node], frozenset(group.customers_below(node)))
            for group, off_ms, on_ms in zip(self._groups, self._off_ms, self._on_ms, strict=True)
            for node in _topmost(group, off_ms > on_ms)
        ]


def _topmost(group: Group, reported: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> list[int]:
    meters = np.concatenate([[0], np.cumsum(group.kind == NodeKind.METER)])
    reports = np.concatenate([[0], np.cumsum(reported & (group.kind == NodeKind.METER))])
    nodes = np.arange(len(group.ids))
    below = meters[nodes + group.size] - meters[nodes]
    count = reports[nodes + group.size] - reports[nodes]
    device = (group.kind >= NodeKind.BREAKER) & (group.kind <= NodeKind.TRANSFORMER)
    out = device & (count >= REPORTS_MIN) & (count >= SHARE_MIN * below)
    found: list[int] = []
    end = 0
    for node in np.flatnonzero(out).tolist():
        if node >= end:
            found.append(node)
            end = node + int(group.size[node])
    return found
