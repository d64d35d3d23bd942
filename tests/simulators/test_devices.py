"""The specification of simulated MQTT devices, against a real broker: nothing committed is needed
twice, nothing uncommitted is lost, and no number is ever used for two facts."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from devices.mqtt_v1 import decode, encode_ack, encode_ping, filters, parse_topic, topic_of
from grid.network import Network
from grid.reading import Kind, Reading
from simulators.links import LinkSettings
from simulators.mqtt_devices import MqttDeviceSettings
from simulators.outbox import OutboxSettings
from simulators.run import Simulators, SimulatorSettings
from simulators.scenario import parse
from simulators.wal import Wal

pytestmark = pytest.mark.services

SCENARIO = """
seed = 5
duration_s = 100
[field]
false_gasp = 0.0
silent = 0.0
repeats = 0.1
holdoff_s = [0.2, 0.4]
power_up_s = [0.1, 0.2]
latency_s = 0.05
terminal_s = [0.2, 0.4]
capacitor_s = 1.0
delivery = 1.0
batch_s = 0.3
heartbeat_s = 3
hello_s = 0.5
[[event]]
kind = "fault"
name = "f"
at_s = 0.6
device = "B1"
restore_s = 1.0
"""


IMPATIENT = SimulatorSettings(
    devices=MqttDeviceSettings(
        outbox=OutboxSettings(resend_s=0.5, resend_s_max=1.0), reconnect_s_max=0.3
    ),
    lead_s=0.1,
)


@dataclass
class Desk:
    """A service of a test's own: it hears everything, and acknowledges if it is told to."""

    port: int
    acks: bool = True
    heard: list[Reading] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __enter__(self) -> "Desk":
        self.client = Client(CallbackAPIVersion.VERSION2)
        self.client.on_message = self._hear
        subscribed = threading.Event()
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.on_connect = lambda c, *_: c.subscribe([(f, 1) for f in filters()])
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()
        assert subscribed.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _hear(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        topic = parse_topic(message.topic)
        readings = decode(topic, bytes(message.payload))
        with self.changed:
            self.heard += readings
            self.changed.notify_all()
        if self.acks and readings[-1].boot is not None:
            body = encode_ack(readings[-1].boot, readings[-1].seq)
            client.publish(topic_of(topic.cls, topic.id, "ack"), body, qos=1)

    def wait(self, condition: Callable[[list[Reading]], Any], within_s: float = 20) -> Any:
        """The first true value of a condition on what was heard."""
        with self.changed:
            found = self.changed.wait_for(lambda: condition(self.heard), within_s)
        assert found, f"{len(self.heard)} readings heard, the last {self.heard[-3:]}"
        return found


@pytest.fixture
def broker(mosquitto: Callable[..., Any]) -> Any:
    return mosquitto("max_queued_messages 0")


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def play(town: Network, tmp_path: Path) -> Callable[..., Any]:
    """Simulators of the town, running while the block does."""

    @contextlib.asynccontextmanager
    async def playing(url: str, scenario: str = SCENARIO, **more: Any) -> AsyncIterator[Simulators]:
        simulators = Simulators(
            town,
            parse(scenario),
            mqtt_url=url,
            folder=tmp_path / "field",
            now_ms=wall_ms,
            **{"settings": IMPATIENT} | more,
        )
        task = asyncio.create_task(simulators.run())
        try:
            yield simulators
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    return playing


async def until(condition: Callable[[], Any], within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        for _ in count():
            if condition():
                return
            await asyncio.sleep(0.02)


def of(kind: Kind, heard: list[Reading]) -> dict[str, Reading]:
    return {r.device_id: r for r in heard if r.kind is kind}


async def test_a_fault_is_heard_and_forgotten_once_it_is_acknowledged(
    broker: Any, play: Any
) -> None:
    with Desk(broker.port) as desk:
        async with play(broker.url) as simulators:
            await asyncio.to_thread(desk.wait, lambda heard: len(of(Kind.POWER_UP, heard)) >= 55)
            gasps, ups = (of(kind, desk.heard) for kind in (Kind.LAST_GASP, Kind.POWER_UP))
            assert {f"M{i}" for i in range(1, 53)} <= gasps.keys() == ups.keys()
            for name, up in ups.items():
                assert up.off_at_ms == gasps[name].happened_ms
            desk.wait(lambda heard: len({r.device_id for r in heard}) == 87)
            await until(lambda: len(simulators.devices.outbox) < 5)


async def test_without_acknowledgements_everything_is_kept_and_sent_again(
    broker: Any, play: Any
) -> None:
    with Desk(broker.port, acks=False) as desk:
        async with play(broker.url) as simulators:
            await asyncio.to_thread(desk.wait, lambda heard: len(of(Kind.POWER_UP, heard)) >= 55)
            assert len(simulators.devices.outbox) > 200
            desk.heard.clear()
            desk.acks = True
        # another process, another boot: what was kept comes again under its old numbers
        async with play(broker.url) as simulators:
            old = await asyncio.to_thread(
                desk.wait, lambda heard: len([r for r in heard if r.boot == "s1"]) >= 150
            )
            assert old
            await until(lambda: len(simulators.devices.outbox) < 5)
    one_fact_a_number(desk.heard)


async def test_a_broker_that_is_away_costs_only_the_gasps_of_the_dead(
    broker: Any, play: Any
) -> None:
    broker.stop()
    async with play(broker.url) as simulators:
        await until(lambda: simulators.world and wall_ms() > simulators.world.start_ms + 1500)
        broker.start()
        with Desk(broker.port) as desk:
            await asyncio.to_thread(desk.wait, lambda heard: len(of(Kind.POWER_UP, heard)) >= 55)
            gasps = of(Kind.LAST_GASP, desk.heard)
            assert not [r for r in gasps.values() if r.via is None and r.device_id[0] == "M"]
            assert {f"M{i}" for i in range(1, 53)} <= gasps.keys()  # concentrators keep theirs
            broker.stop(kill=True)
            kept = len(simulators.devices.outbox)
            await until(lambda: len(simulators.devices.outbox) > kept + 20)
            broker.start()
            await until(lambda: len(simulators.devices.outbox) < 5)
    one_fact_a_number(desk.heard)


async def test_a_ping_is_answered_while_there_is_power(broker: Any, play: Any) -> None:
    calm = "duration_s = 60\n[field]\nsilent = 0.0\nping_reply = 1.0\nping_s = [0.05, 0.1]"
    with Desk(broker.port) as desk:
        async with play(broker.url, calm) as simulators:
            await until(lambda: simulators.devices and simulators.devices.connected)
            desk.client.publish(topic_of("meter", "M61", "ping"), encode_ping(wall_ms()), qos=1)
            answers = await asyncio.to_thread(desk.wait, lambda h: of(Kind.PING_REPLY, h))
    assert answers["M61"].boot is None
    assert answers["M61"].on


async def test_what_comes_down_faster_than_it_is_read_is_dropped_and_counted(
    broker: Any, play: Any
) -> None:
    calm = "duration_s = 60\n[field]\nsilent = 0.0\nping_reply = 1.0\nping_s = [0.05, 0.1]"
    devices = msgspec.structs.replace(
        IMPATIENT.devices, answers_max=1, link=LinkSettings(heard_max=3), tick_s=0.2
    )
    narrow = msgspec.structs.replace(IMPATIENT, devices=devices)
    with Desk(broker.port) as desk:
        async with play(broker.url, calm, settings=narrow) as simulators:
            await until(lambda: simulators.devices and simulators.devices.connected)
            for number in range(61, 71):
                body = encode_ping(wall_ms())
                desk.client.publish(topic_of("meter", f"M{number}", "ping"), body, qos=1)
            await asyncio.to_thread(desk.wait, lambda heard: of(Kind.PING_REPLY, heard))
            await until(lambda: simulators.devices.unheard >= 4)
            # three were heard in one turn, and one answer at a time is all that there is room for
            assert len(of(Kind.PING_REPLY, desk.heard)) < 10 - 4


def one_fact_a_number(heard: list[Reading]) -> None:
    """Whatever comes twice under one number is one fact."""
    facts: dict[tuple[object, ...], set[tuple[object, ...]]] = {}
    for r in heard:
        if r.boot is not None:
            facts.setdefault((r.via or r.device_id, r.boot, r.seq), set()).add(
                (r.device_id, r.kind, r.happened_ms)
            )
    assert facts
    assert [number for number, said in facts.items() if len(said) > 1] == []


CHILD = """
import asyncio, sys, time
from pathlib import Path
from grid.drawing import draw
from simulators.run import Simulators
from simulators.scenario import parse
town, scenario, url, folder = sys.argv[1:]
asyncio.run(Simulators(draw(town), parse(scenario), mqtt_url=url, folder=Path(folder),
                       now_ms=lambda: time.time_ns() // 1_000_000).run())
"""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Callable[[str, str], subprocess.Popen[bytes]]]:
    """Simulators as a process of their own."""
    started: list[subprocess.Popen[bytes]] = []

    def start(town: str, url: str) -> subprocess.Popen[bytes]:
        arguments = [town, SCENARIO, url, str(tmp_path / "field")]
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", CHILD, *arguments],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


async def test_a_kill_in_the_middle_loses_nothing_and_reuses_no_number(
    broker: Any, child: Any, drawn_town: str, tmp_path: Path
) -> None:
    with Desk(broker.port, acks=False) as desk:
        first = child(drawn_town, broker.url)
        desk.wait(lambda heard: len(of(Kind.LAST_GASP, heard)) >= 30)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        with Wal(tmp_path / "field") as wal:
            kept = {
                (e.sender, e.reading.boot, e.reading.seq): e.reading.device_id
                for e in wal.kept(0)
                if e.reading.boot
            }
        sent = {(r.via or r.device_id, r.boot, r.seq) for r in desk.heard if r.boot}
        assert {(name, boot, seq) for (_, name), boot, seq in kept} >= {
            number for number in sent if number[0].startswith("D")
        }
        desk.acks = True
        child(drawn_town, broker.url)
        desk.wait(lambda heard: len(of(Kind.POWER_UP, heard)) >= 55)
        again = desk.wait(
            lambda heard: (
                {(r.via or r.device_id, r.boot, r.seq) for r in heard if r.boot == "s1"}
                >= {(name, boot, seq) for (_, name), boot, seq in kept}
            )
        )
        assert again
    boots = {r.boot for r in desk.heard if r.boot}
    assert boots == {"s1", "s3"}  # the second was this test's own look
    one_fact_a_number(desk.heard)
    truths = (tmp_path / "field" / "truth.jsonl").read_text().splitlines()
    assert len([line for line in truths if '"type":"story"' in line]) == 1
