"""The specification of faults on the bus: workers that come and go, frames that come twice and out
of order, one that nobody can read, a database and a Kafka that are away.

A recorded storm goes through Apache Kafka to real workers as fast as they take it, in its own time.
What is committed is what happened, whatever became of those who committed it.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest

from simulators.verdict import spoken

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]

LONGER = "duration_s = 110"  # the storm's, and time for it to be over
POISON = b"\xc1 no record"


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
    day_on_the_bus: Callable[..., Any],
) -> Any:
    """The storm, gone through every fault, and what is known of it then.

    No desk stands beside it: its beats would bring the day to our own time.
    """
    scenario, config = storm_text
    cluster = cluster_of("city:2000:7", config=config)
    day = day_on_the_bus(cluster, scenario.replace("duration_s = 75", LONGER), slices=8)
    go_through(day, away_s=request.param)
    cluster.begin("dispatch")
    cluster.wait_ready()
    return story_of(cluster, day.truth)


def go_through(day: Any, away_s: float) -> None:
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
    cluster_of: Any,
    storm_text: tuple[str, str],
    story_of: Callable[..., Any],
    day_on_the_bus: Callable[..., Any],
) -> None:
    scenario, config = storm_text
    cluster = cluster_of("city:2000:7", config=config)
    day = day_on_the_bus(cluster, scenario.replace("duration_s = 75", LONGER), slices=24)
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
    story = story_of(cluster, day.truth)
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
