"""What so many meters need: partitions, workers, disk; reckoned from what a reading costs.

``python -m bench sizing`` measures what can be measured in a moment (a recorded frame), takes the
rest from the constants below, which say where they are from, and prints the table of
docs/operations.md (``rows``, and as the page has it ``table``).  Whoever has other figures from
``python -m bench cluster`` puts them in the place of ``WORKER_S``.
"""

import math
from dataclasses import dataclass

import numpy as np

from bench.store import readings
from grid.frame import Frame, to_bytes

WORKER_S = 12_400
"""Readings a second of one worker, six a record: ``single`` of ``bench cluster`` (12,448), on two
cores that broker, database and worker share.
"""
ROW_BYTES = 122
"""A row of ``readings`` and its index entry, with a voltage and a power (a million of them)."""
COMPRESSED_BYTES = 28  # the same in a compressed chunk of TimescaleDB Community
RECORD_BYTES = 89 + 140 / 6  # in Kafka: the row, and its part of the record's and batch's head
PERIOD_S = 900  # a meter reports every quarter of an hour
GROUP = 10_000  # meters of a feeder group
RESERVE = 5  # an hour of downtime, taken in within a quarter of an hour
KEPT_DAYS, PLAIN_DAYS, KAFKA_DAYS = 90, 7, 3
FRAME_ROWS = 110  # ten seconds of a feeder group
TERA, GIGA = 1e12, 1e9
SIZES = {"1 M": 1_000_000, "5 M": 5_000_000, "40 M": 40_000_000}


@dataclass(frozen=True)
class Need:
    """What so many meters need."""

    meters: str
    groups: int
    readings_s: int
    reserved_s: int
    workers: int
    partitions: int
    day_gb: float
    compressed_day_gb: float
    kafka_gb: float
    kept_tb: float
    plain_tb: float


def run() -> dict[str, object]:
    """The costs, and a row for each size."""
    needs = [need(name, count) for name, count in SIZES.items()]
    return {
        "recorded_bytes": recorded_bytes(),
        "worker_s": WORKER_S,
        "rows": [vars(one) for one in needs],
        "table": table(needs),
    }


def recorded_bytes() -> int:
    """A reading's part of a recorded frame: voltages and powers that vary, as meters' do."""
    rows = readings(FRAME_ROWS, 1_793_491_200_000, boot=3)
    dice = np.random.default_rng(1)
    rows["volts"] = np.nan
    rows["volts"][:, 0] = dice.normal(229.0, 2.0, FRAME_ROWS).round(1)
    rows["power_kw"] = dice.gamma(1.0, 1.0, FRAME_ROWS).round(3)
    rows["node"] = dice.permutation(GROUP)[:FRAME_ROWS]
    rows["boot"] = dice.integers(1, 1 << 32, FRAME_ROWS)
    rows["seq"] = dice.integers(0, 5_000, FRAME_ROWS)
    rows["happened_ms"] -= dice.integers(0, 10_000, FRAME_ROWS)
    rows["received_ms"] = rows["happened_ms"] + dice.integers(50, 500, FRAME_ROWS)
    return round(len(to_bytes(Frame(0, 1, "v", 1_793_491_210_000, rows, ()))) / FRAME_ROWS)


def need(name: str, meters: int) -> Need:
    """What so many meters need; the arithmetic of the page."""
    recorded = recorded_bytes()
    rate = meters / PERIOD_S
    a_day = meters * 86_400 / PERIOD_S
    workers = math.ceil(RESERVE * rate / WORKER_S) + 1
    groups = meters // GROUP
    compressed_days = KEPT_DAYS - PLAIN_DAYS
    kept = PLAIN_DAYS * ROW_BYTES + compressed_days * COMPRESSED_BYTES + KEPT_DAYS * recorded
    return Need(
        meters=name,
        groups=groups,
        readings_s=round(rate),
        reserved_s=round(RESERVE * rate),
        workers=workers,
        partitions=min(groups, 12 * math.ceil(3 * workers / 12)),
        day_gb=a_day * (ROW_BYTES + recorded) / GIGA,
        compressed_day_gb=a_day * (COMPRESSED_BYTES + recorded) / GIGA,
        kafka_gb=KAFKA_DAYS * a_day * RECORD_BYTES / GIGA,
        kept_tb=a_day * kept / TERA,
        plain_tb=a_day * KEPT_DAYS * (ROW_BYTES + recorded) / TERA,
    )


def table(needs: list[Need]) -> str:
    """The rows as docs/operations.md has them."""
    return "\n".join(
        f"| {n.meters} | {n.groups:,} | {n.readings_s:,} | {n.reserved_s:,} "
        f"| {n.workers - 1} + 1 | {n.partitions} "
        f"| {_size(n.day_gb)} | {_size(n.compressed_day_gb)} "
        f"| {_size(n.kafka_gb)} | {_size(n.kept_tb * 1000)} | {_size(n.plain_tb * 1000)} |"
        for n in needs
    )


def _size(gigabytes: float) -> str:
    return f"{gigabytes / 1000:.2f} TB" if gigabytes >= 1000 else f"{gigabytes:.1f} GB"
