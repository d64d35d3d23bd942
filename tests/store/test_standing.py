"""The specification of whose power a change changes, and what they are told."""

import msgspec
import pytest

from grid.outage import Change, Etr, Outage, OutageKind, State, Step
from grid.public import customer_statuses
from store.standing import Head, Standing, concerned, follow

ME = "C-1"


def dark(off: int, *customers: str) -> Step:
    return Step(off, None, customers or (ME,))


def light(off: int, on: int, *customers: str) -> Step:
    return Step(off, on, customers or (ME,))


def change(at_ms: int, outage_id: str, *steps: Step, named: tuple[str, ...] = (ME,)) -> Change:
    outage = Outage(
        id=outage_id, version=1, group=0, state=State.PREDICTED, kind=OutageKind.FAULT, cause=None,
        device_id="T1", device_kind="transformer", feeder_id="B1", districts=(), phases="ABC",
        probability=1.0, started_ms=0, detected_ms=0, confirmed_ms=None, restored_ms=None,
        customers_affected=1, customers_out=1, etr=None, evidence=(), parent_id=None, steps=steps,
    )  # fmt: skip
    return Change(at_ms, outage, "", named)


def told(*frames: tuple[Change, ...], customer: str = ME) -> list[tuple[str | None, str]]:
    """Outage and power as a customer hears them, frame by frame."""
    standings: dict[str, Standing] = {}
    return [
        (told.status.outage_id, told.status.power)
        for changes in frames
        for news in follow(changes, [c.customers for c in changes], standings)
        for told in news.told
        if customer in told.customers
    ]


def test_a_customer_is_dark_and_then_has_light_again() -> None:
    assert told((change(1, "A", dark(0)),), (change(9, "A", light(0, 8)),)) == [
        ("A", "off"),
        ("A", "on"),
    ]


def test_an_ended_step_of_another_outage_says_nothing_to_somebody_in_the_dark() -> None:
    assert told(
        (change(1, "B", dark(5)),),
        (change(2, "A", light(0, 4)),),
        (change(3, "A", light(7, 8)),),
    ) == [("B", "off")]


def test_the_later_of_two_ended_steps_counts() -> None:
    assert told(
        (change(1, "B", light(5, 6)),),
        (change(2, "A", light(0, 4)),),
        (change(3, "C", light(7, 8)),),
    ) == [("B", "on"), ("C", "on")]


def test_somebody_taken_out_of_an_outage_has_power() -> None:
    assert told((change(1, "A", dark(0)),), (change(2, "A"),)) == [("A", "off"), (None, "on")]


def test_somebody_taken_out_of_another_outage_hears_nothing() -> None:
    assert told((change(1, "A", dark(0)),), (change(2, "B"),)) == [("A", "off")]
    assert told((change(2, "B"),)) == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_who_moves_from_one_outage_to_another_never_hears_of_light(order: tuple[int, int]) -> None:
    leaves, enters = change(2, "A"), change(2, "B", dark(0))
    moved = ((leaves, enters)[order[0]], (leaves, enters)[order[1]])
    assert told((change(1, "A", dark(0)),), moved) == [("A", "off"), ("B", "off")]


def test_those_of_one_step_are_told_together_and_alike() -> None:
    both = change(1, "A", dark(0, "C-1", "C-2"), light(0, 5, "C-3"), named=("C-3", "C-2", "C-1"))
    [news] = follow([both], [both.customers], {})
    assert [told.customers for told in news.told] == [("C-3",), ("C-2", "C-1")]
    expected = customer_statuses(both)
    for heard in news.told:
        assert heard.status == expected[heard.customers[0]]


def test_only_those_who_are_named_are_told() -> None:
    some = change(1, "A", dark(0, "C-1", "C-2"), named=("C-2", "C-2"))
    [news] = follow([some], [some.customers], {})
    assert [told.customers for told in news.told] == [("C-2",)]


def test_standings_are_kept_with_the_change_that_said_so() -> None:
    standings: dict[str, Standing] = {}
    follow([change(7, "A", Step(1, None, (ME,), inferred=True))], [(ME,)], standings)
    assert standings == {ME: Standing("A", 1, None, inferred=True, changed_ms=7)}


def states(*words: str) -> list[tuple[str, ...]]:
    """Whom an outage concerns, state by state, with C-1 in the dark and C-2 back again."""
    heads: dict[str, Head] = {}
    steps = (dark(0, "C-1"), light(0, 5, "C-2"))
    changes = []
    for word in words:
        plain = change(1, "A", *steps, named=())
        outage = msgspec.structs.replace(plain.outage, state=State(word))
        changes.append(msgspec.structs.replace(plain, outage=outage))
    return list(concerned(changes, heads))


def test_a_new_state_concerns_everybody_who_is_still_out() -> None:
    assert states("predicted", "confirmed") == [("C-1",), ("C-1",)]


def test_better_evidence_alone_concerns_nobody() -> None:
    assert states("predicted", "predicted") == [("C-1",), ()]


def test_an_end_concerns_those_it_names() -> None:
    assert states("predicted", "rejected") == [("C-1",), ()]


def test_a_new_etr_kind_or_cause_concerns_everybody_who_is_still_out() -> None:
    heads: dict[str, Head] = {}
    first = change(1, "A", dark(0), named=())
    for news in ({"etr": Etr(9, "crew", 0.5)}, {"kind": OutageKind.PLANNED}, {"cause": "tree"}):
        outage = msgspec.structs.replace(first.outage, **news)
        told = msgspec.structs.replace(first, outage=outage)
        assert concerned([first, told, told], heads) == ((ME,), (ME,), ())
