"""The specification of a database that is away, silent, or whose answer was lost."""

import asyncio

import psycopg
import pytest

from grid.errors import ConfigError, Unreachable
from grid.frame import Frame
from grid.outage import Outcome
from grid.parcel import Applied, Quarantined
from store.postgres import open_store
from store.settings import StoreSettings

pytestmark = pytest.mark.services

SETTINGS = StoreSettings(retry_s=0.25, connections_max=2, connection_wait_s=2.0)
BAD = Quarantined(0, "mqtt", "t", "no JSON", b"{", 1, "ab" * 32)


def frame(network, position: int) -> Applied:
    return Applied(Frame(0, position, network.version, 1000 * position), Outcome())


async def test_nobody_at_home_is_said_at_once(keys, tmp_path) -> None:
    with pytest.raises(Unreachable, match="the database does not answer") as caught:
        async with open_store(f"postgresql://x@/x?host={tmp_path}", keys, SETTINGS):
            pass
    assert caught.value.retry_in_s == 0.25


async def test_what_is_no_url_is_a_wrong_setting(keys) -> None:
    with pytest.raises(ConfigError, match="--database is not a PostgreSQL URL"):
        async with open_store("not a url", keys, SETTINGS):
            pass


async def test_a_commit_whose_answer_was_lost_may_be_called_again(
    keys, drawn, go_between, count
) -> None:
    graph, network = drawn
    async with open_store(go_between.url, keys, SETTINGS) as store:
        await store.save_network(graph, network, 0, "drawing")
        go_between.lose_answer_to = b"COMMIT"
        with pytest.raises(Unreachable) as caught:
            await store.commit([frame(network, 1)], [BAD])
        assert caught.value.retry_in_s == 0.25
        assert go_between.lost == 1
        await store.commit([frame(network, 1)], [BAD])
        assert (count("recorded_frames"), count("quarantine")) == (1, 1)


async def test_a_quarantine_whose_answer_was_lost_is_kept_once(keys, go_between, count) -> None:
    async with open_store(go_between.url, keys, SETTINGS) as store:
        for expected in (1, 2):  # a second such payload later is one more
            go_between.lose_answer_to = b"COMMIT"
            with pytest.raises(Unreachable):
                await store.commit((), [BAD])
            await store.commit((), [BAD])
            assert count("quarantine") == expected


async def test_connections_that_the_server_cut_are_replaced(
    keys, drawn, postgres_url, count
) -> None:
    graph, network = drawn
    async with open_store(postgres_url, keys, SETTINGS) as store:
        await store.save_network(graph, network, 0, "drawing")
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'lastgasp'"
            )
        with pytest.raises(Unreachable):
            await store.commit([frame(network, 1)], ())
        async with asyncio.timeout(10):
            while True:
                try:
                    await store.commit([frame(network, 1)], ())
                    break
                except Unreachable:
                    continue
        assert count("recorded_frames") == 1


@pytest.mark.soak  # psycopg grants a silent server ten seconds more to hear of the cancellation
async def test_a_database_that_falls_silent_is_away(keys, drawn, go_between, count) -> None:
    graph, network = drawn
    settings = StoreSettings(retry_s=0.25, connections_max=2, answer_s=0.3)
    async with open_store(go_between.url, keys, settings) as store:
        await store.save_network(graph, network, 0, "drawing")
        go_between.flowing.clear()
        with pytest.raises(Unreachable):
            await store.commit([frame(network, 1)], ())
        go_between.flowing.set()
        async with asyncio.timeout(20):
            while True:
                try:
                    await store.commit([frame(network, 1)], ())
                    break
                except Unreachable:
                    continue
        assert count("recorded_frames") == 1


@pytest.mark.parametrize(("default", "ours"), [("off", "on"), ("remote_apply", "remote_apply")])
async def test_what_is_committed_outlives_a_kill_of_the_server_whatever_its_default(
    keys, postgres_url, default: str, ours: str
) -> None:
    url = f"{postgres_url}&options=-csynchronous_commit%3D{default}"
    async with open_store(url, keys, SETTINGS) as store, store._reach.connection() as connection:
        cursor = await connection.execute("SHOW synchronous_commit")
        assert await cursor.fetchone() == (ours,)


async def test_more_callers_than_connections_wait_for_one_another(keys, postgres_url) -> None:
    async with open_store(postgres_url, keys, SETTINGS) as store:
        found = await asyncio.gather(*(store.feed_position("dispatch") for _ in range(50)))
    assert len(set(found)) == 1
