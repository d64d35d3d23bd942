"""What a reader of Faust's documentation writes: a record a reading, a Table of counters.

``faust -A bench.naive_faust worker``; it writes how long it took, from its first record to its
last, into the file NAIVE_OUT, and where its readings come from is NAIVE_BROKER.
"""

import os
import time
from pathlib import Path

import faust

READINGS = int(os.environ.get("NAIVE_READINGS", "10000"))
app = faust.App(
    "naive",
    broker=f"kafka://{os.environ.get('NAIVE_BROKER', '127.0.0.1:9092')}",
    datadir=os.environ.get("NAIVE_DATA", "naive-data"),
    store="memory://",
    topic_partitions=1,
    web_enabled=False,
)


class Reading(faust.Record, serializer="json"):
    """One reading."""

    meter: str
    transformer: str
    at: int
    kind: str
    volts: float


topic = app.topic("naive-readings", value_type=Reading, partitions=1)
dark = app.Table("naive-dark", default=int, partitions=1)
seen = {"count": 0, "began": 0.0}


def finished(took_s: float) -> None:
    """Tell the benchmark."""
    Path(os.environ["NAIVE_OUT"]).write_text(str(took_s))


@app.agent(topic)
async def count(readings: faust.Stream[Reading]) -> None:
    """Count by transformer."""
    async for reading in readings:
        if not seen["count"]:
            seen["began"] = time.perf_counter()
        dark[reading.transformer] += 1
        seen["count"] += 1
        if seen["count"] == READINGS:
            took_s = time.perf_counter() - seen["began"]
            finished(took_s)
