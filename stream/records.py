"""What travels on the bus: a record of ``frames`` or ``quarantine``, and a word of ``commands``.

A record carries rows of one feeder group, or commands for one group or all of its partition, or
payloads that could not be read, or nothing: then it only tells that its sender was there at
``sent_ms``.  Pure.
"""

import zlib

import msgspec
import numpy as np

from grid.errors import BadPayload
from grid.frame import NO_ROWS, READING, Command, Rows
from grid.outage import Ping
from grid.parcel import Quarantined

FORMAT = 1
EVERY_GROUP = ""


class Record(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One record.  ``ticket`` is what its sender wants back once it is committed; 0: nothing."""

    format: int = FORMAT
    sender: str  # an instance of a role, like "mqtt-gateway@north-1"
    sent_ms: int  # the sender's clock; never falls within a sender and partition
    ticket: int = 0
    network: str = ""  # version that ``rows`` are numbered by; blank: the one in force
    group: str = EVERY_GROUP  # slug
    rows: bytes = b""  # grid.frame.READING
    commands: tuple[Command, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()

    def readings(self) -> Rows:
        """The rows as columns.

        Raises:
            BadPayload: They are no whole number of rows.
        """
        if not self.rows:
            return NO_ROWS
        if len(self.rows) % READING.itemsize:
            raise BadPayload("the rows of the record are cut off")
        return np.frombuffer(self.rows, READING)


class Committed(msgspec.Struct, frozen=True, tag=True):
    """Tickets of a sender that are committed."""

    tickets: tuple[int, ...]


class Ask(msgspec.Struct, frozen=True, tag=True):
    """Meters to be asked whether they have power."""

    pings: tuple[Ping, ...]


Word = Committed | Ask
"""What a worker says to a gateway or desk, in the topic ``commands``."""

_encode = msgspec.msgpack.Encoder().encode
_record = msgspec.msgpack.Decoder(Record).decode
_word = msgspec.msgpack.Decoder(Word).decode


def record_bytes(record: Record) -> bytes:
    """A record as it is sent."""
    return _encode(record)


def read_record(body: bytes) -> Record:
    """A record as it was sent.

    Raises:
        BadPayload: It is none of ours, or of a newer program.
    """
    try:
        record = _record(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadPayload(f"the record cannot be read: {error}") from error
    if record.format != FORMAT:
        raise BadPayload(f"the record has format {record.format}, not {FORMAT}")
    return record


def word_bytes(word: Word) -> bytes:
    """A word as it is sent."""
    return _encode(word)


def read_word(body: bytes) -> Word:
    """A word as it was sent.

    Raises:
        BadPayload: It is none of ours.
    """
    try:
        word: Word = _word(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadPayload(f"the word cannot be read: {error}") from error
    return word


def partition_of(key: str, partitions: int) -> int:
    """Where what is about a group (its slug) or for a sender goes: the same in every process."""
    return zlib.crc32(key.encode()) % partitions
