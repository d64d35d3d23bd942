"""Rows that were numbered by an earlier version of the network, numbered by the one in force."""

import numpy as np
import structlog

from grid.frame import Rows
from grid.network import Network

NOWHERE = -1

log = structlog.get_logger()


def renumbered(rows: Rows, before: Network, after: Network) -> Rows:
    """The same readings by the devices' ids; those of devices that left the network are let go."""
    rows = rows.copy()
    group, node, dcu = rows["group"].copy(), rows["node"].copy(), rows["dcu"].copy()
    for old, place in sorted(set(zip(group.tolist(), node.tolist(), strict=True))):
        which = (group == old) & (node == place)
        there = after.places.get(before.groups[old].ids[place])
        rows["group"][which] = NOWHERE if there is None else there.group
        rows["node"][which] = NOWHERE if there is None else there.node
        for index in np.unique(dcu[which & (dcu >= 0)]).tolist():
            known = after.dcu_places.get(before.groups[old].dcus[index], {})
            by = which & (dcu == index)
            rows["dcu"][by] = NOWHERE if there is None else known.get(there.group, NOWHERE)
    gone = int((rows["group"] == NOWHERE).sum())
    if gone:
        log.warning("readings_of_devices_that_left", readings=gone, network=after.version)
    here: Rows = rows[rows["group"] != NOWHERE]
    return here
