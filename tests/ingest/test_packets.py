"""The specification of the MQTT packets that go in and out in bulk."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import BadPayload
from ingest.packets import Inbound, Message, pubacks, publish
from ingest.quarantine import Stream

CONNACK = b"\x20\x02\x00\x00"
PINGRESP = b"\xd0\x00"


def length_of(length: int) -> bytes:
    """MQTT 3.1.1, 2.2.3, as the standard's pseudo code has it."""
    out = bytearray()
    while True:
        length, digit = divmod(length, 128)
        out.append(digit | (0x80 if length else 0))
        if not length:
            return bytes(out)


def delivered(topic: str, body: bytes, mid: int) -> bytes:
    """What a broker sends: at QoS 1 with a packet id, at QoS 0 without."""
    name = topic.encode()
    rest = len(name).to_bytes(2, "big") + name + (mid.to_bytes(2, "big") if mid else b"") + body
    return bytes([0x32 if mid else 0x30]) + length_of(len(rest)) + rest


def fed(*chunks: bytes, payload_bytes_max: int = 1 << 20) -> Inbound:
    inbound = Inbound(payload_bytes_max)
    for chunk in chunks:
        inbound.feed(chunk)
    return inbound


def plain(messages: list[Message]) -> list[tuple[str, bytes, int]]:
    return [(topic, bytes(body), mid) for topic, body, mid in messages if type(body) is bytes]


def test_messages_come_out_in_order_and_other_packets_are_handed_back() -> None:
    inbound = Inbound(100)
    data = CONNACK + delivered("t/ü", b"one", 7) + PINGRESP + delivered("t", b"", 0)
    assert inbound.feed(data) == [(0x20, b"\0\0"), (0xD0, b"")]
    assert plain(inbound.messages) == [("t/ü", b"one", 7), ("t", b"", 0)]


@given(
    bodies=st.lists(st.binary(max_size=300), max_size=8),
    cuts=st.lists(st.integers(1, 400), max_size=30),
)
def test_where_the_stream_is_cut_makes_no_difference(bodies, cuts) -> None:
    data = b"".join(
        delivered(f"topic/{i}", body, i) + (PINGRESP if i % 2 else b"")
        for i, body in enumerate(bodies)
    )
    inbound, controls = Inbound(200), []
    for cut in [*cuts, len(data)]:
        controls += inbound.feed(data[:cut])
        data = data[cut:]
    assert plain(inbound.messages) == [(f"topic/{i}", b, i) for i, b in enumerate(bodies)]
    assert controls == [(0xD0, b"")] * (len(bodies) // 2)


@pytest.mark.parametrize("size", [128, 16_384, 2_097_152])
def test_lengths_of_two_three_and_four_bytes_are_read(size) -> None:
    whole = delivered("t", bytes(size), 1)
    inbound = fed(*(whole[i : i + 65_536] for i in range(0, len(whole), 65_536)),
                  payload_bytes_max=1 << 22)  # fmt: skip
    ((topic, body, mid),) = inbound.messages
    assert (topic, len(body), mid) == ("t", size, 1)


def test_a_payload_too_long_to_be_held_passes_and_leaves_its_digest() -> None:
    body = bytes(range(256)) * 40_000  # 10 MB
    data = delivered("t", b"before", 1) + delivered("long", body, 2) + delivered("t", b"after", 3)
    inbound = fed(*(data[i : i + 100_000] for i in range(0, len(data), 100_000)),
                  payload_bytes_max=1 << 20)  # fmt: skip
    assert plain(inbound.messages) == [("t", b"before", 1), ("t", b"after", 3)]
    topic, stream, mid = inbound.messages[1]
    assert (topic, mid) == ("long", 2)
    assert isinstance(stream, Stream)
    kept = stream.quarantined(received_ms=5, source="mqtt", topic="long", reason="too long")
    assert (kept.length, kept.body) == (len(body), body[:65_536])
    assert kept.sha256 == hashlib.sha256(body).hexdigest()
    assert len(stream) == 65_536  # bytes held


@pytest.mark.parametrize(
    "data",
    [
        b"\x32\xff\xff\xff\xff\x01",  # a length of five bytes (2.2.3)
        b"\x34\x05\x00\x01t\x00\x01",  # QoS 2, never asked for
        b"\x32\x03\x00\x09t",  # a topic longer than the packet
        b"\x32\x03\x00\x01t",  # no packet id
    ],
)
def test_what_is_no_mqtt_ends_the_connection(data) -> None:
    with pytest.raises(BadPayload):
        Inbound(100).feed(data)


def test_a_topic_that_is_no_text_is_read_all_the_same() -> None:
    (message,) = fed(b"\x30\x04\x00\x02\xff\xfe").messages
    assert message[0] == "��"


def test_acknowledgements_are_these_bytes() -> None:
    assert pubacks([1, 0x1234]) == b"\x40\x02\x00\x01\x40\x02\x12\x34"
    assert pubacks([]) == b""


@given(topic=st.text("ab/+ é柜🔌", max_size=300), body=st.binary(max_size=5_000))
def test_what_is_published_is_what_is_heard(topic, body) -> None:
    assert plain(fed(publish(topic, body)).messages) == [(topic, body, 0)]
