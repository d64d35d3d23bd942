"""The specification of the invented city."""

from collections import Counter
from itertools import pairwise

import pytest

from grid.build import Built, build
from grid.csvfolder import parse, write
from grid.errors import ConfigError
from grid.graph import Graph
from grid.network import Network, NodeKind
from simulators.city import DISTRICTS, city


@pytest.fixture(scope="module")
def graph() -> Graph:
    return city(20_000, 7)


@pytest.fixture(scope="module")
def built(graph: Graph) -> Built:
    return build(graph)


@pytest.fixture(scope="module")
def network(built: Built) -> Network:
    assert built.network, built.problems
    return built.network


def count(network: Network, kind: NodeKind) -> int:
    return sum(int((group.kind == kind).sum()) for group in network.groups)


def test_a_city_of_twenty_thousand_has_two_substations_and_twenty_feeders(
    network: Network,
) -> None:
    assert [group.name for group in network.groups] == ["S1", "S2"]
    assert count(network, NodeKind.BREAKER) == 20
    assert count(network, NodeKind.TRANSFORMER) == 400
    assert count(network, NodeKind.METER) == network.customer_count == 20_000


def test_nothing_is_odd_about_it(built: Built, graph: Graph) -> None:
    assert built.problems == ()
    assert parse(write(graph, contacts=True))[1] == ()


def test_every_feeder_begins_with_a_telemetered_breaker(network: Network) -> None:
    for group in network.groups:
        heads = [v for v in range(1, len(group.ids)) if group.parent[v] == 0]
        assert {group.kind[v] for v in heads} == {NodeKind.BREAKER}
        assert group.telemetered.sum() == len(heads)
        assert all(400 < len(group.customers_below(v)) < 2_000 for v in heads)


def test_trunks_have_switches_and_reclosers_laterals_and_streets_have_fuses(
    network: Network,
) -> None:
    assert count(network, NodeKind.SWITCH) >= 20
    assert count(network, NodeKind.RECLOSER) >= 10
    above, below = 0, 0
    for group in network.groups:
        for v, kind in enumerate(group.kind):
            if kind == NodeKind.FUSE:
                under = group.kind[group.parent[v]] == NodeKind.TRANSFORMER
                below += under
                above += not under
            if kind == NodeKind.METER:
                assert group.kind[group.parent[v]] == NodeKind.FUSE
    assert above >= 20
    assert below >= 800


def test_neighbouring_feeders_are_tied_by_open_switches(graph: Graph) -> None:
    ties = [b for b in graph.branches if b.normally_open]
    assert len(ties) == 19
    assert {b.kind for b in ties} == {"switch"}


def test_most_concentrators_serve_one_transformer_and_a_few_serve_two(
    graph: Graph, network: Network
) -> None:
    served: dict[str, set[str]] = {}
    for group in network.groups:
        for v in range(len(group.ids)):
            if group.dcu[v] >= 0:
                transformer = group.ids[group.parent[group.parent[v]]]
                served.setdefault(group.dcus[group.dcu[v]], set()).add(transformer)
    sizes = Counter(len(transformers) for transformers in served.values())
    assert sizes.keys() == {1, 2}
    assert 5 <= sizes[2] <= 40
    assert len(graph.comms) == 20_000


def test_people_live_in_six_districts_and_some_need_care(graph: Graph, network: Network) -> None:
    assert {d for group in network.groups for d in group.district} == set(DISTRICTS)
    priorities = Counter(c.priority for c in graph.customers)
    assert priorities["key"] > 50
    assert priorities["vulnerable"] > 150
    languages = Counter(c.language for c in graph.customers)
    assert languages["en"] > 500
    assert languages["zh"] > 10 * languages["en"]


def test_phone_numbers_are_unique_and_cannot_exist(graph: Graph) -> None:
    phones = {c.phone for c in graph.customers}
    assert len(phones) == len(graph.customers)
    assert all(phone.startswith("+86100") and len(phone) == 14 for phone in phones)


def test_a_few_meters_have_one_phase(network: Network) -> None:
    phases = Counter(
        int(p)
        for group in network.groups
        for p, kind in zip(group.phases, group.kind, strict=True)
        if kind == NodeKind.METER
    )
    assert phases.keys() == {1, 2, 4, 7}
    assert phases[7] > 10 * phases[1] > 0


def test_everything_has_a_place_on_the_map(graph: Graph) -> None:
    assert all(n.x is not None and n.y is not None for n in graph.nodes)
    assert all(abs((n.x or 0) - 111.5) < 0.2 and abs((n.y or 0) - 18.5) < 0.2 for n in graph.nodes)


def test_the_same_seed_gives_the_same_city_and_another_seed_another() -> None:
    assert city(400, 1) == city(400, 1)
    assert city(400, 1) != city(400, 2)


@pytest.mark.parametrize("meters", [50, 51, 99, 1_000, 1_234, 12_345])
def test_it_has_exactly_the_meters_asked_for(meters: int) -> None:
    built = build(city(meters, 3))
    assert built.network
    assert built.problems == ()
    assert count(built.network, NodeKind.METER) == meters
    assert len(built.network.groups) == -(-meters // 10_000)


@pytest.mark.parametrize("meters", [0, 49, 1_000_001])
def test_other_sizes_are_refused(meters: int) -> None:
    with pytest.raises(ConfigError, match=f"not {meters}; write for instance city:20000:7"):
        city(meters, 1)


def test_each_section_of_a_trunk_feeds_somebody(network: Network) -> None:
    for group in network.groups:
        for v in range(1, len(group.ids)):
            assert group.customers_below(v)
        trunk = [v for v, k in enumerate(group.kind) if k in (NodeKind.SWITCH, NodeKind.RECLOSER)]
        for upper, lower in pairwise(trunk):
            if group.parent[lower] == upper:
                assert group.customers_below(lower) != group.customers_below(upper)
