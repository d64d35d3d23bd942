"""MQTT, version 1: topics, events, acknowledgements, pings.

Of meters, terminals, breakers and concentrators; the datasheet is docs/protocols.md, section MQTT.
JSON where the first byte is ``[`` or ``{``, else MessagePack of the same.  Decides what a payload
says; knows no network and no clock.
"""

import re

import msgspec

from devices.event_v1 import (
    BOOT_CHARS_MAX,
    CLASSES,
    INT64_MAX,
    Event,
    event_of,
    event_said,
    reading_of,
    why,
)
from grid.errors import BadPayload
from grid.reading import Reading

PREFIX = "lastgasp/v1"
ID_CHARS_MAX = 256

_LEAVES = {c: frozenset({"events" if c == "dcu" else "event", "ack", "ping"}) for c in CLASSES}
_EVENTS = frozenset({"event", "events"})
_ESCAPES = {"%": "%25", "/": "%2F", "+": "%2B", "#": "%23"}
_UNESCAPE = {code: char for char, code in _ESCAPES.items()}
_ESCAPED = re.compile("%25|%2F|%2B|%23")


class Topic(msgspec.Struct, frozen=True, gc=False):
    """A topic taken apart: ``<prefix>/<cls>/<id>/<leaf>``."""

    cls: str  # one of CLASSES
    id: str
    leaf: str  # event, events, ack, ping


class BadElement(msgspec.Struct, frozen=True):
    """An element of a concentrator's array that cannot be read; its identity if that can."""

    body: bytes
    reason: str
    identity: "Ack | None"


class Ack(msgspec.Struct, frozen=True):
    """What is committed and may be forgotten: one event, or of a concentrator all up to ``seq``."""

    boot: str
    seq: int


class _Ping(msgspec.Struct, frozen=True):
    at: int


_array_from_json = msgspec.json.Decoder(list[msgspec.Raw]).decode
_array_from_msgpack = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_ack_from_json = msgspec.json.Decoder(Ack).decode
_ack_from_msgpack = msgspec.msgpack.Decoder(Ack).decode
_to_json = msgspec.json.Encoder().encode
_to_msgpack = msgspec.msgpack.Encoder().encode


def filters(prefix: str = PREFIX) -> tuple[str, ...]:
    """The subscriptions that hear every device."""
    return tuple(topic_of(c, "+", prefix=prefix) for c in CLASSES)


def topic_of(cls: str, device_id: str, leaf: str | None = None, *, prefix: str = PREFIX) -> str:
    """The topic of a device's events, or of another leaf.

    ``/ + # %`` in an id are percent-encoded.
    """
    if leaf is None:
        leaf = "events" if cls == "dcu" else "event"
    if device_id != "+" and any(char in device_id for char in _ESCAPES):
        device_id = "".join(_ESCAPES.get(char, char) for char in device_id)
    return f"{prefix}/{cls}/{device_id}/{leaf}"


def parse_topic(topic: str, prefix: str = PREFIX) -> Topic:
    """Take a topic apart.

    Raises:
        BadPayload: No topic of version 1.
    """
    parts = topic[len(prefix) + 1 :].split("/")
    if len(parts) != 3 or not topic.startswith(prefix) or topic[len(prefix)] != "/":
        raise BadPayload(f"not a topic of {prefix}/<class>/<id>/<leaf>")
    cls, device_id, leaf = parts
    if leaf not in _LEAVES.get(cls, ()):
        raise BadPayload("unknown device class or leaf in the topic")
    if not 0 < len(device_id) <= ID_CHARS_MAX:
        raise BadPayload("a device id has 1 to 256 characters")
    if "%" in device_id:
        device_id = _ESCAPED.sub(lambda found: _UNESCAPE[found[0]], device_id)
    return Topic(cls, device_id, leaf)


def decode(topic: Topic, body: bytes, refused: list[BadElement] | None = None) -> list[Reading]:
    """What a device says in one message.

    Of a concentrator's array, elements that cannot be read are added to ``refused`` and the rest is
    taken; without a list to add to, the first of them is raised.

    Raises:
        BadPayload: It cannot be read, with the reason as a sentence.
    """
    if topic.leaf not in _EVENTS:
        raise BadPayload(f"{topic.leaf} is no topic of events")
    if not body:
        raise BadPayload("the payload is empty")
    if topic.cls != "dcu":
        return [reading_of(topic.cls, topic.id, None, event_of(body))]
    readings: list[Reading] = []
    for element in _elements(body):
        try:
            event = event_of(element)
            readings.append(reading_of("dcu", _meter_of(event), topic.id, event))
        except BadPayload as bad:
            if refused is None:
                raise
            refused.append(BadElement(element, bad.message, identity_of(element)))
    return readings


def identity_of(body: bytes) -> Ack | None:
    """Boot and seq of a payload that is otherwise unreadable, so that its device may forget it."""
    try:
        found = (_ack_from_json if body[:1] == b"{" else _ack_from_msgpack)(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if 0 <= found.seq <= INT64_MAX and 0 < len(found.boot) <= BOOT_CHARS_MAX else None


def encode(reading: Reading, *, packed: bool = False) -> bytes:
    """An event as its device sends it: JSON, or MessagePack if ``packed``."""
    event = event_said(reading)
    return _to_msgpack(event) if packed else _to_json(event)


def encode_array(readings: list[Reading], *, packed: bool = False) -> bytes:
    """Events of several meters as their concentrator sends them."""
    events = [event_said(reading) for reading in readings]
    return _to_msgpack(events) if packed else _to_json(events)


def encode_ack(boot: str, seq: int) -> bytes:
    """The body of ``<class>/<id>/ack``."""
    return _to_json(Ack(boot, seq))


def decode_ack(body: bytes) -> Ack:
    """What may be forgotten.

    Raises:
        BadPayload: No acknowledgement.
    """
    try:
        return _ack_from_json(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadPayload(f"not an acknowledgement: {error}") from error


def encode_ping(at_ms: int) -> bytes:
    """The body of ``<class>/<id>/ping``."""
    return _to_json(_Ping(at_ms))


def _elements(body: bytes) -> list[bytes]:
    try:
        raw = (_array_from_json if body[0] in b"[{" else _array_from_msgpack)(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadPayload(why(error)) from error
    return [bytes(element) for element in raw]


def _meter_of(event: Event) -> str:
    if not event.meter or len(event.meter) > ID_CHARS_MAX:
        raise BadPayload("an event of a concentrator needs its meter, 1 to 256 characters")
    return event.meter
