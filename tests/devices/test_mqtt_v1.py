"""The specification of MQTT version 1: what devices may say, and what refuses the rest."""

import msgspec
import pytest

from devices.mqtt_v1 import (
    Ack,
    BadElement,
    Topic,
    decode,
    decode_ack,
    encode,
    encode_ack,
    encode_array,
    encode_ping,
    filters,
    parse_topic,
    topic_of,
)
from grid.errors import BadPayload
from grid.reading import Kind, Reading

METER = Topic("meter", "M1", "event")
BREAKER = Topic("breaker", "B1", "event")
DCU = Topic("dcu", "D1", "events")
NOON = 1_795_262_400_000  # 2026-11-21T12:00:00Z

GASP = Reading("M1", Kind.LAST_GASP, NOON, "a1", 12, volts=(0.0, 3.5, 1.25), on=False)
GASP_JSON = (
    b'{"boot":"a1","seq":12,"at":1795262400000,"kind":"last_gasp",'
    b'"volts":[0.0,3.5,1.25],"on":false}'
)
GASP_PACKED = bytes.fromhex(
    "86a4626f6f74a26131a37365710ca26174cf000001a1fdfa4600a46b696e64a96c6173745f67617370"
    "a5766f6c747393cb0000000000000000cb400c000000000000cb3ff4000000000000a26f6ec2"
)
TRIP = Reading(
    "B1",
    Kind.TRIP,
    NOON,
    "b",
    0,
    amps=(10.0,),
    power_kw=1.5,
    phases=5,
    commanded=False,
    valid=False,
)
TRIP_JSON = (
    b'{"boot":"b","seq":0,"at":1795262400000,"kind":"trip","amps":[10.0],"kw":1.5,'
    b'"phases":"AC","commanded":false,"valid":false}'
)


def same(one: Reading, other: Reading) -> bool:
    """Equal, and NaN counts as equal to itself."""
    return repr(one) == repr(other)


@pytest.mark.parametrize(
    ("topic", "reading", "body"), [(METER, GASP, GASP_JSON), (BREAKER, TRIP, TRIP_JSON)]
)
def test_the_bytes_of_an_event_are_these_both_ways(topic, reading, body) -> None:
    assert encode(reading) == body
    assert same(decode(topic, body)[0], reading)


def test_anything_that_does_not_begin_like_json_is_messagepack_of_the_same() -> None:
    assert encode(GASP, packed=True) == GASP_PACKED
    assert same(decode(METER, GASP_PACKED)[0], GASP)


@pytest.mark.parametrize(
    ("at", "happened_ms"),
    [
        (b"1795262400123", NOON + 123),
        (b"1795262400123.0", NOON + 123),
        (b'"2026-11-21T12:00:00.123Z"', NOON + 123),
        (b'"2026-11-21T20:00:00.123+08:00"', NOON + 123),
        (b'"2026-11-21T12:00:60Z"', NOON + 60_000),
        # a clock that lost everything still dates a gasp, to be repaired by whoever knows the time
        (b'"0000-00-00T00:00:00.000Z"', 0),
        (b'"2026-02-31T00:00:00Z"', 0),
        (b'"2026-13-21T12:00:60Z"', 0),
        (b"0", 0),
        (b"-5", -5),
        (b"99999999999999999999999999", 0),
    ],
)
def test_a_time_is_rfc3339_or_epoch_milliseconds(at, happened_ms) -> None:
    reading = decode(METER, b'{"kind":"last_gasp","at":%s}' % at)[0]
    assert reading.happened_ms == happened_ms


def test_a_bare_event_says_nothing_of_what_it_leaves_out() -> None:
    reading = decode(METER, b'{"kind":"heartbeat","at":1,"colour":"red","kw":null}')[0]
    assert same(reading, Reading("M1", Kind.HEARTBEAT, 1))


def test_one_number_may_stand_for_all_phases() -> None:
    assert decode(METER, b'{"kind":"voltage","at":1,"volts":230}')[0].volts == (230.0,)


def test_a_power_up_tells_of_the_gasp_that_was_lost() -> None:
    body = b'{"kind":"power_up","at":5000,"off_at":"1970-01-01T00:00:04Z"}'
    assert decode(METER, body)[0].off_at_ms == 4000


DEEP = b'{"kind":"heartbeat","at":1,"x":' + b"[" * 500 + b"]" * 500 + b"}"
DEEP_PACKED = b"\x83\xa4kind\xa9heartbeat\xa2at\x01\xa1x" + b"\x91" * 500 + b"\xc0"
BOTTOMLESS = b'{"kind":"heartbeat","at":1,"x":' + b'{"x":[' * 50_000
BOTTOMLESS_PACKED = b"\x83\xa4kind\xa9heartbeat\xa2at\x01\xa1x" + b"\x91" * 100_000 + b"\xc0"

REFUSED = [
    (b"", "the payload is empty"),
    (b"hello", "not an event: Expected `object`, got `int`"),
    (b"\xc1\xc1", "neither JSON nor MessagePack: MessagePack data is malformed"),
    (b'{"kind":"heartbeat","at":1', "neither JSON nor MessagePack: Input data was truncated"),
    (b'{"kind":"heartbeat","at":1} x', "neither JSON nor MessagePack: JSON is malformed"),
    (b"\xdb\0\0\0\x20" + b"\x90" * 32, "text that is not valid UTF-8"),
    (b"\xc6\0\0\0\x20" + b"\x90" * 32, "not an event: Expected `object`, got `bytes`"),
    (b'[{"kind":"heartbeat","at":1}]', "not an event: Expected `object`, got `array`"),
    (b'{"kind":"explosion","at":1}', "unknown kind 'explosion'"),
    (b'{"kind":"trip","at":1}', "a meter does not say 'trip', a breaker does"),
    (b'{"kind":"heartbeat"}', "not an event: Object missing required field `at`"),
    (b'{"at":1}', "not an event: Object missing required field `kind`"),
    (b'{"kind":"heartbeat","at":null}', "not an event: Expected `int | float | str`"),
    (b'{"kind":"heartbeat","at":"noon"}', "at is no RFC 3339 time with a zone"),
    (b'{"kind":"heartbeat","at":"2026-11-21T12:00:00"}', "at is no RFC 3339 time with a zone"),
    (b'{"kind":"power_up","at":1,"off_at":"x"}', "off_at is no RFC 3339 time with a zone"),
    (b'{"kind":"heartbeat","at":1,"kw":NaN}', "neither JSON nor MessagePack: JSON is malformed"),
    (b'{"kind":"voltage","at":1,"volts":[1e999]}', "not an event: Number out of range"),
    (b'{"kind":"voltage","at":1,"volts":[1e30]}', "volts are finite numbers"),
    (b'{"kind":"voltage","at":1,"volts":[1,2,3,4]}', "volts are one to three numbers"),
    (b'{"kind":"voltage","at":1,"volts":[]}', "volts are one to three numbers"),
    (b'{"kind":"voltage","at":1,"volts":["230"]}', "not an event: Expected `float`, got `str`"),
    (b'{"kind":"voltage","at":1}', "a voltage event needs volts"),
    (b'{"kind":"heartbeat","at":1,"on":1}', "not an event: Expected `bool | null`, got `int`"),
    (b'{"kind":"heartbeat","at":1,"phases":"AD"}', "phases are letters of ABC, each once"),
    (b'{"kind":"heartbeat","at":1,"boot":"a"}', "boot and seq come together or not at all"),
    (b'{"kind":"heartbeat","at":1,"seq":1}', "boot and seq come together or not at all"),
    (b'{"kind":"heartbeat","at":1,"boot":"","seq":1}', "boot and seq come together"),
    (b'{"kind":"heartbeat","at":1,"boot":"a","seq":-1}', "seq is a whole number from 0"),
    (b'{"kind":"heartbeat","at":1,"boot":"a","seq":%d}' % 2**63, "seq is a whole number from 0"),
    (b'{"kind":"heartbeat","at":1,"boot":"%s","seq":1}' % (b"a" * 65), "seq is a whole number"),
    (b'{"kind":"heart\xff","at":1}', "text that is not valid UTF-8"),
    (b'{"kind":"heartbeat","at":1,"note":"\xff"}', "text that is not valid UTF-8"),
    (b"\x82\xa4kind\xa2\xff\xfe\xa2at\x01", "text that is not valid UTF-8"),
    (DEEP, "nested deeper than 16 levels"),
    (DEEP_PACKED, "nested deeper than 16 levels"),
    (BOTTOMLESS, "nested deeper than 16 levels"),
    (BOTTOMLESS_PACKED, "nested deeper than 16 levels"),
    (b"\x82\xa4kind\xa9heartbeat\xa2at\xcb\x7f\xf8" + bytes(6), "at is not a finite number"),
    (b"\x82\xa4kind\xa9heartbeat\xa2at\xcb\xff\xf0" + bytes(6), "at is not a finite number"),
    (
        msgspec.msgpack.encode({"kind": "voltage", "at": 1, "volts": [1.0, float("nan")]}),
        "volts are finite numbers",
    ),
    (
        msgspec.msgpack.encode({"kind": "heartbeat", "at": 1, "amps": float("inf")}),
        "amps are finite numbers",
    ),
    (msgspec.msgpack.encode({"kind": "heartbeat", "at": 1, "kw": float("nan")}), "kw are finite"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "reason"), REFUSED)
def test_what_cannot_be_read_is_refused_with_a_sentence(body, reason) -> None:
    with pytest.raises(BadPayload) as refused:
        decode(METER, body)
    assert refused.value.message.startswith(reason)


def test_brackets_inside_a_text_are_no_nesting() -> None:
    body = b'{"kind":"heartbeat","at":1,"note":"%s \\" ["}' % (b"[{" * 40)
    assert decode(METER, body)[0].kind is Kind.HEARTBEAT


def test_many_siblings_are_no_nesting() -> None:
    wide = {"kind": "heartbeat", "at": 1, "x": [[1], [2], {"y": [3]}] * 20}
    assert decode(METER, msgspec.json.encode(wide))[0].kind is Kind.HEARTBEAT
    assert decode(METER, msgspec.msgpack.encode(wide))[0].kind is Kind.HEARTBEAT


def test_only_a_breaker_trips() -> None:
    body = b'{"kind":"trip","at":1}'
    assert decode(BREAKER, body)[0].kind is Kind.TRIP
    with pytest.raises(BadPayload):
        decode(Topic("terminal", "T1", "event"), body)


@pytest.mark.parametrize("packed", [False, True])
def test_a_concentrator_speaks_for_its_meters_under_its_own_boot_and_seq(packed) -> None:
    said = [
        Reading("M1", Kind.LAST_GASP, NOON, "d", 7, via="D1"),
        Reading("M2", Kind.HEARTBEAT, NOON, "d", 8, via="D1", volts=(230.0,)),
    ]
    assert repr(decode(DCU, encode_array(said, packed=packed))) == repr(said)


def test_the_bytes_of_a_concentrators_array_are_these() -> None:
    said = [Reading("M1", Kind.LAST_GASP, NOON, "d", 7, via="D1")]
    body = b'[{"meter":"M1","boot":"d","seq":7,"at":1795262400000,"kind":"last_gasp"}]'
    assert encode_array(said) == body


def test_an_element_that_cannot_be_read_does_not_spoil_its_neighbours() -> None:
    body = (
        b'[{"meter":"M1","boot":"d","seq":1,"at":1,"kind":"heartbeat"}, 5,\n'
        b' {"meter":"M2","boot":"d","seq":2,"at":1,"kind":"boom"},'
        b' {"boot":"d","seq":3,"at":1,"kind":"heartbeat"},'
        b' {"meter":"M\xff","boot":"d","seq":4,"at":1,"kind":"heartbeat"},'
        b' {"meter":"M4","boot":"d","seq":5,"at":1,"kind":"heartbeat"} ]'
    )
    refused: list[BadElement] = []
    readings = decode(DCU, body, refused)
    assert [reading.device_id for reading in readings] == ["M1", "M4"]
    assert [bad.reason for bad in refused] == [
        "not an event: Expected `object`, got `int`",
        "unknown kind 'boom'",
        "an event of a concentrator needs its meter, 1 to 256 characters",
        "text that is not valid UTF-8",
    ]
    assert [bad.identity for bad in refused] == [None, Ack("d", 2), Ack("d", 3), Ack("d", 4)]
    assert refused[1].body == b'{"meter":"M2","boot":"d","seq":2,"at":1,"kind":"boom"}'


def test_without_a_place_for_the_unreadable_an_array_is_refused_whole() -> None:
    with pytest.raises(BadPayload, match="needs its meter"):
        decode(DCU, b'[{"meter":"M1","at":1,"kind":"heartbeat"},{"at":1,"kind":"heartbeat"}]')


@pytest.mark.parametrize("body", [b'{"meter":"M1","at":1,"kind":"heartbeat"}', b"[1", b"hello"])
def test_a_concentrators_payload_that_is_no_array_is_refused_whole(body) -> None:
    with pytest.raises(BadPayload):
        decode(DCU, body, [])


def test_topics_are_prefix_class_id_leaf() -> None:
    assert topic_of("meter", "M1") == "lastgasp/v1/meter/M1/event"
    assert topic_of("dcu", "D1", prefix="p") == "p/dcu/D1/events"
    assert topic_of("terminal", "T1", "ack") == "lastgasp/v1/terminal/T1/ack"
    assert parse_topic("lastgasp/v1/breaker/B1/ping") == Topic("breaker", "B1", "ping")
    assert filters("p") == (
        "p/meter/+/event",
        "p/terminal/+/event",
        "p/breaker/+/event",
        "p/dcu/+/events",
    )


def test_an_id_may_hold_what_a_topic_may_not() -> None:
    topic = topic_of("meter", "a/b+c#d%e 柜")
    assert topic == "lastgasp/v1/meter/a%2Fb%2Bc%23d%25e 柜/event"
    assert parse_topic(topic).id == "a/b+c#d%e 柜"


@pytest.mark.parametrize(
    "topic",
    [
        "lastgasp/v1",
        "lastgasp/v1/meter/M1",
        "lastgasp/v1/meter/M1/event/x",
        "lastgasp/v2/meter/M1/event",
        "lastgasp/v1/meter//event",
        "lastgasp/v1/meter/M1/events",
        "lastgasp/v1/dcu/D1/event",
        "lastgasp/v1/toaster/T/event",
        "lastgasp/v1/meter/" + "M" * 257 + "/event",
        "",
    ],
)
def test_other_topics_are_refused(topic) -> None:
    with pytest.raises(BadPayload):
        parse_topic(topic)


def test_only_event_topics_carry_events() -> None:
    ping = Topic("meter", "M1", "ping")
    with pytest.raises(BadPayload):
        decode(ping, GASP_JSON)


def test_acknowledgements_and_pings_are_these_bytes() -> None:
    assert encode_ack("a1", 12) == b'{"boot":"a1","seq":12}'
    assert decode_ack(b'{"boot":"a1","seq":12}') == Ack("a1", 12)
    assert encode_ping(NOON) == b'{"at":1795262400000}'
    for wrong in (b"", b"[]", b"\xff"):
        with pytest.raises(BadPayload):
            decode_ack(wrong)
