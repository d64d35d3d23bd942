"""What a gateway hands over, and to whom."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from grid.frame import NO_ROWS, Command, Frame, Rows
from grid.outage import Outcome

BODY_BYTES_MAX = 64 << 10  # of a payload in quarantine


class Quarantined(msgspec.Struct, frozen=True):
    """A payload that could not be read.  ``body`` is kept up to 64 KiB; ``length`` and ``sha256``
    are of all of it.
    """

    received_ms: int
    source: str  # "mqtt", "modbus", "replay"
    topic: str
    reason: str  # a sentence
    body: bytes
    length: int
    sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Parcel:
    """Readings of any groups in the order they came (``stream_ms`` still 0), and what could not be
    read.  ``network`` is the version that the rows are numbered by; blank: the one in force.
    """

    rows: Rows = field(default_factory=lambda: NO_ROWS)  # an array has no hash
    quarantined: tuple[Quarantined, ...] = ()
    network: str = ""


class Claim(msgspec.Struct, frozen=True):
    """A partition of a bus taken over by a worker: nobody with an earlier generation may commit."""

    topic: str
    partition: int
    generation: int
    next_offset: int | None  # the first record that is not committed; None: none ever was
    marks: bytes  # what was kept beside it


class Advance(msgspec.Struct, frozen=True):
    """How far a batch brings its partition; committed with it, or not at all."""

    topic: str
    partition: int
    generation: int
    next_offset: int
    marks: bytes


Receipt = Awaitable[None]
"""Done once what was delivered is committed."""


class Intake(Protocol):
    """The stream, as a gateway sees it."""

    async def deliver(self, parcel: Parcel) -> Receipt | None:
        """Return once all of it is safe: only then may the broker upstream forget it.

        Its devices may only once it is committed.  None: it is; else the receipt tells when.

        Raises:
            Unreachable: Not accepted; keep it and offer it again.
        """

    async def lost(self, source: str) -> None:
        """Say, as soon as it is known, that nothing is heard of a source any more."""

    async def deaf(self, source: str, from_ms: int, until_ms: int) -> None:
        """Say that nothing was heard of a source between two moments, before handing over its
        backlog.
        """

    async def caught_up(self, source: str, answered_ms: int = 0) -> None:
        """Say that a source's backlog has been handed over, and since when its devices are
        answered again (0: since it was there again).
        """


class Stream(Intake, Protocol):
    """The stream, as the people's desk sees it."""

    async def command(self, command: Command, group: int | None = None) -> None:
        """Put a command into the stream of one group or all; return once it is committed.

        Its ``at_ms`` is ``grid.frame.NOT_YET``: the stream gives it its place.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Applied:
    """A frame and what the engine said to it; ``snapshot`` is the engine after it, now and then.

    ``recorded``: the frame as it is recorded, where that was made ahead.
    """

    frame: Frame
    outcome: Outcome
    snapshot: bytes | None = None
    recorded: bytes | None = None


Batch = Sequence[Applied]
"""What goes into one transaction, in the order of application."""
