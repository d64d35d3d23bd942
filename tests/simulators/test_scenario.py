"""The specification of scenario files: what they may say, and how they are refused."""

import pytest

from grid.errors import ConfigError
from simulators.scenario import Fault, Field, Storm, parse, shipped

WRONG = [
    ("an unknown table is named", "duration_s = 1\nstrom = 1", "strom"),
    ("an unknown knob has its path", "duration_s = 1\n[field]\ndelivry = 1", r"\$\.field"),
    (
        "an unknown key of an event has its number",
        'duration_s = 1\n[[event]]\nkind = "fault"\nat_s = 0\ndevice = "B1"\n'
        '[[event]]\nkind = "fault"\nat_s = 0\ndevize = "B1"',
        r"\$\.event\[1\]",
    ),
    (
        "an unknown kind of event",
        'duration_s = 1\n[[event]]\nkind = "flood"\nat_s = 0',
        r"\$\.event\[0\]\.kind",
    ),
    ("a share above one", "duration_s = 1\n[field]\ndelivery = 1.5", r"\$\.field\.delivery"),
    ("a span with one end", "duration_s = 1\n[field]\nholdoff_s = [30]", r"\$\.field\.holdoff_s"),
    ("a story without an end", 'name = "x"', "duration_s"),
    ("no TOML at all", "duration_s 1", "town.toml"),
    (
        "a fault on nothing",
        'duration_s = 1\n[[event]]\nkind = "fault"\nat_s = 0',
        r"\$\.event\[0\]: give the device",
    ),
    (
        "a device given twice",
        'duration_s = 1\n[[event]]\nkind = "fault"\nat_s = 0\ndevice = "B1"\npick = {}',
        r"\$\.event\[0\]: give either",
    ),
    (
        "work on an event that there is not",
        'duration_s = 1\n[[work]]\nof = "cable"\ncrew = "c"\nsteps = []',
        r"\$\.work\[0\]\.of: no event is called 'cable'",
    ),
    (
        "work by a crew that is not on duty",
        'duration_s = 1\n[[event]]\nkind = "fault"\nname = "f"\nat_s = 0\ndevice = "B1"\n'
        '[[work]]\nof = "f"\ncrew = "c"\nsteps = []',
        r"\$\.work\[0\]\.crew: no crew has the id 'c'",
    ),
    (
        "work that goes back in time",
        'duration_s = 1\n[[event]]\nkind = "fault"\nname = "f"\nat_s = 0\ndevice = "B1"\n'
        '[[crew]]\nid = "c"\nname = "C"\n[[work]]\nof = "f"\ncrew = "c"\n'
        'steps = [{after_s = 9, action = "assign"}, {after_s = 5, action = "on_site"}]',
        r"\$\.work\[0\]\.steps: after_s must rise",
    ),
    (
        "a household that nothing happens to",
        'duration_s = 1\n[[household]]\nof = "cable"\nlanguage = "zh"',
        r"\$\.household\[0\]\.of",
    ),
    (
        "a stage after the end",
        'duration_s = 1\n[[event]]\nkind = "fault"\nat_s = 0\ndevice = "B1"\nrestore_s = 5\n'
        'steps = [{after_s = 9, keep = {kind = "switch"}}]',
        r"\$\.event\[0\]\.steps",
    ),
    (
        "a part repaired before the whole",
        'duration_s = 1\n[[event]]\nkind = "fault"\nat_s = 0\ndevice = "B1"\nrestore_s = 5\n'
        'left = [{after_s = 4, pick = {kind = "fuse"}}]',
        r"\$\.event\[0\]\.left",
    ),
    (
        "a phase that is none",
        'duration_s = 1\n[[event]]\nkind = "phase_loss"\nat_s = 0\ndevice = "B1"\nphase = "D"\n'
        "duration_s = 1",
        r"\$\.event\[0\]\.phase",
    ),
]


@pytest.mark.parametrize(("text", "where"), [row[1:] for row in WRONG], ids=[r[0] for r in WRONG])
def test_a_scenario_is_refused_with_the_path_to_what_is_wrong(text: str, where: str) -> None:
    with pytest.raises(ConfigError, match=where) as refusal:
        parse(text, "town.toml")
    assert refusal.value.message.startswith("town.toml")


def test_everything_but_the_end_has_a_default() -> None:
    scenario = parse("duration_s = 60")
    assert scenario.field == Field()
    assert scenario.event == ()
    assert scenario.storm is None


def test_a_time_scale_divides_times_and_leaves_clocks_and_shares_alone() -> None:
    scenario = parse(
        "duration_s = 600\ntime_scale = 10\n[field]\nholdoff_s = [30, 40]\nskew_s = 2\n"
        "delivery = 0.5\n[storm]\nfaults = 3\nat_s = 50\nrestore_s = [100, 200]\n"
        '[[event]]\nkind = "fault"\nat_s = 20\ndevice = "B1"\nrestore_s = 100\n'
        'steps = [{after_s = 60, keep = {kind = "switch"}}]\n'
        '[[event]]\nkind = "clock_jump"\nat_s = 10\nby_s = 86400\n'
    )
    assert scenario.duration_s == 60
    assert scenario.field.holdoff_s == (3, 4)
    assert (scenario.field.skew_s, scenario.field.delivery) == (2, 0.5)
    assert scenario.storm == Storm(
        faults=3, at_s=5, spread_s=6, restore_s=(10, 20), phase_loss_s=60
    )
    fault, jump = scenario.event
    assert isinstance(fault, Fault)
    assert (fault.at_s, fault.restore_s, fault.steps[0].after_s) == (2, 10, 6)
    assert (jump.at_s, jump.by_s) == (1, 86400)


@pytest.mark.parametrize("name", ["demo", "storm"])
def test_our_own_scenarios_can_be_read(name: str) -> None:
    assert shipped(name).name == name


def test_a_name_that_is_neither_a_file_nor_ours_is_told_what_there_is() -> None:
    with pytest.raises(ConfigError, match="demo, storm"):
        shipped("blizzard")
