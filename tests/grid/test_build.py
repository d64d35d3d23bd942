"""The specification of the radial tree: from branches and nodes to devices in preorder."""

import numpy as np
import pytest

from grid.build import build, version_of
from grid.graph import Branch, BreakerAddress, Customer, Graph, Node, Problem, Severity
from grid.network import Network, NodeKind, Place
from grid.soundness import TOLD_MAX


def graph(nodes: str, branches: str, **further: object) -> Graph:
    """``"S1 substation, N1"`` and ``"B1 S1 N1 breaker, L1 N1 T1 line A"``; a trailing ! is open."""
    return Graph(
        tuple(_node(*text.split()) for text in nodes.split(",")),
        tuple(_branch(*text.split()) for text in branches.split(",")),
        **further,  # type: ignore[arg-type]
    )


def _node(name: str, kind: str = "bus", district: str = "") -> Node:
    return Node(name, kind, district=district)


def _branch(name: str, start: str, end: str, kind: str = "line", phases: str = "ABC") -> Branch:
    return Branch(name, start, end, kind.rstrip("!"), kind.endswith("!"), phases)


def network_of(source: Graph) -> Network:
    built = build(source)
    assert built.network, built.problems
    return built.network


def refusal(source: Graph) -> Problem:
    built = build(source)
    assert built.network is None
    (problem,) = built.problems
    assert problem.severity is Severity.ERROR
    assert problem.fix
    return problem


def parents(network: Network) -> dict[str, str]:
    return {
        name: group.ids[group.parent[v]] if v else ""
        for group in network.groups
        for v, name in enumerate(group.ids)
    }


STREET = "S1 substation, N1, N2, T1 transformer, M1 meter, M2 meter"


def test_lines_and_buses_vanish_and_devices_stay() -> None:
    network = network_of(
        graph(
            STREET,
            "B1 S1 N1 breaker, L1 N1 N2, F1 N2 T1 fuse, V1 T1 M1 service, V2 T1 M2 service",
        )
    )
    (group,) = network.groups
    assert group.ids == ("S1", "B1", "F1", "T1", "M1", "M2")
    assert group.parent.tolist() == [-1, 0, 1, 2, 3, 3]
    assert group.size.tolist() == [6, 5, 4, 3, 1, 1]
    assert group.depth.tolist() == [0, 1, 2, 3, 4, 4]
    assert group.feeder.tolist() == [-1, 1, 1, 1, 1, 1]
    assert [NodeKind(k).word for k in group.kind] == [
        *("substation", "breaker", "fuse", "transformer", "meter", "meter")
    ]
    assert network.places["M2"] == Place(0, 5)
    assert network.places["S1"] == Place(0, 0)
    assert "N1" not in network.places


def test_a_branch_leads_away_from_the_substation_whichever_way_it_is_written() -> None:
    there = graph("S1 substation, N1, M1 meter", "B1 S1 N1 breaker, V1 N1 M1 service")
    back = graph("S1 substation, N1, M1 meter", "B1 N1 S1 breaker, V1 M1 N1 service")
    assert parents(network_of(there)) == parents(network_of(back))


def test_a_normally_open_branch_feeds_nothing() -> None:
    network = network_of(
        graph(
            "S1 substation, N1, N2, M1 meter, M2 meter",
            "B1 S1 N1 breaker, B2 S1 N2 breaker, TIE N1 N2 switch!,"
            "V1 N1 M1 service, V2 N2 M2 service",
        )
    )
    assert parents(network) == {"S1": "", "B1": "S1", "B2": "S1", "M1": "B1", "M2": "B2"}


def test_parallel_branches_are_one_which_isolates_if_one_of_them_does() -> None:
    network = network_of(
        graph("S1 substation, N1, M1 meter", "L1 S1 N1 line A, SW1 N1 S1 switch B, V1 N1 M1")
    )
    assert parents(network) == {"S1": "", "SW1": "S1", "M1": "SW1"}
    group = network.groups[0]
    assert group.phases[1] == 0b011


def test_of_parallel_devices_the_first_id_stands_for_all_and_the_others_lead_there() -> None:
    network = network_of(
        graph(
            "S1 substation, N1, M1 meter",
            "F10 S1 N1 fuse C, F9 S1 N1 fuse B, F8 S1 N1 fuse A, V1 N1 M1 service",
        )
    )
    assert network.groups[0].ids == ("S1", "F8", "M1")
    assert network.places["F10"] == network.places["F9"] == network.places["F8"] == Place(0, 1)
    assert network.groups[0].phases[1] == 0b111


def test_an_open_branch_beside_a_closed_one_counts_for_nothing() -> None:
    network = network_of(
        graph("S1 substation, N1, M1 meter", "A S1 N1 switch!, B1 S1 N1 breaker A, V1 N1 M1")
    )
    assert network.groups[0].ids == ("S1", "B1", "M1")
    assert network.groups[0].phases[1] == 0b001


def test_a_device_is_telemetered_if_one_of_its_parallels_is() -> None:
    parallel = graph("S1 substation, N1, M1 meter", "B1 S1 N1 breaker, B2 S1 N1 breaker, V N1 M1")
    heard = Branch("B2", "S1", "N1", "breaker", telemetered=True)
    branches = (parallel.branches[0], heard, parallel.branches[2])
    network = network_of(Graph(parallel.nodes, branches))
    assert network.groups[0].telemetered.tolist() == [False, True, False]


def test_a_device_has_the_phases_that_reach_it() -> None:
    network = network_of(
        graph(
            "S1 substation, N1, N2, M1 meter, M2 meter",
            "F1 S1 N1 fuse AB, L1 N1 N2 line BC, V1 N2 M1 service ABCN, V2 N1 M2 service c",
        )
    )
    phases = dict(zip(network.groups[0].ids, network.groups[0].phases.tolist(), strict=True))
    assert phases == {"S1": 7, "F1": 0b011, "M1": 0b010, "M2": 0b100}  # M2: the nearer word counts


def test_meters_in_a_row_hang_on_each_other() -> None:
    network = network_of(
        graph("S1 substation, M1 meter, M2 meter", "V1 S1 M1 service, V2 M1 M2 service")
    )
    assert parents(network) == {"S1": "", "M1": "S1", "M2": "M1"}


def test_a_node_is_of_its_own_district_or_its_upstream_neighbours_or_the_substations() -> None:
    network = network_of(
        graph(
            "S1 substation, N1 bus East, N2, N3 bus West, T1 transformer, M1 meter, M2 meter North,"
            "M3 meter",
            "B1 S1 N1 breaker, L1 N1 N2, F1 N2 T1 fuse, V1 T1 M1, V2 T1 M2, F2 N2 N3 fuse,V3 S1 M3",
        )
    )
    districts = dict(zip(network.groups[0].ids, network.groups[0].district, strict=True))
    assert districts == {
        "S1": "S1",
        "B1": "East",
        "F1": "East",
        "T1": "East",
        "M1": "East",
        "M2": "North",
        "F2": "West",
        "M3": "S1",
    }


def test_a_substation_with_a_district_gives_it_to_all_it_feeds() -> None:
    network = network_of(graph("S1 substation Old, M1 meter", "V1 S1 M1 service"))
    assert network.groups[0].district == ("Old", "Old")


def test_each_substation_is_a_group_and_a_concentrator_may_serve_two() -> None:
    network = network_of(
        graph(
            "S10 substation, S9 substation, M1 meter, M2 meter, M3 meter",
            "V1 S9 M1 service, V2 S10 M2 service, V3 S10 M3 service",
            comms={"M1": "D1", "M3": "D1", "M2": "D2"},
        )
    )
    nine, ten = network.groups
    assert (nine.name, ten.name, nine.no, ten.no) == ("S9", "S10", 0, 1)
    assert (nine.dcus, nine.dcu.tolist()) == (("D1",), [-1, 0])
    assert (ten.dcus, ten.dcu.tolist()) == (("D2", "D1"), [-1, 0, 1])
    assert network.dcu_places == {"D1": {0: 0, 1: 1}, "D2": {1: 0}}


def test_customers_lie_in_the_order_of_their_meters_nodes() -> None:
    network = network_of(
        graph(
            STREET,
            "B1 S1 N1 breaker, L1 N1 N2, F1 N2 T1 fuse, V1 T1 M1 service, V2 T1 M2 service",
            customers=(Customer("Z", "M1"), Customer("B", "M2"), Customer("A", "M1")),
        )
    )
    (group,) = network.groups
    assert group.customer_ids == ("A", "Z", "B")
    assert group.customer_from.tolist() == [0, 0, 0, 0, 0, 2, 3]
    assert group.customers_below(3) == ("A", "Z", "B")
    assert network.customer_count == 3
    assert network.customer_meters == {"Z": "M1", "B": "M2", "A": "M1"}


def test_coordinates_are_those_of_the_node_a_device_leads_to() -> None:
    nodes = (Node("S1", "substation", 1.0, 2.0), Node("N1", "bus", 3.0), Node("M1", "meter"))
    branches = (Branch("B1", "S1", "N1", "breaker"), Branch("V1", "N1", "M1", "service"))
    (group,) = network_of(Graph(nodes, branches)).groups
    assert np.array_equal(group.x, [1.0, 3.0, np.nan], equal_nan=True)
    assert np.array_equal(group.y, [2.0, np.nan, np.nan], equal_nan=True)


def test_a_slug_is_safe_in_a_url_and_names_one_substation_alone() -> None:
    network = network_of(graph("S/1 substation, 城东 substation, S1 substation, M meter", "V S1 M"))
    slugs = {group.name: group.slug for group in network.groups}
    assert slugs["S1"] == "S1"
    assert len(set(slugs.values())) == 3
    assert all(slug.isascii() and "/" not in slug for slug in slugs.values())


def test_a_closed_loop_is_refused_with_the_ids_of_its_branches() -> None:
    problem = refusal(
        graph(
            "S1 substation, N1, N2, N3, M1 meter",
            "B1 S1 N1 breaker, L1 N1 N2, SW N2 N3 switch, L3 N1 N3, V N3 M1",
            where={"SW": "branches.csv:4", "L3": "branches.csv:5", "L1": "branches.csv:3"},
        )
    )
    assert problem.message.startswith("closed loop of 3 branches: ")
    assert set(problem.message.split(": ")[1].split(", ")) == {"L1", "SW", "L3"}
    assert problem.where == "branches.csv:4"
    assert problem.fix.endswith("for instance SW")


def test_of_a_loop_the_switch_farthest_from_the_substation_is_the_likely_open_point() -> None:
    problem = refusal(
        graph(
            "S1 substation, N1, N2, N3, N4, N5",
            "B1 S1 N1 breaker, SW1 N1 N2 switch, L N2 N3, TIE N3 N4 switch, SW2 N4 N5 switch,"
            "B2 N5 S1 breaker",
        )
    )
    assert problem.message.endswith(": B1, SW1, L, TIE, SW2, B2")
    assert problem.fix.endswith("for instance TIE")


def test_a_loop_without_a_switch_names_one_of_its_lines() -> None:
    problem = refusal(graph("S1 substation, N1, N2", "L1 S1 N1, L2 N1 N2, L3 N2 S1"))
    assert problem.fix[-2:] in {"L1", "L2", "L3"}


def test_substations_that_feed_each_other_are_refused_with_the_path() -> None:
    problem = refusal(
        graph("S1 substation, S2 substation, N1", "B1 S1 N1 breaker, L1 N1 S2", where={"S2": "f:3"})
    )
    assert problem.where == "f:3"
    assert problem.message == "substations S1 and S2 are joined by a closed path: L1, B1"
    assert problem.fix.endswith("for instance B1")


def test_an_island_is_refused_with_its_nodes_and_the_switch_that_would_feed_it() -> None:
    problem = refusal(
        graph(
            "S1 substation, N1, N2, M1 meter, M2 meter",
            "V1 S1 M1, TIE S1 N1 switch!, L1 N1 N2, V2 N2 M2, SP N1 N2 switch!",
            where={"M2": "nodes.csv:6"},
        )
    )
    assert problem.where == "nodes.csv:6"
    assert problem.message == (
        "island of 3 nodes with 1 meter without a closed path to a substation: M2, N2, N1"
    )
    assert problem.fix.startswith("close TIE (normally_open = 0), or add")


def test_each_island_is_told() -> None:
    built = build(graph("S1 substation, N1, N2, M1 meter", "V1 S1 M1"))
    assert [p.where for p in built.problems] == ["N1", "N2"]


@pytest.mark.parametrize("form", ["islands", "loops"])
def test_a_hundred_are_told_one_by_one_and_the_rest_is_counted(form: str) -> None:
    count = TOLD_MAX + 20
    names = [f"N{i}" for i in range(count)]
    nodes = "S1 substation," + ",".join(names)
    lines = [f"L{i} S1 {name}, K{i} S1 X{i}, J{i} X{i} {name}" for i, name in enumerate(names)]
    buses = ",".join(f"X{i}" for i in range(count))
    source = (
        graph(nodes, "L S1 N0") if form == "islands" else graph(f"{nodes},{buses}", ",".join(lines))
    )
    problems = build(source).problems
    assert len(problems) == TOLD_MAX + 1
    assert f"there are {count - (form == 'islands')} {form} in all" in problems[-1].message


def test_a_long_list_of_names_is_cut() -> None:
    nodes = "S1 substation," + ",".join(f"N{i}" for i in range(25))
    ring = ",".join(f"L{i} N{i} N{i + 1}" for i in range(24))
    problem = refusal(graph(nodes, f"{ring}, L S1 N0, K S1 N24"))
    assert problem.message.startswith("closed loop of 26 branches: ")
    assert problem.message.endswith(" and 14 more")


def test_a_network_without_a_substation_is_refused() -> None:
    assert refusal(graph("N1, M1 meter", "V1 N1 M1")).message == "there is no substation"


def test_a_graph_with_wrong_rows_is_refused_before_it_is_walked() -> None:
    problem = refusal(graph("S1 substation, M1 meter", "V1 S1 M1, V2 S1 M7"))
    assert problem.message == "V2 ends at M7, which is no node"


def test_what_is_odd_but_may_be_right_is_a_notice() -> None:
    built = build(
        graph(
            "S1 substation, T1 transformer, T2 transformer, M1 meter, M2 meter",
            "L1 S1 T1, L2 S1 T2, V1 T1 M1, V2 S1 M2",
            where={"M2": "nodes.csv:6"},
        )
    )
    assert built.network
    assert {p.severity for p in built.problems} == {Severity.NOTICE}
    assert [(p.where, p.message) for p in built.problems] == [
        ("nodes.csv:6", "meter M2 has no transformer above it"),
        ("T2", "transformer T2 has no meters below it"),
    ]


def test_only_breakers_that_feed_something_are_polled() -> None:
    tie = BreakerAddress("TIE", "127.0.0.1", 502, 1, "relay")
    head = BreakerAddress("B1", "127.0.0.1", 503, 1, "relay")
    built = build(
        graph(
            "S1 substation, N1, M1 meter, T1 transformer",
            "B1 S1 N1 breaker, L1 N1 T1, V1 T1 M1, TIE S1 N1 switch!",
            breakers=(tie, head),
        )
    )
    assert built.network
    assert built.network.breakers == (head,)
    assert [p.message for p in built.problems] == [
        "TIE has an address but feeds nothing, so it is not polled"
    ]


def test_a_version_is_a_digest_of_the_network_not_of_row_order_names_and_phones() -> None:
    customers = (Customer("C1", "M1", "Li", "1"), Customer("C2", "M1"))
    one = graph("S1 substation, M1 meter", "V1 S1 M1", customers=customers)
    same = Graph(one.nodes[::-1], one.branches, (Customer("C2", "M1"), Customer("C1", "M1")))
    moved = Graph(one.nodes, one.branches, (Customer("C1", "M1"),))
    assert version_of(one) == version_of(same) == network_of(one).version
    assert version_of(one) != version_of(moved)
    assert version_of(one) != version_of(graph("S1 substation, M1 meter", "V1 S1 M1 fuse"))


def test_rows_without_lines_of_their_own_are_named_by_what_they_are_about() -> None:
    built = build(
        graph(
            "S1 substation, T1 transformer",
            "L1 S1 T1",
            customers=(Customer("C1", "T1"),),
            comms={"T1": "D1"},
            breakers=(BreakerAddress("L1", "h", 1, 1, "f"),),
        )
    )
    assert built.network is None
    assert [p.where for p in built.problems] == ["customer C1", "comms of T1", "address of L1"]


def test_the_switch_that_would_feed_an_island_may_be_written_either_way() -> None:
    island = "V1 S1 M1, {} switch!, V2 N1 M2, K1 S1 M1 switch!"
    nodes = "S1 substation, N1, M1 meter, M2 meter"
    fixes = {refusal(graph(nodes, island.format(tie))).fix for tie in ("TIE S1 N1", "TIE N1 S1")}
    (fix,) = fixes
    assert fix.startswith("close TIE (normally_open = 0)")
