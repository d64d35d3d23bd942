"""The specification of switching: another version of the network, with the same devices."""

import pytest

from grid.build import build
from grid.errors import ConfigError
from grid.graph import Branch, Graph, Node
from grid.network import Network
from grid.switching import Switching, switched

#   S1 -B1- N1 -T1(M1)      S1 -B2- N3 -T3(M3)
#           SW1
#           N2 -T2(M2)      N2 -TIE1- N3, normally open
GRAPH = Graph(
    nodes=(
        Node("S1", "substation"), Node("N1", "bus"), Node("N2", "bus"), Node("N3", "bus"),
        *(Node(f"T{n}", "transformer") for n in (1, 2, 3)),
        *(Node(f"M{n}", "meter") for n in (1, 2, 3)),
    ),
    branches=(
        Branch("B1", "S1", "N1", "breaker"), Branch("B2", "S1", "N3", "breaker"),
        Branch("SW1", "N1", "N2", "switch"), Branch("TIE1", "N2", "N3", "switch", True),
        *(Branch(f"L{n}", f"N{n}", f"T{n}", "line") for n in (1, 2, 3)),
        *(Branch(f"V{n}", f"T{n}", f"M{n}", "service") for n in (1, 2, 3)),
    ),
)  # fmt: skip


def fed(network: Network | None) -> dict[str, str]:
    """Which feeder feeds each transformer."""
    assert network is not None
    (group,) = network.groups
    return {
        name: group.ids[group.feeder[node]]
        for node, name in enumerate(group.ids)
        if name.startswith("T") and not name.startswith("TIE")
    }


def test_a_section_is_back_fed_over_its_tie() -> None:
    assert fed(build(GRAPH).network) == {"T1": "B1", "T2": "B1", "T3": "B2"}
    after = switched(GRAPH, Switching(closed=("TIE1",), opened=("SW1",)))
    assert fed(build(after).network) == {"T1": "B1", "T2": "B2", "T3": "B2"}
    back = switched(after, Switching(closed=("SW1",), opened=("TIE1",)))
    assert build(back).network.version == build(GRAPH).network.version


def test_a_cut_line_and_a_jumper_around_it() -> None:
    after = switched(GRAPH, Switching(cut=("L1",), jumpers=(("T1", "N3"),)))
    assert fed(build(after).network) == {"T1": "B2", "T2": "B1", "T3": "B2"}
    mended = switched(after, Switching(closed=("L1",), removed=("jumper N3 T1",)))
    assert build(mended).network.version == build(GRAPH).network.version


def test_a_tie_alone_makes_a_loop_and_is_refused_with_its_reason() -> None:
    built = build(switched(GRAPH, Switching(closed=("TIE1",))))
    assert built.network is None
    assert any("loop" in problem.message for problem in built.problems)


@pytest.mark.parametrize(
    ("switching", "sentence"),
    [
        (Switching(closed=("TIE9",)), "the network has no branch 'TIE9'"),
        (Switching(closed=("SW1",)), "SW1 is closed already"),
        (Switching(opened=("TIE1",)), "TIE1 is open already"),
        (Switching(opened=("L1",)), "L1 is a line: it can be cut, not opened"),
        (Switching(jumpers=(("T1", "N9"),)), "the network has no node 'N9'"),
        (Switching(removed=("L1",)), "there is no jumper 'L1'"),
    ],
)
def test_what_cannot_be_switched_is_said(switching: Switching, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        switched(GRAPH, switching)


def test_what_was_switched_has_words_for_the_list_of_versions() -> None:
    switching = Switching(closed=("TIE1",), opened=("SW1",), jumpers=(("b", "a"),))
    assert switching.words == "switched: closed TIE1, opened SW1, laid jumper a b"
