"""Times on the wire: RFC 3339 UTC text and epoch milliseconds.  Reads no clock."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MS = timedelta(milliseconds=1)


def to_rfc3339(ms: int) -> str:
    """``2026-11-21T03:04:05.678Z`` of epoch milliseconds."""
    text = (EPOCH + ms * MS).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def maybe_rfc3339(ms: int | None) -> str | None:
    """As ``to_rfc3339``, and None stays None."""
    return None if ms is None else to_rfc3339(ms)


def from_rfc3339(text: str) -> int:
    """Epoch milliseconds of an RFC 3339 time.

    Raises:
        ValueError: Not a time, or one without a zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; end it with Z or an offset")
    return (moment - EPOCH) // MS
