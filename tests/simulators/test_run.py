"""The specification of playing a world: begun once, gone on with after a kill, told again at will.

No broker answers here: the devices keep what they have to say.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from grid.errors import ConfigError, Refused, Unreachable
from grid.network import Network
from grid.reading import Kind
from simulators.run import Simulators, SimulatorSettings
from simulators.scenario import OnDuty, parse
from simulators.story import PlannedWork
from simulators.truth import EndTruth, OutageTruth, StoryTruth, from_lines
from simulators.wal import Wal

SCENARIO = """
duration_s = 100
[field]
false_gasp = 0.0
silent = 0.0
delivery = 1.0
repeats = 0.0
heartbeat_s = 30
holdoff_s = [1, 2]
power_up_s = [1, 3]
latency_s = 0.1
[[event]]
kind = "fault"
name = "f"
at_s = 20
device = "B1"
restore_s = 40
[[event]]
kind = "fault"
name = "g"
at_s = 60
device = "T5"
[[event]]
kind = "planned"
name = "works"
at_s = 50
device = "T4"
duration_s = 20
announced_s = 50
"""
NOBODY = "mqtt://127.0.0.1:9"
START_MS = 1_793_491_200_000
Play = Callable[..., contextlib.AbstractAsyncContextManager[Simulators]]


class Clock:
    """True time, as a test wants it."""

    def __init__(self) -> None:
        self.ms = START_MS

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def play(town: Network, clock: Clock, tmp_path: Path) -> Play:
    @contextlib.asynccontextmanager
    async def playing(scenario: str = SCENARIO, **more: Any) -> AsyncIterator[Simulators]:
        simulators = Simulators(
            town, parse(scenario), mqtt_url=NOBODY, folder=tmp_path, now_ms=clock,
            settings=SimulatorSettings(lead_s=0, making_ms=0.0, enter_retry_s=0.01), **more,
        )  # fmt: skip
        task = asyncio.create_task(simulators.run())
        try:
            await until(lambda: simulators.devices is not None)
            yield simulators
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    return playing


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event to it
            await asyncio.sleep(0.01)


async def told(simulators: Simulators, clock: Clock) -> None:
    """Wait until everything up to now is in the devices' stores."""
    await until(lambda: simulators.devices and simulators.devices.told_ms >= clock.ms)


def kept(folder: Path, kind: Kind) -> set[str]:
    with Wal(folder) as wal:
        return {e.reading.device_id for e in wal.kept(0) if e.reading.kind is kind}


async def test_a_story_goes_on_where_the_worlds_clock_is(
    play: Play, clock: Clock, tmp_path: Path
) -> None:
    async with play() as first:
        assert first.world is not None
        assert first.world.start_ms == START_MS
        clock.ms += 10_000
        await told(first, clock)
    clock.ms += 60_000  # nobody was there: the gasps of the dead are lost, their power-ups not
    async with play() as second:
        assert second.world is not None
        assert second.world.start_ms == START_MS
        assert second.breakers == first.breakers
        await told(second, clock)
    meters = {f"M{i}" for i in range(1, 53)}
    assert meters <= kept(tmp_path, Kind.POWER_UP)
    truth = from_lines((tmp_path / "truth.jsonl").read_bytes().splitlines())
    assert len([t for t in truth if isinstance(t, StoryTruth)]) == 1


async def test_a_story_that_is_over_is_told_again_when_asked(
    play: Play, clock: Clock, tmp_path: Path
) -> None:
    async with play():
        pass
    clock.ms += 150_000
    async with play(again=False) as same:
        assert same.world is not None
        assert same.world.start_ms == START_MS
    async with play(again=True) as other:
        assert other.world is not None
        assert other.world.start_ms == clock.ms
        clock.ms += 60_000
        await told(other, clock)
    # T5 was dark for ever in the first story: in the second it has power, and says so
    assert {f"M{i}" for i in range(81, 91)} <= kept(tmp_path, Kind.POWER_UP)
    truth = from_lines((tmp_path / "truth.jsonl").read_bytes().splitlines())
    assert [t.episode for t in truth if isinstance(t, EndTruth)] == [1, 2]


async def test_another_story_in_the_same_folder_begins_anew(
    play: Play, clock: Clock, tmp_path: Path
) -> None:
    async with play() as first:
        clock.ms += 45_000
        await told(first, clock)
    async with play("duration_s = 10\n[field]\nfalse_gasp = 0.0") as other:
        assert other.world is not None
        assert other.world.start_ms == clock.ms
    assert kept(tmp_path, Kind.LAST_GASP) == set()


async def test_a_truth_log_cut_short_by_a_kill_is_made_whole(play: Play, tmp_path: Path) -> None:
    async with play():
        pass
    path = tmp_path / "truth.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    async with play():
        pass
    assert path.read_bytes() == whole
    assert (
        len([t for t in from_lines(path.read_bytes().splitlines()) if isinstance(t, OutageTruth)])
        == 3
    )


async def test_a_plan_is_entered_once_however_often_the_api_is_away(play: Play) -> None:
    asked: list[PlannedWork] = []

    async def enter(plan: PlannedWork) -> None:
        asked.append(plan)
        if len(asked) < 3:
            raise Unreachable("the API is away")

    async with play(enter=enter):
        await until(lambda: len(asked) == 3)
    assert {(p.plan_id, p.device_id, p.kind) for p in asked} == {("works", "T4", "planned")}
    async with play(enter=enter):
        pass
    assert len(asked) == 3


async def test_the_crews_on_duty_are_entered_before_anything_happens(play: Play) -> None:
    asked: list[object] = []

    async def enter(what: object) -> None:
        asked.append(what)

    with_crew = SCENARIO + '[[crew]]\nid = "crew-1"\nname = "Crew 1"\n'
    async with play(with_crew, enter=enter):
        await until(lambda: len(asked) == 2)
    async with play(with_crew, enter=enter):
        pass
    assert len(asked) == 2
    assert isinstance(asked[0], OnDuty)
    assert (asked[0].id, asked[0].name) == ("crew-1", "Crew 1")


async def test_a_refused_plan_is_not_asked_for_again(play: Play) -> None:
    asked: list[PlannedWork] = []

    async def enter(plan: PlannedWork) -> None:
        asked.append(plan)
        raise Refused("no such device")

    async with play(enter=enter):
        await until(lambda: asked)
    assert len(asked) == 1


def test_a_folder_serves_one_process_at_a_time(town: Network, clock: Clock, tmp_path: Path) -> None:
    def make() -> Simulators:
        return Simulators(
            town, parse(SCENARIO), mqtt_url=NOBODY, folder=tmp_path / "field", now_ms=clock
        )

    first = make()
    with pytest.raises(ConfigError, match="stop the other simulators"):
        make()
    first.close()
    make().close()
