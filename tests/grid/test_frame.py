"""The specification of a recorded frame: what is read is what was written, now and of old."""

import zlib

import msgspec
import numpy as np
import pytest

from grid.frame import NO_ROWS, READING, Frame, PingSent, Rows, from_bytes, to_bytes


def some(count: int) -> Rows:
    """Rows that differ in every column, with NaN where nothing was measured."""
    raw = np.random.default_rng(count).integers(0, 256, count * READING.itemsize, np.uint8)
    return raw.view(READING)


@pytest.mark.parametrize("rows", [NO_ROWS, some(1), some(1000), some(1000)[::3]])
def test_a_frame_is_read_as_it_was_written(rows: Rows) -> None:
    frame = Frame(3, 7, "v1", 1_795_230_000_000, rows, (PingSent(1, "M1"),))
    again = from_bytes(to_bytes(frame))
    assert (again.rows.dtype, again.rows.tobytes()) == (READING, rows.tobytes())
    assert (again.group, again.position, again.network) == (3, 7, "v1")
    assert (again.until_ms, again.commands) == (frame.until_ms, frame.commands)


def test_a_frame_that_was_recorded_row_by_row_is_read_as_well() -> None:
    rows = some(10)
    old = msgspec.msgpack.encode((3, 7, "v1", 5, zlib.compress(rows.tobytes(), 1), ()))
    assert from_bytes(old).rows.tobytes() == rows.tobytes()
