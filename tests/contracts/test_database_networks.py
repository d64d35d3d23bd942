"""The specification of networks and contacts in the database, on every database."""

import zlib

import msgspec
import psycopg
import pytest

from grid.build import build
from grid.errors import ConfigError
from grid.reading import Kind
from store.postgres import open_store
from store.sealing import Keys
from store.settings import StoreSettings

pytestmark = pytest.mark.services

KEYS = Keys(phone=b"p" * 32, index=b"i" * 32)


async def test_a_network_comes_back_whole(store, house) -> None:
    await house.move_in(store)
    assert await store.load_graph() == (house.graph, house.network.version)
    assert build((await store.load_graph())[0]).network.version == house.network.version


async def test_an_empty_database_has_no_network(store) -> None:
    assert await store.load_graph() is None
    assert await store.versions() == ()


async def test_each_version_holds_from_its_moment_on(store, house, at) -> None:
    fewer = msgspec.structs.replace(house.graph, customers=house.graph.customers[:-1])
    smaller = build(fewer).network
    await store.save_network(house.graph, house.network, at("06:00:00"), "first")
    await store.save_network(fewer, smaller, at("12:00:00"), "second")
    assert await store.load_graph(at("05:59:59")) is None
    assert (await store.load_graph(at("06:00:00")))[1] == house.network.version
    assert (await store.load_graph(at("11:59:59")))[1] == house.network.version
    assert (await store.load_graph(at("12:00:00")))[1] == smaller.version
    assert [(v.version, v.source, v.customers) for v in await store.versions()] == [
        (house.network.version, "first", 5),
        (smaller.version, "second", 4),
    ]


async def test_the_network_that_holds_already_is_not_saved_again(store, house, at, ask) -> None:
    assert await store.save_network(house.graph, house.network, at("06:00:00"), "first")
    assert not await store.save_network(house.graph, house.network, at("07:00:00"), "again")
    assert ask("SELECT count(*) FROM network_versions") == [(1,)]


async def test_a_version_may_return(store, house, at, ask) -> None:
    fewer = msgspec.structs.replace(house.graph, customers=house.graph.customers[:-1])
    for hour, graph in enumerate((house.graph, fewer, house.graph), 6):
        await store.save_network(graph, build(graph).network, at(f"{hour:02}:00:00"), "switching")
    assert (await store.load_graph())[0] == house.graph
    assert ask("SELECT count(*) FROM network_graphs") == [(2,)]
    assert ask("SELECT count(*) FROM customers") == [(5,)]


async def test_numbers_of_devices_outlive_versions(store, house, at, ask) -> None:
    await house.move_in(store)
    before = dict(ask("SELECT device_id, device_no FROM devices"))
    fewer = msgspec.structs.replace(house.graph, customers=house.graph.customers[:-1])
    await store.save_network(fewer, build(fewer).network, at("12:00:00"), "second")
    assert dict(ask("SELECT device_id, device_no FROM devices")) == before
    assert len(before) == len({*before.values()}) == 13


async def test_a_concentrator_may_be_called_like_a_device(store, house, ask) -> None:
    twin = msgspec.structs.replace(house.graph, comms={"M1": "T1", "M2": "T1"})
    house.graph, house.network = twin, build(twin).network
    await house.move_in(store)
    row = house.reading("M1", Kind.HEARTBEAT, "12:00:00", dcu=0)
    await store.commit([house.applied("12:00:00", row)], ())
    assert ask("SELECT device_id, concentrator FROM reading_log") == [("M1", "T1")]


async def test_the_network_is_flat_for_people_at_psql(store, house, ask) -> None:
    await house.move_in(store)
    assert ask(
        "SELECT device_id, kind, parent_id, feeder_id, district, phases, telemetered, customers"
        " FROM network_devices WHERE group_slug = 'S1' AND device_id IN ('S1', 'B1', 'T1', 'M1')"
        " ORDER BY customers DESC, device_id DESC"
    ) == [
        ("S1", "substation", None, None, "S1", "ABC", False, 4),
        ("B1", "breaker", "S1", "B1", "S1", "ABC", True, 4),
        ("T1", "transformer", "B1", "B1", "East", "ABC", False, 2),
        ("M1", "meter", "T1", "B1", "East", "ABC", False, 1),
    ]


async def test_a_customer_is_found_by_a_number_however_it_is_written(store, house) -> None:
    await house.move_in(store)
    assert await store.customers_by_phone("+86 100 0013 8001") == ("C-M2",)
    assert await store.customers_by_phone("10000138001") == ("C-M2",)
    assert await store.customers_by_phone("10000138009") == ()
    assert await store.customers_by_phone("") == ()


async def test_no_name_and_no_number_can_be_read_in_the_database(
    store, house, ask, database_url
) -> None:
    await house.move_in(store)
    tables = ask(
        "SELECT c.oid::regclass::text FROM pg_class c"
        " WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    )
    dump = b""
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        for (table,) in tables:
            with cursor.copy(f"COPY {table} TO STDOUT (FORMAT BINARY)") as copy:
                dump += b"".join(bytes(part) for part in copy)
    dump += zlib.decompress(ask("SELECT graph FROM network_graphs")[0][0])
    assert b"C-M1" in dump
    assert b"Wang" not in dump
    assert b"1000013800" not in dump


async def test_another_key_opens_nothing(store, house, database_url) -> None:
    await house.move_in(store)
    keys = Keys(phone=b"q" * 32, index=b"i" * 32)
    async with open_store(database_url, keys, StoreSettings()) as other:
        with pytest.raises(ConfigError, match="sealed with another key"):
            await other.load_graph()


async def test_frames_of_more_versions_than_are_kept_in_memory_are_committed(
    database_url, house, at
) -> None:
    graphs = [
        msgspec.structs.replace(house.graph, customers=house.graph.customers[:n]) for n in range(4)
    ]
    versions = [build(graph).network for graph in graphs]
    async with open_store(database_url, KEYS, StoreSettings(network_versions_max=2)) as store:
        for hour, (graph, network) in enumerate(zip(graphs, versions, strict=True)):
            await store.save_network(graph, network, at(f"{hour:02}:00:00"), "switching")
        frames = []
        for network in versions * 2:
            house.network = network
            frames.append(house.applied("12:00:00"))
        await store.commit(frames[:4], ())
        for frame in frames[4:]:
            await store.commit([frame], ())
        assert (await store.progress("S1")).position == 8
