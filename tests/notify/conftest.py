"""A server of feeds over a log in memory, and clients that speak to it over real sockets."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from grid.people import Principal, Role
from notify.feeds import Feeds
from notify.memory import MemoryLog
from notify.settings import FeedSettings
from service.tokens import issue, verify

KEY = b"k" * 32
DEADLINE_S = 60.0


@dataclass
class Clock:
    """Stands still until a test moves it."""

    ms: int = 1_700_000_000_000

    def __call__(self) -> int:
        return self.ms


class Peer:
    """A client of the feeds."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws

    async def say(self, op: str, **fields: object) -> None:
        await self.ws.send(json.dumps({"op": op, **fields}))

    async def hear(self, *ops: str) -> dict[str, Any]:
        """The next message; with ``ops`` the next that is one of them."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                message: dict[str, Any] = json.loads(await self.ws.recv())
                if not ops or message["op"] in ops:
                    return message

    async def ask(self, op: str, **fields: object) -> dict[str, Any]:
        """Say something and hear the next message that is no heartbeat."""
        await self.say(op, **fields)
        return await self.hear(
            "authenticated", "refreshed", "subscribed", "unsubscribed", "pong", "error"
        )

    async def subscribe(
        self, channel: str, epoch: str | None = None, offset: int = 0
    ) -> dict[str, Any]:
        since = None if epoch is None else {"epoch": epoch, "offset": offset}
        return await self.ask("subscribe", channel=channel, since=since)

    async def pubs(self, count: int) -> list[dict[str, Any]]:
        """The next so many pubs."""
        return [await self.hear("pub") for _ in range(count)]

    async def ending(self) -> tuple[int, dict[str, Any]]:
        """The close code and its reason, once the server has closed."""
        async with asyncio.timeout(DEADLINE_S):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.ws.recv()
        assert self.ws.close_code is not None
        return self.ws.close_code, json.loads(self.ws.close_reason or "{}")

    async def close(self) -> None:
        await self.ws.close()


@dataclass
class Running:
    """A server under test."""

    feeds: Feeds
    log: MemoryLog
    clock: Clock
    audit: list[dict[str, Any]]
    stack: AsyncExitStack
    seen: list[tuple[str, str, int]]
    withdrawn: set[str]  # subjects
    stop: Callable[[], Awaitable[None]] = field(init=False)

    def token(
        self, subject: str, *, role: str = "customer", district: str | None = None, ttl_s: int = 60
    ) -> str:
        return issue(KEY, Principal(Role(role), subject, district, 0), ttl_s, self.clock.ms)

    async def connect(self, path: str = "/", **options: Any) -> Peer:
        """A client that has not said who it is; the server's hello is still to be heard."""
        url = f"ws://127.0.0.1:{self.feeds.port}{path}"
        ws = await self.stack.enter_async_context(
            connect(url, proxy=None, close_timeout=0.1, **options)
        )
        return Peer(ws)

    async def customer(self, subject: str, **options: Any) -> Peer:
        """A client that the server knows as a customer."""
        return await self._authenticated(self.token(subject), options)

    async def dispatcher(self, district: str | None = None, **options: Any) -> Peer:
        """A client that the server knows as a dispatcher."""
        token = self.token("ann", role="dispatcher", district=district)
        return await self._authenticated(token, options)

    async def _authenticated(self, token: str, options: dict[str, Any]) -> Peer:
        peer = await self.connect(**options)
        assert (await peer.hear())["op"] == "hello"
        assert (await peer.ask("auth", token=token))["op"] == "authenticated"
        return peer

    def commit(self, channel: str, key: str = "O-1", size: int = 0) -> int:
        """Commit a change of an outage."""
        body = json.dumps({"outage": {"id": key}, "note": "x" * size}).encode()
        return self.log.append(channel, body, at_ms=self.clock.ms)

    async def audited(self, event: str) -> dict[str, Any]:
        """The first audit line of a kind, once it is there."""
        await self.until(lambda: any(line["event"] == event for line in self.audit))
        return next(line for line in self.audit if line["event"] == event)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for a condition."""
        async with asyncio.timeout(DEADLINE_S):
            while not holds():  # noqa: ASYNC110  there is no event for everything
                await asyncio.sleep(0.002)


QUICK = FeedSettings(listen="127.0.0.1:0", tick_s=0.01, poll_s=60.0, close_s=1.0)
"""Deadlines are looked at a hundred times a second; the heartbeat keeps its 25 s."""


@pytest.fixture
def serving() -> Callable[..., Any]:
    """Start servers: ``async with serving(queue_messages_max=8) as running``."""

    @asynccontextmanager
    async def serve(log: MemoryLog | None = None, **limits: Any) -> AsyncIterator[Running]:
        clock, lines = Clock(), []

        async def audit(event: str, **fields: object) -> None:
            lines.append({"event": event, **fields})

        async with AsyncExitStack() as stack:
            feed_log = log or MemoryLog()
            seen: list[tuple[str, str, int]] = []
            withdrawn: set[str] = set()
            feeds = Feeds(
                feed_log,
                lambda token: verify(KEY, token, clock.ms),
                audit,
                replace(QUICK, **limits),
                clock,
                withdrawn=lambda who: who.subject in withdrawn,
                on_seen=lambda who, channel, offset: seen.append((who.subject, channel, offset)),
            )
            running = Running(feeds, feed_log, clock, lines, stack, seen, withdrawn)
            task = asyncio.create_task(feeds.run())

            async def stop() -> None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

            running.stop = stop
            try:
                async with asyncio.timeout(DEADLINE_S):
                    await feeds.listening.wait()
                yield running
            finally:
                await stop()

    return serve
