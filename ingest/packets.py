"""MQTT 3.1.1 packets out of a stream of bytes, many at a time, and those that we send in bulk.

Pure.  Sections of the standard (OASIS, 2014) are cited beside the branch that obeys them.
"""

import struct
from collections.abc import Iterable

from grid.errors import BadPayload
from ingest.quarantine import Stream

TOPIC_BYTES_MAX = 65_535  # 1.5.3
_PUBLISH = 0x30
_puback = struct.Struct(">BBH").pack

Message = tuple[str, bytes | Stream, int]
"""Topic, payload (``Stream`` where it is too long to be held), packet id (0 at QoS 0)."""

Control = tuple[int, bytes]
"""The first byte of a packet that is no PUBLISH, and what follows its length."""


class Inbound:
    """The packets of one connection, as its bytes come in.

    A payload longer than ``payload_bytes_max`` passes through without being held.
    """

    def __init__(self, payload_bytes_max: int) -> None:
        self.messages: list[Message] = []
        self._held_max = payload_bytes_max + TOPIC_BYTES_MAX
        self._rest = b""
        self._passing: tuple[str, Stream, int] | None = None
        self._passing_left = 0

    def feed(self, chunk: bytes) -> list[Control]:
        """Take in some bytes; messages go to ``messages``, the other packets are returned.

        Raises:
            BadPayload: No MQTT; the connection is to be closed (4.8).
        """
        data = self._pass(chunk) if self._passing else self._rest + chunk
        controls: list[Control] = []
        add = self.messages.append
        at, size = 0, len(data)
        while at + 1 < size:
            first, length, start = data[at], data[at + 1], at + 2
            if length & 0x80:
                length, start = _remaining_length(data, at + 1)
                if start == 0:
                    break
            end = start + length
            if first & 0xF0 != _PUBLISH:
                if end > size:
                    break
                controls.append((first, data[start:end]))
            elif end <= size:
                topic, mid, body = _publish_header(data, first, start, end)
                add((topic, data[body:end], mid))
            elif length > self._held_max and size - start > TOPIC_BYTES_MAX + 4:
                self._begin_to_pass(data, first, start, end)
                at = size
                break
            else:
                break
            at = end
        self._rest = data[at:]
        return controls

    def _begin_to_pass(self, data: bytes, first: int, start: int, end: int) -> None:
        topic, mid, body = _publish_header(data, first, start, end)
        stream = Stream()
        stream.feed(data[body:])
        self._passing = (topic, stream, mid)
        self._passing_left = end - len(data)

    def _pass(self, chunk: bytes) -> bytes:
        """What follows the long payload in the chunk."""
        assert self._passing is not None
        topic, stream, mid = self._passing
        taken = chunk[: self._passing_left]
        stream.feed(taken)
        self._passing_left -= len(taken)
        if self._passing_left:
            return b""
        self.messages.append((topic, stream, mid))
        self._passing = None
        return chunk[len(taken) :]


def pubacks(mids: Iterable[int]) -> bytes:
    """Acknowledgements of messages at QoS 1, in the order in which they came (4.6)."""
    return b"".join([_puback(0x40, 2, mid) for mid in mids])


def publish(topic: str, payload: bytes) -> bytes:
    """A message at QoS 0 of less than 16 KiB (3.3)."""
    name = topic.encode()
    length = 2 + len(name) + len(payload)
    assert length < 1 << 14, "longer than an acknowledgement or a ping can be"
    size = bytes((length,)) if length < 0x80 else bytes((length & 0x7F | 0x80, length >> 7))
    return b"".join((b"\x30", size, len(name).to_bytes(2, "big"), name, payload))


def _remaining_length(data: bytes, at: int) -> tuple[int, int]:
    """A length of two to four bytes and where it ends; 0 where it is not all there (2.2.3)."""
    length = 0
    for place in range(4):
        if at + place >= len(data):
            return 0, 0
        byte = data[at + place]
        length |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return length, at + place + 1
    raise BadPayload("an MQTT packet with a length of more than four bytes")


def _publish_header(data: bytes, first: int, start: int, end: int) -> tuple[str, int, int]:
    """Topic, packet id (0 at QoS 0) and where the payload begins (3.3)."""
    qos = first & 0x06
    name = start + 2
    body = name + (data[start] << 8 | data[start + 1])
    if body + (2 if qos else 0) > end or qos > 0x02:
        raise BadPayload("an MQTT message with a wrong header, or of a QoS not asked for")
    topic = str(data[name:body], "utf-8", "replace")
    if not qos:
        return topic, 0, body
    return topic, data[body] << 8 | data[body + 1], body + 2
