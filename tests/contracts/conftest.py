"""What every database must do is asked of both: plain PostgreSQL and TimescaleDB."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import psycopg
import pytest

from grid.build import build
from grid.drawing import draw_graph
from grid.frame import READING, Command, Frame, Rows
from grid.graph import Graph
from grid.network import Network
from grid.outage import Change, Etr, Finding, Outage, OutageKind, Outcome, State, Step
from grid.parcel import Applied, Quarantined
from grid.reading import Kind
from grid.times import from_rfc3339
from store.postgres import Store, open_store
from store.sealing import Keys
from store.settings import StoreSettings

KEYS = Keys(phone=b"p" * 32, index=b"i" * 32)
DRAWING = """
source S1
  breaker B1 telemetered
    transformer T1 district=East
      meter M1 dcu=D1
      meter M2 dcu=D1
    transformer T2 district=West
      meter M3
      meter M4
source S2
  breaker B2
    transformer T3 district=West
      meter M5
"""


EMPTY = """
DO $$
DECLARE
    found text;
BEGIN
    IF to_regclass('audit') IS NOT NULL THEN
        ALTER TABLE audit DISABLE TRIGGER USER;
    END IF;
    FOR found IN
        SELECT c.oid::regclass::text FROM pg_class c
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
          AND NOT relispartition
          AND relname NOT IN ('schema_version', 'reading_kinds', 'feed_epoch')
        ORDER BY relname IN ('network_graphs', 'devices')  -- others refer to them
    LOOP
        EXECUTE 'DELETE FROM ' || found;
    END LOOP;
    IF to_regclass('audit') IS NOT NULL THEN
        ALTER TABLE audit ENABLE TRIGGER USER;
    END IF;
END $$
"""


def at(clock: str) -> int:
    """Epoch milliseconds of a time of the day that all these tests play on."""
    return from_rfc3339(f"2026-11-21T{clock}Z")


@pytest.fixture(name="at")
def _at() -> Callable[[str], int]:
    return at


@pytest.fixture(params=["postgres", "timescale"], scope="session")
def empty_database(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Make new databases of each kind, which go with their server."""
    server = request.getfixturevalue(request.param)

    def make() -> str:
        url: str = server.fresh("template0")  # TimescaleDB's workers visit template1 now and then
        if request.param == "timescale":
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE EXTENSION timescaledb")
        return url

    return make


@pytest.fixture(scope="session")
def shared_url(empty_database: Callable[[], str]) -> str:
    """A database that the tests share one after the other: a new one takes a second."""
    return empty_database()


@pytest.fixture
def empty() -> str:
    """The statement that empties a database of ours."""
    return EMPTY


@pytest.fixture
def database_url(shared_url: str) -> str:
    """The shared database, emptied; with so little in it TRUNCATE would take longer."""
    with psycopg.connect(shared_url, autocommit=True) as connection:
        connection.execute(EMPTY)
    return shared_url


OpenStore = Callable[[], AbstractAsyncContextManager[Store]]


@pytest.fixture
def opened(database_url: str) -> OpenStore:
    """Open the store in the test's database, as often as wanted."""
    return lambda: open_store(database_url, KEYS, StoreSettings(retry_s=0.01))


@pytest.fixture
async def store(opened: OpenStore) -> AsyncIterator[Store]:
    """The store in an empty database."""
    async with opened() as store:
        yield store


@pytest.fixture
def ask(database_url: str) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """What a person at psql sees: ``ask("SELECT ...")``."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield lambda sql, *args: connection.execute(sql, args or None).fetchall()


@dataclass
class House:
    """A drawn network and what its engines say, in few words."""

    graph: Graph
    network: Network
    positions: dict[int, int]

    @classmethod
    def drawn(cls, text: str) -> "House":
        """The house of a drawing; its customers have names and telephones."""
        graph = draw_graph(text)
        customers = tuple(
            msgspec.structs.replace(c, name=f"Wang {c.customer_id}", phone=f"1000013800{i}")
            for i, c in enumerate(graph.customers)
        )
        graph = msgspec.structs.replace(graph, customers=customers)
        network = build(graph).network
        assert network is not None
        return cls(graph, network, {})

    async def move_in(self, store: Store) -> None:
        """Save the network."""
        await store.save_network(self.graph, self.network, at("00:00:00"), "drawing")

    def reading(self, device_id: str, kind: Kind, clock: str, **values: Any) -> Rows:
        """One row."""
        place = self.network.places[device_id]
        row = np.zeros(1, READING)
        for name in ("dcu", "on", "commanded", "seq"):
            row[name] = -1
        for name in ("volts", "amps", "power_kw"):
            row[name] = np.nan
        row["group"], row["node"], row["kind"] = place.group, place.node, kind
        for name in ("happened_ms", "received_ms", "stream_ms"):
            row[name] = at(clock)
        for name, value in values.items():
            row[name] = value
        return row

    def applied(
        self,
        until: str,
        *rows: Rows,
        group: int = 0,
        commands: tuple[Command, ...] = (),
        changes: tuple[Change, ...] = (),
        findings: tuple[Finding, ...] = (),
        snapshot: bytes | None = None,
    ) -> Applied:
        """The next frame of a group, and what the engine said to it."""
        position = self.positions[group] = self.positions.get(group, 0) + 1
        frame = Frame(
            group,
            position,
            self.network.version,
            at(until),
            np.concatenate(rows) if rows else np.zeros(0, READING),
            commands,
        )
        return Applied(frame, Outcome(changes=changes, findings=findings), snapshot)


@pytest.fixture
def house() -> House:
    """Two substations: S1 with T1 (M1, M2) and T2 (M3, M4) behind B1; S2 with M5."""
    return House.drawn(DRAWING)


@pytest.fixture
def step() -> Callable[..., Step]:
    """``step("12:00:00", None, "C-M1")``: out since noon."""
    return lambda off, on, *customers, inferred=False: Step(
        at(off), at(on) if on else None, customers, inferred
    )


@pytest.fixture
def change() -> Callable[..., Change]:
    """``change("12:00:01", "S1-1", 1, "predicted", steps...)``; names those in its steps."""

    def make(
        clock: str,
        outage_id: str,
        version: int,
        state: str,
        *steps: Step,
        customers: tuple[str, ...] | None = None,
        districts: tuple[str, ...] = ("East",),
        etr: Etr | None = None,
        device_id: str = "T1",
        reason: str = "2 gasps",
    ) -> Change:
        everyone = tuple(c for s in steps for c in s.customers)
        out = sum(len(s.customers) for s in steps if s.on_ms is None)
        restored = max((s.on_ms or 0 for s in steps), default=0) if steps and not out else None
        outage = Outage(
            id=outage_id, version=version, group=0, state=State(state), kind=OutageKind.FAULT,
            cause=None, device_id=device_id, device_kind="transformer", feeder_id="B1",
            districts=districts, phases="ABC", probability=0.97,
            started_ms=steps[0].off_ms if steps else at(clock), detected_ms=at("12:00:01"),
            confirmed_ms=None, restored_ms=restored, customers_affected=len(everyone),
            customers_out=out, etr=etr, evidence=("2 of 2 meters gasped",), parent_id=None,
            steps=steps,
        )  # fmt: skip
        named = everyone if customers is None else customers
        return Change(at(clock), outage, reason, named)

    return make


@pytest.fixture
def finding() -> Callable[..., Finding]:
    """``finding("12:00:00", "S1-c1", "comms_loss", "D1")``."""
    return lambda clock, finding_id, kind, device_id, until=None, district="East": Finding(
        finding_id, at(clock), 0, kind, device_id, district, at(clock),
        at(until) if until else None, "3 of 3 meters are silent and one answered",
    )  # fmt: skip


@pytest.fixture
def quarantined() -> Callable[..., Quarantined]:
    """``quarantined("12:00:00", b"{")``."""
    return lambda clock, body, topic="lastgasp/v1/meter/M1/event": Quarantined(
        at(clock), "mqtt", topic, "not JSON: unexpected end", body[:65536], len(body), "ab" * 32
    )


@pytest.fixture
def dark(house: Any, change: Any, step: Any, at: Callable[[str], int]) -> Callable[..., Any]:
    """``dark("12:00:10", "confirmed")``: T1's customers have been out since noon."""
    versions: dict[str, int] = {}

    def make(
        clock: str, state: str, back: str | None = None, *, inferred: bool = False, **more: Any
    ) -> Any:
        outage_id = more.pop("outage_id", "S1-1")
        versions[outage_id] = versions.get(outage_id, 0) + 1
        steps = (step("12:00:00", back, "C-M1", "C-M2", inferred=inferred),)
        steps = () if more.pop("gone", False) else steps
        named = ("C-M1", "C-M2")
        said = change(clock, outage_id, versions[outage_id], state, *steps, customers=named, **more)
        return house.applied(clock, changes=(said,))

    return make
