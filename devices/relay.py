"""What a protection relay's registers come to, whatever its family: position, counters, events.

A family is a datasheet (one module each): what to read, and how registers become a ``Sample`` and
back.  The registers of all requests of a poll go in and out together, in the order of ``reads``.
"""

from collections.abc import Callable, Sequence

import msgspec

from grid.reading import Kind

READ_COILS, READ_DISCRETE_INPUTS, READ_HOLDING_REGISTERS, READ_INPUT_REGISTERS = 1, 2, 3, 4
"""The only function codes of this house: it never writes to the field."""

NOT_MEASURED = float("nan")

Registers = Sequence[Sequence[int]]
"""Of each request of a poll: registers as 0 to 65535, or bits as 0 and 1."""


class Read(msgspec.Struct, frozen=True):
    """One request.  ``address`` counts from 0, as on the wire."""

    function: int
    address: int
    count: int


class SwitchEvent(msgspec.Struct, frozen=True):
    """A line of the relay's sequence of events.  ``seq`` wraps at 65,536."""

    seq: int
    kind: Kind  # TRIP, OPEN, CLOSE, LOCKOUT
    at_ms: int  # the relay's clock, UTC


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A relay at one moment, in units a person uses.  NaN is not measured."""

    closed: bool | None  # None: the contacts contradict each other, or are on their way
    lockout: bool = False
    commanded: bool = False  # the last opening was, by a person or a remote control
    amps: tuple[float, float, float] = (NOT_MEASURED, NOT_MEASURED, NOT_MEASURED)
    volts: tuple[float, float, float] = (NOT_MEASURED, NOT_MEASURED, NOT_MEASURED)  # to neutral
    power_kw: float = NOT_MEASURED
    event_seq: int | None = None  # newest of the sequence of events; None where none is kept
    events: tuple[SwitchEvent, ...] = ()  # oldest first
    openings: int = 0  # counters, wrap at 65,536; of families that keep no sequence of events
    closings: int = 0
    opened_ms: int = 0  # the last ones, by the relay's clock; 0 for never
    closed_ms: int = 0


class Family(msgspec.Struct, frozen=True):
    """A datasheet as functions.  ``decode`` raises BadPayload where it is not such a relay."""

    name: str
    reads: tuple[Read, ...]
    decode: Callable[[Registers], Sample]
    encode: Callable[[Sample], tuple[list[int], ...]]


def two_words(value: int) -> tuple[int, int]:
    """A 32-bit number as two registers, high word first."""
    return value >> 16 & 0xFFFF, value & 0xFFFF
