"""RC-20 recloser controller: two position contacts, operation counters, the last operations' times.

It keeps no sequence of events: what happened between two polls is told by the counters.
(docs/protocols.md, section Modbus)

Function 2, address 0, 4 discrete inputs: 0 contact 52a (made while closed), 1 contact 52b (made
while open), 2 lockout, 3 the last opening was commanded.  52a and 52b alike: position not known.

Function 3, address 100, 18 holding registers:

======= =====================================================================================
100     0x5243, the family
101     openings, by protection or by command; wraps at 65,536
102     closings, by reclosing or by command; wraps at 65,536
103-105 the last opening: seconds since 1970 UTC (high, low), milliseconds; 0 for never
106-108 the last closing, the same
109-114 current of phases A, B, C in A: IEEE 754 singles, high word first; NaN not measured
115-117 voltage of phases A, B, C to neutral in 10 V; 0xFFFF not measured
======= =====================================================================================
"""

import struct
from collections.abc import Sequence

from devices.relay import (
    NOT_MEASURED,
    READ_DISCRETE_INPUTS,
    READ_HOLDING_REGISTERS,
    Family,
    Read,
    Registers,
    Sample,
    two_words,
)
from grid.errors import BadPayload

READ_CONTACTS = Read(READ_DISCRETE_INPUTS, 0, 4)
READ_RECORD = Read(READ_HOLDING_REGISTERS, 100, 18)
IDENTITY = 0x5243

_CLOSED_OF = {(1, 0): True, (0, 1): False}
_CONTACTS_OF = {True: (1, 0), False: (0, 1), None: (0, 0)}
_NO_UNSIGNED = 0xFFFF
_AMPS_MAX = 1e6


def decode(registers: Registers) -> Sample:
    """One poll in units a person uses.

    Raises:
        BadPayload: Wrong length, another family, or a current that is none.
    """
    contacts, record = registers
    if len(contacts) < READ_CONTACTS.count or len(record) != READ_RECORD.count:
        raise BadPayload("a short answer of an RC-20", got=len(record))
    if record[0] != IDENTITY:
        raise BadPayload("these are no registers of an RC-20", got=record[0])
    amps = struct.unpack(">fff", struct.pack(">6H", *record[9:15]))
    if any(abs(phase) > _AMPS_MAX for phase in amps):
        raise BadPayload("an RC-20 with a current that is none")
    return Sample(
        closed=_CLOSED_OF.get((contacts[0], contacts[1])),
        lockout=bool(contacts[2]),
        commanded=bool(contacts[3]),
        amps=amps,
        volts=(_tens(record[15]), _tens(record[16]), _tens(record[17])),
        openings=record[1],
        closings=record[2],
        opened_ms=_moment(record[3:6]),
        closed_ms=_moment(record[6:9]),
    )


def encode(sample: Sample) -> tuple[list[int], ...]:
    """The inputs and registers of such a controller."""
    made, broken = _CONTACTS_OF[sample.closed]
    record = [IDENTITY, sample.openings & 0xFFFF, sample.closings & 0xFFFF]
    for at_ms in (sample.opened_ms, sample.closed_ms):
        seconds, ms = divmod(at_ms, 1000)
        record += [*two_words(seconds), ms]
    record += struct.unpack(">6H", struct.pack(">fff", *sample.amps))
    record += [_in_tens(volts) for volts in sample.volts]
    return [made, broken, int(sample.lockout), int(sample.commanded)], record


def _moment(registers: Sequence[int]) -> int:
    high, low, ms = registers
    return (high << 16 | low) * 1000 + ms


def _tens(register: int) -> float:
    return NOT_MEASURED if register == _NO_UNSIGNED else register * 10.0


def _in_tens(volts: float) -> int:
    return _NO_UNSIGNED if volts != volts else min(max(round(volts / 10), 0), _NO_UNSIGNED - 1)


FAMILY = Family("rc20", (READ_CONTACTS, READ_RECORD), decode, encode)
