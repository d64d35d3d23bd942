"""The specification of the verdict: what counts as found, and what as wrong."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from grid.errors import ConfigError
from grid.times import from_rfc3339, to_rfc3339
from simulators.truth import OutageTruth
from simulators.verdict import compare, found_of, spoken
from simulators.world import World

MakeWorld = Callable[..., World]
STORY = """
[[event]]
kind = "fault"
name = "cable"
at_s = 100
device = "B1"
recloses = 1
restore_s = 200
steps = [{after_s = 100, keep = {kind = "switch"}}]
left = [{after_s = 300, pick = {kind = "transformer", customers_min = 20}}]
[[event]]
kind = "fault"
name = "pole"
at_s = 150
device = "T5"
[[event]]
kind = "planned"
name = "works"
at_s = 50
device = "T4"
duration_s = 100
"""

Json = dict[str, Any]


@pytest.fixture(scope="module")
def world(make_world: MakeWorld) -> World:
    return make_world(STORY)


@pytest.fixture
def told(world: World) -> list[Json]:
    """The faults as an API would give them that found everything."""
    return [
        {
            "id": f"S1-{number}",
            "state": "closed" if line.on_at else "confirmed",
            "kind": line.kind,
            "device_id": line.device_id,
            "steps": [msgspec.to_builtins(step) | {"inferred": False} for step in line.steps],
            "probability": 0.99,
        }
        for number, line in enumerate(world.truth())
        if isinstance(line, OutageTruth) and line.kind == "fault"
    ]


def named(told: Sequence[Json], device_id: str) -> Json:
    return next(outage for outage in told if outage["device_id"] == device_id)


def without_nested(told: list[Json]) -> None:
    """The parent without the part left behind, which the nested outage has."""
    steps = named(told, "B1")["steps"]
    del steps[-1]


def test_everything_as_it_was_is_perfect(world: World, told: list[Json]) -> None:
    without_nested(told)
    verdict = compare(world.truth(), found_of({"outages": told}))
    assert verdict.perfect, spoken(verdict)
    assert (verdict.outages, verdict.right) == (3, 3)


def test_times_may_be_numbers_and_lines_of_a_replay(world: World, told: list[Json]) -> None:
    without_nested(told)
    for outage in told:
        outage["type"] = "outage"
        for step in outage["steps"]:
            step["off_at"] = from_rfc3339(step["off_at"])
    lines = [{"type": "change", "at": 1}, *told, {"type": "ping"}]
    assert compare(world.truth(), found_of(lines)).perfect


def test_a_part_left_behind_may_be_told_with_the_whole_but_in_one_outage_at_a_time(
    world: World, told: list[Json]
) -> None:
    verdict = compare(world.truth(), found_of(told))
    assert verdict.right == 3
    assert verdict.twice == 20
    assert not verdict.perfect


def test_the_device_that_keeps_the_rest_dark_is_right_too(world: World, told: list[Json]) -> None:
    without_nested(told)
    named(told, "B1")["device_id"] = "W1"
    assert compare(world.truth(), found_of(told)).perfect


def test_an_outage_that_is_not_found_is_told_by_name(world: World, told: list[Json]) -> None:
    told.remove(named(told, "T5"))
    verdict = compare(world.truth(), found_of(told))
    assert [row.id for row in verdict.rows if row.found_id is None] == ["pole"]
    assert "pole: fault of T5, 10 customers: not found" in spoken(verdict)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda o: o.update(device_id="F9"), "device_right"),
        (lambda o: o.update(state="closed"), "state_right"),
        (lambda o: o["steps"][0]["customers"].pop(), "exact"),
        (lambda o: o["steps"][0]["customers"].append("C-M61"), "exact"),
    ],
    ids=["another device", "told as over", "one missing", "one too many"],
)
def test_what_is_wrong_with_an_outage_is_said(
    world: World, told: list[Json], change: Callable[[Json], object], what: str
) -> None:
    without_nested(told)
    pole = named(told, "T5")
    pole["steps"] = [dict(step, customers=list(step["customers"])) for step in pole["steps"]]
    change(pole)
    verdict = compare(world.truth(), found_of(told))
    row = next(row for row in verdict.rows if row.id == "pole")
    assert not getattr(row, what)
    assert not row.right
    assert not verdict.perfect


@pytest.mark.parametrize(
    ("late_s", "inferred", "wrong"), [(9, False, 0), (11, False, 10), (11, True, 0)]
)
def test_a_time_may_be_off_by_what_clocks_are_off(
    world: World, told: list[Json], late_s: int, inferred: bool, wrong: int
) -> None:
    step = named(told, "T5")["steps"][0]
    step["off_at"] = to_rfc3339(from_rfc3339(step["off_at"]) + 1000 * late_s)
    step["inferred"] = inferred
    verdict = compare(world.truth(), found_of(told))
    row = next(row for row in verdict.rows if row.id == "pole")
    assert row.times_wrong == wrong
    assert row.off_error_s == late_s


def test_who_was_not_in_the_dark_makes_an_outage_false(world: World, told: list[Json]) -> None:
    start = to_rfc3339(world.start_ms + 10_000)
    step = {"off_at": start, "on_at": None, "customers": ["C-M61"]}
    ghost = {"id": "X", "state": "predicted", "kind": "fault", "device_id": "M61", "steps": [step]}
    before = {**ghost, "id": "Y", "steps": [{**step, "on_at": to_rfc3339(world.start_ms + 40_000)}]}
    denied = {**before, "id": "Z", "state": "rejected"}
    merged = {**ghost, "id": "W", "state": "closed", "steps": []}
    verdict = compare(world.truth(), found_of([*told, ghost, before, denied, merged]))
    assert verdict.false == ("Y",)  # X's customer went dark later, by the planned work


def test_planned_work_may_be_told_as_such_and_as_nothing_else(
    world: World, told: list[Json]
) -> None:
    without_nested(told)
    works = next(t for t in world.truth() if isinstance(t, OutageTruth) and t.id == "works")
    outage = {
        "id": "P",
        "state": "closed",
        "kind": "planned",
        "device_id": "T4",
        "steps": [msgspec.to_builtins(step) for step in works.steps],
    }
    assert compare(world.truth(), found_of([*told, outage])).perfect
    assert not compare(world.truth(), found_of([*told, outage | {"kind": "fault"}])).perfect


def test_in_the_middle_of_a_story_only_what_has_happened_counts(
    world: World, told: list[Json]
) -> None:
    cable = named(told, "B1")
    cable["state"] = "confirmed"
    cable["steps"] = [
        {
            "off_at": cable["steps"][0]["off_at"],
            "on_at": None,
            "customers": [c for step in cable["steps"] for c in step["customers"]],
        }
    ]
    verdict = compare(world.truth(), found_of([cable]), at_ms=world.start_ms + 140_000)
    assert [(row.id, row.right) for row in verdict.rows] == [
        ("cable", True),
        ("cable/left-1", False),
    ]


def test_outages_without_steps_are_refused_with_the_way_to_get_them() -> None:
    with pytest.raises(ConfigError, match="/api/outages/ID"):
        found_of({"outages": [{"id": "a", "state": "closed", "kind": "fault", "device_id": "B1"}]})
