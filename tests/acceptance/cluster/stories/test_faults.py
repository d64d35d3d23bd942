"""The specification of faults on the bus: workers that come and go, frames that come twice and out
of order, one that nobody can read, a database and a Kafka that are away.

A recorded storm goes through Apache Kafka to real workers as fast as they take it, in its own time.
What is committed is what happened, whatever became of those who committed it.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from grid.frame import NO_ROWS, NOT_YET, CaughtUp, Deaf
from grid.network import Network
from ingest.packing import Packer
from service.replaying import network_of
from simulators.day import heard
from simulators.scenario import load
from simulators.verdict import Tolerances, compare, found_of, spoken
from simulators.world import World
from stream.kafka_clients import Credentials
from stream.producing import open_producer
from stream.records import Record, partition_of, record_bytes
from stream.settings import BusSettings

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]

BEGIN_MS = 1_793_491_200_000
SENDER = "mqtt-gateway@day"
PARTITIONS = 4
SLICES = 8


def records_of(world: World, network: Network) -> Iterator[Record]:
    """A record each second of the story, and a minute more for it to settle."""
    packer, slug = Packer(network), network.groups[0].slug
    rows = {
        second: packer.pack((r for message in messages for r in message.readings), second * 1000)[0]
        for second, messages in groupby(heard(world), lambda message: message.received_ms // 1000)
    }
    for second in range(BEGIN_MS // 1000, world.end_ms // 1000 + 60):
        begun = (Deaf(NOT_YET, "mqtt", 0, BEGIN_MS), CaughtUp(NOT_YET, "mqtt"))
        yield Record(
            sender=SENDER, sent_ms=second * 1000 + 999, network=network.version, group=slug,
            rows=rows.get(second, NO_ROWS).tobytes(),
            commands=begun if second * 1000 == BEGIN_MS else (),
        )  # fmt: skip


class Day:
    """The storm on its way, slice by slice."""

    def __init__(self, cluster: Any, records: list[Record], partition: int) -> None:
        self.cluster = cluster
        self.partition = partition
        size = -(-len(records) // SLICES)
        self._slices = [records[i : i + size] for i in range(0, len(records), size)]
        self.sent = 0

    def next(self, *, again: bool = False, swapped: bool = False) -> None:
        """Send a slice; all of it once more, or each two of it the wrong way round."""
        records = self._slices.pop(0)
        if swapped:
            records = [
                r for pair in zip(records[1::2], records[::2], strict=False) for r in pair
            ] + records[len(records) // 2 * 2 :]
        self.send([record_bytes(record) for record in records])
        if again:
            self.send([record_bytes(record) for record in records])

    def send(self, bodies: list[bytes]) -> None:
        settings = BusSettings(bootstrap=self.cluster.kafka.bootstrap, partitions=PARTITIONS)

        async def sending() -> None:
            async with open_producer(settings, Credentials()) as producer:
                for body in bodies:
                    await producer.send("lastgasp.frames", self.partition, "S1", body)

        asyncio.run(sending())
        self.sent += len(bodies)

    def committed(self) -> bool:
        """Whether everything sent is behind us."""
        rows = self.cluster.sql(
            "SELECT next_offset FROM bus_partitions WHERE topic = 'lastgasp.frames' "
            f"AND partition = {self.partition}"
        )
        return bool(rows) and rows[0][0] == self.sent


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(3.0, id="away for 3 s", marks=pytest.mark.soak),
        pytest.param(60.0, id="away for 60 s", marks=pytest.mark.soak),
    ],
)
def day(
    request: pytest.FixtureRequest, cluster_of: Any, storm_text: tuple[str, str]
) -> tuple[Day, World]:
    """The storm, gone through every fault."""
    scenario, config = storm_text
    cluster = cluster_of("city:2000:7", config=config)
    network = network_of(cluster.network)
    path = Path(cluster.data.parent / "day.toml")
    path.write_text(scenario)
    world = World(network, load(path), BEGIN_MS)
    records = list(records_of(world, network))
    cluster.data.mkdir(parents=True, exist_ok=True)
    cluster.once("admin", "--network", cluster.network)
    for role in ("worker", "dispatch"):
        cluster.begin(role)
    cluster.wait_ready()
    day = Day(cluster, records, partition_of(network.groups[0].slug, PARTITIONS))
    go_through(day, away_s=request.param)
    return day, world


def go_through(day: Day, away_s: float) -> None:
    """Every fault, one after the other."""
    cluster = day.cluster
    day.next()
    cluster.begin("worker", "2")
    day.next(again=True)
    day.send([b"\xc1 no record"])
    day.next(swapped=True)
    cluster.end("worker", "1")
    day.next()
    cluster.database.kill()
    day.next(again=True)
    time.sleep(away_s)
    cluster.database.again()
    cluster.begin("worker", "1")
    day.next()
    cluster.kafka.stop()
    time.sleep(away_s)
    cluster.kafka.start()
    day.next()
    cluster.end("worker", "2", kill=True)
    day.next()
    cluster.wait(day.committed, 120, "the whole day")


def test_what_is_committed_is_what_happened(
    day: tuple[Day, World], story_of: Callable[[Any], Any]
) -> None:
    sent, world = day
    verdict = compare(
        list(world.truth()),
        found_of(story_of(sent.cluster).found()),
        tolerances=Tolerances(heard_s=3.0, inferred_s=12.0),
    )
    assert verdict.outages == 12
    assert verdict.perfect, spoken(verdict)


def test_no_reading_is_doubled(day: tuple[Day, World]) -> None:
    doubled = """
        SELECT device_no, boot, seq FROM readings WHERE boot <> 0
        GROUP BY device_no, boot, seq HAVING count(*) > 1
    """
    assert day[0].cluster.sql(doubled) == []


def test_only_the_poison_is_in_quarantine(day: tuple[Day, World]) -> None:
    ((source, body),) = day[0].cluster.sql("SELECT source, body FROM quarantine")
    assert (source, bytes(body)) == ("bus", b"\xc1 no record")


def test_no_change_is_lost_or_doubled(day: tuple[Day, World]) -> None:
    assert (
        day[0].cluster.sql("""
        SELECT outage_id FROM changes GROUP BY outage_id
        HAVING min(version) <> 1 OR max(version) <> count(*)
    """)
        == []
    )
