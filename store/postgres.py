"""The store: everything the house remembers, behind one object.  Each method is one transaction."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import structlog

from grid.frame import Frame
from grid.graph import Graph
from grid.network import Network
from grid.parcel import Batch, Quarantined
from store import committing, networks, recording
from store.networks import GroupNumbers, NetworkVersion
from store.queries import SQL
from store.reaching import Connection, Reach, connect, reach
from store.recording import Progress, Snapshot
from store.schema import bring_up
from store.sealing import Keys, Sealer
from store.settings import StoreSettings

log = structlog.get_logger()

Doubt = tuple[tuple[int, str, str], ...]


@asynccontextmanager
async def open_store(url: str, keys: Keys, settings: StoreSettings) -> AsyncIterator["Store"]:
    """The store in a database, which is brought to this program's schema first.

    Raises:
        ConfigError: The URL is none, the database is a newer program's, or the role may not change
            it. Unreachable: Nobody answers there.
    """
    connection = await connect(url, settings)
    async with connection:
        await bring_up(connection)
    async with reach(url, settings) as reached:
        yield Store(reached, Sealer(keys), settings)


class Store:
    """What was committed, and the one way to commit.  Every method may raise ``Unreachable``."""

    def __init__(self, reached: Reach, sealer: Sealer, settings: StoreSettings) -> None:
        self._reach = reached
        self._sealer = sealer
        self._settings = settings
        self._groups: dict[str, tuple[GroupNumbers, ...]] = {}
        self._days: set[int] = set()
        self._doubts: dict[Doubt, str] = {}

    # -- networks ----------------------------------------------------------------------------------

    async def save_network(
        self, graph: Graph, network: Network, valid_from_ms: int, source: str
    ) -> bool:
        """Keep a network from a moment on; False where it is what holds then already."""
        async with self._reach.connection() as connection:
            return await networks.save(
                connection,
                self._sealer,
                graph,
                network,
                valid_from_ms=valid_from_ms,
                source=source,
            )

    async def load_graph(self, at_ms: int | None = None) -> tuple[Graph, str] | None:
        """The network that held at a moment and its version; without a moment the newest, be it of
        tomorrow.
        """
        async with self._reach.connection() as connection:
            return await networks.load(connection, self._sealer, at_ms)

    async def versions(self) -> tuple[NetworkVersion, ...]:
        """The history of networks, oldest first."""
        async with self._reach.connection() as connection:
            return await networks.versions(connection)

    # -- the one transaction -----------------------------------------------------------------------

    async def commit(self, batch: Batch, quarantined: Sequence[Quarantined]) -> None:
        """Write a batch and what was quarantined with it, all or nothing; again is harmless.

        Raises:
            Unreachable: Not known to be committed; call again with the same.
            Refused: Another process drives one of the groups.
        """
        async with self._reach.connection() as connection:
            groups_of = await self._groups_of(connection, {a.frame.network for a in batch})
            entries = committing.entries(batch, groups_of)
            await self._ensure_days(connection, entries)
            doubt: Doubt = tuple((q.received_ms, q.topic, q.sha256) for q in quarantined)
            if await self._was_committed(connection, doubt):
                quarantined = ()
            begun = lambda number: self._doubts.__setitem__(doubt, number)  # noqa: E731
            await committing.write(connection, entries, quarantined, begun)
        self._doubts.pop(doubt, None)

    async def _groups_of(
        self, connection: Connection, versions: set[str]
    ) -> Callable[[str], Sequence[GroupNumbers]]:
        for version in versions - self._groups.keys():
            while len(self._groups) >= self._settings.network_versions_max:
                del self._groups[next(iter(self._groups))]
            self._groups[version] = await networks.group_numbers(connection, version)
        return self._groups.__getitem__

    async def _ensure_days(
        self, connection: Connection, entries: Sequence[committing.Entry]
    ) -> None:
        """Outside the transaction: a new partition locks the whole table."""
        days = committing.days_of(entries) - self._days
        if days:
            await committing.ensure_days(connection, days)
            await connection.commit()
            self._days |= days

    async def _was_committed(self, connection: Connection, doubt: Doubt) -> bool:
        """Whether an earlier commit of the same quarantine arrived although its answer did not."""
        number = self._doubts.get(doubt)
        if number is None:
            return False
        cursor = await connection.execute(SQL["transaction_outcome"], (number,))
        row = await cursor.fetchone()
        return row is not None and row[0] == "committed"

    # -- the recorded stream -----------------------------------------------------------------------

    async def progress(self, slug: str) -> Progress:
        """How far a feeder group is, and its newest snapshot."""
        async with self._reach.connection() as connection:
            return await recording.progress(connection, slug)

    async def snapshot_before(self, slug: str, at_ms: int) -> Snapshot | None:
        """The last engine kept that had not come beyond a moment."""
        async with self._reach.connection() as connection:
            return await recording.snapshot_before(connection, slug, at_ms)

    def recorded(self, slug: str, after: int, to_ms: int | None = None) -> AsyncIterator[Frame]:
        """The frames after a position, in order, up to the one that reaches ``to_ms``.

        Raises:
            Refused: Frames in between were forgotten already.
        """
        return recording.frames(
            self._reach.connection,
            slug,
            after=after,
            to_ms=to_ms,
            chunk=self._settings.recorded_chunk,
        )

    async def recorded_between(
        self, slug: str, from_ms: int, to_ms: int
    ) -> tuple[Snapshot | None, AsyncIterator[Frame]]:
        """What replays a stretch: the engine before it, and every frame from there to its end."""
        before = await self.snapshot_before(slug, from_ms)
        after = before.position if before else 0
        return before, self.recorded(slug, after, to_ms)
