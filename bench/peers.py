"""A Mosquitto, a publisher, and the two clients that ours is measured against; not a bench itself.

``python -m bench.peers publish PORT FILE`` publishes the packets of a file as fast as the broker
takes them; ``python -m bench.peers paho PORT COUNT`` is stock paho counting messages.
"""

import contextlib
import os
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from devices.mqtt_v1 import filters

ROOT = Path(__file__).resolve().parent.parent
DEADLINE_S = 120.0
MIDS_MAX = 65_535
_CONFIG = """\
listener {port} 127.0.0.1
allow_anonymous true
max_queued_messages 0
max_inflight_messages 0
connection_messages true
log_type notice
log_dest file {log}
"""


class Broker:
    """A running Mosquitto of our own."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self._log = log

    def connections(self, client_id: str) -> int:
        """How often a client of that name has connected."""
        return self._log.read_text().count(f" as {client_id} (")

    def wait_for_connections(self, client_id: str, times: int) -> None:
        """Return once it has connected so often."""
        wait_until(lambda: self.connections(client_id) >= times)

    def forget(self, client_id: str) -> None:
        """Throw a kept session away, by connecting without one."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(connect_packet(client_id, clean=True))
            connection.recv(4)
            connection.sendall(b"\xe0\x00")

    def keep(self, client_id: str) -> None:
        """Have the broker keep a session with our subscriptions for somebody who is away."""
        topics = b"".join(len(one).to_bytes(2, "big") + one.encode() + b"\1" for one in filters())
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(connect_packet(client_id, clean=False))
            connection.sendall(b"\x82" + bytes([2 + len(topics)]) + b"\0\1" + topics)
            while not connection.recv(4096).endswith(b"\1\1\1\1"):
                pass
            connection.sendall(b"\xe0\x00")


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[Broker]:
    """A Mosquitto that limits neither queues nor what is in flight."""
    program = shutil.which("mosquitto", path=os.defpath + ":/usr/sbin:/usr/local/sbin")
    if program is None:
        raise SystemExit("bench ingest wants mosquitto and mosquitto-clients: make services")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    log, config = folder / "mosquitto.log", folder / "mosquitto.conf"
    config.write_text(
        _CONFIG.format(port=port, log=log) + ("user root\n" if os.geteuid() == 0 else "")
    )
    process = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _listens(port))
        yield Broker(port, log)
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Waiting:
    """A process that begins when it is told to, and ends when it is through."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        self._process = process

    def go(self) -> float:
        """Begin; the moment of it."""
        assert self._process.stdin is not None
        began_s = time.perf_counter()
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()
        return began_s

    def wait(self) -> None:
        """Return when it is through."""
        self._process.communicate(timeout=DEADLINE_S)
        assert self._process.returncode == 0


def publisher(port: int, packets: Path) -> Waiting:
    """Publishes prepared packets; through when the broker has all of them."""
    return _python("publish", port, packets)


def mosquitto_sub(port: int, client_id: str, count: int) -> Waiting:
    """Debian's C client."""
    topics = " ".join(f"-t '{one}'" for one in filters())
    command = f"mosquitto_sub -p {port} -q 1 -c -i {client_id} -C {count} {topics} >/dev/null"
    return _waiting(["sh", "-c", f"echo ready; read go; exec {command}"])


def paho(port: int, client_id: str, count: int) -> Waiting:
    """Stock paho, with nothing to do but to count."""
    return _python("paho", port, client_id, count)


def wait_until(true: Callable[[], bool]) -> None:
    """Poll a condition that another process makes true."""
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline, "a peer did not do its part"
        time.sleep(0.01)


def connect_packet(client_id: str, *, clean: bool) -> bytes:
    """CONNECT of MQTT 3.1.1 without a keep-alive (3.1)."""
    name = client_id.encode()
    rest = b"\0\4MQTT\4" + bytes([2 * clean]) + b"\0\0" + len(name).to_bytes(2, "big") + name
    return b"\x10" + bytes([len(rest)]) + rest


def publish_packet(topic: str, body: bytes, mid: int) -> bytes:
    """PUBLISH at QoS 1 (3.3)."""
    name = topic.encode()
    rest = len(name).to_bytes(2, "big") + name + mid.to_bytes(2, "big") + body
    assert len(rest) < 16_384
    low, high = len(rest) & 0x7F, len(rest) >> 7
    return b"\x32" + (bytes([low | 0x80, high]) if high else bytes([low])) + rest


def _python(*arguments: object) -> Waiting:
    return _waiting([sys.executable, "-m", "bench.peers", *map(str, arguments)])


def _waiting(command: Sequence[str]) -> Waiting:
    pipe = subprocess.PIPE
    return Waiting(subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe))


def _publish(port: int, packets: Path) -> None:
    """Write all packets and read all acknowledgements, of four bytes each."""
    data = memoryview(packets.read_bytes())
    count = int(packets.with_suffix(".count").read_text())
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(connect_packet("bench-publisher", clean=True))
        assert len(connection.recv(4)) == 4
        print("ready", flush=True)
        sys.stdin.readline()
        connection.setblocking(False)
        sent = acknowledged = 0
        while acknowledged < 4 * count:
            wanted = [connection] if sent < len(data) else []
            readable, writable, _ = select.select([connection], wanted, [], DEADLINE_S)
            if writable:
                sent += connection.send(data[sent : sent + 65_536])
            if readable:
                acknowledged += len(connection.recv(65_536))
        connection.sendall(b"\xe0\x00")


def _count_with_paho(port: int, client_id: str, count: int) -> None:
    """Receive messages with nothing to do about them but to count."""
    client = Client(CallbackAPIVersion.VERSION2, client_id, clean_session=False)
    received = 0

    def on_message(*_: object) -> None:
        nonlocal received
        received += 1
        if received == count:
            client.disconnect()

    client.on_message = on_message
    print("ready", flush=True)
    sys.stdin.readline()
    client.connect("127.0.0.1", port)
    client.loop_forever()


def _main(arguments: list[str]) -> None:
    match arguments:
        case ["publish", port, packets]:
            _publish(int(port), Path(packets))
        case ["paho", port, client_id, count]:
            _count_with_paho(int(port), client_id, int(count))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    _main(sys.argv[1:])
