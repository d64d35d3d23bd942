"""The feed log, as the feeds need it: ``store.postgres.Store`` is one.

A channel is ``dispatch``, ``dispatch:<district>`` or ``customer:<id>``.  Its rows have contiguous
offsets from 1, given in the transaction of the change itself.  The epoch changes when history was
lost (a restored backup): offsets of another epoch mean nothing.  A channel nobody ever wrote to is
at offset 0.  What must hold is in tests/contracts/test_feed_log.py.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol


class FeedRow(Protocol):
    """One committed message of a channel."""

    @property
    def offset(self) -> int:
        """Its place in the channel, from 1, without holes."""

    @property
    def at_ms(self) -> int:
        """When it happened, stream time."""

    @property
    def type(self) -> str:
        """``change``, ``finding`` or ``status``."""

    @property
    def body(self) -> bytes:
        """JSON of a PublicChange, PublicFinding or CustomerStatus."""


class FeedLog(Protocol):
    """Read access to what was committed.  Every method may raise ``Unreachable``."""

    async def feed_position(self, channel: str) -> tuple[str, int]:
        """The epoch, and the channel's last offset (0 where it has none)."""

    async def feed_positions(self, channels: Sequence[str]) -> tuple[str, Mapping[str, int]]:
        """As ``feed_position``, of many channels in one round trip."""

    async def feed_read(self, channel: str, after: int, limit: int) -> Sequence[FeedRow]:
        """At most ``limit`` rows with offsets above ``after``, ascending; trimmed ones are gone."""

    async def feed_read_many(
        self, after: Mapping[str, int], limit: int
    ) -> Mapping[str, Sequence[FeedRow]]:
        """As ``feed_read``, for many channels in one round trip; those without news are absent."""

    async def feed_snapshot(self, channel: str) -> tuple[str, int, bytes]:
        """Epoch, offset, and the JSON of the channel's state at exactly that offset."""

    def feed_news(self) -> AsyncGenerator[frozenset[str] | None]:
        """The channels that were committed to, by whatever process, as it happens.

        None: it may have been any.  It comes first, when listening has begun, for nobody listened
        to what was before.
        """


def follows(rows: Sequence[FeedRow], after: int) -> bool:
    """Whether rows go on where one was, without a hole."""
    for row in rows:
        after += 1
        if row.offset != after:
            return False
    return bool(rows)
