"""The specification of a storm on a cluster: what a storm is to one process it is to many.

The same storm as of tests/acceptance/test_storm.py, through Mosquitto, gateways, Apache Kafka,
Faust and TimescaleDB, while each of them is killed in turn (kill -9) and started again.  What is
said in the end is what happened; nothing is lost, nothing is doubled.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from simulators.verdict import spoken

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]

FIRST_S = 13.0  # of the story: the first faults have struck
APART_S = 4.5  # between two kills: the last comes before the last repair


def kill_a_role(role: str) -> Callable[[Any], None]:
    def act(cluster: Any) -> None:
        cluster.end(role, kill=True)
        cluster.begin(role)

    return act


def kill_a_peer(name: str) -> Callable[[Any], None]:
    def act(cluster: Any) -> None:
        peer = getattr(cluster, name)
        peer.stop(kill=True)
        peer.start()

    return act


def kill_the_database(cluster: Any) -> None:
    cluster.database.kill()
    cluster.database.again()


KILLS = (
    kill_a_role("worker"),
    kill_a_role("mqtt-gateway"),
    kill_a_role("push"),
    kill_a_peer("kafka"),
    kill_the_database,
    kill_a_peer("mosquitto"),
)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(1, id="each once", marks=pytest.mark.services),
        pytest.param(10, id="each ten times", marks=pytest.mark.soak),
    ],
)
def storm(request: pytest.FixtureRequest, storm_on: Callable[[Any], Any], cluster_of: Any) -> Any:
    """Lived through, with every part killed once; or with ten storms, each of them."""
    for _ in range(request.param):
        story = storm_on(cluster_of).begin()
        for number, kill in enumerate(KILLS):
            wait_for(story, FIRST_S + number * APART_S)
            kill(story.service)
        story.service.wait_ready(120)
        story.wait_until_over(200)
        if request.param > 1:
            verdict = story.verdict()
            assert verdict.perfect, spoken(verdict)
            story.service.stop()
    return story


def wait_for(story: Any, second: float) -> None:
    """Until that second of the story."""

    def come() -> bool:
        return time.time() * 1000 >= story.begun_ms() + second * 1000  # noqa: TID251

    story.service.wait(come, second + 60, f"second {second} of the story")


def test_every_fault_is_found_with_exactly_its_customers(storm: Any) -> None:
    verdict = storm.verdict()
    assert verdict.outages == 12
    assert verdict.perfect, spoken(verdict)


def test_no_change_is_lost_or_doubled(storm: Any) -> None:
    assert (
        storm.sql("""
        SELECT outage_id FROM changes GROUP BY outage_id
        HAVING min(version) <> 1 OR max(version) <> count(*)
    """)
        == []
    )
    assert (
        storm.sql("""
        SELECT id FROM outages o WHERE version <>
        (SELECT max(version) FROM changes c WHERE c.outage_id = o.id)
    """)
        == []
    )


def test_who_listened_heard_every_change_once(storm: Any) -> None:
    committed = storm.sql(
        """SELECT body->'outage'->>'id', (body->'outage'->>'version')::int FROM feed_log
           WHERE channel = 'dispatch' AND type = 'change' ORDER BY "offset" """
    )
    storm.service.wait(lambda: storm.listener.changes == committed, 30, "the feed")
    offsets = [message["offset"] for message in storm.listener.heard]
    assert offsets == list(range(offsets[0], offsets[0] + len(offsets)))


def test_no_reading_is_doubled_and_none_is_lost(storm: Any) -> None:
    doubled = """
        SELECT device_no, boot, seq FROM readings WHERE boot <> 0
        GROUP BY device_no, boot, seq HAVING count(*) > 1
    """
    assert storm.sql(doubled) == []
    missing = """
        SELECT coalesce(nullif(via_no, 0), device_no) AS sender, boot, min(seq), max(seq), count(*)
        FROM readings WHERE boot <> 0 GROUP BY 1, 2
        HAVING max(seq) - min(seq) + 1 <> count(*)
    """
    assert storm.sql(missing) == []


def test_replaying_the_recorded_stream_gives_the_committed_changes(storm: Any) -> None:
    committed = [
        (outage_id, version, state, reason, sorted(customers))
        for outage_id, version, state, reason, customers in storm.sql(
            "SELECT outage_id, version, outage->>'state', reason, customers FROM changes"
        )
    ]
    (span,) = storm.sql(
        """SELECT to_char(min(until_at) - interval '1 hour', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                  to_char(max(until_at) + interval '1 hour', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
           FROM recorded_frames"""
    )
    said = storm.service.command("replay", "--json", "--from", span[0], "--to", span[1])
    lines = [json.loads(line) for line in said.splitlines()]
    replayed = [
        (x["outage"], x["version"], x["state"], x["reason"], sorted(x["customers"]))
        for x in lines
        if x["type"] == "change"
    ]
    assert sorted(replayed) == sorted(committed) != []


def test_a_worker_that_is_told_to_stop_ends_within_fifteen_seconds(storm: Any) -> None:
    assert storm.service.end("worker") < 15
