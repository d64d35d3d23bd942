"""The story of docker-compose.yml, told in real containers: a first start from nothing, the demo's
faults and the truth beside what was found; then every server and role is killed once, and the
truth is still what was found: our own downtime is no outage, and nothing of it is lost.
"""

import json
from itertools import chain
from pathlib import Path

import pytest

from simulators.truth import from_lines, last_story
from simulators.verdict import compare, found_of

pytestmark = pytest.mark.soak

SERVERS = ("mosquitto", "kafka", "timescaledb", "prometheus")
ROLES = ("mqtt-gateway", "modbus-gateway", "worker", "push", "dispatch")
KILLED = ("worker", "mqtt-gateway", "modbus-gateway", "kafka", "timescaledb", "mosquitto", "push",
          "dispatch")  # fmt: skip
STATES = ("predicted", "confirmed", "partially_restored", "restored", "closed", "verify",
          "rejected", "momentary")  # fmt: skip
STORY_S = 900.0
DATABASE, DUMP = "lastgasp", "/var/lib/postgresql/data/lastgasp.dump"
PSQL = ("psql", "--username", "postgres", "--quiet", DATABASE, "--command")
RESTORE = (
    ("createdb", "--username", "postgres", "--owner", "lastgasp", "--template", "template0",
     DATABASE),
    (*PSQL, "CREATE EXTENSION timescaledb"),
    (*PSQL, "SELECT timescaledb_pre_restore()"),
    ("pg_restore", "--username", "postgres", "--dbname", DATABASE, DUMP),
    (*PSQL, "SELECT timescaledb_post_restore()"),
    (*PSQL, "SELECT new_feed_epoch()"),
)  # fmt: skip


@pytest.mark.timeout(1800)
def test_the_demo_is_found_out_and_outlives_the_death_of_every_part(
    cluster, tmp_path: Path
) -> None:
    _first_start(cluster)
    assert cluster.run("worker", "id", "--user").strip() == "10001"
    cluster.say(cluster.wait(lambda: _perfect(cluster, tmp_path), STORY_S, "dispatch: the truth"))
    for service in KILLED:
        cluster.kill(service)
        cluster.healthy(service)
    cluster.healthy(*SERVERS, *ROLES)
    cluster.say("everything is healthy again")
    cluster.say(cluster.wait(lambda: _perfect(cluster, tmp_path), 120, "dispatch: the truth"))
    _is_watched(cluster)
    _stops_in_time(cluster)
    _keeps_its_secrets(cluster)


@pytest.mark.timeout(1800)
def test_a_backup_is_restored_and_withdrawn_rights_count_no_more(cluster) -> None:
    _first_start(cluster)
    _takes_other_channels(cluster)
    cluster.wait(lambda: _versions(cluster), 300, "dispatch: the first outage")
    cluster.podman("stop", "--time", "2", cluster.name("simulators"))
    _comes_back_from_a_backup(cluster)
    _withdraws_rights(cluster)


def _first_start(cluster) -> None:
    cluster.start("secrets")
    cluster.ended("secrets")
    cluster.start(*SERVERS, "field-secrets", "field-network")
    cluster.healthy(*SERVERS)
    cluster.say("servers are healthy")
    for service in ("admin", "field-secrets", "field-network"):
        cluster.start(service)
        cluster.ended(service)
    cluster.start("field-import")
    cluster.ended("field-import")
    cluster.start(*ROLES)
    cluster.healthy(*ROLES)
    cluster.say("roles are healthy")
    cluster.start("simulators")
    cluster.healthy("simulators")
    cluster.say("the story begins")


def _takes_other_channels(cluster) -> None:
    """LASTGASP_CHANNELS reaches who decides and who sends, and the sender is ready with it."""
    cluster.start("texts")
    for service in ("worker", "dispatch", "texts"):
        told = cluster.run(service, "printenv", "LASTGASP_CHANNELS").strip()
        assert told == cluster.channels, service
    cluster.healthy("texts")
    cluster.stop("texts")


def _perfect(cluster, folder: Path) -> str:
    """What the verdict says once it is right in everything; empty until then."""
    told = cluster.run("simulators", "cat", "/field/world/truth.jsonl").encode().splitlines()
    lines = last_story(from_lines(told))
    listed = cluster.ask(*(f"/api/outages?state={state}" for state in STATES))
    found = list(chain.from_iterable(answer["outages"] for answer in listed))
    details = cluster.ask(*(f"/api/outages/{outage['id']}" for outage in found)) if found else []
    verdict = compare(lines, found_of(details))
    (folder / "outages.json").write_text(json.dumps(details))
    ended = all(outage["state"] in ("closed", "momentary", "rejected") for outage in found)
    if not (details and ended and verdict.perfect):
        return ""
    return f"{len(details)} outages, all as they were: customers, devices and times"


def _is_watched(cluster) -> None:
    cluster.wait(lambda: _scraped(cluster) == set(ROLES), 120, "prometheus: every role")
    groups = cluster.prometheus("rules")["groups"]
    bad = [r["name"] for g in groups for r in g["rules"] if r["health"] == "err"]
    assert bad == []
    cluster.say("Prometheus reads every role by TLS with its token")


def _scraped(cluster) -> set[str]:
    """Roles that Prometheus found well when it last asked, which may have been before a kill."""
    targets = cluster.prometheus("targets")["activeTargets"]
    return {t["labels"]["job"] for t in targets if t["health"] == "up"}


def _comes_back_from_a_backup(cluster) -> None:
    """By the words of docs/operations.md; the archive stays in the container."""
    cluster.podman("stop", "--time", "20", cluster.name("worker"))
    before = _versions(cluster)
    postgres = ("--username", "postgres")
    cluster.run("timescaledb", "pg_dump", *postgres, "--format", "custom", "--file", DUMP, DATABASE)
    for role in ROLES:
        cluster.podman("stop", "--time", "20", cluster.name(role))
    cluster.run("timescaledb", "dropdb", *postgres, "--force", DATABASE)
    for command in RESTORE:
        cluster.run("timescaledb", *command)
    cluster.podman("start", cluster.name("dispatch"))
    cluster.healthy("dispatch")
    assert _versions(cluster) == before != []
    for role in ROLES:
        cluster.podman("start", cluster.name(role))
    cluster.healthy(*ROLES)
    cluster.say("a backup was restored, and says what was said before")


def _versions(cluster) -> list[tuple[str, int]]:
    listed = cluster.ask(*(f"/api/outages?state={state}" for state in STATES))
    return sorted((o["id"], o["version"]) for answer in listed for o in answer["outages"])


def _withdraws_rights(cluster) -> None:
    words = ("token", "--role", "dispatcher", "--subject", "check")
    cluster.ask("/api/outages")
    token = cluster.last_token
    assert not cluster.refuses(token)
    cluster.compose("run", "--rm", "secrets", *words, "--withdraw")
    cluster.wait(lambda: cluster.refuses(token), 60, "dispatch: a refusal")
    cluster.ask("/api/outages")
    cluster.say("rights that were withdrawn count no more, and new ones do")


def _stops_in_time(cluster) -> None:
    """SIGTERM ends a role cleanly: exit code 0, no SIGKILL after the time that it has."""
    for service in ROLES:
        name = cluster.name(service)
        cluster.podman("stop", "--time", "20", name)
        code = cluster.podman("inspect", name, "--format", "{{.State.ExitCode}}").strip()
        assert code == "0", f"{service} ended with {code}"
    cluster.say("every role stops when it is told to")


def _keeps_its_secrets(cluster) -> None:
    """A second start makes no new ones, and nothing secret is in a log."""
    before = cluster.run("timescaledb", "cat", "/secrets/lastgasp.password")
    cluster.podman("start", cluster.name("secrets"))
    cluster.ended("secrets")
    assert cluster.run("timescaledb", "cat", "/secrets/lastgasp.password") == before
    for service in (*SERVERS, *ROLES, "admin", "secrets", "simulators"):
        assert before.strip() not in cluster.podman("logs", cluster.name(service))
    cluster.say("secrets are kept, and in no log")
