"""Peers of the runner: a clock that the test moves, and commits that it can hold or refuse."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from detectors.engine import Engine
from detectors.settings import EngineSettings
from grid.drawing import draw
from grid.errors import Unreachable
from grid.frame import NO_ROWS, Frame
from grid.network import Network
from grid.outage import Change, Finding
from grid.parcel import Applied, Parcel, Quarantined
from grid.reading import Kind, Reading
from grid.times import from_rfc3339
from ingest.packing import Packer
from stream.inprocess import InProcess
from stream.settings import StreamSettings

DEADLINE_S = 60.0
NETWORK = draw("""
source S1
  breaker B1 telemetered
    transformer T1
      meter M1..M6
    transformer T2
      meter M7..M12
source S2
  breaker B2
    transformer T3
      meter M21..M26
""")


def ms(text: str) -> int:
    """Epoch milliseconds of a time of the day, ``12:00:00``."""
    return from_rfc3339(f"2026-11-21T{text}Z")


@dataclass
class Clock:
    """The time, as the test sets it."""

    now_ms: int = ms("12:00:00")

    def __call__(self) -> int:
        return self.now_ms

    def set(self, text: str) -> None:
        self.now_ms = ms(text)


@dataclass
class Log:
    """A store of one transaction a batch: ``go`` lets commits through, ``away`` refuses some."""

    batches: list[Sequence[Applied]] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    offered: list[Sequence[Applied]] = field(default_factory=list)
    away: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        self.go.set()

    async def commit(self, batch: Sequence[Applied], quarantined: Sequence[Quarantined]) -> None:
        self.offered.append(batch)
        await self._note()
        await self.go.wait()
        if self.away:
            self.away -= 1
            raise Unreachable("the database is away", retry_in_s=0.001)
        self.batches.append(batch)
        self.quarantined += quarantined
        await self._note()

    async def _note(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until(self, true: Callable[[], object]) -> None:
        """Wait for a condition on what was offered or committed."""
        async with asyncio.timeout(DEADLINE_S), self.changed:
            await self.changed.wait_for(lambda: bool(true()))

    def frames(self, group: int = 0) -> list[Frame]:
        return [a.frame for batch in self.batches for a in batch if a.frame.group == group]

    def rows(self, group: int = 0) -> list[str]:
        """``M1 last_gasp`` of everything committed, in order."""
        ids = NETWORK.groups[group].ids
        return [
            f"{ids[row['node']]} {Kind(row['kind']).name.lower()}"
            for frame in self.frames(group)
            for row in frame.rows
        ]

    def commands(self, group: int = 0) -> list[str]:
        return [type(c).__name__ for frame in self.frames(group) for c in frame.commands]

    @property
    def changes(self) -> list[Change]:
        return [c for batch in self.batches for a in batch for c in a.outcome.changes]

    @property
    def findings(self) -> list[Finding]:
        return [f for batch in self.batches for a in batch for f in a.outcome.findings]


def read(text: str) -> list[tuple[int, list[Reading]]]:
    """(received, readings) of lines like ``12:00:00 M1..M3 last_gasp``, or with ``received=``."""
    found = []
    for line in text.strip().splitlines():
        time, devices, kind, *rest = line.split()
        first, _, last = devices.partition("..")
        numbers = range(int(first[1:]), int((last or first)[1:]) + 1)
        received = ms(rest[0].removeprefix("received=")) if rest else ms(time)
        names = [f"{first[0]}{number}" for number in numbers]
        found.append((received, [Reading(n, Kind[kind.upper()], ms(time)) for n in names]))
    return found


@pytest.fixture
def network() -> Network:
    """Two substations: two groups."""
    return NETWORK


@pytest.fixture
def parcel() -> Callable[[str], Parcel]:
    """What a gateway hands over: ``parcel("12:00:00 M1..M3 last_gasp")``."""

    def pack(text: str) -> Parcel:
        packer = Packer(NETWORK)
        packed = [packer.pack(readings, received)[0] for received, readings in read(text)]
        return Parcel(np.concatenate(packed) if packed else NO_ROWS)

    return pack


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def engines() -> dict[int, Engine]:
    """Engines that heard nobody yet."""
    return {group.no: Engine(group, EngineSettings(heartbeat_s=60.0)) for group in NETWORK.groups}


@pytest.fixture
async def start(
    engines: dict[int, Engine], clock: Clock, log: Log
) -> AsyncIterator[Callable[..., InProcess]]:
    """Start runners: ``start(sources=(), linger_ms=0)``; they are stopped with the test."""
    tasks: list[asyncio.Task[None]] = []

    def begin(sources: Sequence[str] = (), **settings: float) -> InProcess:
        runner = InProcess(
            engines,
            network=NETWORK.version,
            commit=log.commit,
            now_ms=clock,
            sources=sources,
            settings=StreamSettings(**{"linger_ms": 0, **settings}),
        )
        tasks.append(asyncio.create_task(runner.run(), name="runner"))
        return runner

    yield begin
    log.go.set()
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, DEADLINE_S)


@pytest.fixture
def reading_lines() -> Callable[[str], list[tuple[int, list[Reading]]]]:
    """(received, readings) of each line."""
    return read
