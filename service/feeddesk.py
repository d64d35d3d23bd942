"""The feeds over HTTP: the API's questions, answered from the log that the websockets tell from."""

from collections.abc import AsyncGenerator, Callable

from dispatch.feeddesk import Position
from grid.people import Principal
from notify.messages import Since
from notify.pages import Page, Pages
from notify.protocol import channel_for


def _everybody(_who: Principal) -> bool:
    """Nobody's rights were withdrawn."""
    return True


class ServiceFeedDesk:
    """The ``dispatch.feeddesk.FeedDesk`` of one running service."""

    def __init__(self, pages: Pages, allowed: Callable[[Principal], bool] = _everybody) -> None:
        self._pages = pages
        self._allowed = allowed

    @property
    def full(self) -> bool:
        """Whether no more may follow."""
        return self._pages.full

    def channel(self, who: Principal, asked: str) -> str | None:
        """The real name of a channel that the bearer may have."""
        return channel_for(who, asked)

    def allowed(self, who: Principal) -> bool:
        """Whether the bearer's rights still stand."""
        return self._allowed(who)

    async def page(self, channel: str, since: Position | None) -> Page:
        """What came after, or a snapshot."""
        return await self._pages.page(channel, _since(since))

    def follow(self, channel: str, since: Position | None) -> AsyncGenerator[Page]:
        """Page after page."""
        return self._pages.follow(channel, _since(since))


def _since(position: Position | None) -> Since | None:
    return None if position is None else Since(position.epoch, position.offset)
