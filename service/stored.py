"""What a start finds in the database: the network, and where each engine was."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import structlog

from detectors.settings import EngineSettings
from grid.errors import ConfigError
from grid.graph import Graph
from grid.network import Group, Network
from service.accepted import accepted
from service.sources import load_graph
from store.postgres import Store

if TYPE_CHECKING:  # most roles of a cluster have no engine, and loading one takes a second
    from detectors.engine import Engine

MADE = ("city:", "simbench:")  # the name says it all: no need to make it again at each start

log = structlog.get_logger()


async def network_of(
    store: Store, source: str | None, now_ms: int, tell: Callable[[str], None]
) -> tuple[Graph, Network]:
    """The network to run on: the source's, kept as a new version where it differs; else the newest.

    Raises:
        ConfigError: There is none, or the source's is refused.
    """
    if source is None:
        newest = await store.load_graph()
        if newest is None:
            raise ConfigError(
                "the database has no network yet; give --network SOURCE (a CSV folder, a "
                "pandapower .json, simbench:CODE or city:METERS:SEED), or look around with --demo"
            )
        return newest[0], await asyncio.to_thread(accepted, newest[0], "in the database")
    held = await store.versions()
    if held and held[-1].source == source and source.startswith(MADE):
        return await network_of(store, None, now_ms, tell)
    graph, network = await asyncio.to_thread(_read, source)
    if await store.save_network(graph, network, now_ms, source):
        tell(f"network {source} is new here and kept: {network.customer_count:,} customers")
    return graph, network


def _read(source: str) -> tuple[Graph, Network]:
    graph, problems = load_graph(source)
    return graph, accepted(graph, source, problems)


async def engines_of(
    store: Store, network: Network, settings: EngineSettings
) -> "dict[int, Engine]":
    """An engine for each feeder group, as it was after the last frame that was committed."""
    engines = {}
    for group in network.groups:
        engines[group.no] = await engine_of(store, network, group.no, settings)
    return engines


async def engine_of(
    store: Store, network: Network, number: int, settings: EngineSettings
) -> "Engine":
    """The engine of one group, as it was after the last frame that was committed."""
    from stream.recovery import recover

    group = network.groups[number]
    progress = await store.progress(group.slug)
    engine = await recover(
        group,
        network.version,
        settings,
        snapshot=progress.snapshot,
        recorded=partial(store.recorded, group.slug),
        group_of=partial(group_of, store, network, group.slug),
    )
    log.info("engine_restored", group=group.slug, position=engine.position)
    return engine


async def group_of(store: Store, network: Network, slug: str, version: str) -> Group:
    """The group as it was in an earlier version of the network.

    Raises:
        ConfigError: The database does not hold that version, or the group was not in it.
    """
    if version != network.version:
        network = await network_in(store, version)
    return group_in(network, slug)


async def network_in(store: Store, version: str) -> Network:
    """The network as it was in a version.

    Raises:
        ConfigError: The database does not hold it.
    """
    for held in await store.versions():
        if held.version == version:
            loaded = await store.load_graph(held.valid_from_ms)
            assert loaded is not None
            return await asyncio.to_thread(accepted, loaded[0], f"version {version}")
    raise ConfigError(f"version {version} of the network is not in the database")


def group_in(network: Network, slug: str) -> Group:
    """A group of a network.

    Raises:
        ConfigError: It is not in it.
    """
    for group in network.groups:
        if group.slug == slug:
            return group
    raise ConfigError(f"version {network.version} of the network has no {slug}")
