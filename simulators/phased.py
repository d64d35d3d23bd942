"""Meters of one phase: where the records know of none, a share of the meters is given one each."""

import msgspec

from grid.graph import Branch, Graph
from simulators.chance import Chance

LETTERS = "ABC"


def phased(graph: Graph, share: float, chance: Chance) -> Graph:
    """The graph with a share of its meters on one phase, as a street is wired: in turn by luck."""
    meters = {node.id for node in graph.nodes if node.kind == "meter"}
    branches = tuple(_wired(branch, meters, share, chance) for branch in graph.branches)
    return msgspec.structs.replace(graph, branches=branches)


def _wired(branch: Branch, meters: set[str], share: float, chance: Chance) -> Branch:
    meter = next((end for end in (branch.to_id, branch.from_id) if end in meters), None)
    if meter is None or branch.phases not in ("", "ABC"):
        return branch
    one, which, _, _ = chance.four("phase", meter)
    if one >= share:
        return branch
    return msgspec.structs.replace(branch, phases=LETTERS[int(which * 3)])
