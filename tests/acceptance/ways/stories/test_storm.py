"""The specification of a storm: faults none inside another, three of ten last gasps heard.

Every one is found with its device and exactly its customers; nothing is lost, nothing is doubled.
Two services live through the same storm in one process each; one of them is killed in the middle of
it, with everything it started, and started again.  A cluster lives through it too (Mosquitto,
gateways, Apache Kafka, Faust and TimescaleDB), while each of its parts is killed in turn (kill -9)
and started again.  Nothing that any of them says in the end differs.
"""

import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import psycopg
import pytest

from grid.times import from_rfc3339
from simulators.verdict import spoken

pytestmark = [pytest.mark.timeout(600)]

HERE = pytest.mark.services
NETWORK_S = 2.0  # $.care.network_s
ROOT = Path(__file__).parents[4]
COUNTED = """
    SELECT (SELECT count(*) FROM outages), (SELECT count(*) FROM changes),
           (SELECT count(*) FROM recorded_frames WHERE until_at < '{before}'),
           (SELECT count(*) FROM readings WHERE received_at < '{before}'),
           (SELECT count(*) FROM notices), (SELECT epoch FROM feed_epoch)
"""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("tales", "calm"), id="in peace", marks=HERE),
        pytest.param(("tales", "killed"), id="killed", marks=HERE),
        pytest.param(("cluster_tales", "storm"), id="killed on a cluster", marks=HERE),
    ],
)
def storm(request: pytest.FixtureRequest) -> Any:
    """Lived through."""
    tales, name = request.param
    return request.getfixturevalue(tales)[name].result()


@pytest.fixture(scope="module")
def both(tales: dict[str, Future[Any]]) -> tuple[Any, Any]:
    """In one process: in peace, and with a kill -9 of the process group."""
    return tales["calm"].result(), tales["killed"].result()


def history(story: Any, outages: tuple[str, ...]) -> str:
    """What was believed of some outages, and when: stream time, in seconds of the story."""
    begun_ms = story.begun_ms()
    said = story.sql("SELECT outage_id, at, reason, outage->'evidence' FROM changes ORDER BY at")
    return "\n".join(
        f"{at.timestamp() - begun_ms / 1000:.1f} {outage}: {reason} {evidence}"
        for outage, at, reason, evidence in said
        if outage in outages
    )


def test_every_fault_is_found_with_exactly_its_customers(storm: Any) -> None:
    verdict = storm.verdict()
    assert verdict.outages == 12
    assert verdict.perfect, f"{spoken(verdict)}\n{history(storm, verdict.false)}"


def test_no_change_is_lost_or_doubled(storm: Any) -> None:
    holes = """
        SELECT outage_id FROM changes GROUP BY outage_id
        HAVING min(version) <> 1 OR max(version) <> count(*)
    """
    assert storm.sql(holes) == []
    behind = """
        SELECT id FROM outages o WHERE version <>
        (SELECT max(version) FROM changes c WHERE c.outage_id = o.id)
    """
    assert storm.sql(behind) == []
    gaps = """
        SELECT c.channel FROM feed_channels c JOIN feed_log l USING (channel)
        GROUP BY c.channel, c.top
        HAVING min(l."offset") <> 1 OR max(l."offset") <> count(*) OR max(l."offset") <> c.top
    """
    assert storm.sql(gaps) == []


def test_who_listened_heard_every_change_once(storm: Any) -> None:
    first = storm.listener.heard[0]["offset"]  # a busy machine is late to listen
    committed = storm.sql(
        f"""SELECT body->'outage'->>'id', (body->'outage'->>'version')::int FROM feed_log
            WHERE channel = 'dispatch' AND type = 'change' AND "offset" >= {first}
            ORDER BY "offset" """
    )
    assert len(committed) > 20, "it listened before the storm was over"
    storm.service.wait(lambda: storm.listener.changes == committed, 60, "the feed")
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
    # devices speak on, and what a killed broker forgot they repeat after a minute at the latest
    storm.service.wait(lambda: storm.sql(missing) == [], 120, "readings without a gap")


def test_nobody_is_told_a_thing_twice(storm: Any) -> None:
    """By the log of the SMS centre, which gives each part of a text its own line."""
    taken = Counter(
        (line["number"], line["reference"], line["part"], line["text"]) for line in storm.texts()
    )
    assert len(taken) > 100
    assert [told for told, times in taken.items() if times > 1] == []


def test_replaying_the_recorded_stream_gives_the_committed_changes(storm: Any) -> None:
    storm.replays_as_committed()


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


@HERE
def test_the_kill_changed_nothing_of_what_happened(both: tuple[Any, Any]) -> None:
    calm, killed = (facts(story) for story in both)
    assert {device: of[0] for device, of in killed.items()} == {d: of[0] for d, of in calm.items()}
    customers = [
        {device: sorted(c for step in of[1:] for c in step[2]) for device, of in run.items()}
        for run in (calm, killed)
    ]
    assert customers[0] == customers[1]


@HERE
def test_the_storm_of_the_killed_service_lies_in_one_folder(both: tuple[Any, Any]) -> None:
    data: Path = both[1].service.data
    assert {"postgres", "field", "service.json"} <= {path.name for path in data.iterdir()}


@HERE
def test_the_words_of_the_operations_page_back_it_up_and_restore_it(
    both: tuple[Any, Any], tmp_path: Path
) -> None:
    story = both[1]
    page = (ROOT / "docs" / "operations.md").read_text()
    section = page.partition("\n## Backup and restore\n")[2].partition("\n## ")[0]
    dump, restore = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    socket, file = story.service.data / "postgres.sock", tmp_path / "lastgasp.dump"
    words = f"""{dump}
        "$PG/createdb" -h {socket} -U postgres -O lastgasp restored
        {restore.partition("lastgasp up")[0]}
    """
    words = words.replace("$PWD/lastgasp-data/postgres.sock", str(socket))
    words = words.replace("lastgasp.dump", str(file))
    elsewhere = f"postgresql://lastgasp@/restored?host={socket}"
    ((before,),) = story.sql("SELECT now()")
    subprocess.run(
        ["bash", "-euc", words], cwd=ROOT, check=True, timeout=120,
        env={**os.environ, "LASTGASP_DATABASE_URL": elsewhere},  # noqa: TID251
    )  # fmt: skip
    *kept, epoch = story.sql(COUNTED.format(before=before))[0]
    with psycopg.connect(elsewhere) as restored:
        ((*again, new_epoch),) = restored.execute(COUNTED.format(before=before)).fetchall()
    assert again == kept
    assert min(kept) > 0
    assert new_epoch != epoch, "its clients must not go on where others were"


def test_it_says_how_long_ago_each_kind_of_device_was_heard(storm: Any) -> None:
    sources = storm.service.get("/api/sources")["sources"]
    heard = {source["name"] for source in sources if source["age_s"] is not None}
    assert {"meters", "breakers"} <= heard


@HERE
def test_another_network_is_taken_up_by_every_role_while_it_runs_on_a_cluster(
    cluster_tales: dict[str, Future[Any]],
) -> None:
    cluster = cluster_tales["storm"].result().service
    (before,) = cluster.sql("SELECT count(*) FROM outages")
    cluster.command("network switch", "--close", "TIE01", "--open", "S1-F01-SW3")
    numbered_by = "SELECT DISTINCT network FROM progress"
    ((new,),) = cluster.sql("SELECT version FROM network_versions ORDER BY valid_from DESC LIMIT 1")
    cluster.wait(lambda: cluster.sql(numbered_by) == [(new,)], 60, "the engines over it")
    following = [member for role, member in cluster.members.items() if not role.startswith("push")]
    said = [f"version={new}", "network_taken_up"]
    cluster.wait(
        lambda: all(all(word in m.log.read_text() for word in said) for m in following), 30,
        "every role to number by it",
    )  # fmt: skip
    assert cluster.get("/api/network")["version"] == new
    assert cluster.sql("SELECT count(*) FROM outages") == [before]


@HERE
def test_a_worker_that_is_told_to_stop_ends_within_fifteen_seconds_on_a_cluster(
    cluster_tales: dict[str, Future[Any]],
) -> None:
    assert cluster_tales["storm"].result().service.end("worker") < 15


@HERE
def test_dispatch_ends_as_soon_where_kafka_and_the_database_have_fallen_silent_on_a_cluster(
    cluster_tales: dict[str, Future[Any]],
) -> None:
    cluster = cluster_tales["storm"].result().service
    with cluster.kafka.frozen(), cluster.database.frozen():
        time.sleep(2 * NETWORK_S)  # somebody has asked the database by then
        assert cluster.end("dispatch") < 15


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_ten_storms_on_a_cluster_are_lived_through(
    play_on_cluster: Callable[..., Any],
    outlived: Callable[[Any], Any],
    storm_text: tuple[str, str],
) -> None:
    for _ in range(10):
        story = outlived(play_on_cluster("city:2000:7", *storm_text))
        verdict = story.verdict()
        assert verdict.perfect, f"{spoken(verdict)}\n{history(story, verdict.false)}"
        story.replays_as_committed()
        story.service.tear_down()
