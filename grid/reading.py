"""A reading: one fact of one device, as its own message says it, before it becomes a row of a
frame.
"""

from enum import IntEnum, IntFlag

import msgspec

KINDS_OF_THE_WIRE = (
    "last_gasp", "power_up", "heartbeat", "voltage", "ping_reply", "phase_loss", "phase_ok",
    "tamper", "trip", "open", "close", "lockout",
)  # fmt: skip


class Kind(IntEnum):
    """What a reading tells.  The first twelve are words of the wire, in its order."""

    LAST_GASP = 0
    POWER_UP = 1
    HEARTBEAT = 2
    VOLTAGE = 3
    PING_REPLY = 4
    PHASE_LOSS = 5
    PHASE_OK = 6
    TAMPER = 7
    TRIP = 8
    OPEN = 9
    CLOSE = 10
    LOCKOUT = 11
    NO_ANSWER = 12  # a gateway's own word: the device was asked and its state is now unknown
    CALL_NO_POWER = 13  # a customer's word, placed at their meter
    CALL_PARTIAL = 14
    CALL_RESTORED = 15


class Quality(IntFlag):
    """What is doubtful about a reading.  No bit set is good."""

    GOOD = 0
    CLOCK = 1  # the device's clock was off by more than a day; happened_ms is when we received it
    # the device itself says the event is not valid (DL/T 698.45 OI 3106, event-valid flag)
    INVALID = 2
    FUTURE = 4  # the device's clock is ahead of ours, by less than a day; kept as it is


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One fact of one device.  Times in epoch milliseconds; NaN, -1 and None where it does not say.

    ``boot`` and ``seq`` are the identity that its sender gave: the device, or in a batch the
    concentrator ``via``.
    """

    device_id: str
    kind: Kind
    happened_ms: int  # the device's clock, as sent
    boot: str | None = None
    seq: int = -1
    via: str | None = None  # concentrator id
    volts: tuple[float, ...] = ()  # one to three phases, RMS phase to neutral; one stands for all
    amps: tuple[float, ...] = ()
    power_kw: float = float("nan")
    phases: int = 0  # bits of grid.network.PHASE_BITS, 0 where it does not say
    on: bool | None = None  # energised; of a breaker: closed
    commanded: bool | None = None
    valid: bool = True
    off_at_ms: int = 0  # in a power-up: when the power had failed; 0 where it does not say
