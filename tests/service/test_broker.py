"""The specification of the embedded broker: on loopback, with room, and gone when we are."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as paho
import psutil
import pytest

from service import broker, ports
from service.broker import BrokerSettings
from service.ports import Address

pytestmark = pytest.mark.services

STARTER = """
import sys, time
from pathlib import Path
from service.broker import BrokerSettings, embedded
from service.ports import Address
with embedded(Address("127.0.0.1", int(sys.argv[1])), BrokerSettings(), Path(sys.argv[2])):
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def address(
    tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> Iterator[Address]:
    """A running broker's address."""
    found = Address("127.0.0.1", free_port())
    with broker.embedded(found, BrokerSettings(), tmp_path_factory.mktemp("broker")) as running:
        assert running.url == f"mqtt://{found}"
        yield found


def client(address: Address, name: str) -> paho.Client:
    made = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=name)
    made.connect(address.host, address.port)
    made.loop_start()
    return made


def stop(*clients: paho.Client) -> None:
    for one in clients:
        one.disconnect()
        one.loop_stop()


def test_it_is_bound_to_loopback_only(address: Address) -> None:
    listening = {
        connection.laddr.ip
        for child in psutil.Process().children(recursive=True)
        for connection in child.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == address.port
    }
    assert listening == {"127.0.0.1"}


@pytest.mark.parametrize("size", [1, 1024 * 1024, 10 * 1024 * 1024, 16 * 1024 * 1024 - 200])
def test_it_carries_payloads_of_up_to_16_mib(address: Address, size: int) -> None:
    got, arrived, subscribed = [], threading.Event(), threading.Event()
    hears, says = client(address, "hears"), client(address, "says")
    hears.on_subscribe = lambda *_: subscribed.set()
    hears.on_message = lambda *a: (got.append(len(a[2].payload)), arrived.set())
    hears.subscribe("lastgasp/v1/#", 1)
    assert subscribed.wait(5)
    says.publish("lastgasp/v1/meter/M1/event", b"x" * size, 1).wait_for_publish(10)
    assert arrived.wait(10)
    stop(hears, says)
    assert got == [size]


def test_its_port_is_free_at_once_after_a_kill_of_the_whole_group(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    address = Address("127.0.0.1", free_port())
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(address.port), str(tmp_path)],
        stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert starter.stdout is not None
    assert starter.stdout.readline() == b"ready\n"
    with socket.create_connection((address.host, address.port)):
        os.killpg(starter.pid, signal.SIGKILL)
        starter.wait(10)
    starter.stdout.close()
    assert ports.claim(address, "--mqtt", next_free=False) == address
    with broker.embedded(address, BrokerSettings(), tmp_path) as again:
        assert again.url == f"mqtt://{address}"


def test_it_ends_with_a_starter_that_was_killed_alone(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    address = Address("127.0.0.1", free_port())
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(address.port), str(tmp_path)], stdout=subprocess.PIPE
    )
    assert starter.stdout is not None
    assert starter.stdout.readline() == b"ready\n"
    starter.kill()
    starter.wait(10)
    starter.stdout.close()
    assert ports.claim(address, "--mqtt", next_free=False, patience_s=5.0) == address


def test_it_is_started_again_when_it_has_died(tmp_path: Path, free_port: Callable[[], int]) -> None:
    address = Address("127.0.0.1", free_port())
    before = set(psutil.Process().children())
    with broker.embedded(address, BrokerSettings(), tmp_path) as running:
        assert not running.revive()
        (child,) = set(psutil.Process().children()) - before
        child.kill()
        child.wait(10)
        assert running.revive()
        socket.create_connection((address.host, address.port)).close()
        assert not running.revive()
