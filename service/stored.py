"""What a start finds in the database: the network, and where each engine was."""

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from detectors.engine import Engine
from detectors.settings import EngineSettings
from grid.build import build
from grid.errors import ConfigError
from grid.graph import Graph, Problem, Severity
from grid.network import Group, Network
from service.sources import load_graph
from store.postgres import Store
from stream.recovery import recover

log = structlog.get_logger()


async def network_of(
    store: Store, source: str | None, now_ms: int, tell: Callable[[str], None]
) -> tuple[Graph, Network]:
    """The network to run on: the source's, kept as a new version where it differs; else the newest.

    Raises:
        ConfigError: There is none, or the source's is refused.
    """
    if source is None:
        held = await store.load_graph()
        if held is None:
            raise ConfigError(
                "the database has no network yet; give --network SOURCE (a CSV folder, a "
                "pandapower .json, simbench:CODE or city:METERS:SEED), or look around with --demo"
            )
        return held[0], await asyncio.to_thread(_built, held[0], "in the database")
    graph, network = await asyncio.to_thread(_read, source)
    if await store.save_network(graph, network, now_ms, source):
        tell(f"network {source} is new here and kept: {network.customer_count:,} customers")
    return graph, network


def _read(source: str) -> tuple[Graph, Network]:
    graph, problems = load_graph(source)
    return graph, _built(graph, source, problems)


def _built(graph: Graph, source: str, problems: tuple[Problem, ...] = ()) -> Network:
    errors = [p for p in problems if p.severity is Severity.ERROR]
    built = None if errors else build(graph)
    if built is not None and built.network is not None:
        return built.network
    errors += [p for p in built.problems if p.severity is Severity.ERROR] if built else []
    first = errors[0]
    raise ConfigError(
        f"network {source} has {len(errors)} errors, the first at {first.where}: {first.message}; "
        f"{first.fix} (all of them: lastgasp network check {source})"
    )


async def engines_of(store: Store, network: Network, settings: EngineSettings) -> dict[int, Engine]:
    """An engine for each feeder group, as it was after the last frame that was committed."""
    engines = {}
    for group in network.groups:
        engines[group.no] = await _engine(store, network, group.no, settings)
    return engines


async def _engine(store: Store, network: Network, number: int, settings: EngineSettings) -> Engine:
    group = network.groups[number]
    progress = await store.progress(group.slug)
    engine = await recover(
        group,
        network.version,
        settings,
        snapshot=progress.snapshot,
        recorded=partial(store.recorded, group.slug),
        group_of=partial(_group_of, store, network, group.slug),
    )
    log.info("engine_restored", group=group.slug, position=engine.position)
    return engine


async def _group_of(store: Store, network: Network, slug: str, version: str) -> Group:
    """The group as it was in an earlier version of the network.

    Raises:
        ConfigError: The database does not hold that version, or the group was not in it.
    """
    if version != network.version:
        for held in await store.versions():
            if held.version == version:
                loaded = await store.load_graph(held.valid_from_ms)
                assert loaded is not None
                network = await asyncio.to_thread(_built, loaded[0], f"version {version}")
    for group in network.groups:
        if group.slug == slug:
            return group
    raise ConfigError(f"version {version} of the network, with {slug}, is not in the database")
