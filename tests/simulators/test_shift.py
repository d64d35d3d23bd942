"""The specification of the shift of a story: crews move their orders as their phones would, and
whoever decides at the board wins.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import pytest

from grid.errors import Refused, Unreachable
from simulators.duties import Due, Order
from simulators.people import WorkStep
from simulators.shift import Became, Running, Shift, ShiftSettings

START_MS = 1_793_491_200_000
STEPS = ("assign", "en_route", "on_site", "repaired")


@dataclass
class Floor:
    """A dispatch floor with one outage, drawn by what a test sets."""

    outages: dict[str, Running] = field(default_factory=dict)
    decisions: list[tuple[str, str]] = field(default_factory=list)  # id, action
    said: list[tuple[str, str, int]] = field(default_factory=list)  # action, crew, version
    answers: list[Became | Exception] = field(default_factory=list)
    away: int = 0  # so many questions are not answered
    on_the_way: int = 0  # so often a text is found to be
    looks: int = 0
    names: list[str] = field(default_factory=list)  # under which steps were said

    async def running(self) -> Collection[Running]:
        if self.away:
            self.away -= 1
            raise Unreachable("the API does not answer")
        return list(self.outages.values())

    async def waiting(self, _customer_id: str) -> bool:
        self.looks += 1
        self.on_the_way -= 1
        return self.on_the_way >= 0

    async def decided(self, _outage_id: str) -> Collection[tuple[str, str]]:
        return list(self.decisions)

    async def say(self, outage: Running, crew: str, step: WorkStep, name: str) -> Became:
        self.said.append((step.action, crew, outage.version))
        self.names.append(name)
        answer = self.answers.pop(0) if self.answers else Became.TAKEN
        if isinstance(answer, Exception):
            raise answer
        if answer is Became.TAKEN:
            self.decisions.append((name, step.action))
        self.outages[outage.id] = Running(outage.id, outage.version + 1, outage.device_id)
        return answer


@pytest.fixture
def floor() -> Floor:
    """An outage of B1 runs."""
    return Floor({"S1-1": Running("S1-1", 1, "B1")})


async def move(floor: Floor, entries: set[str] | None = None, told_s: float = 5.0) -> set[str]:
    """Move the order of B1; every step is due."""
    known: set[str] = set() if entries is None else entries
    steps = tuple(Due(START_MS, WorkStep(after_s=0, action=action)) for action in STEPS)  # type: ignore[arg-type]
    hurry = ShiftSettings(look_s=0.001, gap_s=0.0, away_s=0.001, told_s=told_s)
    shift = Shift(
        floor, lambda: START_MS, until_ms=START_MS, story="1",
        entries=known, homes=["C1", "C2"], settings=hurry,
    )  # fmt: skip
    await shift.move(Order("cable", "B1", "crew-1", steps))
    return known


def actions(floor: Floor) -> list[str]:
    return [action for action, _, _ in floor.said]


async def test_each_step_is_said_in_order_of_the_version_as_it_is_then(floor: Floor) -> None:
    known = await move(floor)
    assert floor.said == [(a, "crew-1", v) for v, a in enumerate(STEPS, 1)]
    assert len(known) == len(STEPS)


async def test_what_was_said_before_a_restart_is_not_said_again(floor: Floor) -> None:
    known = await move(floor)
    await move(floor, known)
    assert actions(floor) == list(STEPS)


@pytest.mark.parametrize("action", ["assign", "etr", "reject", "close", "undo"])
async def test_who_decides_at_the_board_wins(floor: Floor, action: str) -> None:
    floor.decisions.append(("d-7", action))
    await move(floor)
    assert floor.said == []


@pytest.mark.parametrize("action", ["acknowledge", "note", "ping", "verify"])
async def test_who_only_looks_does_not_stop_the_crew(floor: Floor, action: str) -> None:
    floor.decisions.append(("d-7", action))
    await move(floor)
    assert actions(floor) == list(STEPS)


async def test_an_outage_that_is_never_known_has_no_crew(floor: Floor) -> None:
    floor.outages = {"S1-2": Running("S1-2", 1, "T9")}
    await move(floor)
    assert floor.said == []


async def test_what_is_over_is_not_moved_any_more(floor: Floor) -> None:
    floor.answers = [Became.TAKEN]
    say = floor.say

    async def ends(outage: Running, crew: str, step: WorkStep, name: str) -> Became:
        became = await say(outage, crew, step, name)
        floor.outages.clear()
        return became

    floor.say = ends  # type: ignore[method-assign]
    await move(floor)
    assert actions(floor) == ["assign"]


async def test_a_version_that_has_moved_on_is_told_anew(floor: Floor) -> None:
    floor.answers = [Became.STALE, Became.STALE]
    await move(floor)
    assert actions(floor) == ["assign", "assign", *STEPS]


async def test_a_step_that_was_overtaken_on_its_way_is_said_anew_under_a_name_of_its_own(
    floor: Floor,
) -> None:
    floor.answers = [Became.OVERTAKEN, Became.OVERTAKEN]
    await move(floor)
    assert actions(floor) == ["assign", "assign", *STEPS]
    assert len(set(floor.names)) == len(floor.names)


async def test_a_service_that_is_away_is_waited_for_and_a_refusal_is_not(floor: Floor) -> None:
    floor.away = 3
    floor.answers = [Unreachable("away"), Refused("no crew has that id")]
    await move(floor)
    assert actions(floor) == ["assign", "assign", "en_route", "on_site", "repaired"]


async def test_the_next_step_waits_until_the_households_were_told_of_the_last(floor: Floor) -> None:
    floor.on_the_way = 7
    await move(floor)
    assert floor.looks >= 7 + 2 * len(STEPS)
    assert actions(floor) == list(STEPS)


async def test_a_text_that_never_leaves_holds_nobody_up_for_ever(floor: Floor) -> None:
    floor.on_the_way = 1_000_000
    await move(floor, told_s=0.01)
    assert actions(floor) == list(STEPS)
