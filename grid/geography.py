"""The network as a map draws it: places of devices, and lines between them, as whole numbers.

Nodes are numbered through all groups in order, so that a subtree stays a slice.  Every line
belongs to the node that feeds what it leads to: it is dark when that node is.  Where places are
unknown the reader draws a diagram out of ``parent`` alone.
"""

import math
from collections import deque
from collections.abc import Iterator, Mapping

import msgspec

from grid.graph import Branch, Graph, Node
from grid.network import Network

TRUNK, LOW, SERVICE, TIE = 0, 1, 2, 3
"""Classes of lines: medium voltage, low voltage, to a meter, and an open tie."""

PRIORITY = {"key": 2, "vulnerable": 1}


class Lines(msgspec.Struct, frozen=True):
    """Lines as columns: class, the node they belong to, and both ends."""

    level: list[int]
    node: list[int]
    x1: list[int]
    y1: list[int]
    x2: list[int]
    y2: list[int]


class Geography(msgspec.Struct, frozen=True):
    """All columns have an entry a node but ``lines``.

    Places are ``origin + value * step`` in the coordinates of the source; -1 for unknown.
    ``priority``: 2 a key customer behind a meter, 1 a vulnerable one, 0 neither.
    """

    version: str
    geographic: bool  # coordinates are degrees east and north
    placed: int  # nodes with a place of their own
    origin_x: float
    origin_y: float
    step: float
    ids: list[str]
    kind: list[int]  # grid.network.NodeKind
    parent: list[int]
    size: list[int]
    feeder: list[int]
    district: list[str]
    phases: list[int]
    telemetered: list[int]
    customers: list[int]  # of the node itself
    priority: list[int]
    x: list[int]
    y: list[int]
    lines: Lines


def geography(graph: Graph, network: Network) -> Geography:
    """The drawing of a network, from the graph that it was built of."""
    starts = _starts(network)
    spots = {node.id: node for node in graph.nodes}
    known = [n for n in graph.nodes if n.x is not None and n.y is not None]
    scale = _scale(known)
    rank = {c.meter_id: PRIORITY.get(c.priority, 0) for c in graph.customers}
    columns: dict[str, list[int]] = {name: [] for name in ("kind", "parent", "size", "feeder",
        "phases", "telemetered", "customers", "priority", "x", "y")}  # fmt: skip
    for group, start in zip(network.groups, starts, strict=True):
        columns["kind"] += group.kind.tolist()
        columns["parent"] += [p + start if p >= 0 else -1 for p in group.parent.tolist()]
        columns["size"] += group.size.tolist()
        columns["feeder"] += [f + start if f >= 0 else -1 for f in group.feeder.tolist()]
        columns["phases"] += group.phases.tolist()
        columns["telemetered"] += group.telemetered.astype(int).tolist()
        columns["customers"] += (group.customer_from[1:] - group.customer_from[:-1]).tolist()
        columns["priority"] += [rank.get(name, 0) for name in group.ids]
        for x, y in zip(group.x.tolist(), group.y.tolist(), strict=True):
            at = scale.of(x, y)
            columns["x"].append(at[0])
            columns["y"].append(at[1])
    return Geography(
        version=network.version,
        geographic=_degrees(known),
        placed=sum(1 for x in columns["x"] if x >= 0),
        origin_x=scale.origin[0],
        origin_y=scale.origin[1],
        step=scale.step,
        ids=[name for group in network.groups for name in group.ids],
        district=[name for group in network.groups for name in group.district],
        lines=_lines(graph, spots, _owners(graph, network, starts), scale),
        **columns,
    )


def of_district(whole: Geography, district: str) -> tuple[Geography, list[int]]:
    """The part of a district with what feeds it, and the whole's number of each of its nodes."""
    keep = [name == district for name in whole.district]
    for node in range(len(keep) - 1, 0, -1):
        above = whole.parent[node]
        if keep[node] and above >= 0:
            keep[above] = True
    nodes = [node for node, kept in enumerate(keep) if kept]
    number = {node: i for i, node in enumerate(nodes)}
    rows = [i for i, node in enumerate(whole.lines.node) if node in number]
    part: dict[str, list[int]] = {}
    for name in ("kind", "phases", "telemetered", "x", "y"):
        part[name] = [getattr(whole, name)[n] for n in nodes]
    for name in ("customers", "priority"):  # others' customers are not theirs to count
        part[name] = [
            getattr(whole, name)[n] if whole.district[n] == district else 0 for n in nodes
        ]
    for name in ("parent", "feeder"):
        part[name] = [number.get(getattr(whole, name)[n], -1) for n in nodes]
    lines = {
        name: [getattr(whole.lines, name)[i] for i in rows]
        for name in ("level", "x1", "y1", "x2", "y2")
    }
    found = msgspec.structs.replace(
        whole,
        placed=sum(1 for x in part["x"] if x >= 0),
        ids=[whole.ids[n] for n in nodes],
        district=[whole.district[n] for n in nodes],
        size=_sizes(part["parent"]),
        lines=Lines(node=[number[whole.lines.node[i]] for i in rows], **lines),
        **part,
    )
    return found, nodes


def _sizes(parent: list[int]) -> list[int]:
    size = [1] * len(parent)
    for node in range(len(parent) - 1, -1, -1):
        if parent[node] >= 0:
            size[parent[node]] += size[node]
    return size


class _Scale(msgspec.Struct, frozen=True):
    origin: tuple[float, float]
    step: float

    def of(self, x: float | None, y: float | None) -> tuple[int, int]:
        if x is None or y is None or math.isnan(x) or math.isnan(y):
            return -1, -1
        return round((x - self.origin[0]) / self.step), round((y - self.origin[1]) / self.step)


def _scale(known: list[Node]) -> _Scale:
    if not known:
        return _Scale((0.0, 0.0), 1.0)
    xs, ys = [n.x for n in known if n.x is not None], [n.y for n in known if n.y is not None]
    span = max(max(xs) - min(xs), max(ys) - min(ys))
    # a decimetre of a city in degrees; a hundred-thousandth of the whole in anything else
    return _Scale((min(xs), min(ys)), 1e-6 if _degrees(known) else max(span, 1.0) / 100_000)


def _degrees(known: list[Node]) -> bool:
    return bool(known) and all(abs(n.x or 0) <= 180 and abs(n.y or 0) <= 85 for n in known)


def _starts(network: Network) -> list[int]:
    starts, total = [], 0
    for group in network.groups:
        starts.append(total)
        total += len(group.ids)
    return starts


def _owners(graph: Graph, network: Network, starts: list[int]) -> Mapping[str, int]:
    """The node of the tree that each node of the graph is fed by, or is."""
    at = {name: starts[place.group] + place.node for name, place in network.places.items()}
    beside: dict[str, list[Branch]] = {}
    for branch in graph.branches:
        beside.setdefault(branch.from_id, []).append(branch)
        beside.setdefault(branch.to_id, []).append(branch)
    owners = {n.id: at[n.id] for n in graph.nodes if n.kind == "substation" and n.id in at}
    waiting = deque(owners)
    while waiting:
        here = waiting.popleft()
        for branch in beside.get(here, ()):
            there = branch.to_id if branch.from_id == here else branch.from_id
            if branch.normally_open or there in owners:
                continue
            owners[there] = at.get(there, at.get(branch.id, owners[here]))
            waiting.append(there)
    return owners


def _lines(
    graph: Graph, spots: Mapping[str, Node], owners: Mapping[str, int], scale: _Scale
) -> Lines:
    found = Lines([], [], [], [], [], [])
    columns = [getattr(found, name) for name in Lines.__struct_fields__]
    for row in _ends(graph, spots, owners, scale):
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return found


def _ends(
    graph: Graph, spots: Mapping[str, Node], owners: Mapping[str, int], scale: _Scale
) -> Iterator[tuple[int, ...]]:
    low = _low_voltage(graph, spots)
    for branch in graph.branches:
        start, end = spots[branch.from_id], spots[branch.to_id]
        ends = (*scale.of(start.x, start.y), *scale.of(end.x, end.y))
        if -1 in ends or branch.from_id not in owners or branch.to_id not in owners:
            continue
        if branch.normally_open:
            level = TIE
        elif "meter" in (start.kind, end.kind):
            level = SERVICE
        else:
            level = LOW if branch.from_id in low and branch.to_id in low else TRUNK
        yield level, max(owners[branch.from_id], owners[branch.to_id]), *ends


def _low_voltage(graph: Graph, spots: Mapping[str, Node]) -> set[str]:
    """Transformers, and what can be reached from meters without going through one."""
    beside: dict[str, list[str]] = {}
    for branch in graph.branches:
        beside.setdefault(branch.from_id, []).append(branch.to_id)
        beside.setdefault(branch.to_id, []).append(branch.from_id)
    found = {n.id for n in graph.nodes if n.kind == "meter"}
    waiting = deque(found)
    while waiting:
        here = waiting.popleft()
        if spots[here].kind == "transformer":
            continue
        for there in beside.get(here, ()):
            if there not in found:
                found.add(there)
                waiting.append(there)
    return found
