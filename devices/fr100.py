"""FR-100 feeder relay: one block of input registers with a sequence of the last six events.

Function 4, address 0, 48 registers (docs/protocols.md, section Modbus):

====== ======================================================================================
0      0x4652, the family
1      status: bits 0-1 position (1 open, 2 closed, else not known), 2 lockout, 3 the last
       opening was commanded
2, 3   number of the newest event, events kept (0 to 6)
4-6    current of phases A, B, C in 0.1 A; 0xFFFF not measured
7-9    voltage of phases A, B, C to neutral in V; 0xFFFF not measured
10     active power in kW, signed; 0x8000 not measured
11     0
12-47  six events of six registers, newest first: number, code (1 trip, 2 open, 3 close,
       4 lockout), seconds since 1970 UTC (high, low), milliseconds, 0
====== ======================================================================================
"""

from collections.abc import Sequence

from devices.relay import (
    NOT_MEASURED,
    READ_INPUT_REGISTERS,
    Family,
    Read,
    Registers,
    Sample,
    SwitchEvent,
    two_words,
)
from grid.errors import BadPayload
from grid.reading import Kind

READ = Read(READ_INPUT_REGISTERS, 0, 48)
IDENTITY = 0x4652
EVENTS_MAX = 6

_CLOSED_OF = {1: False, 2: True}
_POSITION_OF = {False: 1, True: 2, None: 0}
_LOCKOUT, _COMMANDED = 0x4, 0x8
_KIND_OF = {1: Kind.TRIP, 2: Kind.OPEN, 3: Kind.CLOSE, 4: Kind.LOCKOUT}
_CODE_OF = {kind: code for code, kind in _KIND_OF.items()}
_NO_UNSIGNED, _NO_SIGNED = 0xFFFF, 0x8000


def decode(registers: Registers) -> Sample:
    """One poll in units a person uses.

    Raises:
        BadPayload: Wrong length, another family, or an event that the datasheet does not know.
    """
    block = registers[0]
    if len(block) != READ.count or block[0] != IDENTITY:
        raise BadPayload("these are no registers of an FR-100", got=len(block))
    status, kept = block[1], block[3]
    if kept > EVENTS_MAX:
        raise BadPayload("an FR-100 keeps at most six events", got=kept)
    events = [_event(block[12 + 6 * i : 18 + 6 * i]) for i in range(kept)]
    return Sample(
        closed=_CLOSED_OF.get(status & 0x3),
        lockout=bool(status & _LOCKOUT),
        commanded=bool(status & _COMMANDED),
        amps=(_tenths(block[4]), _tenths(block[5]), _tenths(block[6])),
        volts=(_whole(block[7]), _whole(block[8]), _whole(block[9])),
        power_kw=_signed(block[10]),
        event_seq=block[2],
        events=tuple(reversed(events)),
    )


def encode(sample: Sample) -> tuple[list[int], ...]:
    """The registers of such a relay; events beyond the last six are forgotten."""
    kept = sample.events[-EVENTS_MAX:]
    status = _POSITION_OF[sample.closed]
    status |= _LOCKOUT if sample.lockout else 0
    status |= _COMMANDED if sample.commanded else 0
    block = [IDENTITY, status, (sample.event_seq or 0) & 0xFFFF, len(kept)]
    block += [_unsigned(amps * 10) for amps in sample.amps]
    block += [_unsigned(volts) for volts in sample.volts]
    block += [_two_complement(sample.power_kw), 0]
    for event in reversed(kept):
        seconds, ms = divmod(event.at_ms, 1000)
        block += [event.seq & 0xFFFF, _CODE_OF[event.kind], *two_words(seconds), ms, 0]
    return (block + [0] * (READ.count - len(block)),)


def _event(registers: Sequence[int]) -> SwitchEvent:
    seq, code, high, low, ms, _ = registers
    if code not in _KIND_OF or ms > 999:
        raise BadPayload("an event of an FR-100 has code 1 to 4 and 0 to 999 ms", got=code)
    return SwitchEvent(seq, _KIND_OF[code], (high << 16 | low) * 1000 + ms)


def _tenths(register: int) -> float:
    return NOT_MEASURED if register == _NO_UNSIGNED else register / 10


def _whole(register: int) -> float:
    return NOT_MEASURED if register == _NO_UNSIGNED else float(register)


def _signed(register: int) -> float:
    if register == _NO_SIGNED:
        return NOT_MEASURED
    return float(register - 0x10000 if register & 0x8000 else register)


def _unsigned(value: float) -> int:
    return _NO_UNSIGNED if value != value else min(max(round(value), 0), _NO_UNSIGNED - 1)


def _two_complement(value: float) -> int:
    return _NO_SIGNED if value != value else min(max(round(value), -32767), 32767) & 0xFFFF


FAMILY = Family("fr100", (READ,), decode, encode)
