"""The specification of the drawing: places as whole numbers, lines that know who feeds them."""

from grid.build import build
from grid.geography import LOW, SERVICE, TIE, TRUNK, Geography, geography, of_district
from grid.graph import Branch, Customer, Graph, Node

#   S1 --B1-- N1 --L1-- T1 --F1-- V1 --s1-- M1 (key)
#             |
#            SW1
#             |
#             N2 --L2-- T2 --s2-- M2        N2 - - TIE - - N1
GRAPH = Graph(
    (
        Node("S1", "substation", 111.0, 18.0, "north"), Node("N1", "bus", 111.001, 18.0),
        Node("T1", "transformer", 111.002, 18.0), Node("V1", "bus", 111.003, 18.0),
        Node("M1", "meter", 111.004, 18.0), Node("N2", "bus", 111.001, 18.001, "south"),
        Node("T2", "transformer", 111.002, 18.001), Node("M2", "meter"),
    ),
    (
        Branch("B1", "S1", "N1", "breaker", telemetered=True), Branch("L1", "N1", "T1", "line"),
        Branch("F1", "T1", "V1", "fuse"), Branch("s1", "V1", "M1", "service", phases="A"),
        Branch("SW1", "N1", "N2", "switch"), Branch("L2", "N2", "T2", "line"),
        Branch("s2", "T2", "M2", "service"),
        Branch("TIE", "N2", "N1", "switch", normally_open=True),
    ),
    (Customer("C1", "M1", priority="key"), Customer("C2", "M2")),
)  # fmt: skip


def drawn(graph: Graph = GRAPH) -> Geography:
    return geography(graph, build(graph).network)


def test_every_device_has_its_place_and_whoever_has_none_says_so() -> None:
    found = drawn()
    at = {name: (found.x[i], found.y[i]) for i, name in enumerate(found.ids)}
    assert at["S1"] == (0, 0)
    assert at["T2"] == (2000, 1000)
    assert at["M2"] == (-1, -1)
    assert found.placed == len(found.ids) - 1
    assert found.geographic


def test_a_line_is_of_the_device_that_feeds_what_it_leads_to() -> None:
    found = drawn()
    lines = found.lines
    rows = {(found.ids[lines.node[i]], lines.level[i]) for i in range(len(lines.level))}
    assert rows == {
        ("B1", TRUNK), ("T1", TRUNK), ("F1", LOW), ("M1", SERVICE), ("SW1", TRUNK), ("T2", TRUNK),
        ("SW1", TIE),
    }  # fmt: skip


def test_priorities_and_customers_are_at_the_meters() -> None:
    found = drawn()
    m1, m2 = found.ids.index("M1"), found.ids.index("M2")
    assert (found.priority[m1], found.priority[m2]) == (2, 0)
    assert (found.customers[m1], sum(found.customers)) == (1, 2)


def test_a_districts_part_keeps_what_feeds_it_and_counts_its_own() -> None:
    part, nodes = of_district(drawn(), "south")
    assert part.ids == ["S1", "B1", "SW1", "T2", "M2"]
    assert [drawn().ids[n] for n in nodes] == part.ids
    assert part.parent == [-1, 0, 1, 2, 3]
    assert part.size == [5, 4, 3, 2, 1]
    assert sum(part.customers) == 1
    assert {part.ids[n] for n in part.lines.node} <= set(part.ids)


def test_a_network_without_places_has_none_to_draw() -> None:
    bare = Graph(
        tuple(Node(n.id, n.kind, district=n.district) for n in GRAPH.nodes),
        GRAPH.branches, GRAPH.customers,
    )  # fmt: skip
    found = drawn(bare)
    assert (found.placed, found.geographic) == (0, False)
    assert found.lines.level == []


def test_places_in_metres_are_no_degrees() -> None:
    metres = Graph(
        tuple(
            Node(n.id, n.kind, i * 500.0, 0.0, n.district) for i, n in enumerate(GRAPH.nodes)
        ),
        GRAPH.branches, GRAPH.customers,
    )  # fmt: skip
    found = drawn(metres)
    assert not found.geographic
    assert max(found.x) == 100_000
