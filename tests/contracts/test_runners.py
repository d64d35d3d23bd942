"""What every runner must do is asked of both: the one in process, and a gateway and a worker with a
bus between them; on every database.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest

from detectors.engine import Engine
from detectors.settings import EngineSettings
from grid.frame import NOT_YET, PlanEntered
from grid.parcel import Claim, Parcel
from grid.reading import Kind
from stream.bus_intake import BusIntake
from stream.holding import Done, Holding, Incoming
from stream.inprocess import InProcess
from stream.partition import Partition
from stream.settings import BusSettings, StreamSettings

DEADLINE_S = 60.0
DRAWING = """
source S1
  breaker B1 telemetered
    transformer T1
      meter M1..M6
    transformer T2
      meter M7..M12
"""
DARK, LIT = [[f"M{n}" for n in numbers] for numbers in (range(1, 7), range(7, 13))]
# The clock of these tests jumps by minutes, and nobody beats meanwhile.
BUS = BusSettings(partitions=1, linger_ms=0, lost_s=600.0, gone_s=6000.0)
LIMITS = EngineSettings(heartbeat_s=60.0)
pytestmark = pytest.mark.services


@dataclass
class Rope:
    """A bus of one partition a topic: what is sent is there, and the worker is given it."""

    clock: Callable[[], int]
    partitions: dict[str, Partition] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)
    behind: list[tuple[str, int]] = field(default_factory=list)

    async def begin(
        self, topic: str, _partition: int, _key: str, value: bytes
    ) -> "asyncio.Future[None]":
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        answered.set_result(None)
        offset = self.sent[topic]
        self.sent[topic] += 1
        done = partial(self.behind.append, (topic, offset))
        await self.partitions[topic].take(Incoming(offset, self.clock(), value, done))
        return answered


@dataclass
class Runner:
    """A stream, and the time that its clock says."""

    at: Callable[[str], int]
    now_ms: int = 0
    stream: Any = None

    def clock(self) -> int:
        return self.now_ms

    async def says(self, clock: str, parcel: Parcel) -> None:
        """Hand over at a time, and return once it is committed."""
        self.now_ms = self.at(clock)
        async with asyncio.timeout(DEADLINE_S):
            receipt = await self.stream.deliver(parcel)
            if receipt is not None:
                await receipt


@contextlib.asynccontextmanager
async def going(*works: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@contextlib.asynccontextmanager
async def in_process(runner: Runner, store: Any, house: Any) -> AsyncIterator[None]:
    engines = {group.no: Engine(group, LIMITS) for group in house.network.groups}
    made = InProcess(
        engines, network=house.network.version, commit=store.commit, now_ms=runner.clock,
        sources=(), settings=StreamSettings(linger_ms=0),
    )  # fmt: skip
    runner.stream = made
    async with going(made.run()):
        yield


@contextlib.asynccontextmanager
async def on_a_bus(runner: Runner, store: Any, house: Any) -> AsyncIterator[None]:
    rope = Rope(runner.clock)
    groups = house.network.groups
    made = BusIntake(
        rope, BUS, sender="mqtt-gateway@a", groups=[g.slug for g in groups],  # type: ignore[arg-type]
        now_ms=runner.clock,
    )  # fmt: skip

    async def committed(done: Done) -> None:
        made.committed(done.tickets.get("mqtt-gateway@a", []))

    async def none(*_: object) -> Any:
        raise AssertionError("nothing fails here, and there is one network")

    for topic, owned in (("lastgasp.frames", groups), ("lastgasp.quarantine", ())):
        claim: Claim = await store.claim(topic, 0, "worker@a")
        rope.partitions[topic] = Partition(
            Holding(claim, {g.no: Engine(g, LIMITS) for g in owned}, house.network.version),
            slugs={g.slug: g.no for g in owned},
            commit=store.commit, committed=committed, begin_again=none, renumber=none,
            settings=BUS, stream=StreamSettings(),
        )  # fmt: skip
    runner.stream = made
    async with going(made.run(), *(p.run() for p in rope.partitions.values())):
        yield


@pytest.fixture
def house(house: Any) -> Any:
    """One substation with twelve meters on two transformers."""
    return type(house).drawn(DRAWING)


@pytest.fixture(params=[in_process, on_a_bus], ids=["in process", "on a bus"])
async def runner(request: Any, store: Any, house: Any, at: Any) -> AsyncIterator[Runner]:
    await house.move_in(store)
    made = Runner(at)
    made.now_ms = at("11:00:00")
    async with request.param(made, store, house):
        yield made


@pytest.fixture
def told(house: Any) -> Callable[..., Parcel]:
    """``told("12:00:00", "last_gasp", "M1", "M2")``: what a gateway hands over."""

    def pack(clock: str, kind: str, *names: str, **values: Any) -> Parcel:
        return Parcel(
            np.concatenate([house.reading(n, Kind[kind.upper()], clock, **values) for n in names])
        )

    return pack


async def a_fault(runner: Runner, told: Callable[..., Parcel]) -> None:
    """T1 fails, and comes back ten minutes later."""
    for minute in range(10):
        clock = f"11:5{minute}:00"
        await runner.says(clock, told(clock, "heartbeat", *DARK, *LIT))
    await runner.says("12:00:01", told("12:00:00", "last_gasp", *DARK))
    for minute in range(1, 10):
        clock = f"12:0{minute}:00"
        await runner.says(clock, told(clock, "heartbeat", *LIT))
    await runner.says("12:10:01", told("12:10:00", "power_up", *DARK))
    await runner.says("12:10:30", told("12:10:30", "heartbeat", *DARK, *LIT))
    for minute in range(1, 8):
        clock = f"12:1{minute}:30"
        await runner.says(clock, told(clock, "heartbeat", *DARK, *LIT))


async def test_what_is_told_is_committed_when_its_receipt_is_there(
    runner: Runner, told: Any, ask: Any
) -> None:
    await runner.says("12:00:00", told("12:00:00", "heartbeat", "M1", "M2", boot=7, seq=1))
    assert ask("SELECT count(*) FROM readings") == [(2,)]


async def test_a_fault_is_found_with_its_device_and_its_steps(
    runner: Runner, told: Any, ask: Any, at: Any
) -> None:
    await a_fault(runner, told)
    closed = "SELECT device_id, customers_affected FROM outages WHERE state = 'closed'"
    assert ask(closed) == [("T1", 6)]
    steps = """SELECT (extract(epoch FROM off_at) * 1000)::bigint,
                      (extract(epoch FROM on_at) * 1000)::bigint, customers
               FROM outage_steps JOIN outages ON id = outage_id WHERE device_id = 'T1'"""
    assert ask(steps) == [(at("12:00:00"), at("12:10:00"), [f"C-{name}" for name in DARK])]


async def test_the_recorded_stream_gives_what_was_committed(
    runner: Runner, told: Any, ask: Any, store: Any, house: Any
) -> None:
    await a_fault(runner, told)
    replayed = []
    for group in house.network.groups:
        engine = Engine(group, LIMITS)
        async for frame in store.recorded(group.slug, 0):
            changes = engine.apply(frame).changes
            replayed += [(c.outage.id, c.outage.version, c.outage.state.value) for c in changes]
    committed = ask("SELECT outage_id, version, outage->>'state' FROM changes")
    assert sorted(replayed) == sorted(committed) != []


async def test_what_comes_twice_counts_once(runner: Runner, told: Any, ask: Any) -> None:
    for clock in ("12:00:01", "12:00:02"):
        await runner.says(clock, told("12:00:00", "last_gasp", "M1", boot=7, seq=1))
    assert ask("SELECT count(*) FROM readings") == [(1,)]


async def test_what_nobody_can_read_is_kept_once(
    runner: Runner, quarantined: Any, ask: Any, told: Any
) -> None:
    bad = quarantined("12:00:00", b"{")
    rows = told("12:00:00", "heartbeat", "M1").rows
    await runner.says("12:00:00", Parcel(rows, (bad,)))
    until = asyncio.get_running_loop().time() + DEADLINE_S
    while ask("SELECT count(*) FROM quarantine") != [(1,)]:
        assert asyncio.get_running_loop().time() < until
        await asyncio.sleep(0.01)


async def test_a_plan_has_its_place_in_the_stream(
    runner: Runner, told: Any, ask: Any, at: Any
) -> None:
    await runner.says("11:50:00", told("11:50:00", "heartbeat", "M1", "M2"))
    plan = PlanEntered(
        NOT_YET, "P1", "T1", at("12:00:00"), at("13:00:00"), "planned", "a new transformer"
    )
    async with asyncio.timeout(DEADLINE_S):
        await runner.stream.command(plan)
    assert ask("SELECT plan_id, device_id FROM plans") == [("P1", "T1")]
