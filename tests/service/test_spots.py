"""The specification of where a device stands, as a crew's page asks it."""

from typing import Any

import pytest

from dispatch.mapdesk import Spot
from grid.build import build
from grid.graph import Branch, Customer, Graph, Node
from service.maps import Maps


def maps(*places: tuple[float | None, float | None]) -> Maps:
    """A breaker between a substation and a transformer that stand there."""
    (x1, y1), (x2, y2) = places
    graph = Graph(
        (Node("S1", "substation", x=x1, y=y1), Node("T1", "transformer", x=x2, y=y2),
         Node("M1", "meter")),
        (Branch("B1", "S1", "T1", "breaker"), Branch("L1", "T1", "M1", "service")),
        (Customer("C-1", "M1"),),
    )  # fmt: skip
    network = build(graph).network
    assert network is not None
    nobody: Any = None  # the store, the engines and health have no part in it
    return Maps(nobody, (graph, network), nobody, nobody, lambda: 0)


def test_a_transformer_stands_where_the_network_says() -> None:
    assert maps((120.1, 30.2), (120.125, 30.25)).spot("T1") == Spot("T1", 30.25, 120.125)


@pytest.mark.parametrize(
    ("places", "device_id"),
    [
        (((120.1, 30.2), (None, None)), "M1"),  # nobody drew it
        (((500_100.0, 30.2), (500_125.0, 30.25)), "T1"),  # metres of some grid, no degrees
        (((120.1, 30.2), (120.125, 30.25)), "T9"),  # there is none
        (((None, None), (None, None)), "T1"),
    ],
)
def test_of_a_device_that_nobody_placed_nothing_is_said(
    places: tuple[Any, Any], device_id: str
) -> None:
    assert maps(*places).spot(device_id) == Spot(device_id, None, None)
