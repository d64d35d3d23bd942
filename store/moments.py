"""Epoch milliseconds and the aware datetimes that psycopg speaks."""

from datetime import datetime

from grid.times import EPOCH, MS


def moment(ms: int) -> datetime:
    """The datetime of epoch milliseconds."""
    return EPOCH + ms * MS


def maybe_moment(ms: int | None) -> datetime | None:
    """As ``moment``, and None stays None."""
    return None if ms is None else moment(ms)


def moment_ms(at: datetime) -> int:
    """Epoch milliseconds of a datetime."""
    return (at - EPOCH) // MS


def maybe_moment_ms(at: datetime | None) -> int | None:
    """As ``moment_ms``, and None stays None."""
    return None if at is None else moment_ms(at)
