"""The specification of the MQTT gateway, with a real broker and real devices."""

import pytest

pytestmark = pytest.mark.services

EVENT = "lastgasp/v1/meter/{}/event"


def gasp(seq: int, at: int = 1_795_262_400_000) -> bytes:
    return b'{"boot":"a","seq":%d,"at":%d,"kind":"last_gasp"}' % (seq, at)


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
