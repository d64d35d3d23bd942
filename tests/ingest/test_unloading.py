"""The specification of what MQTT messages amount to: rows, quarantine, and who is answered."""

import hashlib

import pytest

from devices.mqtt_v1 import encode
from grid.reading import Kind, Reading
from ingest.packets import Inbound, Message
from ingest.packing import Packer
from ingest.quarantine import Stream
from ingest.unloading import Covered, Load, Unloader, ack_of_array

NOON = 1_795_262_400_000
PREFIX = "lastgasp/v1"
METER, DCU = f"{PREFIX}/meter/M1/event", f"{PREFIX}/dcu/D1/events"
GASP = b'{"boot":"a","seq":1,"at":1795262400000,"kind":"last_gasp"}'


@pytest.fixture
def unload(city):
    def one(*messages: Message, payload_bytes_max: int = 1000) -> Load:
        return Unloader(PREFIX, payload_bytes_max).unload(messages, Packer(city), NOON)

    return one


def answers(load: Load) -> list[tuple[str, bytes]]:
    """The acknowledgements, as their devices hear them."""
    inbound = Inbound(1000)
    inbound.feed(b"".join(load.acks))
    return [(topic, bytes(body)) for topic, body, _ in inbound.messages]


def reasons(load: Load) -> list[tuple[str, str]]:
    return [(one.topic, one.reason) for one in load.parcel.quarantined]


def test_an_event_is_a_row_and_an_answer(unload) -> None:
    load = unload((METER, GASP, 7))
    assert len(load.parcel.rows) == 1
    assert load.mids == [7]
    assert answers(load) == [(f"{PREFIX}/meter/M1/ack", b'{"boot":"a","seq":1}')]
    assert load.parcel.quarantined == ()


def test_an_event_without_boot_and_seq_is_answered_by_the_broker_alone(unload) -> None:
    load = unload((METER, b'{"at":1795262400000,"kind":"last_gasp"}', 7))
    assert (len(load.parcel.rows), load.mids, load.acks) == (1, [7], [])


def test_a_message_at_qos_0_is_taken_too(unload) -> None:
    load = unload((METER, GASP, 0))
    assert (len(load.parcel.rows), load.mids) == (1, [])


def test_what_cannot_be_read_is_quarantined_and_spoils_nothing_around_it(unload) -> None:
    load = unload((METER, GASP, 1), (METER, b"\xff\xfe", 2), (METER, GASP, 3))
    assert len(load.parcel.rows) == 2
    assert load.mids == [1, 2, 3]
    (kept,) = load.parcel.quarantined
    assert (kept.source, kept.topic, kept.body, kept.length) == ("mqtt", METER, b"\xff\xfe", 2)
    assert (kept.received_ms, kept.sha256) == (NOON, hashlib.sha256(b"\xff\xfe").hexdigest())
    assert load.causes == ["payload"]


def test_a_device_is_told_to_forget_what_only_it_can_say_again(unload) -> None:
    load = unload(
        (METER, b'{"boot":"a","seq":5,"at":1,"kind":"boom"}', 1),
        (METER, b'{"boot":"a","seq":-5,"at":1,"kind":"boom"}', 2),
        (METER, b'{"boot":"","seq":5,"at":1,"kind":"boom"}', 3),
    )
    assert answers(load) == [(f"{PREFIX}/meter/M1/ack", b'{"boot":"a","seq":5}')]
    assert len(load.parcel.quarantined) == 3


def test_a_device_nobody_registered_is_quarantined_with_its_own_bytes(unload) -> None:
    topic = f"{PREFIX}/meter/M9/event"
    load = unload((METER, GASP, 1), (topic, GASP, 2))
    assert reasons(load) == [(topic, "nobody registered device 'M9'")]
    assert load.parcel.quarantined[0].body == GASP
    assert len(answers(load)) == 2
    assert load.causes == ["device"]


@pytest.mark.parametrize("topic", ["lastgasp/v1/toaster/T1/event", "elsewhere/meter/M1/event"])
def test_a_topic_of_nobody_is_quarantined(unload, topic) -> None:
    load = unload((topic, GASP, 1))
    assert len(load.parcel.quarantined) == 1
    assert len(load.parcel.rows) == 0


def test_a_payload_above_the_limit_is_quarantined_unread(unload) -> None:
    long = GASP[:-1] + b',"note":"' + b"x" * 200 + b'"}'
    load = unload((METER, long, 1), payload_bytes_max=len(long) - 1)
    assert reasons(load) == [
        (METER, f"{len(long)} bytes, more than the {len(long) - 1} of payload_bytes_max")
    ]
    assert load.causes == ["size"]
    assert len(unload((METER, long, 1), payload_bytes_max=len(long)).parcel.rows) == 1


def test_a_payload_that_was_not_even_held_is_quarantined_by_its_digest(unload) -> None:
    stream = Stream()
    stream.feed(bytes(5000))
    load = unload((METER, stream, 9))
    (kept,) = load.parcel.quarantined
    assert (kept.length, load.mids, load.causes) == (5000, [9], ["size"])


ARRAY = (
    b'[{"meter":"M1","boot":"d","seq":1,"at":1795262400000,"kind":"last_gasp"},'
    b'{"meter":"M2","boot":"d","seq":2,"at":1795262400000,"kind":"boom"},'
    b'{"meter":"M9","boot":"d","seq":3,"at":1795262400000,"kind":"last_gasp"},'
    b'{"meter":"M2","boot":"d","seq":4,"at":1795262400000,"kind":"last_gasp"}]'
)


def test_an_array_is_settled_whole_whatever_became_of_its_elements(unload) -> None:
    load = unload((DCU, ARRAY, 1))
    assert load.parcel.rows["seq"].tolist() == [1, 4]
    assert [(one.dcu_id, one.boot, sorted(one.seqs)) for one in load.covered] == [
        ("D1", "d", [1, 2, 3, 4])
    ]
    assert load.acks == []


def test_each_bad_element_of_an_array_is_kept_as_an_array_that_can_be_replayed(unload) -> None:
    load = unload((DCU, ARRAY, 1))
    kept = [one.body for one in load.parcel.quarantined]
    assert kept[0] == b'[{"meter":"M2","boot":"d","seq":2,"at":1795262400000,"kind":"boom"}]'
    assert kept[1] == b'[{"meter":"M9","boot":"d","seq":3,"at":1795262400000,"kind":"last_gasp"}]'
    again = unload((DCU, kept[0], 1), (DCU, kept[1], 2))
    assert [reason for _, reason in reasons(again)] == [reason for _, reason in reasons(load)]


def test_an_element_in_messagepack_is_kept_as_messagepack(unload) -> None:
    packed = b"\x91" + encode(Reading("M9", Kind.LAST_GASP, NOON, "d", 3, via="D1"), packed=True)
    boom = packed.replace(b"last_gasp", b"last_boom")
    load = unload((DCU, boom, 1))
    assert load.parcel.quarantined[0].body == boom
    assert load.covered == [Covered("D1", "d", [3])]


def test_an_array_of_nothing_needs_no_answer(unload) -> None:
    load = unload((DCU, b"[]", 1))
    assert (len(load.parcel.rows), load.covered, load.parcel.quarantined) == (0, [], ())


def test_a_concentrators_answer_says_how_far_it_may_forget() -> None:
    inbound = Inbound(100)
    inbound.feed(ack_of_array(PREFIX, "D1", "d", 9))
    assert inbound.messages == [(f"{PREFIX}/dcu/D1/ack", b'{"boot":"d","seq":9}', 0)]


def test_reasons_never_repeat_the_payload(unload) -> None:
    load = unload((METER, b'{"kind":"heartbeat","at":1,"volts":["10000138000"]}', 1))
    assert "10000138000" not in load.parcel.quarantined[0].reason
