"""The specification of where the MQTT gateway works: each broker, TLS, passwords, both loops."""

import asyncio
import datetime
import ipaddress
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from grid.errors import ConfigError
from ingest.mqtt import MqttGateway
from ingest.packets import publish
from ingest.packing import Packer
from ingest.settings import MqttSettings
from service.broker import BrokerSettings, embedded
from service.ports import Address

pytestmark = pytest.mark.services

METER = "lastgasp/v1/meter/M1/event"
GASP = b'{"boot":"a","seq":7,"at":1795262400000,"kind":"last_gasp"}'
ACK = ("lastgasp/v1/meter/M1/ack", b'{"boot":"a","seq":7}')


@pytest.fixture
def iotcore(free_port: Callable[[], int], tmp_path: Path) -> Iterator[int]:
    """The embedded broker's port."""
    port = free_port()
    with embedded(Address("127.0.0.1", port), BrokerSettings(), tmp_path):
        yield port


async def test_the_embedded_broker_serves(iotcore, gateway, device, intake) -> None:
    await gateway(iotcore)
    meter = await device(iotcore, ACK[0])
    meter.say(METER, b"x" * (10 << 20))
    meter.say(METER, GASP)
    await meter.until(lambda heard: heard)
    assert meter.heard == [ACK]
    assert intake.seqs == [7]
    assert [one.length for one in intake.quarantined] == [10 << 20]


async def test_the_embedded_broker_keeps_a_session_for_us(iotcore, gateway, device, intake) -> None:
    await gateway.stop(await gateway(iotcore))
    meter = await device(iotcore)
    for seq in range(2_000):
        meter.say(METER, GASP.replace(b"7", b"%d" % seq, 1))
    await meter.told()
    await gateway(iotcore)
    await intake.until(lambda: sorted(intake.seqs) == list(range(2_000)))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that vouches for itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=3650))
        .not_valid_after(now + datetime.timedelta(days=36500))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem", folder / "key.pem"


async def test_tls_carries_a_backlog(mosquitto, gateway, device, intake, certificate, free_port):
    cert, key = certificate
    tls = free_port()
    broker = mosquitto(
        f"listener {tls} 127.0.0.1\ncertfile {cert}\nkeyfile {key}\nmax_queued_messages 0"
    )
    secure = {"url": f"mqtts://127.0.0.1:{tls}", "tls_ca": str(cert)}
    await gateway.stop(await gateway(tls, **secure))
    meter = await device(broker.port)
    bulk = GASP[:-1] + b',"note":"' + b"x" * 20_000 + b'"}'
    for _ in range(200):  # more than one record, chunk and socketful
        meter.say(METER, bulk)
    await meter.told()
    await gateway(tls, **secure)
    await intake.until(lambda: len(intake.seqs) == 200)


async def test_a_broker_that_nobody_vouches_for_is_not_talked_to(
    mosquitto, gateway, intake, certificate, free_port
) -> None:
    cert, key = certificate
    tls = free_port()
    mosquitto(f"listener {tls} 127.0.0.1\ncertfile {cert}\nkeyfile {key}")
    running = await gateway(tls, ready=False, url=f"mqtts://127.0.0.1:{tls}")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await intake.until(lambda: intake.words)
    assert not running.ready


def test_a_certificate_that_is_not_there_is_named_at_the_start(city, intake, now_ms) -> None:
    settings = MqttSettings(url="mqtts://b", tls_ca="/nowhere/ca.pem")
    with pytest.raises(ConfigError, match="tls_ca"):
        MqttGateway(settings, Packer(city), intake, now_ms)


async def test_a_user_and_a_password_are_shown_to_the_broker(
    mosquitto, device, intake, city, now_ms, tmp_path, tool
) -> None:
    tool("mosquitto")  # the same package
    passwords = tmp_path / "passwords"
    process = await asyncio.create_subprocess_exec(
        tool("mosquitto_passwd"), "-b", "-c", str(passwords), "lastgasp", "secret"
    )
    assert await process.wait() == 0
    passwords.chmod(0o644)
    broker = mosquitto(f"per_listener_settings false\npassword_file {passwords}")
    settings = MqttSettings(url=broker.url, caught_up_quiet_s=0.01, caught_up_s_min=0.0)
    made: Any = MqttGateway(
        settings, Packer(city), intake, now_ms, username="lastgasp", password="secret"
    )
    running = asyncio.create_task(made.run())
    await intake.until(lambda: "caught_up" in intake.words)
    running.cancel()
    await asyncio.wait({running})


def test_the_gateway_works_on_uvloop_as_it_does_on_asyncio(
    mosquitto, recorder, city, now_ms
) -> None:
    broker = mosquitto()

    async def story() -> list[int]:
        intake = recorder(city)
        settings = MqttSettings(
            url=broker.url, caught_up_quiet_s=0.01, caught_up_s_min=0.0, reconnect_s_min=0.02
        )
        running = asyncio.create_task(MqttGateway(settings, Packer(city), intake, now_ms).run())
        await intake.until(lambda: "caught_up" in intake.words)
        broker.stop()
        await intake.until(lambda: "lost" in intake.words)
        broker.start()
        await intake.until(lambda: intake.words.count("caught_up") == 2)
        _, writer = await asyncio.open_connection("127.0.0.1", broker.port)
        writer.write(b"\x10\x0d\0\4MQTT\4\2\0\0\0\1x" + publish(METER, GASP))
        await intake.until(lambda: intake.seqs)
        writer.close()
        running.cancel()
        await asyncio.wait({running})
        return intake.seqs

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(story()) == [7]
