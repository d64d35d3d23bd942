"""The engines as their last snapshots have them, for a process that has none of its own.

The pages ask who is silent, which only an engine's hearing knows.  A minute's age is good enough
for that; nothing is decided by it.
"""

import asyncio
from collections.abc import Iterator, Mapping

import structlog

from detectors.engine import Engine
from detectors.moving import moved
from detectors.settings import EngineSettings
from detectors.snapshot import opened, restore
from grid.errors import BadPayload, Unreachable
from grid.network import Group, Network
from store.postgres import Store

log = structlog.get_logger()


class Glimpse(Mapping[int, Engine]):
    """An engine a feeder group; one that was never kept has heard nobody."""

    def __init__(self, network: Network, settings: EngineSettings) -> None:
        self._network = network
        self._engines = {group.no: Engine(group, settings) for group in network.groups}

    def __getitem__(self, group: int) -> Engine:
        return self._engines[group]

    def __iter__(self) -> Iterator[int]:
        return iter(self._engines)

    def __len__(self) -> int:
        return len(self._engines)

    def replace_network(self, network: Network) -> None:
        """The groups are those of another version from now on."""
        self._engines = {g.no: moved(self._engines[g.no], g) for g in network.groups}
        self._network = network

    async def run(self, store: Store, every_s: float) -> None:
        """Look again now and then, for ever."""
        while True:
            for group in self._network.groups:
                try:
                    progress = await store.progress(group.slug)
                    if progress.snapshot is not None:
                        await asyncio.to_thread(self._take, group, progress.snapshot)
                except (Unreachable, BadPayload) as wrong:
                    log.warning("glimpse_waits", group=group.slug, reason=wrong.message)
            await asyncio.sleep(every_s)

    def _take(self, group: Group, snapshot: bytes) -> None:
        """Of another version of the network it says nothing here."""
        body = opened(snapshot)
        if body.network == self._network.version:
            self._engines[group.no] = restore(group, body)
