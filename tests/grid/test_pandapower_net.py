"""The specification of how a pandapower net becomes a distribution network.

The town: 110 kV down to two 10 kV busbars with an open coupler, a cable ring of them open in the
middle, two transformers with low-voltage lines.
"""

import msgspec
import pytest

from grid.build import build
from grid.graph import Branch, Graph
from grid.network import Network, NodeKind
from grid.pandapower_net import Bus, Line, Load, Switch, Tables, Trafo, graph_of

HV, BAR_A, BAR_A2, BAR_B, RING_1, RING_2, RING_3, LV_1, LV_2, STREET, SPARE = range(11)
KV = {HV: 110.0, LV_1: 0.4, LV_2: 0.4, STREET: 0.4}
NAMES = [
    *("HV", "bar A", "bar A2", "bar B"),
    *("ring 1", "ring 2", "ring 3", "LV 1", "LV 2", "street", "spare"),
]


def line(index: int, start: int, end: int, *, in_service: bool = True) -> Line:
    return Line(index, f"line {index}", start, end, in_service)


def on_line(bus: int, element: int, kind: str = "LBS", *, closed: bool = True) -> Switch:
    return Switch(100 + 10 * element + bus, "", bus, element, "l", kind, closed)


TOWN = Tables(
    buses=tuple(Bus(i, name, KV.get(i, 10.0), float(i), None, "") for i, name in enumerate(NAMES)),
    lines=(
        line(0, BAR_A2, RING_1),
        line(1, RING_1, RING_2),
        line(2, RING_2, RING_3),
        line(3, RING_3, BAR_B),
        line(4, LV_1, STREET),
        line(5, STREET, LV_2, in_service=False),
    ),
    switches=(
        Switch(0, "", BAR_A, BAR_A2, "b", "CB", True),
        Switch(1, "coupler", BAR_A2, BAR_B, "b", "CB", False),
        on_line(BAR_A2, 0, "CB"),
        on_line(RING_1, 0),
        on_line(RING_1, 1),
        on_line(RING_2, 1),
        on_line(RING_2, 2, closed=False),
        on_line(RING_3, 2),
        on_line(LV_1, 4, "LS"),
        on_line(STREET, 4, "LS"),
        Switch(2, "", RING_1, 2, "t", "CB", True),
        Switch(3, "", RING_3, SPARE, "b", "DS", False),
    ),
    trafos=(
        Trafo(0, "HT 1", HV, BAR_A, "t"),
        Trafo(1, "HT 2", HV, BAR_B, "t"),
        Trafo(2, "T/1", RING_1, LV_1, "t"),
        Trafo(3, "T/2", RING_3, LV_2, "t"),
    ),
    ext_grids=(HV,),
    loads=(
        Load(0, "home", STREET),
        Load(1, "home", LV_1, "B"),
        Load(2, "", RING_2),
        Load(3, "flat", LV_2),
        Load(4, "mill", HV),
    ),
)


def network_of(tables: Tables) -> Network:
    built = build(graph_of(tables)[0])
    assert built.network, built.problems
    return built.network


def drawn(network: Network) -> list[str]:
    """The tree as indented lines."""
    return [
        "  " * int(group.depth[v]) + f"{group.kind_word(v)} {name}"
        for group in network.groups
        for v, name in enumerate(group.ids)
    ]


def branch(graph: Graph, name: str) -> Branch:
    (found,) = [b for b in graph.branches if b.id == name]
    return found


def test_a_town_becomes_substations_feeders_sections_transformers_and_fuses() -> None:
    assert drawn(network_of(TOWN)) == [
        "substation bar-A",
        "  breaker line-0",
        "    transformer T-1",
        "      fuse line-4",
        "        meter home",
        "      meter home-load-1",
        "    switch line-1",
        "      meter load-2",
        "substation bar-B",
        "  breaker line-3",
        "    transformer T-2",
        "      meter flat",
    ]


def test_open_switches_and_lines_out_of_service_are_ties() -> None:
    graph, _ = graph_of(TOWN)
    ties = {b.id: (b.from_id, b.to_id, b.kind) for b in graph.branches if b.normally_open}
    assert ties == {
        "coupler": ("bar-A", "bar-B", "breaker"),
        "line-2": ("ring-2", "ring-3", "switch"),
        "line-5": ("street", "LV-2", "fuse"),
    }


def test_medium_voltage_breakers_are_telemetered_and_nothing_else() -> None:
    graph, _ = graph_of(TOWN)
    assert {b.id for b in graph.branches if b.telemetered} == {"line-0", "line-3", "coupler"}


def test_each_load_is_a_meter_with_a_customer_and_its_phases() -> None:
    graph, _ = graph_of(TOWN)
    assert {c.customer_id: c.meter_id for c in graph.customers} == {
        "C-home": "home",
        "C-home-load-1": "home-load-1",
        "C-load-2": "load-2",
        "C-flat": "flat",
    }
    assert branch(graph, "home-load-1-service").phases == "B"
    assert branch(graph, "home-service").phases == "ABC"


def test_each_transformer_has_a_concentrator_and_a_meter_without_one_has_none() -> None:
    graph, _ = graph_of(TOWN)
    assert graph.comms == {"home": "DCU-T-1", "home-load-1": "DCU-T-1", "flat": "DCU-T-2"}


def test_what_is_left_out_is_told() -> None:
    graph, notices = graph_of(TOWN)
    assert [n.message for n in notices] == [
        "loads at 60 kV and above or at dead buses, left out: 1",
        "nodes without voltage and without meters, left out: 1",
    ]
    assert {"spare", "HV", "mill"}.isdisjoint(node.id for node in graph.nodes)


def test_busbars_joined_by_a_closed_coupler_are_one_substation() -> None:
    closed = msgspec.structs.replace(TOWN.switches[1], closed=True)
    switches = (TOWN.switches[0], closed, *TOWN.switches[2:])
    network = network_of(msgspec.structs.replace(TOWN, switches=switches))
    assert [group.name for group in network.groups] == ["bar-A"]


def test_a_transformer_switched_off_feeds_nobody() -> None:
    opened = Switch(9, "", LV_2, 3, "t", "CB", False)
    graph, _ = graph_of(msgspec.structs.replace(TOWN, switches=(*TOWN.switches, opened)))
    assert branch(graph, "T-2-LV").normally_open
    (problem,) = [p for p in build(graph).problems if p.severity == "error"]
    assert problem.where == "flat"


def test_a_high_voltage_transformer_switched_off_makes_no_substation() -> None:
    opened = Switch(9, "", BAR_B, 1, "t", "CB", False)
    graph, _ = graph_of(msgspec.structs.replace(TOWN, switches=(*TOWN.switches, opened)))
    assert [n.id for n in graph.nodes if n.kind == "substation"] == ["bar-A"]


def test_transformers_side_by_side_are_one() -> None:
    twin = Trafo(4, "T/9", RING_1, LV_1, "t")
    graph, notices = graph_of(msgspec.structs.replace(TOWN, trafos=(*TOWN.trafos, twin)))
    assert "T-9" not in {node.id for node in graph.nodes}
    assert notices[0].where == "T/9"
    assert build(graph).network


def test_without_high_voltage_the_external_grid_is_the_substation() -> None:
    tables = Tables(
        buses=(Bus(0, "", 10.0, None, None, "East"), Bus(1, "", 0.4, None, None, "")),
        lines=(),
        switches=(),
        trafos=(Trafo(0, "", 0, 1, "t"),),
        ext_grids=(0,),
        loads=(Load(7, "", 1),),
    )
    network = network_of(tables)
    assert drawn(network) == ["substation bus-0", "  transformer trafo-0", "    meter load-7"]
    assert network.groups[0].district == ("East",) * 3


def test_a_feeder_without_switches_is_given_a_breaker_and_its_lines_stay_lines() -> None:
    buses = tuple(Bus(i, "", 12.66, None, None, "") for i in range(3))
    lines = (line(0, 0, 1), line(1, 1, 2), line(2, 2, 0, in_service=False))
    tables = Tables(buses, lines, (), (), (0,), (Load(0, "", 1), Load(1, "", 2)))
    assert drawn(network_of(tables)) == [
        "substation bus-0",
        "  breaker line-0",
        "    meter load-1",
        "    meter load-0",
    ]


@pytest.mark.parametrize(("kind", "device"), [("CB", "breaker"), ("DS", "switch")])
def test_a_switch_between_buses_away_from_a_substation_is_a_device(kind: str, device: str) -> None:
    coupler = Switch(5, "mid", 1, 2, "b", kind, True)
    buses = tuple(Bus(i, "", 10.0, None, None, "") for i in range(3))
    tables = Tables(buses, (line(0, 0, 1),), (coupler,), (), (0,), (Load(0, "", 2),))
    assert drawn(network_of(tables))[2] == f"    {device} mid"


def test_low_voltage_switches_part_nothing_unless_they_are_open() -> None:
    buses = tuple(Bus(i, "", 10.0 if i == 0 else 0.4, None, None, "") for i in range(4))
    switches = (
        on_line(2, 0, "CB"),
        Switch(5, "joint", 2, 3, "b", "LS", True),
        on_line(3, 1, "LS", closed=False),
    )
    tables = Tables(
        buses,
        (line(0, 1, 2), line(1, 2, 3)),
        switches,
        (Trafo(0, "T", 0, 1, "t"),),
        (0,),
        (Load(0, "home", 3),),
    )
    graph, _ = graph_of(tables)
    assert (branch(graph, "joint").kind, branch(graph, "line-1").kind) == ("line", "switch")
    assert branch(graph, "line-1").normally_open
    assert NodeKind.SWITCH not in network_of(tables).groups[0].kind.tolist()


def test_ids_are_unique_and_fit_a_topic() -> None:
    buses = tuple(Bus(i, "a / b#", 10.0, None, None, "") for i in range(3))
    tables = Tables(
        buses,
        (line(0, 0, 1), line(0, 1, 2)),
        (),
        (),
        (0,),
        (Load(0, "a-b", 1), Load(1, "a-b-bus-1", 2)),
    )
    graph, _ = graph_of(tables)
    names = [row.id for row in (*graph.nodes, *graph.branches)]
    assert len(set(names)) == len(names)
    assert set("/+# ").isdisjoint("".join(names))


def test_lines_and_transformers_that_join_nothing_to_nothing_are_left_out() -> None:
    dead_end = (Line(8, "", RING_1, 99, True), Line(9, "", BAR_A, BAR_A2, True))
    stray = (Trafo(8, "", RING_1, 99, "t"), Trafo(9, "", BAR_A, BAR_A2, "t"))
    more = msgspec.structs.replace(
        TOWN, lines=(*TOWN.lines, *dead_end), trafos=(*TOWN.trafos, *stray)
    )
    assert drawn(network_of(more)) == drawn(network_of(TOWN))


def test_busbars_that_are_coupled_in_a_ring_are_one() -> None:
    ring = tuple(
        Switch(i, "", *ends, "b", "DS", True)
        for i, ends in enumerate([(0, 1), (1, 2), (2, 3), (3, 0), (1, 3)])
    )
    buses = tuple(Bus(i, "", 10.0, None, None, "") for i in range(5))
    tables = Tables(buses, (line(0, 2, 4),), ring, (), (0, 2), (Load(0, "", 4),))
    assert drawn(network_of(tables)) == ["substation bus-0", "  breaker line-0", "    meter load-0"]


def test_a_name_that_is_taken_twice_over_is_still_unique() -> None:
    buses = tuple(Bus(i, name, 10.0, None, None, "") for i, name in enumerate(["a-load-0", "a"]))
    tables = Tables(buses, (line(0, 0, 1),), (), (), (0,), (Load(0, "a", 1),))
    assert drawn(network_of(tables))[-1] == "    meter a-load-0'"
