"""What a handful of MQTT messages amounts to: rows, what could not be read, and whom to answer.

Pure.  A message that cannot be read costs its own time and nobody else's: it goes to quarantine
and is acknowledged like the rest, for its device could only send the same again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from devices.mqtt_v1 import (
    BadElement,
    Topic,
    decode,
    encode_ack,
    encode_array,
    identity_of,
    parse_topic,
    topic_of,
)
from grid.errors import BadPayload
from grid.parcel import Parcel, Quarantined
from grid.reading import Reading
from ingest.backlog import Backlog
from ingest.packets import Message, publish
from ingest.packing import Packer
from ingest.quarantine import Stream, quarantined

SOURCE = "mqtt"


@dataclass(frozen=True, slots=True)
class Covered:
    """Numbers of one concentrator's boot that one array settles."""

    dcu_id: str
    boot: str
    seqs: list[int]


@dataclass(slots=True)
class Load:
    """Messages unloaded: the parcel to deliver, and what to say once it is committed."""

    parcel: Parcel = field(default_factory=Parcel)
    messages: int = 0
    mids: list[int] = field(default_factory=list)  # packet ids of those at QoS 1, in order
    acks: list[bytes] = field(default_factory=list)  # whole packets, to devices
    covered: list[Covered] = field(default_factory=list)  # to be answered by what came before, too
    causes: list[str] = field(default_factory=list)  # of the quarantined: size, payload, device
    quarantined: list[Quarantined] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    origins: list[Message] = field(default_factory=list)  # of the readings, one each
    backlog: Backlog | None = None  # that it has a part of


class Unloader:
    """Reads messages under one prefix."""

    def __init__(self, prefix: str, payload_bytes_max: int) -> None:
        self._prefix = prefix
        self._payload_bytes_max = payload_bytes_max

    def unload(self, messages: Sequence[Message], packer: Packer, received_ms: int) -> Load:
        """Read messages that were received at a moment."""
        load = Load(messages=len(messages))
        for message in messages:
            topic, body, mid = message
            if mid:
                load.mids.append(mid)
            if type(body) is not bytes or len(body) > self._payload_bytes_max:
                self._too_long(load, topic, body, received_ms)
                continue
            try:
                self._read(load, message, body, received_ms)
            except BadPayload as bad:
                identity = None if "/dcu/" in topic else identity_of(body)
                if identity is not None:
                    load.acks.append(_ack(topic, identity.boot, identity.seq))
                _quarantine(load, "payload", topic, bad.message, body, received_ms)
        rows, refused = packer.pack(load.readings, received_ms)
        if refused:
            _refuse(load, refused, received_ms)
        load.parcel = Parcel(rows, tuple(load.quarantined), packer.version)
        return load

    def _read(self, load: Load, message: Message, body: bytes, received_ms: int) -> None:
        """Add what a message says.

        Raises:
            BadPayload: It cannot be read as a whole.
        """
        topic = parse_topic(message[0], self._prefix)
        if topic.cls == "dcu":
            self._read_array(load, message, topic, body, received_ms)
            return
        (reading,) = decode(topic, body)
        load.readings.append(reading)
        load.origins.append(message)
        if reading.boot is not None:
            load.acks.append(_ack(message[0], reading.boot, reading.seq))

    def _read_array(
        self, load: Load, message: Message, topic: Topic, body: bytes, received_ms: int
    ) -> None:
        bad: list[BadElement] = []
        readings = decode(topic, body, bad)
        load.readings += readings
        load.origins += [message] * len(readings)
        for element in bad:
            whole = _array_of_one(element.body)
            _quarantine(load, "payload", message[0], element.reason, whole, received_ms)
        seqs: dict[str, list[int]] = {}
        for reading in readings:
            if reading.boot is not None:
                seqs.setdefault(reading.boot, []).append(reading.seq)
        for element in bad:
            if element.identity is not None:
                seqs.setdefault(element.identity.boot, []).append(element.identity.seq)
        load.covered += [Covered(topic.id, boot, numbers) for boot, numbers in seqs.items()]

    def _too_long(self, load: Load, topic: str, body: bytes | Stream, received_ms: int) -> None:
        length = len(body) if isinstance(body, bytes) else body.length
        reason = f"{length} bytes, more than the {self._payload_bytes_max} of payload_bytes_max"
        if isinstance(body, Stream):
            load.quarantined.append(
                body.quarantined(received_ms=received_ms, source=SOURCE, topic=topic, reason=reason)
            )
            load.causes.append("size")
        else:
            _quarantine(load, "size", topic, reason, body, received_ms)


def ack_of_array(prefix: str, dcu_id: str, boot: str, seq: int) -> bytes:
    """The packet that tells a concentrator what it may forget."""
    return publish(topic_of("dcu", dcu_id, "ack", prefix=prefix), encode_ack(boot, seq))


def _ack(topic: str, boot: str, seq: int) -> bytes:
    """The packet that answers an event on ``<prefix>/<class>/<id>/event``."""
    return publish(topic[: topic.rindex("/")] + "/ack", encode_ack(boot, seq))


def _array_of_one(element: bytes) -> bytes:
    """An element as its concentrator might have sent it alone, so that it can be replayed."""
    packed = element[:1] > b"\x7f"  # no JSON value begins so, and every map of MessagePack does
    return b"\x91" + element if packed else b"[" + element + b"]"


def _refuse(load: Load, refused: list[tuple[Reading, str]], received_ms: int) -> None:
    """Quarantine the messages of readings that the packer would not take, which are in order."""
    at = 0
    for reading, reason in refused:
        while load.readings[at] is not reading:
            at += 1
        topic, body, _ = load.origins[at]
        whole = encode_array([reading]) if reading.via is not None else body
        assert isinstance(whole, bytes), "what is too long to be held is not read"
        _quarantine(load, "device", topic, reason, whole, received_ms)


def _quarantine(
    load: Load, cause: str, topic: str, reason: str, body: bytes, received_ms: int
) -> None:
    load.causes.append(cause)
    load.quarantined.append(
        quarantined(received_ms=received_ms, source=SOURCE, topic=topic, reason=reason, body=body)
    )
