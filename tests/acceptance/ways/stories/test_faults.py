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
from simulators.verdict import spoken
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
DAY_S = 110  # the storm's, and time for it to be over
POISON = b"\xc1 no record"


def records_of(world: World, network: Network) -> Iterator[Record]:
    """A record each second of the story."""
    packer, slug = Packer(network), network.groups[0].slug
    rows = {
        second: packer.pack((r for message in messages for r in message.readings), second * 1000)[0]
        for second, messages in groupby(heard(world), lambda message: message.received_ms // 1000)
    }
    for second in range(BEGIN_MS // 1000, world.end_ms // 1000):
        begun = (Deaf(NOT_YET, "mqtt", 0, BEGIN_MS), CaughtUp(NOT_YET, "mqtt"))
        yield Record(
            sender=SENDER, sent_ms=second * 1000 + 999, network=network.version, group=slug,
            rows=rows.get(second, NO_ROWS).tobytes(),
            commands=begun if second * 1000 == BEGIN_MS else (),
        )  # fmt: skip


class Day:
    """The storm on its way, slice by slice."""

    def __init__(
        self, cluster: Any, records: list[Record], partition: int, *, slices: int = SLICES
    ) -> None:
        self.cluster = cluster
        self.partition = partition
        size = -(-len(records) // slices)
        self._slices = [records[i : i + size] for i in range(0, len(records), size)]
        self.sent = 0

    @property
    def left(self) -> bool:
        """Whether there are slices yet."""
        return bool(self._slices)

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
        pytest.param(3.0, id="away for 3 s"),
        pytest.param(60.0, id="away for 60 s", marks=pytest.mark.soak),
    ],
)
def day(
    request: pytest.FixtureRequest,
    cluster_of: Any,
    storm_text: tuple[str, str],
    story_of: Callable[..., Any],
) -> Any:
    """The storm, gone through every fault, and what is known of it then.

    No desk stands beside it: its beats would bring the day to our own time.
    """
    scenario, config = storm_text
    cluster = cluster_of("city:2000:7", config=config)
    network = network_of(cluster.network)
    path = Path(cluster.data.parent / "day.toml")
    path.write_text(scenario.replace("duration_s = 75", f"duration_s = {DAY_S}"))
    world = World(network, load(path), BEGIN_MS)
    records = list(records_of(world, network))
    cluster.prepare()
    cluster.begin("worker")
    cluster.wait_ready()
    day = Day(cluster, records, partition_of(network.groups[0].slug, PARTITIONS))
    go_through(day, away_s=request.param)
    cluster.begin("dispatch")
    cluster.wait_ready()
    return story_of(cluster, list(world.truth()))


def go_through(day: Day, away_s: float) -> None:
    """Every fault, one after the other; of workers one at least stays."""
    cluster = day.cluster
    day.next()
    cluster.begin("worker", "2")
    day.next(again=True)
    day.send([POISON])
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


@pytest.mark.soak
def test_workers_that_come_and_go_every_five_seconds_change_nothing(
    cluster_of: Any, storm_text: tuple[str, str], story_of: Callable[..., Any]
) -> None:
    scenario, config = storm_text
    cluster = cluster_of("city:2000:7", config=config)
    network = network_of(cluster.network)
    path = Path(cluster.data.parent / "day.toml")
    path.write_text(scenario.replace("duration_s = 75", f"duration_s = {DAY_S}"))
    world = World(network, load(path), BEGIN_MS)
    cluster.prepare()
    cluster.begin("worker")
    cluster.wait_ready()
    partition = partition_of(network.groups[0].slug, PARTITIONS)
    day = Day(cluster, list(records_of(world, network)), partition, slices=24)
    there = False
    while day.left:
        began = time.monotonic()
        day.next()
        cluster.end("worker", "2") if there else cluster.begin("worker", "2")
        there = not there
        time.sleep(max(0.0, 5.0 - (time.monotonic() - began)))
    cluster.wait(day.committed, 120, "the whole day")
    cluster.begin("dispatch")
    cluster.wait_ready()
    story = story_of(cluster, list(world.truth()))
    verdict = story.verdict()
    assert verdict.perfect, spoken(verdict)
    story.replays_as_committed()


def test_what_is_committed_is_what_happened(day: Any) -> None:
    verdict = day.verdict()
    assert verdict.outages == 12
    assert verdict.perfect, spoken(verdict)


def test_no_reading_is_doubled(day: Any) -> None:
    doubled = """
        SELECT device_no, boot, seq FROM readings WHERE boot <> 0
        GROUP BY device_no, boot, seq HAVING count(*) > 1
    """
    assert day.sql(doubled) == []


def test_no_reading_is_lost(day: Any) -> None:
    """Every number from a sender's first to its last: in the records nothing is missing."""
    missing = """
        SELECT coalesce(nullif(via_no, 0), device_no) AS sender, boot, min(seq), max(seq), count(*)
        FROM readings WHERE boot <> 0 GROUP BY 1, 2
        HAVING max(seq) - min(seq) + 1 <> count(*)
    """
    assert day.sql("SELECT count(*) FROM readings WHERE boot <> 0")[0][0] > 10_000
    assert day.sql(missing) == []


def test_only_the_poison_is_in_quarantine(day: Any) -> None:
    ((source, body),) = day.sql("SELECT source, body FROM quarantine")
    assert (source, bytes(body)) == ("bus", POISON)


def test_no_change_is_lost_or_doubled(day: Any) -> None:
    assert (
        day.sql("""
        SELECT outage_id FROM changes GROUP BY outage_id
        HAVING min(version) <> 1 OR max(version) <> count(*)
    """)
        == []
    )


def test_replaying_the_recorded_stream_gives_the_committed_changes(day: Any) -> None:
    day.replays_as_committed()
