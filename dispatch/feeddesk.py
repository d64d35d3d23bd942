"""What the API may ask of the feeds; ``notify`` answers, through ``service/feeddesk.py``."""

from collections.abc import AsyncGenerator
from typing import Protocol

import msgspec

from grid.people import Principal


class Position(msgspec.Struct, frozen=True):
    """How far somebody has come in a channel."""

    epoch: str
    offset: int


class Page(Protocol):
    """What a channel told: ``pubs`` (JSON each) up to ``offset``, or a ``snapshot`` of it."""

    @property
    def channel(self) -> str:
        """Its real name."""

    @property
    def epoch(self) -> str:
        """Offsets are comparable within it."""

    @property
    def offset(self) -> int:
        """Where its reader is then."""

    @property
    def top(self) -> int:
        """The newest offset."""

    @property
    def snapshot(self) -> bytes | None:
        """JSON; None where the page goes on without a gap."""

    @property
    def pubs(self) -> tuple[bytes, ...]:
        """Messages, oldest first."""


class FeedDesk(Protocol):
    """The feed log over HTTP.  Every read may raise ``Unreachable``."""

    @property
    def full(self) -> bool:
        """Whether no more may follow."""

    def channel(self, who: Principal, asked: str) -> str | None:
        """The real name of a channel that the bearer may have; None if they may not."""

    def allowed(self, who: Principal) -> bool:
        """Whether the bearer's rights still stand."""

    async def page(self, channel: str, since: Position | None) -> Page:
        """What came after, or a snapshot."""

    def follow(self, channel: str, since: Position | None) -> AsyncGenerator[Page]:
        """Page after page; an empty one now and then."""
