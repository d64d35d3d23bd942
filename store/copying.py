"""Rows of a frame as PostgreSQL's binary COPY stream, made column by column.

A tuple of the stream is a field count (int16) and, for each field, its length (int32; -1 for NULL,
and then no bytes) and its value, all big-endian (PostgreSQL manual, COPY, "Binary Format").  So
rows that lack the same fields have the same width: they are one numpy array with the counts and
lengths filled in beforehand.  A batch has a handful of such patterns (heartbeats with voltages,
bare gasps, breakers ...); each is written in one piece.  What a device did not say is NULL, which
costs the table nothing.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from grid.frame import Rows
from grid.reading import Kind

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
EPOCH_MS = 946_684_800_000  # PostgreSQL counts microseconds from 2000-01-01
EARLIEST_MS = -62_135_596_800_000  # 0001-01-01, the first time that Python can say
LATEST_MS = 253_402_214_400_000  # 9999-12-31

NOT_EVENTS = (Kind.HEARTBEAT, Kind.VOLTAGE, Kind.PING_REPLY)

Column = tuple[str, str]
EVENT_COLUMNS: tuple[Column, ...] = (
    ("received_at", ">i8"),
    ("happened_at", ">i8"),
    ("device_no", ">i4"),
    ("kind", ">i2"),
    ("quality", ">i2"),
    ("phases", ">i2"),
    ("energised", "u1"),
    ("commanded", "u1"),
    ("via_no", ">i4"),
    ("boot", ">i8"),
    ("seq", ">i8"),
    ("off_at", ">i8"),
)
READING_COLUMNS: tuple[Column, ...] = (
    *EVENT_COLUMNS,
    ("volts_a", ">f4"),
    ("volts_b", ">f4"),
    ("volts_c", ">f4"),
    ("amps_a", ">f4"),
    ("amps_b", ">f4"),
    ("amps_c", ">f4"),
    ("power_kw", ">f4"),
)

_Columns = dict[str, NDArray[np.generic]]


def copy_statement(table: str, columns: tuple[Column, ...]) -> bytes:
    """The COPY that reads what ``copy_stream`` writes."""
    names = ", ".join(name for name, _ in columns)
    return f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)".encode()


def events_of(rows: Rows) -> NDArray[np.bool_]:
    """Which rows are device events and not measurements."""
    return ~np.isin(rows["kind"], NOT_EVENTS)


def copy_stream(
    rows: Rows,
    device_nos: NDArray[np.int32],
    via_nos: NDArray[np.int32],
    columns: tuple[Column, ...],
) -> Iterator[bytes]:
    """The stream of some rows.  ``device_nos`` and ``via_nos`` by row; 0 is no concentrator."""
    said, values = _said(rows, device_nos, via_nos)
    names = [name for name, _ in columns]
    present = np.ones((len(rows), len(names)), bool)
    for place, name in enumerate(names):
        if name in said:
            present[:, place] = said[name]
    masks = present @ (1 << np.arange(len(names)))
    yield HEADER
    patterns = np.unique(masks)
    for mask in patterns.tolist():
        chosen = slice(None) if len(patterns) == 1 else masks == mask
        layout, template = _layout(mask, columns)
        piece = np.empty(len(rows[chosen]), layout)
        piece[:] = template
        for name in names:
            if layout.fields and name in layout.fields:
                piece[name] = values[name][chosen]
        yield piece.tobytes()
    yield TRAILER


@lru_cache(maxsize=1024)
def _layout(mask: int, columns: tuple[Column, ...]) -> tuple[np.dtype[np.void], Rows]:
    """The tuple that has exactly the fields of ``mask``, and one such with count and lengths filled
    in.
    """
    parts: list[tuple[str, str]] = [("#", ">i2")]
    for place, (name, kind) in enumerate(columns):
        parts.append((f"#{name}", ">i4"))
        if mask >> place & 1:
            parts.append((name, kind))
    layout = np.dtype(parts)
    template = np.zeros((), layout)
    template["#"] = len(columns)
    for place, (name, kind) in enumerate(columns):
        template[f"#{name}"] = np.dtype(kind).itemsize if mask >> place & 1 else -1
    return layout, template


def _said(
    rows: Rows, device_nos: NDArray[np.int32], via_nos: NDArray[np.int32]
) -> tuple[dict[str, NDArray[np.bool_]], _Columns]:
    """Where a column that may be NULL is not, and the values of all columns."""
    values: _Columns = {
        "received_at": _timestamp(rows["received_ms"]),
        "happened_at": _timestamp(rows["happened_ms"]),
        "device_no": device_nos,
        "kind": rows["kind"],
        "quality": rows["quality"],
        "phases": rows["phases"],
        "energised": rows["on"],
        "commanded": rows["commanded"],
        "via_no": via_nos,
        "boot": rows["boot"],
        "seq": rows["seq"],
        "off_at": _timestamp(rows["off_at_ms"]),
        "power_kw": rows["power_kw"],
    }
    said = {
        "phases": rows["phases"] > 0,
        "energised": rows["on"] >= 0,
        "commanded": rows["commanded"] >= 0,
        "via_no": via_nos > 0,
        "boot": rows["boot"] > 0,
        "seq": rows["seq"] >= 0,
        "off_at": rows["off_at_ms"] != 0,
        "power_kw": ~np.isnan(rows["power_kw"]),
    }
    for place, phase in enumerate("abc"):
        for name in ("volts", "amps"):
            column = rows[name][:, place]
            values[f"{name}_{phase}"] = column
            said[f"{name}_{phase}"] = ~np.isnan(column)
    return said, values


def _timestamp(ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Microseconds of PostgreSQL's epoch.  A device may say any time; what no calendar has is its
    nearest end.
    """
    return (np.clip(ms, EARLIEST_MS, LATEST_MS) - EPOCH_MS) * 1000
