"""What the store's own tests need: a store on PostgreSQL and a go-between that can be cut."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from grid.build import build
from grid.drawing import draw_graph
from grid.graph import Graph
from grid.network import Network
from store.sealing import Keys


@pytest.fixture
def keys() -> Keys:
    return Keys(phone=b"p" * 32, index=b"i" * 32)


@pytest.fixture
def drawn() -> tuple[Graph, Network]:
    """A substation with one meter."""
    graph = draw_graph("source S1\n  breaker B1\n    transformer T1\n      meter M1")
    network = build(graph).network
    assert network is not None
    return graph, network


@dataclass
class GoBetween:
    """Carries bytes between clients and a database; can lose an answer, stop, or go away."""

    url: str
    target: str
    lose_answer_to: bytes | None = None
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    lost: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection."""
        up_reader, up_writer = await asyncio.open_unix_connection(self.target)
        doomed = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._carry(reader, up_writer, doomed, up=True))
            tasks.create_task(self._carry(up_reader, writer, doomed, up=False))

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        doomed: asyncio.Event,
        *,
        up: bool,
    ) -> None:
        try:
            while part := await reader.read(65536):
                await self.flowing.wait()
                if up and self.lose_answer_to is not None and self.lose_answer_to in part:
                    doomed.set()  # the database gets this, and whoever asked never hears of it
                    self.lose_answer_to = None
                elif doomed.is_set() and not up:
                    self.lost += 1
                    return
                writer.write(part)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.fixture
async def go_between(postgres_url: str, tmp_path: Path) -> AsyncIterator[GoBetween]:
    """A go-between to a new database."""
    found = psycopg.conninfo.conninfo_to_dict(postgres_url)
    carrier = GoBetween(
        psycopg.conninfo.make_conninfo(postgres_url, host=str(tmp_path), port=5432),
        f"{found['host']}/.s.PGSQL.{found.get('port') or 5432}",
    )
    carrier.flowing.set()
    server = await asyncio.start_unix_server(carrier.serve, tmp_path / ".s.PGSQL.5432")
    async with server:
        yield carrier
        carrier.flowing.set()


@pytest.fixture
def count(postgres_url: str) -> Callable[[str], int]:
    """How many rows a table has."""

    def ask(table: str) -> int:
        with psycopg.connect(postgres_url) as connection:
            row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            assert row is not None
            return int(row[0])

    return ask
