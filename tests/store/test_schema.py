"""The specification of bringing a database to this program's schema."""

import asyncio
from pathlib import Path

import numpy as np
import psycopg
import pytest

from grid.errors import ConfigError
from grid.frame import READING, Frame
from grid.outage import Change, Outage, OutageKind, Outcome, State, Step
from grid.parcel import Applied
from store.postgres import open_store
from store.schema import FIRST, Migration, bring_up, migrations, schema_text
from store.settings import StoreSettings

DAY_MS = 86_400_000
SHIFTED = Migration(
    2,
    "0002_outages_have_a_colour",
    "ALTER TABLE outages ADD colour text; UPDATE outages SET colour = 'of ' || device_id;",
)


def dark(network) -> Applied:
    outage = Outage(
        id="S1-1", version=1, group=0, state=State.PREDICTED, kind=OutageKind.FAULT, cause=None,
        device_id="T1", device_kind="transformer", feeder_id="B1", districts=(), phases="ABC",
        probability=1.0, started_ms=1000, detected_ms=1000, confirmed_ms=None, restored_ms=None,
        customers_affected=1, customers_out=1, etr=None, evidence=(), parent_id=None,
        steps=(Step(1000, None, ("C-M1",)),),
    )  # fmt: skip
    outcome = Outcome(changes=(Change(1000, outage, "a gasp", ("C-M1",)),))
    return Applied(Frame(0, 1, network.version, 2000), outcome)


def catalog(url: str) -> list[tuple[str, ...]]:
    """Every column, index, function and view of ours."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT table_name || '.' || column_name, data_type || is_nullable"
            " FROM information_schema.columns WHERE table_schema = 'public'"
            " UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
            " UNION ALL SELECT proname, prosrc FROM pg_proc"
            " WHERE pronamespace = 'public'::regnamespace"
            " UNION ALL SELECT viewname, definition FROM pg_views WHERE schemaname = 'public'"
            " ORDER BY 1, 2"
        ).fetchall()


def test_migrations_are_numbered_from_two_without_gaps() -> None:
    found = migrations()
    assert [m.number for m in found] == list(range(2, 2 + len(found)))


def test_a_gap_between_migrations_is_our_own_mistake(tmp_path: Path) -> None:
    (tmp_path / "0002_one.sql").write_text("SELECT 1")
    (tmp_path / "0004_two.sql").write_text("SELECT 1")
    with pytest.raises(AssertionError):
        migrations(tmp_path)


@pytest.mark.services
async def test_the_schema_may_be_applied_again_and_changes_nothing(postgres_url) -> None:
    async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
        await bring_up(connection)
        await connection.commit()
        before = catalog(postgres_url)
        await connection.execute(schema_text().encode())
        await connection.commit()
    assert catalog(postgres_url) == before
    assert len(before) > 100


@pytest.mark.services
async def test_who_starts_together_makes_it_once(postgres_url, keys) -> None:
    async def start() -> str:
        async with open_store(postgres_url, keys, StoreSettings()) as store:
            return (await store.feed_position("dispatch"))[0]

    assert len(set(await asyncio.gather(*(start() for _ in range(5))))) == 1


@pytest.mark.services
async def test_an_older_database_is_brought_up_with_all_that_is_in_it(
    postgres_url, keys, drawn
) -> None:
    """N-1 to N with an open outage, told and not yet read."""
    graph, network = drawn
    async with open_store(postgres_url, keys, StoreSettings()) as store:
        await store.save_network(graph, network, 0, "drawing")
        await store.commit([dark(network)], ())
    newer = schema_text() + "\nCREATE OR REPLACE VIEW colours AS SELECT id, colour FROM outages;\n"
    async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
        target = len(migrations()) + FIRST + 1
        steps = (*migrations(), Migration(target, SHIFTED.name, SHIFTED.sql))
        assert await bring_up(connection, newer, steps) == target
        assert await bring_up(connection, newer, steps) == target
        cursor = await connection.execute("SELECT colour FROM colours")
        assert await cursor.fetchall() == [("of T1",)]
        cursor = await connection.execute("SELECT max(version), count(*) FROM schema_version")
        assert await cursor.fetchone() == (target, target)
        cursor = await connection.execute("SELECT channel FROM feed_log ORDER BY channel")
        assert await cursor.fetchall() == [("customer:C-M1",), ("dispatch",)]


@pytest.mark.services
async def test_a_database_of_the_first_version_learns_who_works_on_what(
    postgres_url, keys, drawn
) -> None:
    graph, network = drawn
    async with open_store(postgres_url, keys, StoreSettings()) as store:
        await store.save_network(graph, network, 0, "drawing")
        await store.commit([dark(network)], ())
    made = catalog(postgres_url)
    with psycopg.connect(postgres_url) as old:
        old.execute(
            "DROP VIEW outages_now; ALTER TABLE outages DROP acknowledged_at,"
            " DROP acknowledged_by, DROP crew, DROP stage; ALTER TABLE changes DROP reasons,"
            " DROP by, DROP decision; DROP TABLE decisions, crews;"
            " DELETE FROM schema_version WHERE version > 1"
        )
    async with open_store(postgres_url, keys, StoreSettings()) as store:
        assert catalog(postgres_url) == made
        (found,) = await store.outages()
        assert (found.crew, found.stage) == (None, "none")
        assert (await store.customer_status("C-M1")).outage_id == "S1-1"


@pytest.mark.services
async def test_a_migration_that_fails_leaves_the_database_as_it_was(postgres_url) -> None:
    async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
        version = await bring_up(connection)
        await connection.commit()
        before = catalog(postgres_url)
        broken = Migration(
            version + 1, "broken", "ALTER TABLE outages ADD colour text; SELECT 1/0;"
        )
        with pytest.raises(psycopg.errors.DivisionByZero):
            await bring_up(connection, schema_text() + " ", (*migrations(), broken))
    assert catalog(postgres_url) == before


@pytest.mark.services
async def test_a_newer_database_is_refused(postgres_url, keys) -> None:
    async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
        await bring_up(connection)
        await connection.execute("INSERT INTO schema_version VALUES (99, 'later', 'x', now())")
    with pytest.raises(ConfigError, match="of version 99 and this program knows"):
        async with open_store(postgres_url, keys, StoreSettings()):
            pass


@pytest.mark.services
async def test_a_role_that_may_make_no_tables_is_told_so(postgres, postgres_url, keys) -> None:
    with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS onlooker")
        admin.execute("CREATE ROLE onlooker LOGIN")
    url = psycopg.conninfo.make_conninfo(postgres_url, user="onlooker")
    with pytest.raises(ConfigError, match="let it own the database"):
        async with open_store(url, keys, StoreSettings()):
            pass


@pytest.mark.services
async def test_neither_a_new_day_nor_an_old_one_waits_for_a_long_reader(
    postgres_url, keys, drawn
) -> None:
    graph, network = drawn
    rows = np.zeros(1, READING)
    rows["dcu"], rows["node"] = -1, 3
    async with open_store(postgres_url, keys, StoreSettings(answer_s=5)) as store:
        await store.save_network(graph, network, 0, "drawing")
        await store.commit([Applied(Frame(0, 1, network.version, 0, rows), Outcome())], ())
        with psycopg.connect(postgres_url) as reader:
            reader.execute("SELECT count(*) FROM readings")  # and its transaction goes on
            rows["received_ms"] = DAY_MS
            await store.commit([Applied(Frame(0, 2, network.version, 0, rows), Outcome())], ())
            assert (await store.let_go(400 * DAY_MS)).reading_days == 0
        assert (await store.let_go(400 * DAY_MS)).reading_days == 2


@pytest.mark.services
async def test_who_sees_a_new_day_together_makes_room_for_it_once(postgres_url) -> None:
    async def make_room() -> None:
        async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
            await connection.execute("SELECT ensure_day('2026-11-21')")

    async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
        await bring_up(connection)
    await asyncio.gather(*(make_room() for _ in range(5)))
    names = [name for name, _ in catalog(postgres_url)]
    assert any(name.startswith("readings_20261121") for name in names)
