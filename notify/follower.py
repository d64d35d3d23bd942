"""A client of the feeds in Python: follow a channel over broken connections, without a gap.

    async for told in follow(url, "dispatch", token):
        match told:
            case State(data=data): ...   # forget what you have, take this
            case Told(type="change", data=data): ...
            case Lost(reason=reason): ...   # what you show is old; it comes back by itself

``token()`` gives a fresh token each time it is called.  ``data`` is JSON.  What is told has no gap
and no double, by offset, over any number of broken connections and restarts of the server.  The one
for browsers and Node is ``dispatch/pages/js/feed.js``.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from ssl import SSLContext

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from grid.errors import Refused
from grid.times import from_rfc3339
from notify.messages import Auth, Pong, Refresh, Since, Subscribe

MESSAGE_BYTES_MAX = 64 * 1024 * 1024  # a snapshot of a storm
BACK_OFF_S = (1.0, 30.0)  # the first wait is below the one, and none is above the other
SILENT_HEARTBEATS = 2  # without a word for so long the connection is dead, whatever it looks like
OPEN_S = 10.0
RENEW_AT = 0.75  # of a token's life
FOR_GOOD = frozenset({4400, 4403, 4406, 4413})  # nothing that trying again would mend
TOKEN_OVER = frozenset({4401, 4410})


class State(msgspec.Struct, frozen=True):
    """The channel's state at ``since``; what was told before it counts no more."""

    since: Since
    data: msgspec.Raw


class Told(msgspec.Struct, frozen=True):
    """One message: ``key`` says what it is about, and ``data`` how that stands now."""

    since: Since
    key: str
    type: str
    data: msgspec.Raw


class Here(msgspec.Struct, frozen=True):
    """Connected, and told without a gap what came after ``since``."""

    since: Since


class Lost(msgspec.Struct, frozen=True):
    """No connection for now; the next try is after ``retry_in_s``."""

    reason: str
    retry_in_s: float


class _Said(msgspec.Struct):
    """Whatever the server says; what is of no interest is left out."""

    op: str
    epoch: str = ""
    offset: int = 0
    skipped: int = 0
    heartbeat_s: float = 25.0
    server_time: str = ""
    expires_at: str = ""
    recovered: bool = False
    snapshot: msgspec.Raw = msgspec.Raw(b"null")
    key: str = ""
    type: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")
    message: str = ""
    id: int | str | None = None


_read = msgspec.json.Decoder(_Said).decode


class _Gap(Exception):  # noqa: N818  it never leaves this module
    """Messages were lost on the way."""


@dataclass(slots=True)
class _Talk:
    """What is known across connections."""

    channel: str
    token: Callable[[], str]
    since: Since | None
    tries: int = 0
    heartbeat_s: float = 25.0
    now_ms: int = 0  # the server's clock when it said hello
    why: str = ""


async def follow(
    url: str,
    channel: str,
    token: Callable[[], str],
    *,
    since: Since | None = None,
    tls: SSLContext | None = None,
    jitter: Callable[[], float] = random.random,
    back_off_s: tuple[float, float] = BACK_OFF_S,
) -> AsyncGenerator[State | Told | Here | Lost]:
    """Follow a channel until the caller stops.

    Raises:
        Refused: The service does not let us, and trying again would not help.
    """
    talk = _Talk(channel, token, since)
    while True:
        after_s: float | None = None
        try:
            async with asyncio.timeout(OPEN_S):
                ws = await connect(
                    url, ssl=tls, compression=None, max_size=MESSAGE_BYTES_MAX, proxy=None
                )
            async with ws, contextlib.aclosing(_listen(ws, talk)) as heard:
                async for told in heard:
                    yield told
        except ConnectionClosed as closed:
            after_s = _after(closed, talk)
        except _Gap:
            talk.why, after_s = "messages were lost on the way", 0.0
        except (OSError, InvalidHandshake, InvalidURI, TimeoutError) as error:
            talk.why = f"{url} does not answer: {str(error) or type(error).__name__}"
        if after_s is None:
            after_s = jitter() * min(back_off_s[1], back_off_s[0] * 2**talk.tries)
        talk.tries = min(talk.tries + 1, 16)
        yield Lost(talk.why, after_s)
        await asyncio.sleep(after_s)


async def _listen(ws: ClientConnection, talk: _Talk) -> AsyncGenerator[State | Told | Here]:
    """One connection, until it ends.

    Raises:
        ConnectionClosed, TimeoutError: It has ended, or is silent.
        _Gap: Messages were lost.
    """
    await _say(ws, Auth(talk.token()))
    await _say(ws, Subscribe(talk.channel, talk.since))
    renewing: asyncio.Task[None] | None = None
    try:
        while True:
            async with asyncio.timeout(SILENT_HEARTBEATS * talk.heartbeat_s + 2):
                said = _read(await ws.recv())
            if said.op in ("authenticated", "refreshed"):
                if renewing is not None:
                    renewing.cancel()
                renewing = asyncio.create_task(_renew(ws, talk, said.expires_at))
            elif said.op == "ping":
                await _say(ws, Pong(said.id))
            elif (told := _take(talk, said)) is not None:
                yield told
    finally:
        if renewing is not None:
            renewing.cancel()


def _take(talk: _Talk, said: _Said) -> State | Told | Here | None:
    """What a message tells."""
    match said.op:
        case "hello":
            talk.heartbeat_s, talk.now_ms = said.heartbeat_s, from_rfc3339(said.server_time)
        case "error":
            talk.why = said.message
        case "subscribed":
            talk.since, talk.tries = Since(said.epoch, said.offset), 0
            return Here(talk.since) if said.recovered else State(talk.since, said.snapshot)
        case "pub" if talk.since is not None and said.offset > talk.since.offset:
            if said.offset != talk.since.offset + 1 + said.skipped:
                raise _Gap
            talk.since = Since(said.epoch, said.offset)
            return Told(talk.since, said.key, said.type, said.data)
        case "pos" if talk.since is not None and said.offset > talk.since.offset:
            raise _Gap
    return None


async def _renew(ws: ClientConnection, talk: _Talk, expires_at: str) -> None:
    left_s = (from_rfc3339(expires_at) - talk.now_ms) / 1000
    await asyncio.sleep(max(1.0, left_s * RENEW_AT))
    talk.now_ms += int(left_s * RENEW_AT * 1000)
    try:
        await _say(ws, Refresh(talk.token()))
    except ConnectionClosed:
        return


def _after(closed: ConnectionClosed, talk: _Talk) -> float | None:
    """When to come back after a close; None: as one likes.

    Raises:
        Refused: Never.
    """
    code, text = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (0, "")
    if code in FOR_GOOD or (code in TOKEN_OVER and talk.tries):
        raise Refused(f"the feed refused us: {talk.why or text or code}") from None
    talk.why = talk.why if code else "the connection broke"
    if code in TOKEN_OVER:
        return 0.0
    try:
        after_ms = msgspec.json.decode(text)["retry_after_ms"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return None
    return None if after_ms is None else float(after_ms) / 1000


async def _say(ws: ClientConnection, message: msgspec.Struct) -> None:
    await ws.send(msgspec.json.encode(message), text=True)
