"""The store: everything the house remembers, behind one object.  Each method is one transaction."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

import structlog

from grid.frame import Frame
from grid.graph import Graph
from grid.network import Network
from grid.notice import Decide
from grid.parcel import Advance, Batch, Claim, Quarantined
from grid.public import (
    CustomerStatus,
    PublicCall,
    PublicFinding,
    PublicOutage,
    PublicOutageDetail,
    PublicPlan,
)
from store import (
    committing,
    desk,
    feedlog,
    feednews,
    networks,
    outages,
    quarantine,
    recording,
    upkeep,
)
from store.desk import AuditLine, NewCall, NewPlan, SourceAge
from store.desk_tasks import DeskTasks
from store.feedlog import FeedRow
from store.networks import GroupNumbers, NetworkVersion
from store.outages import Darkness
from store.outbox import Outbox
from store.quarantine import QuarantinedPayload, QuarantineLine
from store.queries import SQL
from store.reaching import Connection, Reach, connect, reach
from store.recording import Progress, Snapshot
from store.schema import bring_up
from store.sealing import Keys, Sealer
from store.settings import StoreSettings
from store.upkeep import LetGo
from store.wishing import Wishing
from store.work import WorkStore

log = structlog.get_logger()

Doubt = tuple[tuple[int, str, str], ...]
DOUBTS_MAX = 64  # far more than commits are in flight


@asynccontextmanager
async def open_store(
    url: str, keys: Keys, settings: StoreSettings, decide: Decide | None = None
) -> AsyncIterator["Store"]:
    """The store in a database, which is brought to this program's schema first.

    ``decide`` says what changes tell whom by text; without it nobody is texted.

    Raises:
        ConfigError: The URL is none, the database is a newer program's, or the role may not change
            it. Unreachable: Nobody answers there.
    """
    connection = await connect(url, settings)
    async with connection:
        await bring_up(connection)
    async with reach(url, settings) as reached:
        yield Store(reached, Sealer(keys), settings, decide)


class Store:
    """What was committed, and the one way to commit.  Every method may raise ``Unreachable``."""

    def __init__(
        self, reached: Reach, sealer: Sealer, settings: StoreSettings, decide: Decide | None
    ) -> None:
        self._reach, self._sealer, self._settings = reached, sealer, settings
        self._decide = decide
        self.outbox = Outbox(reached, sealer, settings)
        self.tasks = DeskTasks(reached, sealer, settings)
        self.wishing = Wishing(reached, sealer)
        self.work = WorkStore(reached, sealer, settings)
        self._groups: dict[str, tuple[GroupNumbers, ...]] = {}
        self._days: set[int] = set()
        self._doubts: dict[Doubt, str] = {}

    # -- networks ----------------------------------------------------------------------------------

    async def save_network(
        self, graph: Graph, network: Network, valid_from_ms: int, source: str
    ) -> bool:
        """Keep a network from a moment on; False where it is what holds then already."""
        async with self._reach.within(self._settings.network_s) as connection:
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
        async with self._reach.within(self._settings.network_s) as connection:
            return await networks.load(connection, self._sealer, at_ms)

    async def versions(self) -> tuple[NetworkVersion, ...]:
        """The history of networks, oldest first."""
        async with self._reach.connection() as connection:
            return await networks.versions(connection)

    # -- the one transaction -----------------------------------------------------------------------

    async def commit(
        self,
        batch: Batch,
        quarantined: Sequence[Quarantined],
        advance: Advance | None = None,
    ) -> None:
        """Write a batch and what was quarantined with it, all or nothing; again is harmless.

        ``advance``: and how far that brings a partition of the bus.

        Raises:
            Unreachable: Not known to be committed; call again with the same.
            Fenced: Another process drives one of the groups, or has the partition now.
        """
        async with self._reach.connection() as connection:
            groups_of = await self._groups_of(connection, {a.frame.network for a in batch})
            entries = committing.entries(batch, groups_of)
            await self._ensure_days(connection, entries)
            doubt: Doubt = tuple((q.received_ms, q.topic, q.sha256) for q in quarantined)
            if advance is None and await self._was_committed(connection, doubt):
                quarantined = ()
            begun = partial(self._begun, doubt)
            await committing.write(
                connection, entries, quarantined, begun, self._decide, advance=advance
            )
        self._doubts.pop(doubt, None)

    async def claim(
        self, topic: str, partition: int, owner: str, *, held: int | None = None
    ) -> Claim:
        """Take a partition of the bus over; whoever had it can commit no more.

        ``owner`` is of one process alone.  ``held``: only if that generation of ours is still in
        force, else ``Fenced``; again is harmless.
        """
        async with self._reach.connection() as connection:
            return await recording.claim(connection, topic, partition, owner=owner, held=held)

    async def _groups_of(
        self, connection: Connection, versions: set[str]
    ) -> Callable[[str], Sequence[GroupNumbers]]:
        for version in versions - self._groups.keys():
            idle = [known for known in self._groups if known not in versions]
            for known in idle[
                : max(0, len(self._groups) + 1 - self._settings.network_versions_max)
            ]:
                del self._groups[known]
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

    def _begun(self, doubt: Doubt, number: str) -> None:
        """Remember a transaction whose answer may be lost; those that nobody repeats go at last."""
        self._doubts[doubt] = number
        while len(self._doubts) > DOUBTS_MAX:
            del self._doubts[next(iter(self._doubts))]

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

    # -- outages and customers ---------------------------------------------------------------------

    async def outages(
        self,
        *,
        state: str | None = None,
        at_ms: int | None = None,
        districts: Collection[str] | None = None,
    ) -> tuple[PublicOutage, ...]:
        """Outages, newest first: those that have not ended, or those in ``state``.

        ``at_ms``: as they stood then.  ``districts``: only those that touch one of them.
        """
        limit = self._settings.listed_max
        async with self._reach.connection() as connection:
            return await outages.listed(
                connection, state=state, at_ms=at_ms, districts=districts, limit=limit
            )

    async def outage(self, outage_id: str) -> PublicOutageDetail | None:
        """One outage with its steps and changes; None where there is none."""
        async with self._reach.connection() as connection:
            return await outages.detail(connection, outage_id)

    async def findings(
        self, *, open_only: bool = True, districts: Collection[str] | None = None
    ) -> tuple[PublicFinding, ...]:
        """What was noticed and is no outage, newest first."""
        limit = self._settings.listed_max
        async with self._reach.connection() as connection:
            return await outages.findings(
                connection, open_only=open_only, districts=districts, limit=limit
            )

    async def customer_status(self, customer_id: str) -> CustomerStatus | None:
        """What a customer may know; None where there is no such customer."""
        async with self._reach.connection() as connection:
            return await outages.customer_status(connection, customer_id)

    async def darkness(self) -> Darkness:
        """Who has no power now; how many called and were texted."""
        async with self._reach.connection() as connection:
            return await outages.darkness(connection)

    async def customers_by_phone(self, phone: str) -> tuple[str, ...]:
        """Ids of the customers with a number, however it is written."""
        async with self._reach.connection() as connection:
            return await desk.customers_by_phone(connection, self._sealer, phone)

    async def source_ages(self) -> tuple[SourceAge, ...]:
        """When each kind of source was last heard."""
        async with self._reach.connection() as connection:
            return await desk.source_ages(connection)

    # -- the feed log ------------------------------------------------------------------------------

    async def feed_position(self, channel: str) -> tuple[str, int]:
        """The epoch, and the channel's last offset (0 where it has none)."""
        async with self._reach.reading() as connection:
            return await feedlog.position(connection, channel)

    async def feed_positions(self, channels: Sequence[str]) -> tuple[str, Mapping[str, int]]:
        """As ``feed_position``, of many channels in one round trip."""
        async with self._reach.reading() as connection:
            return await feedlog.positions(connection, channels)

    async def feed_read(self, channel: str, after: int, limit: int) -> tuple[FeedRow, ...]:
        """At most ``limit`` rows with offsets above ``after``, ascending; trimmed ones are gone."""
        limit = min(limit, self._settings.feed_read_max)
        async with self._reach.reading() as connection:
            return await feedlog.read(connection, channel, after, limit)

    async def feed_read_many(
        self, after: Mapping[str, int], limit: int
    ) -> Mapping[str, Sequence[FeedRow]]:
        """As ``feed_read``, for many channels in one round trip; those without news are absent."""
        limit = min(limit, self._settings.feed_read_max)
        async with self._reach.reading() as connection:
            return await feedlog.read_many(connection, after, limit)

    async def feed_snapshot(self, channel: str) -> tuple[str, int, bytes]:
        """Epoch, offset, and the JSON of the channel's state at exactly that offset."""
        async with self._reach.connection() as connection:
            return await feedlog.snapshot(connection, channel, self._settings.listed_max)

    async def feed_trim(self, before_ms: int) -> int:
        """Forget what was said before a moment; how many rows went."""
        async with self._reach.connection() as connection:
            return await feedlog.trim(connection, before_ms)

    async def feed_news(self) -> AsyncGenerator[frozenset[str] | None]:
        """Yield the channels that somebody, in whatever process, has committed to; None for all of
        them, and once at first: what came before is not told again.
        """
        async with self._reach.within(None) as connection:
            await connection.set_autocommit(True)
            try:
                await connection.execute(SQL["listen_feeds"])
                yield None
                async for notification in connection.notifies():
                    yield feednews.read((notification.payload,))
            finally:
                await connection.close()  # no other may hear what it hears

    # -- the desk ----------------------------------------------------------------------------------

    async def add_call(self, new: NewCall) -> PublicCall:
        """Keep a trouble call, its words sealed."""
        async with self._reach.connection() as connection:
            return await desk.add_call(connection, self._sealer, new)

    async def calls(self, customer_id: str | None = None) -> tuple[PublicCall, ...]:
        """Calls, newest first; of one customer or of all."""
        limit = self._settings.listed_max
        async with self._reach.connection() as connection:
            return await desk.calls(connection, self._sealer, customer_id, limit)

    async def add_plan(self, new: NewPlan) -> PublicPlan:
        """Keep a plan; the same id again changes nothing."""
        async with self._reach.connection() as connection:
            return await desk.add_plan(connection, new)

    async def plans(self, open_at_ms: int | None = None) -> tuple[PublicPlan, ...]:
        """Plans by their begin: those neither over nor cancelled at a moment, or all."""
        limit = self._settings.listed_max
        async with self._reach.connection() as connection:
            return await desk.plans(connection, open_at_ms=open_at_ms, limit=limit)

    async def cancel_plan(self, plan_id: str, by: str, at_ms: int) -> PublicPlan | None:
        """Cancel a plan; None where there is none with that id."""
        async with self._reach.connection() as connection:
            return await desk.cancel_plan(connection, plan_id, by, at_ms)

    async def audit(
        self, event: str, *, at_ms: int, subject: str | None, address: str | None, detail: str
    ) -> None:
        """Keep a line of who asked for what (grid.people.Audit)."""
        async with self._reach.connection() as connection:
            await desk.add_audit(connection, AuditLine(at_ms, event, subject, address, detail))

    async def audit_lines(self, limit: int = 100) -> tuple[AuditLine, ...]:
        """The newest lines of the audit log, newest first."""
        async with self._reach.connection() as connection:
            return await desk.audit_lines(connection, limit)

    # -- the quarantine and old things -------------------------------------------------------------

    async def quarantine_list(
        self, limit: int = 100, before: int | None = None
    ) -> tuple[QuarantineLine, ...]:
        """Payloads that could not be read, newest first; below a number, to page on."""
        async with self._reach.connection() as connection:
            return await quarantine.listed(connection, before=before, limit=limit)

    async def quarantine_show(self, no: int) -> QuarantinedPayload | None:
        """One payload with its bytes; None where there is none with that number."""
        async with self._reach.connection() as connection:
            return await quarantine.shown(connection, no)

    async def quarantine_take_for_replay(
        self, numbers: Sequence[int] | None, at_ms: int, limit: int = 1000
    ) -> tuple[QuarantinedPayload, ...]:
        """Whole payloads by number, or the oldest not replayed yet; marked as replayed."""
        async with self._reach.connection() as connection:
            return await quarantine.taken(connection, numbers, at_ms=at_ms, limit=limit)

    async def let_go(self, now_ms: int) -> LetGo:
        """Forget what is older than the settings keep, the quarantine included."""
        async with self._reach.within(self._settings.let_go_s) as connection:
            return await upkeep.let_go(connection, self._settings, now_ms)
