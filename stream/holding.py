"""What a partition of the bus is given, and what it says once a batch is committed."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from detectors.engine import Engine
from grid.frame import Command, Rows
from grid.network import Group
from grid.outage import Ping
from grid.parcel import Advance, Applied, Batch, Claim, Quarantined
from stream.records import Record

Commit = Callable[[Batch, Sequence[Quarantined], Advance], Awaitable[None]]
Renumber = Callable[[Record, Rows, Group], Awaitable[Rows]]
"""A record's rows, numbered by another version of the network, by that of the group that runs."""


@dataclass(frozen=True, slots=True, eq=False)
class Incoming:
    """A record as the bus has it.  ``done`` is called once it is behind us."""

    offset: int
    appended_ms: int  # the broker's clock
    body: bytes
    done: Callable[[], object]


@dataclass(frozen=True, slots=True, eq=False)
class Holding:
    """A partition that was taken over, and its engines as they were at its offset."""

    claim: Claim
    engines: Mapping[int, Engine]
    network: str  # version of theirs
    opening: tuple[tuple[int, Command], ...] = ()  # what an engine is told first, by group


@dataclass(slots=True, eq=False)
class Done:
    """What a committed batch has to say: to whom which tickets, and who is to be asked."""

    batch: list[Applied] = field(default_factory=list)
    tickets: dict[str, list[int]] = field(default_factory=dict)
    asked: str | None = None  # the gateway that is to ask
    pings: list[Ping] = field(default_factory=list)
