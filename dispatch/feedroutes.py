"""The feeds over plain HTTP: a page of what was missed, and the same as server-sent events.

For programs that cannot hold a websocket, and for networks whose proxies let none through.  The
rights, offsets and messages are the websocket's (docs/feeds.md).
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from dispatch import access
from dispatch.answers import FeedPage
from dispatch.bearer import Someone, only
from dispatch.desk import Desk
from dispatch.feeddesk import Page, Position
from dispatch.openapi import gives
from grid.errors import BadPayload, Unreachable
from grid.people import Principal, Role

EVENTS = "text/event-stream"
OFFSET_MAX = 2**63 - 1
Channel = Annotated[
    str | None,
    Query(max_length=200, description="one's own where it is left out: dispatch, or customer:ID"),
]
Position_ = Annotated[
    str | None, Query(alias="since", max_length=100, description="EPOCH:OFFSET, as last told")
]
SECURED: dict[str, Any] = {"security": [{"token": []}]}


def routes(desk: Desk, now_ms: Callable[[], int]) -> APIRouter:
    """The routes below /api/feed."""
    router = APIRouter(prefix="/api/feed", tags=["feeds"])

    @router.get(
        "",
        responses=gives(FeedPage, 401, 403, 422, 503),
        dependencies=[only("channel", "since")],
        openapi_extra=SECURED,
    )
    async def feed(who: Someone, channel: Channel = None, since: Position_ = None) -> Response:
        """What a channel told after a position, at most a page; without one, its state."""
        page = await desk.feed.page(_own(desk, who, channel), position(since))
        told = FeedPage(
            page.channel, page.epoch, page.offset, page.top, page.snapshot is None,
            msgspec.Raw(page.snapshot or b"null"), tuple(map(msgspec.Raw, page.pubs)),
        )  # fmt: skip
        return Response(msgspec.json.encode(told), media_type="application/json")

    @router.get(
        "/stream",
        responses={
            200: {"description": "Server-sent events: snapshot, pub, end", "content": {EVENTS: {}}},
            **{k: v for k, v in gives(FeedPage, 401, 403, 422, 503).items() if k != 200},
        },
        dependencies=[only("channel", "since")],
        openapi_extra=SECURED,
    )
    async def stream(
        request: Request, who: Someone, channel: Channel = None, since: Position_ = None
    ) -> Response:
        """The channel as server-sent events; Last-Event-ID, or since, resumes without a gap."""
        told = request.headers.get("last-event-id") or since
        if desk.feed.full:
            raise Unreachable("all streams that there may be are taken", retry_in_s=10.0)
        pages = desk.feed.follow(_own(desk, who, channel), position(told))
        return StreamingResponse(_events(pages, who, desk, now_ms), media_type=EVENTS)

    return router


def position(text: str | None) -> Position | None:
    """``EPOCH:OFFSET``.

    Raises:
        BadPayload: It is none.
    """
    if text is None:
        return None
    epoch, _, offset = text.rpartition(":")
    if not epoch or not (offset.isascii() and offset.isdigit()) or int(offset) > OFFSET_MAX:
        raise BadPayload("since: a position is EPOCH:OFFSET, as the feed told it")
    return Position(epoch, int(offset))


def _own(desk: Desk, who: Principal, channel: str | None) -> str:
    asked = channel
    if asked is None:
        asked = f"customer:{who.subject}" if who.role is Role.CUSTOMER else "dispatch"
    found = desk.feed.channel(who, asked)
    if found is None:
        raise access.Denied(f"channel {asked!r} is not yours")
    return found


async def _events(
    pages: AsyncGenerator[Page], who: Principal, desk: Desk, now_ms: Callable[[], int]
) -> AsyncGenerator[bytes]:
    """Pages as events, until the bearer's time or rights are over, or the log is away."""
    try:
        async with aclosing(pages):
            async for page in pages:
                if now_ms() >= who.expires_ms:
                    yield _end("token_expired")
                    return
                if not desk.feed.allowed(who):
                    yield _end("token_refused")
                    return
                yield _of(page)
    except Unreachable:
        yield _end("unavailable")


def _of(page: Page) -> bytes:
    if page.snapshot is not None:
        return b"event: snapshot\nid: %s:%d\ndata: %s\n\n" % (
            page.epoch.encode(), page.offset, page.snapshot,
        )  # fmt: skip
    if not page.pubs:
        return b": %s:%d\n\n" % (page.epoch.encode(), page.offset)
    first = page.offset - len(page.pubs) + 1
    return b"".join(
        b"event: pub\nid: %s:%d\ndata: %s\n\n" % (page.epoch.encode(), offset, text)
        for offset, text in enumerate(page.pubs, first)
    )


def _end(reason: str) -> bytes:
    return b'event: end\ndata: {"reason":"%s"}\n\n' % reason.encode()
