"""From the utility's graph to the radial tree that the engine works on.

Normally open branches are left out, parallel ones united, buses and lines collapsed: what remains
is isolating devices, transformers and meters.  A graph that is no tree is refused whole, with
every reason.
"""

import hashlib
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

import msgspec
import numpy as np

from grid.checks import by_where, check, error, notice
from grid.graph import Graph, Problem, Severity
from grid.network import ALL_PHASES, I16, I32, Group, Network, NodeKind, Place
from grid.soundness import unsound
from grid.tracing import Walk, Wires, ranked, unite, walk

KIND_OF = {kind.word: int(kind) for kind in NodeKind}
UNSAFE = re.compile(r"[^A-Za-z0-9._~-]")


@dataclass(frozen=True, slots=True)
class Built:
    """The network, or None where a problem is an error; notices come with it."""

    network: Network | None
    problems: tuple[Problem, ...]


@dataclass(slots=True)
class _Columns:
    """A group's columns while they grow."""

    ids: list[str] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    phases: list[int] = field(default_factory=list)
    telemetered: list[bool] = field(default_factory=list)
    district: list[str] = field(default_factory=list)
    x: list[float] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    twins: list[tuple[str, int]] = field(default_factory=list)  # other ids of a united device

    def add(self, name: str, kind: int, parent: int, phases: int, district: str) -> int:
        self.ids.append(name)
        self.kind.append(kind)
        self.parent.append(parent)
        self.phases.append(phases)
        self.telemetered.append(False)
        self.district.append(district)
        return len(self.ids) - 1

    def put_at(self, x: float | None, y: float | None) -> None:
        self.x.append(float("nan") if x is None else x)
        self.y.append(float("nan") if y is None else y)


def build(graph: Graph) -> Built:
    """Make the tree, or say why there is none.  Takes about 15 us a node."""
    problems = check(graph, by_where(graph))
    if any(p.severity is Severity.ERROR for p in problems):
        return Built(None, tuple(problems))
    rows = ranked([node.id for node in graph.nodes])
    rank = {graph.nodes[row].id: v for v, row in enumerate(rows)}
    roots = [v for v, row in enumerate(rows) if graph.nodes[row].kind == "substation"]
    if not roots:
        problem = error("nodes.csv", "there is no substation", "give one node the kind substation")
        return Built(None, (*problems, problem))
    wires = unite(graph, rank)
    walked = walk(wires, roots, len(rows))
    problems += unsound(graph, rows, rank, wires, walked)
    if any(p.severity is Severity.ERROR for p in problems):
        return Built(None, tuple(problems))
    network, notices = _grow(graph, rows, wires, walked)
    return Built(network, (*problems, *notices))


def version_of(graph: Graph) -> str:
    """Digest of everything but names and phones, which change without the network changing.

    The order of rows does not matter.
    """
    mute = sorted((c.customer_id, c.meter_id, c.language, c.priority) for c in graph.customers)
    body = msgspec.msgpack.encode(
        [
            sorted(graph.nodes, key=attrgetter("id")),
            sorted(graph.branches, key=attrgetter("id")),
            mute,
            sorted(graph.comms.items()),
            sorted(graph.breakers, key=attrgetter("branch_id")),
        ]
    )
    return hashlib.sha256(body).hexdigest()[:16]


def _grow(
    graph: Graph, rows: Sequence[int], wires: Wires, walked: Walk
) -> tuple[Network, list[Problem]]:
    served: dict[str, list[str]] = {}
    for customer in graph.customers:
        served.setdefault(customer.meter_id, []).append(customer.customer_id)
    notices: list[Problem] = []
    groups, places = [], {}
    for no, order in enumerate(walked.orders):
        columns = _columns(graph, rows, wires, walked.via, order)
        group = _group(no, columns, served, graph.comms)
        places.update({name: Place(no, node) for node, name in enumerate(group.ids)})
        places.update({name: Place(no, node) for name, node in columns.twins})
        notices += _notices(group, graph.where)
        groups.append(group)
    notices += [
        notice(
            graph.where.get(address.branch_id, address.branch_id),
            f"{address.branch_id} has an address but feeds nothing, so it is not polled",
            "delete it from breakers.csv, or close it",
        )
        for address in graph.breakers
        if address.branch_id not in places
    ]
    network = Network(
        version=version_of(graph),
        groups=tuple(groups),
        places=places,
        dcu_places=_dcu_places(groups),
        customer_meters={c.customer_id: c.meter_id for c in graph.customers},
        breakers=tuple(a for a in graph.breakers if a.branch_id in places),
    )
    return network, notices


def _columns(
    graph: Graph, rows: Sequence[int], wires: Wires, via: Sequence[int], order: Sequence[int]
) -> _Columns:
    """The devices of one substation in preorder."""
    columns = _Columns()
    root = graph.nodes[rows[order[0]]]
    columns.add(root.id, NodeKind.SUBSTATION, -1, ALL_PHASES, root.district or root.id)
    columns.put_at(root.x, root.y)
    # what holds at each node of the graph: the device that feeds it, its phases, its district
    fed = {order[0]: (0, ALL_PHASES, root.district or root.id)}
    for v in order[1:]:
        wire = via[v]
        device, phases, district = fed[wires.other(wire, v)]
        node, branch = graph.nodes[rows[v]], graph.branches[wires.branch[wire]]
        # phases that no one else carries are an error of drawing; then the nearer word counts
        phases = phases & wires.phases[wire] or wires.phases[wire]
        district = node.district or district  # a branch is of the district it leads to
        if wires.isolating[wire]:
            device = columns.add(branch.id, KIND_OF[branch.kind], device, phases, district)
            twins = [graph.branches[i] for i in wires.twins.get(wire, ())]
            columns.telemetered[device] = branch.telemetered or any(t.telemetered for t in twins)
            columns.put_at(node.x, node.y)
            columns.twins += [(twin.id, device) for twin in twins]
        if node.kind != "bus":
            device = columns.add(node.id, KIND_OF[node.kind], device, phases, district)
            columns.put_at(node.x, node.y)
        fed[v] = (device, phases, district)
    return columns


def _group(
    no: int, columns: _Columns, served: Mapping[str, list[str]], comms: Mapping[str, str]
) -> Group:
    count = len(columns.ids)
    size, depth, feeder = _shape(columns.parent)
    customers: list[str] = []
    customer_from = [0]
    dcus: dict[str, int] = {}
    dcu = []
    for name, kind in zip(columns.ids, columns.kind, strict=True):
        if kind == NodeKind.METER:
            customers += sorted(served.get(name, ()))
            group_name = comms.get(name)
            dcu.append(-1 if group_name is None else dcus.setdefault(group_name, len(dcus)))
        else:
            dcu.append(-1)
        customer_from.append(len(customers))
    assert len(customer_from) == count + 1
    return Group(
        no=no,
        name=columns.ids[0],
        slug=_slug(columns.ids[0]),
        ids=tuple(columns.ids),
        kind=np.array(columns.kind, np.uint8),
        parent=np.array(columns.parent, np.int32),
        size=size,
        depth=depth,
        phases=np.array(columns.phases, np.uint8),
        telemetered=np.array(columns.telemetered, np.bool_),
        feeder=feeder,
        district=tuple(columns.district),
        x=np.array(columns.x, np.float64),
        y=np.array(columns.y, np.float64),
        dcu=np.array(dcu, np.int32),
        dcus=tuple(dcus),
        customer_ids=tuple(customers),
        customer_from=np.array(customer_from, np.int32),
    )


def _shape(parent: Sequence[int]) -> tuple[I32, I16, I32]:
    """Subtree sizes, depths and feeders of a preorder given by its parents."""
    size, depth, feeder = [1] * len(parent), [0] * len(parent), [-1] * len(parent)
    for v in range(len(parent) - 1, 0, -1):
        size[parent[v]] += size[v]
    for v in range(1, len(parent)):
        above = parent[v]
        depth[v] = depth[above] + 1
        feeder[v] = feeder[above] if above else v
    return (
        np.array(size, np.int32),
        np.array(depth, np.int16),
        np.array(feeder, np.int32),
    )


def _slug(name: str) -> str:
    """The name, URL-safe; one that had to be changed carries a checksum of what it was."""
    safe = UNSAFE.sub("-", name)
    return name if safe == name else f"{safe}-{zlib.crc32(name.encode()):08x}"


def _dcu_places(groups: Sequence[Group]) -> dict[str, dict[int, int]]:
    places: dict[str, dict[int, int]] = {}
    for group in groups:
        for index, name in enumerate(group.dcus):
            places.setdefault(name, {})[group.no] = index
    return places


def _notices(group: Group, where: Mapping[str, str]) -> Iterator[Problem]:
    """Meters that no transformer feeds, and transformers that feed no meter."""
    meter = group.kind == NodeKind.METER
    transformer = group.kind == NodeKind.TRANSFORMER
    under = np.zeros(len(meter) + 1, np.int64)  # transformers above a node, by adding up slices
    below = np.concatenate([[0], np.cumsum(meter)])
    ends = np.arange(len(meter)) + group.size
    np.add.at(under, np.flatnonzero(transformer), 1)
    np.add.at(under, ends[transformer], -1)
    under = np.cumsum(under)[:-1]
    for v in np.flatnonzero(meter & (under == 0)).tolist():
        name = group.ids[v]
        message = f"meter {name} has no transformer above it"
        yield notice(where.get(name, name), message, "right for one served at medium voltage")
    for v in np.flatnonzero(transformer & (below[ends] == below[:-1])).tolist():
        name = group.ids[v]
        message = f"transformer {name} has no meters below it"
        yield notice(where.get(name, name), message, "add its meters once they are known")
