"""The specification of the scoreboard: what counts as right, false, sure and late."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from grid.outage import Change, Etr, Outage, OutageKind, State, Step
from grid.times import from_rfc3339
from simulators.scoreboard import line_of
from simulators.scoring import Day, DayScore, Word, score
from simulators.truth import OutageTruth
from simulators.world import World

STORY = """
[[event]]
kind = "fault"
name = "pole"
at_s = 100
device = "T5"
restore_s = 200
"""
OUTAGE = Outage(
    id="S1-1", version=1, group=0, state=State.CONFIRMED, kind=OutageKind.FAULT, cause=None,
    device_id="T5", device_kind="transformer", feeder_id="B2", districts=(), phases="ABC",
    probability=0.9, started_ms=0, detected_ms=0, confirmed_ms=None, restored_ms=None,
    customers_affected=10, customers_out=10, etr=None, evidence=(), parent_id=None, steps=(),
)  # fmt: skip


@pytest.fixture(scope="module")
def world(make_world: Callable[..., World]) -> World:
    """Transformer T5 with ten customers is out from 100 s to 300 s."""
    return make_world(STORY)


@pytest.fixture(scope="module")
def pole(world: World) -> OutageTruth:
    (truth,) = [t for t in world.truth() if isinstance(t, OutageTruth)]
    return truth


@pytest.fixture
def said(world: World, pole: OutageTruth) -> Callable[..., Change]:
    """A change at a second of the story: by default all that is true, of the right device."""

    def say(at_s: float, *, out: Any = None, back_s: float | None = None, **other: Any) -> Change:
        start_ms, off_ms = world.start_ms, from_rfc3339(pole.off_at)
        customers = tuple(pole.customers if out is None else out)
        on_ms = None if back_s is None else start_ms + round(1000 * back_s)
        steps = (Step(off_ms, on_ms, customers),)
        outage = msgspec.structs.replace(OUTAGE, steps=steps, **other)
        return Change(start_ms + round(1000 * at_s), outage, "told", customers)

    return say


def scored(world: World, *changes: Change, **day: Any) -> DayScore:
    return score(world, Day(changes=list(changes), **day))


def test_the_right_device_with_all_its_customers_is_exact(world, said) -> None:
    (fault,) = scored(world, said(105)).faults
    assert (fault.exact, fault.device_right, fault.f1) == (True, True, 1.0)
    assert fault.after_s == 5.0


def test_one_customer_too_few_is_not_exact(world, said, pole) -> None:
    (fault,) = scored(world, said(105, out=pole.customers[1:])).faults
    assert (fault.exact, fault.device_right) == (False, False)
    assert fault.f1 == pytest.approx(18 / 19)
    assert fault.after_s is None


def test_the_right_customers_behind_another_device_are_exact_and_not_its_device(
    world, said
) -> None:
    (fault,) = scored(world, said(105, device_id="T4")).faults
    assert (fault.exact, fault.device_right) == (True, False)


def test_a_verdict_counts_as_it_stands_before_the_repair(world, said, pole) -> None:
    later = said(305, device_id="T5", back_s=302, state=State.RESTORED)
    (fault,) = scored(world, said(105, out=pole.customers[1:]), said(250), later).faults
    assert fault.exact
    assert fault.after_s == 150.0


def test_detection_is_timed_from_the_first_word_of_no_power_since_it_failed(
    world, said, pole
) -> None:
    off_ms = from_rfc3339(pole.off_at)
    before, word = Word(off_ms - 60_000, "meter"), Word(off_ms + 3000, "meter")
    heard = {"M81": [before, word], "M1": [Word(off_ms, "meter")]}
    (fault,) = scored(world, said(105), heard_off=heard).faults
    assert (fault.detect_s, fault.voice) == (2.0, "meter")


def test_an_outage_of_customers_who_all_have_power_is_false(world, said) -> None:
    day = scored(world, said(105), said(50, id="S1-2", out=("C-M1",), device_id="T1"))
    assert day.false == ("S1-2",)


def test_power_that_a_meter_never_had_is_a_wrong_word(world, said, pole) -> None:
    told = said(150, back_s=140, state=State.PARTIALLY_RESTORED)
    assert scored(world, said(105), told).wrong_restored == len(pole.customers)
    right = said(320, back_s=300, state=State.RESTORED)
    assert scored(world, said(105), right).wrong_restored == 0


def test_a_customer_in_two_standing_outages_is_counted(world, said, pole) -> None:
    other = said(106, id="S1-2", out=pole.customers[:3], device_id="T4")
    assert scored(world, said(105), other).twice == 3


def test_an_estimate_is_measured_against_the_repair(world, said) -> None:
    etr = Etr(world.start_ms + 280_000, "history", 0.5)
    (fault,) = scored(world, said(105, etr=etr)).faults
    assert fault.etr_error_s == pytest.approx(20.0, abs=1)


def test_the_board_adds_up_days_and_how_sure_they_were(world, said) -> None:
    sure = scored(world, said(105, probability=1.0))
    unsure = scored(world, said(105, probability=0.5, device_id="T4"))
    line = line_of("town", "cell", [sure, unsure])
    assert (line.faults, line.exact, line.device) == (2, 1.0, 0.5)
    assert line.brier == pytest.approx((0.0 + 0.25) / 2)
    assert [(b.said, b.true, b.count) for b in line.calibration] == [(0.5, 0.0, 1), (1.0, 1.0, 1)]


def test_an_outage_that_was_merged_counts_by_its_first_word_alone(world, said) -> None:
    begun = said(102, id="S1-2", device_id="T4", probability=0.8)
    gone = msgspec.structs.replace(begun.outage, state=State.CLOSED, steps=(), customers_affected=0)
    merged = Change(begun.at_ms + 1000, gone, "merged", begun.customers)
    line = line_of("town", "cell", [scored(world, begun, merged, said(105, probability=1.0))])
    assert line.declared_per_fault == 2.0
    assert line.brier == 0.0
    assert line.brier_first == pytest.approx((0.8**2 + 0.0) / 2)
