"""The event object on the wire, version 1: what its fields mean and which of them are refused.

One object is one fact of one device; docs/protocols.md lists the fields.  Knows of topics only the
device class.
"""

import re
from itertools import permutations

import msgspec

from devices.nesting import LEVELS_MAX, json_too_deep, msgpack_too_deep
from grid.errors import BadPayload
from grid.network import PHASE_BITS
from grid.reading import KINDS_OF_THE_WIRE, Kind, Reading
from grid.times import from_rfc3339

CLASSES = ("meter", "terminal", "breaker", "dcu")
BOOT_CHARS_MAX = 64
NUMBER_MAX = 1e9  # above any volt, ampere or kilowatt of a distribution network
INT64_MAX = 2**63 - 1

_DATE_SHAPE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_SWITCHING = frozenset({"trip", "open", "close", "lockout"})
_KINDS: dict[str, dict[str, Kind]] = {
    c: {
        word: Kind(number)
        for number, word in enumerate(KINDS_OF_THE_WIRE)
        if c == "breaker" or word not in _SWITCHING
    }
    for c in CLASSES
}
_WORDS = dict(enumerate(KINDS_OF_THE_WIRE))
_PHASES = {
    "".join(letters): sum(PHASE_BITS[letter] for letter in letters)
    for count in range(4)
    for letters in permutations(PHASE_BITS, count)
}
_LETTERS = {bits: text for text, bits in reversed(_PHASES.items())}
_NOT_SAID = float("nan")

Numbers = tuple[float, ...]


class Event(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """The object on the wire."""

    meter: str | None = None
    boot: str | None = None
    seq: int | None = None
    at: int | float | str
    kind: str
    volts: Numbers | float | None = None
    amps: Numbers | float | None = None
    kw: float | None = None
    phases: str | None = None
    on: bool | None = None
    commanded: bool | None = None
    valid: bool | None = True
    off_at: int | float | str | None = None


_from_json = msgspec.json.Decoder(Event).decode
_from_msgpack = msgspec.msgpack.Decoder(Event).decode


def event_of(body: bytes) -> Event:
    """The object in a payload of at least one byte.

    Raises:
        BadPayload: Not JSON, not MessagePack, or not such an object.
    """
    try:
        if body[0] == 0x7B or body[0] == 0x5B:
            if not body.isascii():
                body.decode()  # also where nobody looks: a field we do not know
            if json_too_deep(body):
                raise BadPayload(f"nested deeper than {LEVELS_MAX} levels")
            return _from_json(body)
        if msgpack_too_deep(body):
            raise BadPayload(f"nested deeper than {LEVELS_MAX} levels")
        return _from_msgpack(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadPayload(why(error)) from error


def why(error: Exception) -> str:
    """What a decoder's error means, as a sentence without the payload's bytes."""
    if isinstance(error, RecursionError):
        return f"nested deeper than {LEVELS_MAX} levels"
    if isinstance(error, UnicodeDecodeError):
        return "text that is not valid UTF-8"
    if isinstance(error, msgspec.ValidationError):
        return f"not an event: {error}"
    return f"neither JSON nor MessagePack: {error}"


def reading_of(cls: str, device_id: str, via: str | None, event: Event) -> Reading:
    """The fact that an object tells; ``cls`` is the class of its sender, a word of CLASSES.

    Raises:
        BadPayload: A field that does not go with the others, or no number where one is due.
    """
    kind = _KINDS[cls].get(event.kind)
    if kind is None:
        raise BadPayload(_why_not(cls, event.kind))
    boot, seq = event.boot, event.seq
    if boot is None and seq is None:
        seq = -1
    elif not boot or seq is None:
        raise BadPayload("boot and seq come together or not at all")
    elif not 0 <= seq <= INT64_MAX or len(boot) > BOOT_CHARS_MAX:
        raise BadPayload("seq is a whole number from 0 to 2^63-1, boot 1 to 64 characters")
    if kind is Kind.VOLTAGE and event.volts is None:
        raise BadPayload("a voltage event needs volts")
    phases = _PHASES.get(event.phases or "")
    if phases is None:
        raise BadPayload("phases are letters of ABC, each once")
    at = event.at
    return Reading(
        device_id,
        kind,
        at if type(at) is int and -INT64_MAX <= at <= INT64_MAX else _moment(at, "at"),
        boot,
        seq,
        via,
        () if event.volts is None else _numbers(event.volts, "volts"),
        () if event.amps is None else _numbers(event.amps, "amps"),
        _NOT_SAID if event.kw is None else _numbers(event.kw, "kw")[0],
        phases,
        event.on,
        event.commanded,
        event.valid is not False,
        0 if event.off_at is None else _moment(event.off_at, "off_at"),
    )


def _why_not(cls: str, word: str) -> str:
    if word in _SWITCHING:
        return f"a {cls} does not say {word!r}, a breaker does"
    return f"unknown kind {word[:40]!r}"


def _numbers(value: Numbers | float, name: str) -> Numbers:
    numbers = value if isinstance(value, tuple) else (value,)
    if not 1 <= len(numbers) <= 3:
        raise BadPayload(f"{name} are one to three numbers")
    for number in numbers:
        if not -NUMBER_MAX <= number <= NUMBER_MAX:  # false of NaN too
            raise BadPayload(f"{name} are finite numbers")
    return numbers


def _moment(value: float | str, name: str) -> int:
    """Epoch milliseconds.  A clock that shows an impossible date is a dead clock: 0."""
    if isinstance(value, str):
        return _moment_of_text(value, name)
    if value != value or value in (float("inf"), float("-inf")):
        raise BadPayload(f"{name} is not a finite number")
    return int(value) if -INT64_MAX < value < INT64_MAX else 0


def _moment_of_text(text: str, name: str) -> int:
    try:
        return from_rfc3339(text)
    except ValueError as error:
        if len(text) > 40 or not _DATE_SHAPE.fullmatch(text.upper()):
            raise BadPayload(f"{name} is no RFC 3339 time with a zone") from error
    leap = text[17:19] == "60"  # RFC 3339, 5.7
    try:
        return from_rfc3339(text[:17] + "59" + text[19:]) + 1000 if leap else 0
    except ValueError:
        return 0


def event_said(reading: Reading) -> Event:
    """The object by which a device tells a fact."""
    said = reading.power_kw == reading.power_kw
    return Event(
        meter=reading.device_id if reading.via is not None else None,
        boot=reading.boot,
        seq=reading.seq if reading.boot is not None else None,
        at=reading.happened_ms,
        kind=_WORDS[reading.kind],
        volts=reading.volts or None,
        amps=reading.amps or None,
        kw=reading.power_kw if said else None,
        phases=_LETTERS[reading.phases] or None,
        on=reading.on,
        commanded=reading.commanded,
        valid=reading.valid,
        off_at=reading.off_at_ms or None,
    )
