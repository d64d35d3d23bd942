"""The specification of what holds for every radial network, however its rows are written."""

import csv
import dataclasses
import io
from collections import defaultdict
from random import Random

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.build import build
from grid.csvfolder import parse, write
from grid.graph import ISOLATING, Branch, BreakerAddress, Customer, Graph, Node
from grid.network import Group, Network, NodeKind

PARTS = ("line", "line", "switch", "fuse", "recloser", "breaker")
KINDS = ("bus", "bus", "transformer", "meter", "meter")

words = st.text(
    st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from('",;\n\r'), min_size=1
).map(str.strip)
names = words.filter(bool)


@st.composite
def radial(draw: st.DrawFn) -> Graph:
    """A forest of up to 40 nodes, with open ties, parallel branches, customers, concentrators."""
    dice = Random(draw(st.integers(0, 2**32)))
    substations = draw(st.integers(1, 3))
    nodes = [Node(f"S{i}", "substation") for i in range(substations)]
    branches: list[Branch] = []
    for i in range(draw(st.integers(0, 40))):
        node = Node(
            f"N{i}",
            dice.choice(KINDS),
            dice.choice((None, dice.random())),
            district=dice.choice(("", "", "East")),
        )
        ends = [dice.choice(nodes).id, node.id]
        nodes.append(node)
        for twin in range(dice.choice((1, 1, 1, 1, 2, 3))):
            dice.shuffle(ends)
            branches.append(
                Branch(
                    f"B{i}" if twin == 0 else f"B{i}-{twin}",
                    *ends,
                    dice.choice(PARTS),
                    phases=dice.choice(("ABC", "A", "BC")),
                    telemetered=dice.random() < 0.2,
                )
            )
        if dice.random() < 0.2:
            other = dice.choice(nodes[:-1]).id
            branches.append(Branch(f"TIE{i}", node.id, other, "switch", normally_open=True))
    meters = [node.id for node in nodes if node.kind == "meter"]
    customers = [Customer(f"C{i}", dice.choice(meters)) for i in range(20) if meters]
    comms = {m: f"D{dice.randrange(4)}" for m in meters if dice.random() < 0.8}
    return Graph(tuple(nodes), tuple(branches), tuple(customers), comms)


def network_of(graph: Graph) -> Network:
    built = build(graph)
    assert built.network, built.problems
    return built.network


def same(one: Group, other: Group) -> bool:
    return all(
        np.array_equal(a, b, equal_nan=a.dtype.kind == "f") if isinstance(a, np.ndarray) else a == b
        for field in dataclasses.fields(Group)
        for a, b in [(getattr(one, field.name), getattr(other, field.name))]
    )


def assert_same(one: Network, other: Network) -> None:
    assert one.version == other.version
    assert all(same(a, b) for a, b in zip(one.groups, other.groups, strict=True))
    assert one.places == other.places
    assert one.dcu_places == other.dcu_places
    assert one.customer_meters == other.customer_meters
    assert one.breakers == other.breakers


def devices_of(network: Network) -> dict[str, tuple[str, str]]:
    return {
        group.ids[v]: (group.kind_word(v), group.ids[group.parent[v]] if group.parent[v] else "")
        for group in network.groups
        for v in range(1, len(group.ids))
    }


def read_as_others_do(files: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Device -> kind and parent, by a plain breadth-first walk over the public columns."""
    rows = {name: list(csv.DictReader(io.StringIO(text))) for name, text in files.items()}
    kind = {row["id"]: row["kind"] for row in rows["nodes.csv"]}
    near = defaultdict(list)
    for row in rows["branches.csv"]:
        if row["normally_open"] == "0":
            near[row["from"]].append((row["to"], row))
            near[row["to"]].append((row["from"], row))
    todo = [(name, "") for name in kind if kind[name] == "substation"]
    seen = {name for name, _ in todo}
    found = {}
    for at, device in todo:
        for to, row in near[at]:
            if to in seen:
                continue
            seen.add(to)
            below = device
            if row["kind"] in ISOLATING:
                found[row["id"]] = (row["kind"], below)
                below = row["id"]
            if kind[to] != "bus":
                found[to] = (kind[to], below)
                below = to
            todo.append((to, below))
    return found


@given(radial(), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_the_way_a_branch_is_written_change_nothing(
    graph: Graph, dice: Random
) -> None:
    nodes, branches, customers = list(graph.nodes), list(graph.branches), list(graph.customers)
    for rows in (nodes, branches, customers):
        dice.shuffle(rows)
    shuffled = Graph(tuple(nodes), tuple(branches), tuple(customers), dict(graph.comms))
    assert_same(network_of(graph), network_of(shuffled))
    turned = tuple(
        msgspec.structs.replace(b, from_id=b.to_id, to_id=b.from_id) for b in graph.branches
    )
    assert devices_of(network_of(graph)) == devices_of(
        network_of(msgspec.structs.replace(graph, branches=turned))
    )


@given(radial())
def test_a_tree_is_numbered_in_preorder_with_consistent_columns(graph: Graph) -> None:
    for group in network_of(graph).groups:
        count = len(group.ids)
        nodes = np.arange(1, count)
        assert (group.parent[1:] < nodes).all()
        assert group.size[0] == count
        for v in range(count):
            inside = {v}
            inside.update(w for w in range(v + 1, count) if group.parent[w] in inside)
            assert inside == set(range(v, v + int(group.size[v])))
        assert (group.depth[1:] == group.depth[group.parent[1:]] + 1).all()
        heads = group.feeder[1:]
        assert (group.parent[heads] == 0).all()
        assert ((heads <= nodes) & (nodes < heads + group.size[heads])).all()
        meters = set(np.flatnonzero(group.kind == NodeKind.METER).tolist())
        assert set(np.flatnonzero(np.diff(group.customer_from)).tolist()) <= meters
        assert set(np.flatnonzero(group.dcu >= 0).tolist()) <= meters


@given(radial())
def test_an_exported_network_is_read_back_identically_and_others_read_the_same(
    graph: Graph,
) -> None:
    network = network_of(graph)
    files = write(graph, contacts=False)
    again, problems = parse(files)
    assert problems == ()
    assert_same(network, network_of(again))
    assert read_as_others_do(files) == devices_of(network)


@given(radial(), st.data())
def test_each_branch_more_between_nodes_that_are_not_joined_yet_is_a_loop_or_a_joint(
    graph: Graph, data: st.DataObject
) -> None:
    joined = {frozenset((b.from_id, b.to_id)) for b in graph.branches if not b.normally_open}
    ends = data.draw(st.permutations([node.id for node in graph.nodes]))[:2]
    if len(ends) < 2 or frozenset(ends) in joined:
        return
    more = (*graph.branches, Branch("EXTRA", *ends, "line"))
    built = build(msgspec.structs.replace(graph, branches=more))
    assert built.network is None
    (problem,) = [p for p in built.problems if p.severity == "error"]
    assert "EXTRA" in problem.message
    assert "loop" in problem.message or "joined" in problem.message


@settings(max_examples=200)
@given(
    st.lists(names, min_size=1, max_size=5, unique=True),
    st.lists(st.tuples(names, words, words, words), max_size=4, unique_by=lambda c: c[0]),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_any_text_and_number_comes_back_as_it_was(
    meters: list[str], people: list[tuple[str, str, str, str]], x: float
) -> None:
    graph = Graph(
        nodes=(Node("<S>", "substation"), *(Node(m, "meter", x, -x, m) for m in meters)),
        branches=tuple(Branch(f"<{m}>", "<S>", m, "fuse", phases="cab") for m in meters),
        customers=tuple(
            Customer(name, meters[0], person, phone, language or "zh", "vulnerable")
            for name, person, phone, language in people
        ),
        comms={meters[-1]: "D"},
        breakers=(BreakerAddress(f"<{meters[0]}>", "::1", 1, 255, "f"),),
    )
    again, _ = parse(write(graph, contacts=True))
    assert msgspec.structs.replace(again, where={}) == graph
