"""The embedded MQTT broker: iotcore (rumqttd) in a child process, on loopback only.

It knows no users, so it never listens beyond this machine.  It keeps everything in memory: what it
acknowledged is safe only once the service's own acknowledgement has reached the device.  Its child
ends when we do, however we end (it reads our end of a pipe), and so gives its port back.

Measured: at most 100 messages of QoS 1 are in flight to one connection, whatever is configured.
"""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from grid.errors import ConfigError
from service.ports import Address

# `python -c` puts the working directory first on sys.path: a folder named iotcore there must not
# be taken for the package.  Ctrl-C goes to the whole process group: the broker outlives it, so that
# what is in flight is finished; the end of the pipe stops it.
_CHILD = """
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.path[:] = [p for p in sys.path if p not in ("", ".")]
def leave():
    sys.stdin.buffer.read()
    os._exit(0)
threading.Thread(target=leave, daemon=True).start()
import logging
logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
from iotcore.iotcore import IotCoreBroker
IotCoreBroker(config_path=sys.argv[1]).run_forever()
"""


class BrokerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The embedded broker.  Of no meaning with ``--mqtt-url``."""

    enabled: bool = True  # false with a broker of your own: $.mqtt.url
    listen: str = "127.0.0.1:1883"
    payload_bytes_max: int = 16 * 1024 * 1024  # beyond it the broker drops the connection
    connections_max: int = 10_000
    backlog_mb_max: int = 256  # kept for each subscription; the oldest go first
    start_s: float = 15.0


class Broker:
    """The child, and its life after a death of its own."""

    def __init__(self, address: Address, settings: BrokerSettings, folder: Path) -> None:
        self.url = f"mqtt://{address}"
        self._address = address
        self._settings = settings
        self._log = folder / "broker.log"
        self._config = folder / "broker.toml"
        self._config.write_text(_config(address, settings))
        self._child = self._start()

    def revive(self) -> bool:
        """Start it again if it has died; whether it had.

        Raises:
            ConfigError: It does not come up.
        """
        if self._child.poll() is None:
            return False
        self.stop()
        self._child = self._start()
        return True

    def stop(self) -> None:
        """End it: it ends with the pipe, or else is killed."""
        _stop(self._child)

    def _start(self) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as stderr:
            child = subprocess.Popen(  # noqa: S603  our own interpreter and words
                [sys.executable, "-c", _CHILD, str(self._config)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        try:
            _wait(child, self._address, self._settings.start_s, self._log)
        except BaseException:
            _stop(child)
            raise
        return child


@contextlib.contextmanager
def embedded(address: Address, settings: BrokerSettings, folder: Path) -> Iterator[Broker]:
    """The broker while the block runs.

    Raises:
        ConfigError: It does not come up.
    """
    (folder / "broker.log").unlink(missing_ok=True)
    running = Broker(address, settings, folder)
    try:
        yield running
    finally:
        running.stop()


def _config(address: Address, settings: BrokerSettings) -> str:
    """Rumqttd's own settings file.  A TOML string is a JSON string."""
    segments = 16
    return f"""\
id = 0

[router]
id = 0
max_connections = {settings.connections_max}
max_outgoing_packet_count = 200
max_segment_size = {max(1, settings.backlog_mb_max // segments) * 1024 * 1024}
max_segment_count = {segments}

[v4.1]
name = "v4-1"
listen = {json.dumps(str(address))}
next_connection_delay_ms = 1

[v4.1.connections]
connection_timeout_ms = 10000
max_payload_size = {settings.payload_bytes_max}
max_inflight_count = 100
dynamic_filters = true
"""


def _wait(child: "subprocess.Popen[bytes]", address: Address, within_s: float, log: Path) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if child.poll() is not None:
            said = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise ConfigError(f"the embedded MQTT broker does not start: {said[-1]}")
        with (
            contextlib.suppress(OSError),
            socket.create_connection((address.host, address.port), timeout=0.2),
        ):
            return
        time.sleep(0.02)
    raise ConfigError(f"the embedded MQTT broker is not up on {address} after {within_s:.0f} s")


def _stop(child: "subprocess.Popen[bytes]") -> None:
    assert child.stdin is not None
    with contextlib.suppress(OSError):
        child.stdin.close()
    try:
        child.wait(3.0)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
