"""The specification of a worker's partition: what is committed depends on the records and nothing
else.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
import structlog

from detectors.engine import Engine
from detectors.settings import EngineSettings
from grid.errors import Fenced, Unreachable
from grid.frame import Frame, PlanCancelled
from grid.network import Network
from grid.parcel import Advance, Applied, Claim, Parcel, Quarantined
from grid.reading import Kind
from stream.bus_intake import BusIntake
from stream.holding import Done, Holding, Incoming
from stream.partition import Partition
from stream.records import partition_of
from stream.settings import BusSettings, StreamSettings

DEADLINE_S = 60.0
# The clock of these tests jumps by minutes, and nobody beats meanwhile.
SETTINGS = BusSettings(partitions=1, linger_ms=0, lost_s=600.0, gone_s=6000.0)
WARM = "\n".join(f"11:5{m}:00 M1..M12 heartbeat" for m in range(5, 10))


async def until(true: Callable[[], object]) -> None:
    """Let the others run until a condition holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not true():  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.001)


@dataclass
class Bus:
    """One partition of ``frames`` and one of ``quarantine``, which take everything at once."""

    clock: Any
    frames: list[tuple[int, bytes]] = field(default_factory=list)
    quarantine: list[tuple[int, bytes]] = field(default_factory=list)
    away: bool = False

    async def begin(
        self, topic: str, _partition: int, _key: str, value: bytes
    ) -> "asyncio.Future[None]":
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.away:
            answered.set_exception(Unreachable("Kafka is away", retry_in_s=0.001))
            return answered
        (self.frames if topic.endswith("frames") else self.quarantine).append((self.clock(), value))
        answered.set_result(None)
        return answered


@dataclass
class Ledger:
    """A database: what was committed, and who has the partition."""

    network: Network
    frames: list[Frame] = field(default_factory=list)
    batches: list[Sequence[Applied]] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    generation: int = 0
    next_offset: int | None = None
    marks: bytes = b""
    away: int = 0
    refuse: Callable[[Sequence[Applied]], bool] = lambda _batch: False
    said: list[Done] = field(default_factory=list)

    def claim(self, held: int | None = None) -> Claim:
        if held is not None and held != self.generation:
            raise Fenced("taken over")
        self.generation += 1
        return Claim("frames", 0, self.generation, self.next_offset, self.marks)

    async def commit(
        self, batch: Sequence[Applied], quarantined: Sequence[Quarantined], advance: Advance
    ) -> None:
        await asyncio.sleep(0)
        if self.away:
            self.away -= 1
            raise Unreachable("the database is away", retry_in_s=0.001)
        if advance.generation != self.generation:
            raise Fenced("taken over")
        if self.refuse(batch):
            raise ValueError("the database will not take it")
        assert self.next_offset is None or advance.next_offset > self.next_offset
        self.batches.append(batch)
        self.frames += [applied.frame for applied in batch]
        self.quarantined += quarantined
        self.next_offset, self.marks = advance.next_offset, advance.marks

    def holding(self, claim: Claim) -> Holding:
        """Engines from the recorded stream, as a restart has them."""
        engines = {g.no: Engine(g, EngineSettings(heartbeat_s=60.0)) for g in self.network.groups}
        for frame in self.frames:
            engines[frame.group].apply(frame)
        return Holding(claim, engines, self.network.version)

    @property
    def changes(self) -> list[tuple[str, int, str, str]]:
        return [
            (c.outage.id, c.outage.version, c.outage.state.value, c.reason)
            for batch in self.batches
            for applied in batch
            for c in applied.outcome.changes
        ]

    @property
    def rows(self) -> int:
        return sum(len(frame.rows) for frame in self.frames)


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    """Tracebacks with everything in them would take seconds to draw."""
    with structlog.testing.capture_logs():
        yield


@pytest.fixture
def limits() -> BusSettings:
    return SETTINGS


@pytest.fixture
def bus(clock: Any) -> Bus:
    return Bus(clock)


@pytest.fixture
def ledger(network: Network) -> Ledger:
    return Ledger(network)


@pytest.fixture
async def gateway(
    bus: Bus, network: Network, clock: Any, limits: BusSettings
) -> AsyncIterator[Callable[[str], BusIntake]]:
    """Start gateways: ``gateway("mqtt-gateway@a")``."""
    tasks = []

    def start(sender: str = "mqtt-gateway@a") -> BusIntake:
        intake = BusIntake(
            bus,  # type: ignore[arg-type]
            limits,
            sender=sender,
            groups=[group.slug for group in network.groups],
            now_ms=clock,
        )
        tasks.append(asyncio.create_task(intake.run()))
        return intake

    yield start
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def work(bus: Bus, ledger: Ledger, network: Network, limits: BusSettings) -> Callable[..., Any]:
    """Let a worker have the partition until all is read: ``await work()``, ``work(upto=5)``."""

    async def committed(done: Done) -> None:
        ledger.said.append(done)

    async def again(claim: Claim) -> Holding:
        return ledger.holding(ledger.claim(claim.generation))

    async def no_other_version(*_: object) -> Any:
        raise AssertionError("there is one network")

    async def run(upto: int | None = None, *, twice: int = 1, **stream: float) -> Partition:
        holding = ledger.holding(ledger.claim())
        partition = Partition(
            holding,
            slugs={group.slug: group.no for group in network.groups},
            commit=ledger.commit,
            committed=committed,
            begin_again=again,
            renumber=no_other_version,
            settings=limits,
            stream=StreamSettings(**{"idle_frame_s": 10.0, **stream}),
        )
        task = asyncio.create_task(partition.run())
        behind: list[int] = []
        begin = holding.claim.next_offset or 0
        records = list(enumerate(bus.frames))[begin:upto]
        for offset, (appended_ms, body) in records:
            for _ in range(twice):
                await partition.take(
                    Incoming(offset, appended_ms, body, lambda o=offset: behind.append(o))
                )
        wanted = {offset for offset, _ in records}
        await until(lambda: partition.fenced or wanted <= set(behind))
        task.cancel()
        await asyncio.wait({task})
        return partition

    return run


async def day(gateway: BusIntake, clock: Any, parcel: Callable[[str], Parcel], lines: str) -> None:
    """Hand over what happened, each line at its time."""
    for line in lines.strip().splitlines():
        clock.set(line.split()[0])
        await gateway.deliver(parcel(line))


FAULT = """
12:00:00 M1..M12 heartbeat
12:00:20 M1..M6 last_gasp
12:01:00 M7..M12 heartbeat
12:02:00 M7..M12 heartbeat
12:10:00 M1..M6 power_up
12:10:10 M1..M12 heartbeat
"""


async def test_a_fault_is_found_and_its_tickets_are_told(
    gateway, parcel, clock, ledger, work
) -> None:
    north = gateway()
    await day(north, clock, parcel, WARM + FAULT)
    await work()
    assert ledger.rows == 5 * 12 + 12 + 6 + 6 + 6 + 6 + 12
    assert any(state == "confirmed" or state == "predicted" for _, _, state, _ in ledger.changes)
    tickets = [t for done in ledger.said for t in done.tickets.get("mqtt-gateway@a", [])]
    assert len(tickets) == len(set(tickets)) == 11


async def test_where_a_worker_stops_and_another_goes_on_changes_nothing(
    gateway, parcel, clock, ledger, work, network
) -> None:
    await day(gateway(), clock, parcel, WARM + FAULT)
    await work()
    whole = list(ledger.changes)
    other = Ledger(network)
    ledger.__dict__.update(other.__dict__)
    for upto in (2, 3, 6, 7, 9, None):
        await work(upto)
    assert ledger.changes == whole != []


async def test_records_that_come_twice_count_once(gateway, parcel, clock, ledger, work) -> None:
    await day(gateway(), clock, parcel, WARM + FAULT)
    await work(twice=2)
    assert ledger.rows == 108


async def test_a_database_that_is_away_loses_nothing(gateway, parcel, clock, ledger, work) -> None:
    await day(gateway(), clock, parcel, WARM + FAULT)
    ledger.away = 7
    await work()
    assert ledger.rows == 108


async def test_who_lost_the_partition_can_write_no_more(
    gateway, parcel, clock, ledger, work
) -> None:
    await day(gateway(), clock, parcel, WARM)
    ledger.away = 1
    working = asyncio.create_task(work())
    await until(lambda: not ledger.away)
    ledger.claim()  # another worker
    partition = await working
    assert partition.fenced
    assert not partition.as_committed
    assert ledger.frames == []


async def test_a_record_that_cannot_be_read_goes_to_quarantine_and_the_rest_goes_on(
    gateway, parcel, clock, bus, ledger, work
) -> None:
    north = gateway()
    await day(north, clock, parcel, "11:58:00 M1..M12 heartbeat")
    bus.frames.append((clock(), b"\xc1 no record"))
    await day(north, clock, parcel, "11:59:00 M1..M12 heartbeat")
    await work()
    (bad,) = ledger.quarantined
    assert bad.topic == "frames/0@1"
    assert bad.body == b"\xc1 no record"
    assert ledger.rows == 24
    assert ledger.next_offset == 3


async def test_a_record_that_the_database_will_not_take_is_tried_three_times_alone(
    gateway, parcel, clock, ledger, work
) -> None:
    await day(gateway(), clock, parcel, WARM + FAULT)
    refused: list[int] = []

    def has_a_gasp(batch: Sequence[Applied]) -> bool:
        gasps = sum(int((a.frame.rows["kind"] == Kind.LAST_GASP).sum()) for a in batch)
        refused.extend([gasps] if gasps else [])
        return gasps > 0

    ledger.refuse = has_a_gasp
    await work()
    (bad,) = ledger.quarantined
    assert "will not take it" in bad.reason
    assert ledger.rows == 108 - 6
    assert len(refused) >= SETTINGS.tries_max


WATCHFUL = pytest.mark.parametrize(
    "limits", [msgspec.structs.replace(SETTINGS, lost_s=5.0)], ids=["lost after 5 s"]
)


@WATCHFUL
async def test_a_bus_that_pauses_is_no_outage(gateway, parcel, clock, bus, ledger, work) -> None:
    north = gateway()
    await day(north, clock, parcel, WARM)
    bus.away = True
    clock.set("12:20:00")
    with pytest.raises(Unreachable):
        await north.deliver(parcel("12:19:00 M1..M12 heartbeat"))
    bus.away = False
    await day(north, clock, parcel, "12:20:01 M1..M12 heartbeat\n12:21:01 M1..M12 heartbeat")
    await day(north, clock, parcel, "12:22:01 M1..M12 heartbeat")
    await work()
    assert ledger.changes == []


@WATCHFUL
async def test_a_gateway_that_is_gone_is_silence_that_nobody_heard(
    gateway, parcel, clock, ledger, work
) -> None:
    north, south = gateway("mqtt-gateway@a"), gateway("mqtt-gateway@b")
    await day(north, clock, parcel, WARM)
    for minute in range(30):  # only the other one is there
        clock.set(f"12:{minute:02}:00")
        await day(south, clock, parcel, f"12:{minute:02}:01 M21..M26 heartbeat")
    await work()
    said = [c for f in ledger.frames for c in f.commands if c.source == "bus/mqtt-gateway@a"]
    assert "SourceLost" in [type(c).__name__ for c in said]
    assert ledger.changes == []


async def test_commands_of_one_group_reach_only_that_one(
    gateway, parcel, clock, ledger, work
) -> None:
    desk = gateway("dispatch@a")
    clock.set("12:00:00")
    waiting = asyncio.create_task(desk.command(PlanCancelled(0, "P1"), group=1))
    await until(lambda: desk.unconfirmed)
    await work()
    for done in ledger.said:
        desk.committed(done.tickets.get("dispatch@a", []))
    await asyncio.wait_for(waiting, DEADLINE_S)
    by_group = {f.group: [type(c).__name__ for c in f.commands] for f in ledger.frames}
    assert by_group[1] == ["PlanCancelled"]
    assert "PlanCancelled" not in by_group.get(0, [])


def test_a_group_is_in_the_same_partition_for_everybody() -> None:
    assert [partition_of(slug, 12) for slug in ("S1", "S2", "north")] == [6, 8, 6]
