"""The specification of a storm: faults none inside another, three of ten last gasps heard.

Every one is found with its device and exactly its customers.  Two services live through the same
storm; one of them is killed in the middle of it, with everything it started, and started again.
Nothing that it says in the end differs.
"""

import json
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from grid.times import from_rfc3339
from simulators.verdict import spoken

pytestmark = [pytest.mark.services, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def both(tales: dict[str, Future[Any]]) -> tuple[Any, Any]:
    """The storm lived through in peace, and with a kill -9 of the process group."""
    return tales["calm"].result(), tales["killed"].result()


@pytest.mark.parametrize("which", [0, 1], ids=["in peace", "killed"])
def test_every_fault_is_found_with_exactly_its_customers(both: tuple[Any, Any], which: int) -> None:
    verdict = both[which].verdict()
    assert verdict.outages == 12
    assert verdict.perfect, spoken(verdict)


def facts(story: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Of each device: end state, and the steps by the devices' clocks, relative to the story."""
    begun_ms = story.begun_ms()

    def second(moment: str | None) -> int | None:
        return None if moment is None else round((from_rfc3339(moment) - begun_ms) / 1000)

    return {
        outage["device_id"]: [
            (outage["state"], outage["kind"]),
            *sorted(
                (second(s["off_at"]), second(s["on_at"]), tuple(sorted(s["customers"])))
                for s in outage["steps"]
            ),
        ]
        for outage in story.found()
        if outage["state"] == "closed" and outage["steps"]
    }


def test_the_kill_changed_nothing_of_what_happened(both: tuple[Any, Any]) -> None:
    calm, killed = (facts(story) for story in both)
    assert {device: of[0] for device, of in killed.items()} == {d: of[0] for d, of in calm.items()}
    customers = [
        {device: sorted(c for step in of[1:] for c in step[2]) for device, of in run.items()}
        for run in (calm, killed)
    ]
    assert customers[0] == customers[1]


def test_no_change_is_lost_or_doubled(both: tuple[Any, Any]) -> None:
    _, killed = both
    holes = """
        SELECT outage_id FROM changes GROUP BY outage_id
        HAVING min(version) <> 1 OR max(version) <> count(*)
    """
    assert killed.sql(holes) == []
    behind = """
        SELECT id FROM outages o WHERE version <>
        (SELECT max(version) FROM changes c WHERE c.outage_id = o.id)
    """
    assert killed.sql(behind) == []
    gaps = """
        SELECT c.channel FROM feed_channels c JOIN feed_log l USING (channel)
        GROUP BY c.channel, c.top
        HAVING min(l."offset") <> 1 OR max(l."offset") <> count(*) OR max(l."offset") <> c.top
    """
    assert killed.sql(gaps) == []


def test_who_listened_through_the_kill_heard_every_change_once(both: tuple[Any, Any]) -> None:
    for story in both:
        committed = story.sql(
            """SELECT body->'outage'->>'id', (body->'outage'->>'version')::int FROM feed_log
               WHERE channel = 'dispatch' AND type = 'change' ORDER BY "offset" """
        )
        story.service.wait(
            lambda story=story, committed=committed: story.listener.changes == committed,
            10, "the feed",
        )  # fmt: skip
        offsets = [message["offset"] for message in story.listener.heard]
        assert offsets == list(range(offsets[0], offsets[0] + len(offsets)))


def test_replaying_the_recorded_stream_gives_the_committed_changes(both: tuple[Any, Any]) -> None:
    _, killed = both
    committed = [
        (outage_id, version, state, reason, sorted(customers))
        for outage_id, version, state, reason, customers in killed.sql(
            "SELECT outage_id, version, outage->>'state', reason, customers FROM changes"
        )
    ]
    (span,) = killed.sql(
        """SELECT to_char(min(until_at) - interval '1 hour', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                  to_char(max(until_at) + interval '1 hour', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
           FROM recorded_frames"""
    )
    said = killed.service.command("replay", "--json", "--from", span[0], "--to", span[1])
    lines = [json.loads(line) for line in said.splitlines()]
    replayed = [
        (x["outage"], x["version"], x["state"], x["reason"], sorted(x["customers"]))
        for x in lines
        if x["type"] == "change"
    ]
    assert sorted(replayed) == sorted(committed) != []


def test_the_storm_of_the_killed_service_lies_in_one_folder(both: tuple[Any, Any]) -> None:
    data: Path = both[1].service.data
    assert {"postgres", "field", "service.json"} <= {path.name for path in data.iterdir()}
