"""The specification of drawn networks."""

import pytest

from grid.drawing import draw, draw_graph
from grid.errors import ConfigError
from grid.network import NodeKind, Place

STREET = """
source S1
  breaker B1 telemetered
    transformer T1 district=East
      meter M1 [dcu=D1] [customers=2] [phases=A]
      meter M2..M4 dcu=D1
    recloser R1
      fuse F1
        transformer T2
          meter M5 priority=key
"""


def test_a_drawing_is_a_tree_in_preorder() -> None:
    (group,) = draw(STREET).groups
    assert group.ids == ("S1", "B1", "T1", "M1", "M2", "M3", "M4", "R1", "F1", "T2", "M5")
    assert group.parent.tolist() == [-1, 0, 1, 2, 2, 2, 2, 1, 7, 8, 9]
    assert group.size.tolist() == [11, 10, 5, 1, 1, 1, 1, 4, 3, 2, 1]
    assert group.kind[7] == NodeKind.RECLOSER
    assert group.telemetered.tolist() == [False, True] + [False] * 9


def test_a_meter_has_one_customer_unless_it_says_more() -> None:
    network = draw(STREET)
    group = network.groups[0]
    assert group.customers_below(2) == ("C-M1", "C-M1-2", "C-M2", "C-M3", "C-M4")
    assert network.customer_meters["C-M1-2"] == "M1"
    assert draw_graph(STREET).customers[-1].priority == "key"


def test_phases_districts_and_concentrators_are_words_behind_the_name() -> None:
    network = draw(STREET)
    group = network.groups[0]
    assert group.phases[network.places["M1"].node] == 1
    assert group.district[network.places["M3"].node] == "East"
    assert group.district[network.places["M5"].node] == "S1"
    assert network.dcu_places == {"D1": {0: 0}}


def test_two_sources_are_two_groups() -> None:
    network = draw("source S1\n  meter M1\nsource S2\n  meter M2\n")
    assert [group.name for group in network.groups] == ["S1", "S2"]
    assert network.places["M2"] == Place(1, 1)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("source S1\n   meter M1", "line 2: cannot read 'meter M1'"),
        ("source S1\n    meter M1", "line 2: 'meter M1' hangs on nothing"),
        ("meter M1", "line 1: 'meter M1' hangs on nothing"),
        ("source S1\n  meter M1 color=red", "line 2: unknown word"),
        ("source S1\n  meter S1", "the id S1 is taken"),
    ],
)
def test_what_is_no_drawing_is_refused_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        draw(text)
