"""The specification of records that are wrong, and of customers who call."""

from collections.abc import Callable

from grid.build import build
from grid.drawing import draw_graph
from simulators.callers import calls
from simulators.chance import Chance
from simulators.miswired import miswired
from simulators.world import World

GRAPH = draw_graph("""
source S1
  breaker B1
    transformer T1
      meter M1..M40
    transformer T2
      meter M41..M80
""")


def transformer_of(graph: object) -> dict[str, str]:
    (group,) = build(graph).network.groups
    return {group.ids[n]: group.ids[int(group.parent[n])] for n in range(len(group.ids))
            if group.ids[n].startswith("M")}  # fmt: skip


def test_meters_change_places_and_every_transformer_keeps_its_count() -> None:
    was, now = transformer_of(GRAPH), transformer_of(miswired(GRAPH, 0.5, Chance(1)))
    moved = [meter for meter in was if was[meter] != now[meter]]
    assert 4 <= len(moved) <= 40
    assert sorted(was.values()) == sorted(now.values())


def test_no_share_moves_nobody() -> None:
    assert miswired(GRAPH, 0.0, Chance(1)) == GRAPH


def test_only_customers_in_the_dark_call_each_once(make_world: Callable[..., World]) -> None:
    world = make_world("[[event]]\nkind = 'fault'\nat_s = 100\ndevice = 'T5'")
    made = list(calls(world, 1.0, Chance(1)))
    assert made
    assert {call.id for call in made} <= {f"M{n}" for n in range(81, 91)}
    assert len({call.id for call in made}) == len(made)
    assert [c.received_ms for c in made] == sorted(c.received_ms for c in made)
    assert min(c.received_ms for c in made) >= world.start_ms + 160_000


def test_where_nobody_calls_nobody_does(make_world: Callable[..., World]) -> None:
    world = make_world("[[event]]\nkind = 'fault'\nat_s = 100\ndevice = 'T5'")
    assert list(calls(world, 0.0, Chance(1))) == []
