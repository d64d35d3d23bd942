"""The specification of the binary COPY stream that is made of a frame's rows."""

import struct
from collections.abc import Iterator

import numpy as np

from grid.frame import READING, Rows
from store.copying import EVENT_COLUMNS, READING_COLUMNS, copy_statement, copy_stream, events_of


def rows(count: int) -> Rows:
    """Rows that say nothing but when."""
    made = np.zeros(count, READING)
    for name in ("dcu", "on", "commanded", "seq"):
        made[name] = -1
    for name in ("volts", "amps", "power_kw"):
        made[name] = np.nan
    made["received_ms"] = made["happened_ms"] = 946_684_800_000 + np.arange(count)
    return made


def stream(made: Rows, columns: tuple[tuple[str, str], ...] = READING_COLUMNS) -> bytes:
    numbers = np.arange(1, len(made) + 1, dtype=np.int32)
    return b"".join(copy_stream(made, numbers, np.zeros(len(made), np.int32), columns))


def tuples(body: bytes) -> Iterator[list[bytes | None]]:
    """What PostgreSQL reads in a stream (manual, COPY, "Binary Format")."""
    assert body[:11] == b"PGCOPY\n\xff\r\n\0"
    at = 19
    while (count := struct.unpack_from(">h", body, at)[0]) != -1:
        at += 2
        fields: list[bytes | None] = []
        for _ in range(count):
            (length,) = struct.unpack_from(">i", body, at)
            at += 4
            fields.append(None if length < 0 else body[at : at + length])
            at += max(0, length)
        yield fields
    assert at + 2 == len(body)


def named(body: bytes) -> list[dict[str, bytes | None]]:
    names = [name for name, _ in READING_COLUMNS]
    return [dict(zip(names, fields, strict=True)) for fields in tuples(body)]


def test_a_field_that_the_device_did_not_say_has_no_bytes() -> None:
    [said] = named(stream(rows(1)))
    assert {name for name, value in said.items() if value is not None} == {
        "received_at", "happened_at", "device_no", "kind", "quality",
    }  # fmt: skip


def test_values_are_big_endian_and_times_are_microseconds_since_2000() -> None:
    made = rows(1)
    made["happened_ms"] += 5
    made["volts"] = (220.5, np.nan, 0)
    made["boot"], made["seq"], made["phases"] = 2**32 - 1, 0, 5
    [said] = named(stream(made))
    assert said["happened_at"] == struct.pack(">q", 5000)
    assert said["volts_a"] == struct.pack(">f", 220.5)
    assert said["volts_b"] is None
    assert said["volts_c"] == struct.pack(">f", 0)
    assert said["boot"] == struct.pack(">q", 2**32 - 1)
    assert said["seq"] == struct.pack(">q", 0)
    assert said["phases"] == struct.pack(">h", 5)


def test_rows_that_lack_different_fields_are_all_there() -> None:
    made = rows(1000)
    made["on"] = np.arange(1000) % 3 - 1
    made["power_kw"][::7] = 1.5
    said = named(stream(made))
    by_number = {struct.unpack(">i", line["device_no"] or b"")[0] - 1: line for line in said}
    assert sorted(by_number) == list(range(1000))
    for place, line in by_number.items():
        on = (None, b"\0", b"\1")[place % 3]
        assert line["energised"] == on
        assert (line["power_kw"] is None) == (place % 7 != 0)


def test_no_rows_are_an_empty_stream() -> None:
    assert list(tuples(stream(rows(0)))) == []


def test_events_have_fewer_fields() -> None:
    [fields] = tuples(stream(rows(1), EVENT_COLUMNS))
    assert len(fields) == len(EVENT_COLUMNS)
    assert copy_statement("device_events", EVENT_COLUMNS).startswith(
        b"COPY device_events (received_at, happened_at, "
    )


def test_heartbeats_voltages_and_ping_replies_are_no_events() -> None:
    made = rows(16)
    made["kind"] = np.arange(16)
    assert np.flatnonzero(~events_of(made)).tolist() == [2, 3, 4]
