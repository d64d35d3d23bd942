"""The specification of dashboards and alerts: every figure they ask for is one that we tell."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from service.roles import ROLES
from store.schema import bring_up

ROOT = Path(__file__).resolve().parents[2]
BOARDS = {p.stem: json.loads(p.read_text()) for p in ROOT.glob("deploy/grafana/dashboards/*.json")}
PROMETHEUS = ROOT / "deploy/prometheus"
SUFFIXES = ("_total", "_bucket", "_sum", "_count")
MACROS = {"$__timeFrom()": "'2026-11-01T00:00:00Z'::timestamptz", "$__timeTo()": "now()"}
PARTS = ("service", "ingest", "notify", "stream", "dispatch", "store")


def told() -> set[str]:
    """The names of our metrics, as the code says them."""
    text = "".join(p.read_text() for part in PARTS for p in (ROOT / part).glob("*.py"))
    return set(re.findall(r'"(lastgasp_[a-z_]+)"', text))


def targets() -> Iterator[tuple[str, dict[str, Any]]]:
    for board in BOARDS.values():
        for panel in board["panels"]:
            for target in panel["targets"]:
                yield panel["title"], target


def rules() -> list[dict[str, Any]]:
    found = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())
    return [rule for group in found["groups"] for rule in group["rules"]]


EXPRESSIONS = [(t, x["expr"]) for t, x in targets() if "expr" in x]
QUERIES = [(t, x["rawSql"]) for t, x in targets() if "rawSql" in x]


@pytest.mark.parametrize(
    ("what", "expression"), [*EXPRESSIONS, *((r["alert"], r["expr"]) for r in rules())]
)
def test_every_metric_that_is_asked_for_is_told(what, expression) -> None:
    names = set(re.findall(r"\blastgasp_\w+", expression))
    for name in names:
        whole = next((name.removesuffix(s) for s in SUFFIXES if name.endswith(s)), name)
        assert {name, whole} & told(), f"{what}: {name}"
    assert names or re.search(r"\bup\b", expression)


@pytest.mark.services
async def test_every_query_of_a_dashboard_is_answered_with_a_readers_rights(
    postgres, postgres_url
) -> None:
    url = psycopg.conninfo.make_conninfo(
        postgres.admin_url, dbname=psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
    )
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS lastgasp_reader")
        connection.execute("CREATE ROLE lastgasp_reader")
    async with await psycopg.AsyncConnection.connect(postgres_url) as owner:
        await bring_up(owner)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET ROLE lastgasp_reader")
        for title, query in QUERIES:
            for macro, value in MACROS.items():
                query = query.replace(macro, value)
            assert "$" not in query, title
            connection.execute(query.encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM customers")
        connection.execute("RESET ROLE")
        connection.execute("DROP OWNED BY lastgasp_reader")
        connection.execute("DROP ROLE lastgasp_reader")


def test_dashboards_name_only_the_sources_that_are_provisioned() -> None:
    told = yaml.safe_load(
        (ROOT / "deploy/grafana/provisioning/datasources/lastgasp.yml").read_text()
    )
    known = {(s["type"], s["uid"]) for s in told["datasources"]}
    used = {(t["datasource"]["type"], t["datasource"]["uid"]) for _, t in targets()}
    assert used == known


@pytest.mark.parametrize("name", BOARDS)
def test_panels_lie_beside_each_other(name) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARDS[name]["panels"]:
        at = panel["gridPos"]
        here = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert max(x for x, _ in here) < 24
        assert not here & taken, panel["title"]
        taken |= here


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_and_the_page_what_to_do(rule) -> None:
    assert rule["labels"]["severity"] in ("page", "warn", "info")
    assert rule["annotations"]["summary"]
    assert "for" in rule
    assert f"`{rule['alert']}`" in (ROOT / "docs/operations.md").read_text()


def test_prometheus_asks_every_role_with_its_token_by_tls() -> None:
    told = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in told["scrape_configs"]}
    assert set(jobs) == set(ROLES) - {"admin"}
    for name, job in jobs.items():
        assert job["scheme"] == "https"
        assert job["authorization"] == {"credentials_file": "/secrets/metrics.token"}
        assert job["tls_config"] == {"ca_file": "/secrets/ca.crt", "server_name": name}
