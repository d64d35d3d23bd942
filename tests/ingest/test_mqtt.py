"""The specification of the MQTT gateway, with real brokers and real devices."""

import asyncio
import json

import pytest

pytestmark = pytest.mark.services

EVENT = "lastgasp/v1/meter/{}/event"
DCU = "lastgasp/v1/dcu/D1/events"
NOON = 1_795_262_400_000


def gasp(seq: int, at: int = NOON) -> bytes:
    return b'{"boot":"a","seq":%d,"at":%d,"kind":"last_gasp"}' % (seq, at)


def elements(*seqs: int) -> bytes:
    events = [
        {"meter": "M1", "boot": "d", "seq": seq, "at": NOON + seq, "kind": "heartbeat"}
        for seq in seqs
    ]
    return json.dumps(events).encode()


async def test_an_event_is_committed_and_then_acknowledged_to_its_device(
    mosquitto, gateway, device, intake
) -> None:
    broker = mosquitto()
    await gateway(broker.port)
    meter = await device(broker.port, "lastgasp/v1/meter/M1/ack")
    intake.hold()
    meter.say(EVENT.format("M1"), gasp(7))
    await intake.until(lambda: "deliver" in intake.words)
    assert meter.heard == []
    intake.release()
    await meter.until(lambda heard: heard)
    assert meter.heard == [("lastgasp/v1/meter/M1/ack", b'{"boot":"a","seq":7}')]
    assert intake.heard == [("M1", "LAST_GASP", 7)]


async def test_every_class_of_device_is_heard(mosquitto, gateway, device, intake) -> None:
    broker = mosquitto()
    await gateway(broker.port)
    anyone = await device(broker.port, "lastgasp/v1/+/+/ack")
    anyone.say("lastgasp/v1/meter/M1/event", gasp(1))
    anyone.say("lastgasp/v1/terminal/T1/event", gasp(2))
    anyone.say("lastgasp/v1/breaker/B1/event", b'{"boot":"a","seq":3,"at":1,"kind":"trip"}')
    anyone.say(DCU, elements(4))
    await anyone.until(lambda heard: len(heard) == 4)
    assert sorted(intake.heard) == [
        ("B1", "TRIP", 3),
        ("M1", "HEARTBEAT", 4),
        ("M1", "LAST_GASP", 1),
        ("T1", "LAST_GASP", 2),
    ]


async def test_a_repeat_is_acknowledged_again(mosquitto, gateway, device, intake) -> None:
    broker = mosquitto()
    await gateway(broker.port)
    meter = await device(broker.port, "lastgasp/v1/meter/M1/ack")
    for _ in range(3):
        meter.say(EVENT.format("M1"), gasp(7))
    await meter.until(lambda heard: len(heard) == 3)
    assert len(set(meter.heard)) == 1


async def test_a_concentrator_hears_how_far_it_may_forget(
    mosquitto, gateway, device, intake
) -> None:
    broker = mosquitto()
    await gateway(broker.port)
    dcu = await device(broker.port, "lastgasp/v1/dcu/D1/ack")
    bad = b'[{"meter":"M1","boot":"d","seq":3,"at":1,"kind":"boom"}]'
    for number, (body, seq) in enumerate(
        [(elements(1, 2), 2), (bad, 3), (elements(6, 7), 3), (elements(4, 5), 7)], 1
    ):
        dcu.say(DCU, body)
        await dcu.until(lambda heard, number=number: len(heard) == number)
        assert json.loads(dcu.heard[-1][1]) == {"boot": "d", "seq": seq}
    assert intake.seqs == [1, 2, 6, 7, 4, 5]
    assert [one.reason for one in intake.quarantined] == ["unknown kind 'boom'"]


async def test_a_ping_goes_down_on_the_meters_topic(mosquitto, gateway, device) -> None:
    from grid.outage import Ping

    broker = mosquitto()
    running = await gateway(broker.port)
    meter = await device(broker.port, "lastgasp/v1/meter/+/ping")
    await running.ping([Ping(NOON, "M1"), Ping(NOON, "M2")])
    await meter.until(lambda heard: len(heard) == 2)
    body = b'{"at":%d}' % NOON
    assert meter.heard == [(f"lastgasp/v1/meter/{m}/ping", body) for m in ("M1", "M2")]


BAD = [
    b"hello",
    b'{"kind":"explosion","at":1}',
    b'{"kind":"voltage","at":1,"volts":[NaN]}',
    b'{"kind":"heart\xff","at":1}',
    b'{"kind":"heartbeat","at":1,"x":' + b"[" * 500 + b"]" * 500 + b"}",
    b"x" * (10 << 20),
]


async def test_bad_input_is_quarantined_with_its_reason_and_the_stream_goes_on(
    mosquitto, gateway, device, intake
) -> None:
    broker = mosquitto()
    await gateway(broker.port)
    meter = await device(broker.port)
    for seq, body in enumerate(BAD):
        meter.say(EVENT.format("M1"), body)
        meter.say(EVENT.format("M1"), gasp(seq))
    meter.say(EVENT.format("M9"), gasp(99))
    meter.say(EVENT.format("M2"), gasp(100))
    await intake.until(lambda: 100 in intake.seqs)
    assert intake.seqs == [0, 1, 2, 3, 4, 5, 100]
    assert [(one.length, one.body == body[:65_536]) for one, body in zip(
        intake.quarantined, BAD, strict=False
    )] == [(len(body), True) for body in BAD]  # fmt: skip
    assert [one.reason.split(":")[0] for one in intake.quarantined] == [
        "not an event",
        "unknown kind 'explosion'",
        "neither JSON nor MessagePack",
        "text that is not valid UTF-8",
        "nested deeper than 16 levels",
        "10485760 bytes, more than the 1048576 of payload_bytes_max",
        "nobody registered device 'M9'",
    ]


async def test_a_storm_of_bad_input_loses_nothing_of_the_good(
    mosquitto, gateway, device, intake
) -> None:
    broker = mosquitto("max_queued_messages 0")
    await gateway(broker.port)
    meter = await device(broker.port)
    for seq in range(1_000):
        meter.say(EVENT.format("M1"), BAD[seq % 5])
        meter.say(EVENT.format("M1"), gasp(seq))
        meter.say(EVENT.format("M9"), gasp(seq))
    await intake.until(lambda: len(intake.seqs) == 1_000 and len(intake.quarantined) == 2_000)
    assert intake.seqs == list(range(1_000))


async def test_what_was_said_while_we_were_down_is_heard_when_we_are_up(
    mosquitto, gateway, device, intake
) -> None:
    broker = mosquitto("max_queued_messages 0\nmax_inflight_messages 0")
    first = await gateway(broker.port)
    await gateway.stop(first)
    meter = await device(broker.port)
    for seq in range(5_000):
        meter.say(EVENT.format("M1"), gasp(seq))
    await meter.told()
    await gateway(broker.port, outstanding_messages_max=500, delivery_messages_max=100)
    assert sorted(intake.seqs) == list(range(5_000))
    # the stream was told of the deafness before and of its end after all of it
    words = [word for word in intake.words if word != "deliver"]
    again = len(words) - 1 - words[::-1].index("deaf")
    assert set(words[again + 1 : -1]) == {"committed"}
    assert words[-1] == "caught_up"
    there_again_ms = [said for said in intake.said if said[0] == "deaf"][-1][3]
    assert intake.said[-1][2] >= there_again_ms, "when its devices were answered again"


async def test_at_the_limit_we_stop_reading_and_the_connection_stays(
    mosquitto, gateway, device, intake
) -> None:
    broker = mosquitto("max_queued_messages 0\nmax_inflight_messages 0")
    running = await gateway(
        broker.port, outstanding_messages_max=100, delivery_messages_max=10, keepalive_s=1
    )
    meter = await device(broker.port)
    intake.hold()
    bulk = b'{"boot":"a","seq":%d,"at":1,"kind":"heartbeat","note":"' + b"x" * 10_000 + b'"}'
    for seq in range(1_000):
        meter.say(EVENT.format("M1"), bulk % seq)
    await meter.told()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3):  # longer than the broker waits for a silent client
            await intake.until(lambda: intake.offered > 8)  # deliveries_max
    assert running.outstanding < 300  # the limit and one socketful
    intake.release()
    await intake.until(lambda: len(intake.seqs) == 1_000)
    assert intake.seqs == list(range(1_000))  # each once: the connection was kept
    assert "lost" not in intake.words


async def test_a_broker_that_allows_twenty_in_flight_and_a_slow_commit_make_twenty_a_commit(
    mosquitto, gateway, device, intake
) -> None:
    broker = mosquitto("max_queued_messages 0\nmax_inflight_messages 20")
    await gateway(broker.port)
    meter = await device(broker.port)
    intake.commit_s = 0.05
    began_s = asyncio.get_running_loop().time()
    for seq in range(400):
        meter.say(EVENT.format("M1"), gasp(seq))
    await intake.until(lambda: len(intake.seqs) == 400)
    took_s = asyncio.get_running_loop().time() - began_s
    assert intake.seqs == list(range(400))
    assert took_s < 400 / 20 * 0.05 * 4  # and not one a commit, which would be 20 s


async def test_while_the_stream_refuses_nothing_is_acknowledged_or_lost(
    mosquitto, gateway, device, intake
) -> None:
    broker = mosquitto()
    await gateway(broker.port)
    meter = await device(broker.port, "lastgasp/v1/meter/M1/ack")
    intake.away = 3
    meter.say(EVENT.format("M1"), gasp(1))
    await intake.until(lambda: intake.offered >= 3)
    assert meter.heard == []
    await meter.until(lambda heard: len(heard) == 1)
    assert intake.seqs == [1]


async def test_a_broker_that_restarts_is_found_again_and_the_stream_knows_of_it(
    mosquitto, gateway, device, intake
) -> None:
    broker = mosquitto()
    running = await gateway(broker.port)
    assert running.ready
    broker.stop()
    await intake.until(lambda: "lost" in intake.words)
    assert not running.ready
    broker.start()
    await intake.until(lambda: intake.words.count("caught_up") == 2)
    assert running.ready
    (_, _, from_ms, until_ms) = [entry for entry in intake.said if entry[0] == "deaf"][-1]
    assert 0 < from_ms < until_ms
    meter = await device(broker.port, "lastgasp/v1/meter/M1/ack")
    meter.say(EVENT.format("M1"), gasp(1))
    await meter.until(lambda heard: heard)


async def test_a_broker_without_durability_is_enough_because_devices_keep_what_is_unanswered(
    mosquitto, gateway, device, intake
) -> None:
    broker = mosquitto()
    await gateway(broker.port)
    meter = await device(broker.port, "lastgasp/v1/meter/M1/ack")
    intake.hold()
    meter.say(EVENT.format("M1"), gasp(1))
    await intake.until(lambda: intake.offered)
    broker.stop(kill=True)
    await intake.until(lambda: "lost" in intake.words)
    intake.release()  # committed while nobody can be told
    await intake.until(lambda: intake.seqs == [1])
    broker.start()
    await intake.until(lambda: intake.words.count("caught_up") == 2)
    await meter.connected()
    meter.say(EVENT.format("M1"), gasp(1))  # its own store still holds it
    await meter.until(lambda heard: heard)
    assert set(intake.seqs) == {1}
