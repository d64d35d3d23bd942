"""The specification of the cluster's MQTT broker: who may say and hear what, on Mosquitto."""

import os
import queue
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from service import credentials
from service.simulate import settings_of
from simulators.links import Links, LinkSettings
from simulators.mqtt_devices import down_topics

pytestmark = pytest.mark.services

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
NOW = time.time_ns() // 1_000_000
GASP = b'{"boot":"a","seq":7,"at":1795262400000,"kind":"last_gasp"}'


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a first start makes, with certificates of two meters and a concentrator."""
    root = tmp_path_factory.mktemp("secrets")
    credentials.make(root, [], NOW)
    credentials.simulator(root, NOW)
    credentials.device(root, ["M1", "M2", "D1"], root / "devices", NOW)
    return root


@pytest.fixture(scope="module")
def port(
    secrets: Path,
    tmp_path_factory: pytest.TempPathFactory,
    tool: Callable[[str], str],
    free_port: Callable[[], int],
) -> Iterator[int]:
    """A Mosquitto with the cluster's own configuration, but for its paths."""
    folder, found = tmp_path_factory.mktemp("mosquitto"), free_port()
    text = (DEPLOY / "mosquitto/mosquitto.conf").read_text()
    for theirs, ours in {
        "listener 8883": f"listener {found} 127.0.0.1",
        "/secrets": str(secrets / "mosquitto"),
        "/mosquitto/config": str(DEPLOY / "mosquitto"),
        "/mosquitto/data": str(folder),
    }.items():
        assert theirs in text
        text = text.replace(theirs, ours)
    config = folder / "mosquitto.conf"
    config.write_text(text + ("user root\n" if os.geteuid() == 0 else ""))
    with subprocess.Popen([tool("mosquitto"), "-c", str(config)]) as broker:
        yield found
        broker.terminate()


class Peer:
    """Somebody with a certificate, who hears and says things."""

    def __init__(self, port: int, ca: Path, pair: Path | None) -> None:
        self.heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._done: queue.Queue[str] = queue.Queue()
        self.client = Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        context = ssl.create_default_context(cafile=ca)
        if pair is not None:
            context.load_cert_chain(pair.with_suffix(".crt"), pair.with_suffix(".key"))
        self.client.tls_set_context(context)
        self.client.on_message = lambda _c, _u, m: self.heard.put((m.topic, bytes(m.payload)))
        self.client.on_connect = lambda *_: self._done.put("connected")
        self.client.on_subscribe = lambda *_: self._done.put("subscribed")
        deadline = time.monotonic() + 10
        while True:
            try:
                self.client.connect("127.0.0.1", port, 20)
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, "Mosquitto does not listen"
                time.sleep(0.02)
        self.client.loop_start()
        assert self._done.get(timeout=5) == "connected"

    def listen(self, *topics: str) -> None:
        self.client.subscribe([(topic, 1) for topic in topics])
        assert self._done.get(timeout=5) == "subscribed"

    def say(self, topic: str, body: bytes = GASP) -> None:
        """Returns once the broker has it; that it was thrown away it does not tell."""
        self.client.publish(topic, body, qos=1).wait_for_publish(5)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def peer(port: int, secrets: Path) -> Iterator[Callable[[str | None], Peer]]:
    """``peer("devices/M1")``: who has that certificate."""
    made: list[Peer] = []

    def connect(pair: str | None) -> Peer:
        made.append(Peer(port, secrets / "lastgasp/ca.crt", secrets / pair if pair else None))
        return made[-1]

    yield connect
    for one in made:
        one.close()


def test_a_device_speaks_in_its_own_name_only(peer) -> None:
    gateway, meter, dcu = (peer(n) for n in ("lastgasp/client", "devices/M1", "devices/D1"))
    gateway.listen("lastgasp/v1/+/+/event", "lastgasp/v1/+/+/events")
    for topic in ("meter/M2/event", "meter/M1/ack", "dcu/D1/events", "meter/gateway/event"):
        meter.say(f"lastgasp/v1/{topic}")
    dcu.say("lastgasp/v1/meter/M1/event")
    dcu.say("lastgasp/v1/dcu/D1/events", b"[]")
    meter.say("lastgasp/v1/meter/M1/event")
    assert {gateway.heard.get(timeout=5) for _ in range(2)} == {
        ("lastgasp/v1/dcu/D1/events", b"[]"),
        ("lastgasp/v1/meter/M1/event", GASP),
    }
    assert gateway.heard.empty()


def test_a_device_hears_what_is_meant_for_it_and_nothing_else(peer) -> None:
    gateway, meter = peer("lastgasp/client"), peer("devices/M1")
    meter.listen("#", "lastgasp/v1/meter/M2/ack")
    gateway.say("lastgasp/v1/meter/M2/ack")
    gateway.say("lastgasp/v1/meter/M1/event")
    gateway.say("lastgasp/v1/meter/M1/ping")
    gateway.say("lastgasp/v1/meter/M1/ack")
    assert [meter.heard.get(timeout=5)[0].rpartition("/")[2] for _ in range(2)] == ["ping", "ack"]
    assert meter.heard.empty()


def test_without_a_certificate_of_ours_nobody_comes_in(peer, port, secrets, tmp_path) -> None:
    peer("devices/M1")  # the broker listens
    credentials.make(tmp_path, [], NOW)
    credentials.device(tmp_path, ["M1"], tmp_path, NOW)
    for pair in (None, tmp_path / "M1"):
        context = ssl.create_default_context(cafile=secrets / "lastgasp/ca.crt")
        if pair is not None:
            context.load_cert_chain(pair.with_suffix(".crt"), pair.with_suffix(".key"))
        with (
            socket.create_connection(("127.0.0.1", port), 5) as plain,
            pytest.raises(ssl.SSLError, match=r"certificate required|unknown ca|decrypt error"),
            context.wrap_socket(plain, server_hostname="localhost") as secured,
        ):
            secured.recv(1)


async def test_who_simulates_speaks_for_all_by_the_certificates_of_a_folder(
    peer, port, secrets
) -> None:
    gateway = peer("lastgasp/client")
    gateway.listen("lastgasp/v1/+/+/event")
    told = settings_of(secrets / "simulator", insecure=False).devices
    link = LinkSettings(
        url=f"mqtts://127.0.0.1:{port}", tls_ca=told.link.tls_ca, tls_cert=told.link.tls_cert,
        tls_key=told.link.tls_key,
    )  # fmt: skip
    links = Links(link, down_topics(told.prefix))
    await links.connect()
    links.send(0, "lastgasp/v1/meter/M9/event", GASP)
    assert gateway.heard.get(timeout=5) == ("lastgasp/v1/meter/M9/event", GASP)
    await links.close()
