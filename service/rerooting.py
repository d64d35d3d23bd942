"""The network as it is switched: a newer version in the database is taken up while we run.

``lastgasp network switch`` and ``import`` write versions; this looks for them.  Engines first, then
whoever numbers readings by it and what people see.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from grid.errors import ConfigError, Unreachable
from grid.graph import Graph
from grid.network import Network
from service.accepted import accepted
from store.networks import NetworkVersion

log = structlog.get_logger()

Heir = Callable[[Graph, Network], None]
"""Whoever holds a network takes the newer one."""

Replace = Callable[[Network, Network], Awaitable[None]]
"""The engines' way from one version to the next; done when it is committed."""


class Versions(Protocol):
    """The store, as far as networks go."""

    async def versions(self) -> Sequence[NetworkVersion]:
        """The history of networks, oldest first."""

    async def load_graph(self, at_ms: int | None = None) -> tuple[Graph, str] | None:
        """The newest network and its version."""


class Rerooting:
    """The network in force."""

    def __init__(
        self,
        store: Versions,
        network: Network,
        expect: Callable[[Network], None],
        replace: Replace,
        heirs: Sequence[Heir],
    ) -> None:
        """Be ready.

        Args:
            store: Where newer versions come from.
            network: What is in force.
            expect: Told of a version before anything of it is committed.
            replace: Carries the engines over.
            heirs: Told after that, in this order.
        """
        self._store = store
        self._expect = expect
        self._replace = replace
        self._heirs = heirs
        self._passed_over = ""  # a version that cannot be taken up, so that it is said once
        self.network = network

    async def run(self, every_s: float) -> None:
        """Look for newer versions, for ever; a database that is away is asked again."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.look()
            except Unreachable as away:
                log.warning("network_not_looked_at", reason=away.message)

    async def look(self) -> bool:
        """Take up the newest version, if it is another one; whether it was."""
        held = await self._store.versions()
        if not held or held[-1].version in (self.network.version, self._passed_over):
            return False
        loaded = await self._store.load_graph()
        if loaded is None:
            return False
        graph, version = loaded
        try:
            network = await asyncio.to_thread(accepted, graph, f"version {version}")
        except ConfigError as wrong:
            return self._pass_over(version, wrong.message)
        if [g.slug for g in network.groups] != [g.slug for g in self.network.groups]:
            return self._pass_over(version, "it has other substations; restart the service for it")
        self._expect(network)
        await self._replace(self.network, network)
        for heir in self._heirs:
            heir(graph, network)
        self.network = network
        log.info("network_taken_up", version=version)
        return True

    def _pass_over(self, version: str, reason: str) -> bool:
        log.warning("network_not_taken_up", version=version, reason=reason)
        self._passed_over = version
        return False
