"""Into the hypertable: our binary COPY against psql's of the same rows, ready-made in a file.

Ours encodes the rows on the way; both are one transaction into TimescaleDB's ``readings``, which is
emptied in between.
"""

import asyncio
import os
import subprocess
import tempfile
import time
import uuid
from contextlib import closing
from pathlib import Path

import numpy as np
import psycopg

from bench.measure import alternate
from bench.ports import free_port
from grid.frame import READING, Rows
from grid.reading import Kind
from service.clock import now_ms
from store.copying import READING_COLUMNS, copy_statement, copy_stream
from store.schema import bring_up

ROWS = 400_000
CHUNK = 20_000  # as a transaction's worth
RUNS = 5
SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "timescale.sh"
COPY = copy_statement("readings", READING_COLUMNS)


def run() -> dict[str, object]:
    """Ratio of medians over alternating runs."""
    name, port = f"b-{uuid.uuid4().hex[:12]}", free_port()
    subprocess.run([SCRIPT, "start", name, str(port)], check=True, timeout=90)
    try:
        with tempfile.TemporaryDirectory(prefix="lastgasp-store-") as folder:
            return _compare(f"postgresql://postgres@127.0.0.1:{port}/postgres", Path(folder))
    finally:
        subprocess.run([SCRIPT, "stop", name], check=True, timeout=90)


def _compare(url: str, folder: Path) -> dict[str, object]:
    asyncio.run(_bring_up(url))
    rows = readings(ROWS, now_ms())
    numbers = 1 + (rows["node"] % 20_000).astype("<i4")
    none = np.zeros(len(rows), "<i4")
    file = folder / "rows.bin"
    file.write_bytes(b"".join(copy_stream(rows, numbers, none, READING_COLUMNS)))
    file.chmod(0o644)
    folder.chmod(0o755)
    with closing(psycopg.connect(url, autocommit=True)) as connection:

        def emptied() -> None:
            connection.execute("TRUNCATE readings")
            connection.execute("CHECKPOINT")

        def ours() -> float:
            emptied()
            began = time.perf_counter()
            with connection.transaction(), connection.cursor().copy(COPY) as copy:
                for part in copy_stream(rows, numbers, none, READING_COLUMNS):
                    copy.write(part)
            return ROWS / (time.perf_counter() - began)

        def psql_copy() -> float:
            emptied()
            names = ", ".join(name for name, _ in READING_COLUMNS)
            command = f"\\copy readings ({names}) from '{file}' with (format binary)"
            began = time.perf_counter()
            subprocess.run(["psql", url, "-q", "-c", command], check=True, timeout=120)
            return ROWS / (time.perf_counter() - began)

        return {"rows": ROWS, **alternate(ours, {"of_psql_copy": psql_copy}, runs=RUNS)}


async def _bring_up(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        await connection.commit()
        await bring_up(connection)


def readings(count: int, at_ms: int, *, boot: int = 7, group: int = 0, nodes: int = 20_000) -> Rows:
    """Voltages of meters, one after the other, each with its number."""
    rows = np.zeros(count, READING)
    places = np.arange(count)
    rows["group"], rows["node"] = group, places % nodes
    rows["dcu"], rows["kind"], rows["on"], rows["commanded"] = -1, int(Kind.HEARTBEAT), 1, -1
    rows["boot"], rows["seq"] = boot, places
    rows["happened_ms"] = rows["received_ms"] = rows["stream_ms"] = at_ms + places // 1_000
    rows["volts"] = np.float32(os.getpid() % 7) * 0.1 + 229.5
    rows["amps"], rows["power_kw"] = np.nan, 1.25
    return rows
