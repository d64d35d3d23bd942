"""The specification of the simulated phones: whose texts are whose, and which are a household's."""

import json
from pathlib import Path

from grid.drawing import draw_graph
from grid.graph import Graph
from service.phones import Phones, households_of

NUMBERS = ("8610000000001", "8610000000002")


def written(path: Path, *lines: dict[str, object]) -> None:
    with path.open("a") as file:
        file.writelines(f"{json.dumps(line)}\n" for line in lines)


def a_street() -> Graph:
    import msgspec

    graph = draw_graph("source S1\n  breaker B1\n    transformer T1\n      meter M1..M2")
    customers = tuple(
        msgspec.structs.replace(customer, phone=f"+{number}")
        for customer, number in zip(graph.customers, NUMBERS, strict=True)
    )
    return msgspec.structs.replace(graph, customers=customers)


def test_a_households_phone_is_known_by_its_language_and_no_number_is_shown(tmp_path: Path) -> None:
    log, truth = tmp_path / "smsc.jsonl", tmp_path / "truth.jsonl"
    phones = Phones(log, lambda _number, _text: None, households_of(truth, a_street()))
    assert phones.texts(0) == []
    written(
        truth, {"type": "story"}, {"type": "household", "customer_id": "C-M2", "language": "en"}
    )
    for number in NUMBERS:
        written(log, {"what": "taken", "number": number, "text": "out", "at_ms": 0, "source": "9"})
    first, second = phones.texts(0)
    assert (first.household, second.household) == ("", "en")
    assert first.box != second.box
    assert not any(number in repr((first, second)) for number in NUMBERS)
