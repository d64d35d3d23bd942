"""The specification of switching while a worker runs: another tree between two records, the same
outages, and nothing lost of what was numbered by the tree before.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest
import structlog

from detectors.engine import Engine
from detectors.settings import EngineSettings
from detectors.snapshot import take
from grid.drawing import draw
from grid.frame import NOT_YET, NetworkChanged, PlanEntered
from grid.network import Group, Network
from grid.parcel import Advance, Applied, Claim, Quarantined
from grid.times import from_rfc3339
from ingest.packing import Packer
from service.worker_parts import renumbered
from stream.holding import Done, Holding, Incoming
from stream.partition import Partition
from stream.records import Record, record_bytes
from stream.recovery import recover
from stream.settings import BusSettings, StreamSettings

TREE = """
source S1
  breaker B1 telemetered
    transformer T1
      meter M1..M6
    transformer T2
      meter M7..M12
  breaker B2 telemetered
    transformer T3
      meter M13..M18
"""
BEFORE = draw(TREE)
AFTER = draw("""
source S1
  breaker B1 telemetered
    transformer T1
      meter M1..M6
  breaker B2 telemetered
    transformer T3
      meter M13..M18
    transformer T2
      meter M7..M12
""")
T4 = """\
    transformer T4
      meter M19..M24
"""
S2 = """\
source S2
  breaker B3 telemetered
"""
APART, TAKEN_OVER = draw(TREE + S2 + T4), draw(TREE + T4 + S2)
WORK = PlanEntered(
    NOT_YET, "P1", "T4", from_rfc3339("2026-11-21T12:02:00Z"), from_rfc3339("2026-11-21T13:00:00Z"),
    "planned", "new pole",
)  # fmt: skip
SETTINGS = EngineSettings(heartbeat_s=60.0, pings_per_minute=0.0)
BUS = BusSettings(partitions=1, lost_s=6000.0, gone_s=6000.0)
TIMES = ("11:56:00", "11:57:00", "11:58:00", "11:59:00", "12:00:00")
WARM = [f"{time} M1..M18 heartbeat" for time in TIMES]
DARK = [
    "12:00:20 M7..M12 last_gasp",
    "12:01:00 M1..M6 heartbeat",
    "12:01:01 M13..M18 heartbeat",
    "12:02:00 M1..M6 heartbeat",
    "12:02:01 M13..M18 heartbeat",
]


async def group_in(_slug: str, version: str) -> Group:
    networks = (BEFORE, AFTER, APART, TAKEN_OVER)
    return next(net.groups[0] for net in networks if net.version == version)


@dataclass
class Worker:
    """A partition and its database."""

    lines: Callable[[str], list[Any]]
    network: Network = BEFORE
    frames: list[Any] = field(default_factory=list)
    changes: list[Any] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    generation: int = 1
    next_offset: int | None = None
    marks: bytes = b""
    breaks: int = 0  # commits that fail for a reason nobody knows
    offset: int = 0

    def __post_init__(self) -> None:
        engine = Engine(self.network.groups[0], SETTINGS)
        holding = Holding(self._claim(), {0: engine}, self.network.version)
        self.partition = Partition(
            holding, slugs={"S1": 0}, commit=self._commit, committed=self._committed,
            begin_again=self._again, renumber=partial(renumbered, group_in), settings=BUS,
            stream=StreamSettings(),
        )  # fmt: skip

    def _claim(self) -> Claim:
        return Claim("frames", 0, self.generation, self.next_offset, self.marks)

    async def _commit(
        self, batch: Sequence[Applied], quarantined: Sequence[Quarantined], advance: Advance
    ) -> None:
        if self.breaks:
            self.breaks -= 1
            raise ValueError("nobody knows why")
        self.frames += [applied.frame for applied in batch]
        self.changes += [c for applied in batch for c in applied.outcome.changes]
        self.quarantined += quarantined
        self.next_offset, self.marks = advance.next_offset, advance.marks

    async def _committed(self, _done: Done) -> None:
        """Nobody waits."""

    async def recovered(self) -> Engine:
        """The engine as a restart over the network in force has it."""

        async def recorded(position: int) -> Any:
            for frame in self.frames:
                if frame.position > position:
                    yield frame

        return await recover(
            self.network.groups[0], self.network.version, SETTINGS, snapshot=None,
            recorded=recorded, group_of=partial(group_in, "S1"),
        )  # fmt: skip

    async def _again(self, _claim: Claim) -> Holding:
        return Holding(self._claim(), {0: await self.recovered()}, self.network.version)

    def switch(self, network: Network, *plans: PlanEntered) -> None:
        self.network = network
        self.partition.replace_network(network, plans)

    async def hear(self, lines: Sequence[str], numbered_by: Network) -> None:
        """A record a line, and all of them committed."""
        packer, behind = Packer(numbered_by), []
        for line in lines:
            ((at_ms, readings),) = self.lines(line)
            rows, _ = packer.pack(readings, at_ms)
            record = Record(sender="mqtt-gateway@a", sent_ms=at_ms, ticket=1, group="S1",
                            network=packer.version, rows=rows.tobytes())  # fmt: skip
            incoming = Incoming(self.offset, at_ms, record_bytes(record), lambda: behind.append(1))
            await self.partition.take(incoming)
            self.offset += 1
        async with asyncio.timeout(10):
            while len(behind) < len(lines):  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(0.001)

    @property
    def told(self) -> list[str]:
        """Each outage as it was last told."""
        last = {change.outage.id: change.outage for change in self.changes}
        return [f"{o.id} {o.device_id} {o.state} {o.customers_out}" for o in last.values()]


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    """Tracebacks with everything in them would take seconds to draw."""
    with structlog.testing.capture_logs():
        yield


@pytest.fixture
async def worker(
    request: pytest.FixtureRequest, reading_lines: Callable[[str], list[Any]]
) -> AsyncIterator[Worker]:
    made = Worker(reading_lines, getattr(request, "param", BEFORE))
    running = asyncio.create_task(made.partition.run())
    yield made
    running.cancel()
    await asyncio.wait({running})


async def test_an_outage_goes_on_under_its_name_over_the_other_tree(worker: Worker) -> None:
    await worker.hear(WARM + DARK, BEFORE)
    assert worker.told == ["S1-1 T2 confirmed 6"]
    worker.switch(AFTER)
    await worker.hear(["12:03:00 M1..M6 heartbeat", "12:03:01 M13..M18 heartbeat"], AFTER)
    assert worker.told == ["S1-1 T2 confirmed 6"]
    await worker.hear(["12:03:10 M7..M12 power_up", "12:03:20 M1..M18 heartbeat"], AFTER)
    assert worker.told == ["S1-1 T2 restored 0"]
    assert worker.quarantined == []


async def test_the_next_fault_is_placed_by_the_tree_as_it_is_then(worker: Worker) -> None:
    await worker.hear(WARM, BEFORE)
    worker.switch(AFTER)
    await worker.hear(
        ["12:00:20 M7..M18 last_gasp", "12:01:00 M1..M6 heartbeat", "12:02:00 M1..M6 heartbeat"],
        AFTER,
    )
    assert worker.told == ["S1-1 B2 confirmed 12"]


async def test_what_gateways_still_number_by_the_tree_before_is_not_misplaced(
    worker: Worker,
) -> None:
    await worker.hear(WARM, BEFORE)
    worker.switch(AFTER)
    await worker.hear(["12:01:00 M7..M18 heartbeat"], BEFORE)
    ids = AFTER.groups[0].ids
    frames = [frame for frame in worker.frames if frame.network == AFTER.version]
    rows = np.concatenate([frame.rows for frame in frames])
    assert [ids[node] for node in rows["node"].tolist()] == [f"M{n}" for n in range(7, 19)]


async def test_a_replay_of_what_was_recorded_has_the_same_engine(worker: Worker) -> None:
    await worker.hear(WARM + DARK[:3], BEFORE)
    worker.switch(AFTER)
    await worker.hear(DARK[3:], AFTER)
    kinds = [type(command) for frame in worker.frames for command in frame.commands]
    assert kinds.count(NetworkChanged) == 1
    assert take(await worker.recovered()) == take(worker.partition.engines[0])


@pytest.mark.parametrize("fails", [1, 2])
async def test_where_a_commit_fails_in_the_switch_it_begins_again_over_the_new_tree(
    worker: Worker, fails: int
) -> None:
    await worker.hear(WARM + DARK[:1], BEFORE)
    worker.switch(AFTER)
    worker.breaks = fails
    await worker.hear(DARK[1:], AFTER)
    assert worker.told == ["S1-1 T2 confirmed 6"]
    assert worker.partition.network == AFTER.version
    assert sum(len(frame.rows) for frame in worker.frames) == 5 * 18 + 5 * 6
    assert worker.quarantined == []


async def test_before_the_first_record_there_is_nothing_to_carry_over(worker: Worker) -> None:
    worker.switch(AFTER)
    await worker.hear(WARM + DARK, BEFORE)
    assert worker.told == ["S1-1 T2 confirmed 6"]
    assert min(frame.until_ms for frame in worker.frames) > 1_700_000_000_000


@pytest.mark.parametrize("worker", [APART], indirect=True)
@pytest.mark.parametrize("fails", [0, 1])
async def test_the_plan_of_a_device_that_comes_from_another_partition_comes_with_it(
    worker: Worker, fails: int
) -> None:
    await worker.hear(WARM, APART)
    worker.switch(TAKEN_OVER, WORK)
    worker.breaks = fails
    await worker.hear([f"12:0{n}:00 M1..M24 heartbeat" for n in (1, 2, 3)], TAKEN_OVER)
    dark = ["12:03:20 M19..M24 last_gasp", "12:04:00 M1..M18 heartbeat", "12:05:00 M1 heartbeat"]
    await worker.hear(dark, TAKEN_OVER)
    assert worker.told == ["S1-1 T4 confirmed 6"]
    assert worker.changes[-1].outage.kind == "planned"
    commands = [command for frame in worker.frames for command in frame.commands]
    assert sum(isinstance(command, PlanEntered) for command in commands) == 1


@pytest.mark.parametrize("worker", [APART], indirect=True)
async def test_a_plan_that_came_and_was_cancelled_does_not_come_again(worker: Worker) -> None:
    await worker.hear(WARM, APART)
    worker.switch(TAKEN_OVER, WORK)
    await worker.hear(["12:01:00 M1..M18 heartbeat"], TAKEN_OVER)
    worker.partition.engines[0].plans.clear()  # cancelled
    await worker.hear(["12:02:00 M1..M18 heartbeat", "12:03:00 M1 heartbeat"], TAKEN_OVER)
    assert worker.partition.engines[0].plans == {}
