"""The specification of a false alarm, and of the households that it is told to."""

from collections.abc import Callable

from grid.reading import Kind
from simulators.truth import FalseAlarmTruth, HouseholdTruth, OutageTruth
from simulators.world import World

MakeWorld = Callable[..., World]


ALARM = """
[[event]]
kind = "false_alarm"
name = "alarm"
at_s = 50
device = "F1"
gasps = 2
mute_s = 30
"""


def test_in_a_false_alarm_some_gasp_and_nobody_behind_it_is_heard_until_it_is_over(
    make_world: MakeWorld,
) -> None:
    world = make_world(ALARM, ping_reply=1)
    start_ms, behind = world.start_ms, {f"M{n}" for n in range(1, 11)}
    facts = [
        f for f in world.facts(start_ms - 1).until(world.end_ms) if f.reading.device_id in behind
    ]
    gasps = {f.reading.device_id for f in facts if f.reading.kind is Kind.LAST_GASP}
    assert gasps == {"M1", "M2"}
    heard = [f for f in facts if f.reading.kind is not Kind.LAST_GASP]
    assert [f for f in heard if 51_000 <= f.due_ms - start_ms < 80_000] == []
    assert world.answer("M5", start_ms + 60_000) is None
    assert world.answer("M15", start_ms + 60_000) is not None
    # what they measured meanwhile comes late, and says that they had power
    late = {
        f.reading.device_id for f in heard if 50_000 < f.reading.happened_ms - start_ms < 80_000
    }
    assert late == behind
    assert all(world.powered(meter, start_ms + 60_000) for meter in behind)


def test_a_false_alarm_is_in_the_truth_and_no_outage(make_world: MakeWorld) -> None:
    world = make_world(ALARM)
    assert [line for line in world.truth() if isinstance(line, OutageTruth)] == []
    (alarm,) = [line for line in world.truth() if isinstance(line, FalseAlarmTruth)]
    assert (alarm.device_id, len(alarm.customers)) == ("F1", 10)


def test_several_false_gasps_at_one_moment_are_one_event(make_world: MakeWorld) -> None:
    world = make_world('[[event]]\nkind = "false_gasp"\nat_s = 50\ncount = 3\n')
    facts = world.facts(world.start_ms - 1).until(world.end_ms)
    assert 1 <= len({f.id for f in facts if f.reading.kind is Kind.LAST_GASP}) <= 3


HOMES = """
[[household]]
of = "alarm"
language = "zh"
[[household]]
of = "alarm"
language = "en"
"""


def test_households_live_behind_the_device_speak_and_are_not_the_same(
    make_world: MakeWorld,
) -> None:
    world = make_world(ALARM + HOMES, silent=0.3)
    told = [line for line in world.truth() if isinstance(line, HouseholdTruth)]
    assert [home.language for home in told] == ["zh", "en"]
    homes = {home.customer_id for home in told}
    assert len(homes) == 2
    assert homes <= {f"C-M{n}" for n in range(1, 11)}
    speaking = {s.id for s in world.speakers}
    assert {home.removeprefix("C-") for home in homes} <= speaking


def test_a_part_that_is_left_behind_is_nobody_elses_below_the_same_device(
    make_world: MakeWorld,
) -> None:
    fault = (
        '[[event]]\nkind = "fault"\nname = "f"\nat_s = 10\ndevice = "B1"\nrestore_s = 100\n'
        'left = [{ pick = { id = "T1" } }]\n'
    )
    pick = (
        '[[event]]\nkind = "false_alarm"\nname = "alarm"\nat_s = 200\n'
        'pick = { kind = "fuse", under = "f" }\n'
    )
    for seed in range(8):
        (alarm,) = make_world(fault + pick, seed=seed).story.false_alarms
        assert make_world().network.groups[0].ids[alarm.place.node] == "F3"
