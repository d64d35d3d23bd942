"""The specification of benchmarks that reach into the engine: they keep up with it."""

import importlib

import pytest


@pytest.mark.parametrize("name", ["engine", "per_event", "scaling", "solving"])
def test_a_benchmark_of_the_engine_can_be_imported(name: str) -> None:
    assert importlib.import_module(f"bench.{name}").__doc__


def test_a_bare_solve_is_of_every_node() -> None:
    from bench.solving import NODES, rates
    from grid.build import build
    from simulators.city import city

    network = build(city(200, 11)).network
    assert network is not None
    ours, bare, count = rates(network.groups[0], nodes=400)
    assert NODES > count >= 400
    assert ours() > 0
    assert bare() > 0
