"""A pandapower net as a graph: its tables, plain, to nodes, branches, meters and concentrators.

What is above 60 kV is left out; where it was transformed down begins a substation.  What
pandapower does not know is added by rule, so that outages have devices: a switched medium-voltage
line is one isolating device (the switches at its two ends have the same customers behind them), a
line that leaves a substation has a breaker, a low-voltage line that leaves a transformer has a
fuse.  Each load is a meter with a customer, each transformer has a concentrator,
``DCU-<transformer>``.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from grid.checks import notice
from grid.graph import Branch, Customer, Graph, Node, Problem
from grid.tracing import ranked, unite, walk

HIGH_KV = 60.0  # from here on up it is transmission
LOW_KV = 1.0  # below, a customer's own voltage
NOT_IN_AN_ID = re.compile(r"[^\w.~-]+")  # blanks, and what ends a topic or a path


class Bus(msgspec.Struct, frozen=True):
    """A row of net.bus; ``x`` and ``y`` from its geo column."""

    index: int
    name: str
    vn_kv: float
    x: float | None
    y: float | None
    zone: str


class Line(msgspec.Struct, frozen=True):
    """A row of net.line."""

    index: int
    name: str
    from_bus: int
    to_bus: int
    in_service: bool


class Switch(msgspec.Struct, frozen=True):
    """A row of net.switch: ``et`` says what ``element`` is, b a bus, l a line, t or t3 a trafo."""

    index: int
    name: str
    bus: int
    element: int
    et: str
    type: str
    closed: bool


class Trafo(msgspec.Struct, frozen=True):
    """A row of net.trafo in service, or two sides of one of net.trafo3w."""

    index: int
    name: str
    hv_bus: int
    lv_bus: int
    et: str  # as its switches have it


class Load(msgspec.Struct, frozen=True):
    """A row of net.load or net.asymmetric_load in service."""

    index: int
    name: str
    bus: int
    phases: str = "ABC"


class Tables(msgspec.Struct, frozen=True):
    """What of a net is read.  Buses, trafos, ``ext_grids`` (buses) and loads are in service."""

    buses: tuple[Bus, ...]
    lines: tuple[Line, ...]
    switches: tuple[Switch, ...]
    trafos: tuple[Trafo, ...]
    ext_grids: tuple[int, ...]
    loads: tuple[Load, ...]


@dataclass(slots=True)
class _Sheet:
    """The graph while it grows, and what is known of the net's buses."""

    buses: dict[int, Bus]
    source_of: dict[int, int]  # bus of a substation -> the bus that stands for it
    busbars: set[int]  # low-voltage sides of transformers
    nodes: list[Node] = field(default_factory=list)
    branches: list[Branch] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    node_of: dict[int, str] = field(default_factory=dict)  # bus -> node id

    def name(self, given: str, kind: str, index: int) -> str:
        """An id nobody else has: the given name, or kind and index."""
        plain = NOT_IN_AN_ID.sub("-", given).strip("-") or f"{kind}-{index}"
        name = plain if plain not in self.taken else f"{plain}-{kind}-{index}"
        while name in self.taken:
            name += "'"
        self.taken.add(name)
        return name

    def join(
        self,
        name: str,
        ends: Sequence[str],
        kind: str,
        *,
        is_open: bool = False,
        phases: str = "ABC",
    ) -> None:
        heard = kind == "breaker"
        self.branches.append(Branch(name, ends[0], ends[1], kind, is_open, phases, heard))


def graph_of(tables: Tables) -> tuple[Graph, tuple[Problem, ...]]:
    """The graph, and notices of what was left out."""
    sheet = _begin(tables)
    _add_buses(sheet)
    _add_lines(sheet, tables)
    _add_couplers(sheet, tables.switches)
    notices = _add_trafos(sheet, tables)
    notices += _add_loads(sheet, tables.loads)
    graph = Graph(tuple(sheet.nodes), tuple(sheet.branches), tuple(sheet.customers))
    graph, unfed = _without_dead_ends(graph)
    return msgspec.structs.replace(graph, comms=_concentrators(graph)), (*notices, *unfed)


def _begin(tables: Tables) -> _Sheet:
    """Find where the substations are, and what of the net lies below them."""
    buses = {bus.index: bus for bus in tables.buses}
    opened = {(s.et, s.element) for s in tables.switches if s.et[0] == "t" and not s.closed}
    sources = {
        t.lv_bus
        for t in tables.trafos
        if t.hv_bus in buses and t.lv_bus in buses and (t.et, t.index) not in opened
        if buses[t.hv_bus].vn_kv >= HIGH_KV > buses[t.lv_bus].vn_kv
    }
    if sources:
        buses = {index: bus for index, bus in buses.items() if bus.vn_kv < HIGH_KV}
    sources |= {bus for bus in tables.ext_grids if bus in buses}
    coupled = _coupled(tables.switches, buses)
    lv = {t.lv_bus for t in tables.trafos if t.lv_bus in buses and buses[t.lv_bus].vn_kv < LOW_KV}
    return _Sheet(buses, _reach(sources, coupled), set(_reach(lv, coupled)))


def _coupled(switches: Sequence[Switch], buses: dict[int, Bus]) -> dict[int, list[int]]:
    """Bus -> buses that a closed switch joins to it."""
    found: dict[int, list[int]] = {}
    for s in switches:
        if s.et == "b" and s.closed and s.bus in buses and s.element in buses:
            found.setdefault(s.bus, []).append(s.element)
            found.setdefault(s.element, []).append(s.bus)
    return found


def _reach(starts: Iterable[int], coupled: dict[int, list[int]]) -> dict[int, int]:
    """Each bus that is coupled to one of the starts -> the start with the lowest number."""
    reached: dict[int, int] = {}
    for start in sorted(starts):
        todo = [] if start in reached else [start]
        while todo:
            bus = todo.pop()
            reached[bus] = start
            todo += [b for b in coupled.get(bus, ()) if b not in reached]
    return reached


def _add_buses(sheet: _Sheet) -> None:
    for bus in sheet.buses.values():
        if sheet.source_of.get(bus.index, bus.index) == bus.index:
            kind = "substation" if bus.index in sheet.source_of else "bus"
            name = sheet.name(bus.name, "bus", bus.index)
            sheet.nodes.append(Node(name, kind, bus.x, bus.y, bus.zone))
            sheet.node_of[bus.index] = name
    for bus_index, source in sheet.source_of.items():
        sheet.node_of[bus_index] = sheet.node_of[source]


def _add_lines(sheet: _Sheet, tables: Tables) -> None:
    on_line: dict[int, list[Switch]] = {}
    for switch in tables.switches:
        if switch.et == "l":
            on_line.setdefault(switch.element, []).append(switch)
    for line in tables.lines:
        ends = [line.from_bus, line.to_bus]
        if not sheet.node_of.keys() >= set(ends):
            continue
        start, end = (sheet.node_of[bus] for bus in ends)
        if start == end:  # between busbars of one substation
            continue
        switches = on_line.get(line.index, [])
        is_open = not line.in_service or not all(s.closed for s in switches)
        kind = _kind_of_line(sheet, ends, switches, is_open=is_open)
        name = sheet.name(line.name, "line", line.index)
        sheet.join(name, (start, end), kind, is_open=is_open)


def _kind_of_line(
    sheet: _Sheet, ends: Sequence[int], switches: Sequence[Switch], *, is_open: bool
) -> str:
    """What can part the line, by voltage, its switches, and where it begins."""
    if sheet.buses[ends[0]].vn_kv < LOW_KV:
        if not sheet.busbars.isdisjoint(ends):
            return "fuse"
        return "switch" if is_open and switches else "line"
    if any(s.type == "CB" for s in switches):
        return "breaker"
    if switches:
        return "switch"
    return "breaker" if not sheet.source_of.keys().isdisjoint(ends) else "line"


def _add_couplers(sheet: _Sheet, switches: Sequence[Switch]) -> None:
    """Switches between two buses, but for those inside a substation."""
    for s in switches:
        if s.et != "b" or not sheet.node_of.keys() >= {s.bus, s.element}:
            continue
        start, end = sheet.node_of[s.bus], sheet.node_of[s.element]
        if start == end:
            continue
        if sheet.buses[s.bus].vn_kv < LOW_KV and s.closed:
            kind = "line"
        else:
            kind = "breaker" if s.type == "CB" else "switch"
        name = sheet.name(s.name, "switch", s.index)
        sheet.join(name, (start, end), kind, is_open=not s.closed)


def _add_trafos(sheet: _Sheet, tables: Tables) -> list[Problem]:
    """Transformers below the substations; those side by side are one."""
    opened = {(s.et, s.element, s.bus) for s in tables.switches if s.et[0] == "t" and not s.closed}
    sides: dict[tuple[str, str], str] = {}
    notices = []
    for t in tables.trafos:
        if not sheet.node_of.keys() >= {t.hv_bus, t.lv_bus}:
            continue
        start, end = sheet.node_of[t.hv_bus], sheet.node_of[t.lv_bus]
        is_open = [(t.et, t.index, bus) in opened for bus in (t.hv_bus, t.lv_bus)]
        if start == end:
            continue
        if not any(is_open) and (start, end) in sides:
            notices.append(
                notice(t.name or f"trafo {t.index}", "it runs beside another", "the two are one")
            )
            continue
        bus = sheet.buses[t.lv_bus]
        name = sheet.name(t.name, "trafo", t.index)
        if not any(is_open):
            sides[start, end] = name
        sheet.nodes.append(Node(name, "transformer", bus.x, bus.y, bus.zone))
        for side, ends, opening in (
            ("HV", (start, name), is_open[0]),
            ("LV", (name, end), is_open[1]),
        ):
            branch = sheet.name(f"{name}-{side}", "side", t.index)
            sheet.join(branch, ends, "switch" if opening else "line", is_open=opening)
    return notices


def _add_loads(sheet: _Sheet, loads: Sequence[Load]) -> list[Problem]:
    beyond = 0
    for load in loads:
        node = sheet.node_of.get(load.bus)
        if node is None:
            beyond += 1
            continue
        bus = sheet.buses[load.bus]
        name = sheet.name(load.name, "load", load.index)
        sheet.nodes.append(Node(name, "meter", bus.x, bus.y, bus.zone))
        service = sheet.name(f"{name}-service", "side", load.index)
        sheet.join(service, (node, name), "service", phases=load.phases)
        sheet.customers.append(Customer(f"C-{name}", name))
    if not beyond:
        return []
    found = f"loads at {HIGH_KV:.0f} kV and above or at dead buses, left out: {beyond}"
    return [notice("load", found, "they are nobody's distribution customers")]


def _without_dead_ends(graph: Graph) -> tuple[Graph, list[Problem]]:
    """The graph without buses that nothing feeds and no meter hangs on, such as spare busbars."""
    rows = ranked([node.id for node in graph.nodes])
    rank = {graph.nodes[row].id: v for v, row in enumerate(rows)}
    wires = unite(graph, rank)
    roots = [v for v, row in enumerate(rows) if graph.nodes[row].kind == "substation"]
    fed = walk(wires, roots, len(rows))
    lost = [v for v, root in enumerate(fed.root_of) if root < 0]
    dead: set[str] = set()
    for island in walk(wires, lost, len(rows)).orders:
        nodes = [graph.nodes[rows[v]] for v in island]
        if all(node.kind != "meter" for node in nodes):
            dead.update(node.id for node in nodes)
    if not dead:
        return graph, []
    kept = Graph(
        tuple(node for node in graph.nodes if node.id not in dead),
        tuple(b for b in graph.branches if b.from_id not in dead and b.to_id not in dead),
        graph.customers,
    )
    found = f"nodes without voltage and without meters, left out: {len(dead)}"
    return kept, [notice("bus", found, "right for spare busbars and lines out of service")]


def _concentrators(graph: Graph) -> dict[str, str]:
    """Meter -> the concentrator of the transformer above it."""
    rows = ranked([node.id for node in graph.nodes])
    rank = {graph.nodes[row].id: v for v, row in enumerate(rows)}
    wires = unite(graph, rank)
    roots = [v for v, row in enumerate(rows) if graph.nodes[row].kind == "substation"]
    walked = walk(wires, roots, len(rows))
    above: dict[int, str] = {}
    comms = {}
    for order in walked.orders:
        for v in order:
            node, wire = graph.nodes[rows[v]], walked.via[v]
            transformer = above.get(wires.other(wire, v), "") if wire >= 0 else ""
            above[v] = node.id if node.kind == "transformer" else transformer
            if node.kind == "meter" and transformer:
                comms[node.id] = f"DCU-{transformer}"
    return comms
