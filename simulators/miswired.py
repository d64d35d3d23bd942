"""Records that are wrong: meters that the utility's papers hang under another transformer."""

import msgspec

from grid.graph import Branch, Graph
from simulators.chance import Chance


def miswired(graph: Graph, share: float, chance: Chance) -> Graph:
    """The graph as the records have it, where a share of the meters has changed places.

    Two meters of one district change places, so that every transformer keeps its count, which is
    what makes such errors hard to find in the field.
    """
    meters = {node.id: node.district for node in graph.nodes if node.kind == "meter"}
    service = {_meter_of(b, meters): n for n, b in enumerate(graph.branches) if _serves(b, meters)}
    wrong = sorted(
        (chance.one("place", meter), meters[meter], meter)
        for meter in service
        if chance.one("wired", meter) < share
    )
    branches = list(graph.branches)
    waiting: dict[str, str] = {}
    for _, district, meter in wrong:
        other = waiting.pop(district, None)
        if other is None:
            waiting[district] = meter
            continue
        one, two = branches[service[meter]], branches[service[other]]
        branches[service[meter]] = _moved(one, meter, _far_end(two, other))
        branches[service[other]] = _moved(two, other, _far_end(one, meter))
    return msgspec.structs.replace(graph, branches=tuple(branches))


def _serves(branch: Branch, meters: dict[str, str]) -> bool:
    return (branch.from_id in meters) != (branch.to_id in meters)


def _meter_of(branch: Branch, meters: dict[str, str]) -> str:
    return branch.from_id if branch.from_id in meters else branch.to_id


def _far_end(branch: Branch, meter: str) -> str:
    return branch.to_id if branch.from_id == meter else branch.from_id


def _moved(branch: Branch, meter: str, far_end: str) -> Branch:
    return msgspec.structs.replace(branch, from_id=far_end, to_id=meter)
