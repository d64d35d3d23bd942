"""Networks in the database: each version whole (sealed where it names people), the newest one flat
as well.
"""

import itertools
import math
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np
import psycopg
import structlog

from grid.errors import ConfigError
from grid.graph import Customer, Graph
from grid.network import ALL_PHASES, PHASE_BITS, Group, Network, NodeKind
from store.moments import moment, moment_ms
from store.queries import SQL
from store.sealing import Sealer

log = structlog.get_logger()

Connection = psycopg.AsyncConnection[Any]


class NetworkVersion(msgspec.Struct, frozen=True):
    """One line of the history: which network held from when."""

    version: str
    valid_from_ms: int
    source: str
    saved_ms: int
    devices: int
    customers: int


async def save(
    connection: Connection,
    sealer: Sealer,
    graph: Graph,
    network: Network,
    *,
    valid_from_ms: int,
    source: str,
) -> bool:
    """Keep a network from a moment on; False where it is what holds then already."""
    async with connection.transaction():
        await connection.execute(SQL["lock_networks"])
        cursor = await connection.execute(SQL["network_in_force"], (moment(valid_from_ms),))
        held = await cursor.fetchone()
        if held and held[0] == network.version:
            return False
        await _register_devices(connection, network)
        await _save_graph(connection, sealer, graph, network)
        await connection.execute(
            SQL["add_network_version"], (network.version, moment(valid_from_ms), source)
        )
        cursor = await connection.execute(SQL["newest_network"])
        newest = await cursor.fetchone()
        if newest and newest[0] == network.version:
            await _replace_customers(connection, sealer, graph)
            await _replace_devices(connection, network)
    log.info("network_saved", version=network.version, customers=network.customer_count)
    return True


async def load(
    connection: Connection, sealer: Sealer, at_ms: int | None
) -> tuple[Graph, str] | None:
    """The network that held at a moment and its version; the newest of all without a moment."""
    name = "newest_network" if at_ms is None else "network_in_force"
    cursor = await connection.execute(SQL[name], () if at_ms is None else (moment(at_ms),))
    row = await cursor.fetchone()
    if row is None:
        return None
    cursor = await connection.execute(SQL["network_graph"], (row[0],), binary=True)
    body, sealed = await cursor.fetchone() or (b"", b"")
    graph = msgspec.msgpack.decode(zlib.decompress(body), type=Graph)
    contacts = msgspec.msgpack.decode(
        zlib.decompress(sealer.open(sealed, f"network:{row[0]}")),
        type=dict[str, tuple[str, ...]],  # names and phones alone in a database of old
    )
    return _with_contacts(graph, contacts), row[0]


async def versions(connection: Connection) -> tuple[NetworkVersion, ...]:
    """The history, oldest first."""
    cursor = await connection.execute(SQL["network_versions"])
    return tuple(
        NetworkVersion(version, moment_ms(since), source, moment_ms(saved), devices, customers)
        for version, since, source, saved, devices, customers in await cursor.fetchall()
    )


def _with_contacts(graph: Graph, contacts: dict[str, tuple[str, ...]]) -> Graph:
    def with_contact(customer: Customer) -> Customer:
        name, phone, address, *_ = (*contacts.get(customer.customer_id, ()), "", "", "")
        return msgspec.structs.replace(customer, name=name, phone=phone, address=address)

    return msgspec.structs.replace(graph, customers=tuple(map(with_contact, graph.customers)))


async def _save_graph(
    connection: Connection, sealer: Sealer, graph: Graph, network: Network
) -> None:
    contacts = {
        c.customer_id: (c.name, c.phone, c.address)
        for c in graph.customers
        if c.name or c.phone or c.address
    }
    nameless = _with_contacts(graph, {})
    await connection.execute(
        SQL["add_network_graph"],
        (
            network.version,
            _packed(nameless),
            sealer.seal(_packed(contacts), f"network:{network.version}"),
            sum(len(group.ids) - 1 for group in network.groups),
            network.customer_count,
        ),
    )
    numbers = await _numbers(connection, network)
    for group in network.groups:
        nos = [numbers["device", device_id] for device_id in group.ids]
        dcu_nos = [numbers["concentrator", dcu_id] for dcu_id in group.dcus]
        await connection.execute(
            SQL["add_feeder_group"],
            (
                network.version, group.no, group.slug, group.name,
                _deflated(np.array(nos, "<i4")),
                _deflated(np.array(dcu_nos, "<i4")),
                _deflated(group.kind.astype("u1")),
            ),
        )  # fmt: skip


async def forget_contact(connection: Connection, sealer: Sealer, customer_id: str) -> None:
    """Take who a customer is out of every version of the network."""
    cursor = await connection.execute(SQL["sealed_contacts"], binary=True)
    for version, sealed in await cursor.fetchall():
        name = f"network:{version}"
        contacts = msgspec.msgpack.decode(zlib.decompress(sealer.open(sealed, name)), type=dict)
        if contacts.pop(customer_id, None) is not None:
            again = sealer.seal(_packed(contacts), name)
            await connection.execute(SQL["seal_contacts"], (again, version))


def _packed(body: object) -> bytes:
    return zlib.compress(msgspec.msgpack.encode(body), 3)


def _deflated(column: "np.ndarray[Any, Any]") -> bytes:
    return zlib.compress(column.tobytes(), 1)


def _names(network: Network) -> Iterator[tuple[str, str]]:
    for group in network.groups:
        yield from (("device", device_id) for device_id in group.ids)
        yield from (("concentrator", dcu_id) for dcu_id in group.dcus)


async def _register_devices(connection: Connection, network: Network) -> None:
    await connection.execute(SQL["make_incoming_devices"])
    await _copy(connection, SQL["copy_incoming_devices"], _names(network))
    await connection.execute(SQL["register_devices"])


async def _numbers(connection: Connection, network: Network) -> dict[tuple[str, str], int]:
    cursor = await connection.execute(SQL["numbers_of_incoming_devices"])
    return {(kind, device_id): number async for kind, device_id, number in cursor}


async def _replace_customers(connection: Connection, sealer: Sealer, graph: Graph) -> None:
    rows = (
        (
            c.customer_id,
            c.meter_id,
            c.language,
            c.priority,
            sealer.seal_text(c.name, f"name:{c.customer_id}"),
            sealer.seal_text(c.phone, f"phone:{c.customer_id}"),
            sealer.phone_index(c.phone),
            sealer.seal_text(c.address, f"address:{c.customer_id}"),
        )
        for c in graph.customers
    )
    await connection.execute(SQL["forget_customers"])
    await _copy(connection, SQL["copy_customers"], rows)


async def _replace_devices(connection: Connection, network: Network) -> None:
    await connection.execute(SQL["make_incoming_network"])
    rows = (row for group in network.groups for row in _flat(group))
    await _copy(connection, SQL["copy_incoming_network"], rows)
    await connection.execute(SQL["forget_network_devices"])
    await connection.execute(SQL["add_network_devices"])


_WORDS = [kind.word for kind in NodeKind]
_PHASES = [
    "".join(phase for phase, bit in PHASE_BITS.items() if bits & bit)
    for bits in range(ALL_PHASES + 1)
]


def _flat(group: Group) -> Iterator[tuple[object, ...]]:
    """The rows of network_devices but for the numbers."""
    ends = group.customer_from[np.arange(len(group.ids)) + group.size]
    ids = (*group.ids, None)  # -1, for none, is the last
    return zip(
        group.ids,
        map(_WORDS.__getitem__, group.kind.tolist()),
        itertools.repeat(group.slug),
        map(ids.__getitem__, group.parent.tolist()),
        map(ids.__getitem__, group.feeder.tolist()),
        group.district,
        map(_PHASES.__getitem__, group.phases.tolist()),
        group.telemetered.tolist(),
        (None if math.isnan(x) else x for x in group.x.tolist()),
        (None if math.isnan(y) else y for y in group.y.tolist()),
        (ends - group.customer_from[:-1]).tolist(),
        strict=False,  # the slug repeats for ever
    )


async def _copy(
    connection: Connection, statement: bytes, rows: Iterable[tuple[object, ...]]
) -> None:
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            await copy.write_row(row)


class GroupNumbers(msgspec.Struct, frozen=True):
    """How rows of a group's frames name their devices, under one version."""

    slug: str
    device_nos: "np.ndarray[Any, np.dtype[np.int32]]"  # by node
    dcu_nos: "np.ndarray[Any, np.dtype[np.int32]]"  # by index; one 0 more, for -1
    kinds: "np.ndarray[Any, np.dtype[np.uint8]]"  # NodeKind by node


async def group_numbers(connection: Connection, version: str) -> tuple[GroupNumbers, ...]:
    """The groups of a version by their number.

    Raises:
        ConfigError: That version was never saved.
    """
    cursor = await connection.execute(SQL["feeder_groups"], (version,), binary=True)
    rows = await cursor.fetchall()
    if not rows:
        raise ConfigError(f"network version {version} is not in the database; import it first")
    return tuple(
        GroupNumbers(
            slug,
            np.frombuffer(zlib.decompress(device_nos), "<i4"),
            np.append(np.frombuffer(zlib.decompress(dcu_nos), "<i4"), np.int32(0)),
            np.frombuffer(zlib.decompress(kinds), "u1"),
        )
        for slug, device_nos, dcu_nos, kinds in rows
    )
