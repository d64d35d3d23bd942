"""What a gateway hands over, and to whom."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from grid.frame import NO_ROWS, Frame, Rows
from grid.outage import Outcome


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
    read.
    """

    rows: Rows = field(default_factory=lambda: NO_ROWS)  # an array has no hash
    quarantined: tuple[Quarantined, ...] = ()


class Intake(Protocol):
    """The stream, as a gateway sees it."""

    async def deliver(self, parcel: Parcel) -> None:
        """Return once all of it is committed: only then may it be acknowledged upstream.

        Raises:
            Unreachable: Not accepted; keep it and offer it again.
        """

    async def lost(self, source: str) -> None:
        """Say, as soon as it is known, that nothing is heard of a source any more."""

    async def deaf(self, source: str, from_ms: int, until_ms: int) -> None:
        """Say that nothing was heard of a source between two moments, before handing over its
        backlog.
        """

    async def caught_up(self, source: str) -> None:
        """Say that a source's backlog has been handed over."""


@dataclass(frozen=True, slots=True, eq=False)
class Applied:
    """A frame and what the engine said to it; ``snapshot`` is the engine after it, now and then."""

    frame: Frame
    outcome: Outcome
    snapshot: bytes | None = None


Batch = Sequence[Applied]
"""What goes into one transaction, in the order of application."""
