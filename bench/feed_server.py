"""Servers for ``bench.feeds``, each a process of its own that is told what to do line by line.

``push URL PORT`` is a push server over a database, as ``lastgasp up`` makes it.  ``fanout`` has our
feeds over a log in memory beside a bare ``websockets`` server, to write the same frames to both.
"""

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

import structlog
import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

from bench.pipes import lines
from grid.people import Principal
from notify.feeds import Feeds
from notify.memory import MemoryLog
from notify.messages import pub
from notify.settings import FeedSettings
from service.clock import now_ms
from service.garbage import collect_rarely
from service.tokens import verify
from store.postgres import open_store
from store.sealing import Keys
from store.settings import StoreSettings

KEY = b"b" * 32
STORE_KEYS = Keys(phone=b"p" * 32, index=b"i" * 32)
CROWD = 100_000  # everybody comes from one address and within seconds
BODY = (
    b'{"id":"S1-1/7","at":"2026-11-21T12:00:01.000Z","outage":{"id":"S1-1","version":7,'
    b'"state":"confirmed","note":"%s"},"customers":5000,"reason":"37 of 40 meters are silent"}'
) % (b"x" * 300)


def settings(port: int) -> FeedSettings:
    """The defaults, for a crowd that has one address."""
    return FeedSettings(
        listen=f"127.0.0.1:{port}",
        connections_per_address_max=CROWD,
        handshakes_per_s_max=CROWD,
        handshakes_burst_max=CROWD,
        handshakes_all_per_s_max=CROWD,
    )


def _verify(token: str) -> Principal:
    return verify(KEY, token, now_ms())


async def _no_audit(event: str, **_fields: object) -> None:
    """Nobody reads it."""


async def push(url: str, port: int) -> None:
    """Serve what the database says until killed."""
    async with AsyncExitStack() as opened:
        store = await opened.enter_async_context(open_store(url, STORE_KEYS, StoreSettings()))
        feeds = Feeds(store, _verify, _no_audit, settings(port), now_ms)
        running = asyncio.create_task(feeds.run())
        await feeds.listening.wait()
        print(json.dumps({"listening": feeds.port}), flush=True)
        async for asked in lines():
            if asked["do"] == "state":
                gc.collect()
                print(json.dumps({"clients": feeds.clients, "queued": feeds.tally.queued,
                                  "closed": dict(feeds.tally.closed)}), flush=True)  # fmt: skip
        running.cancel()


async def fanout() -> None:
    """Write so many messages to everybody, ours or bare; say what it cost of the processor."""
    log, bare = MemoryLog(), set[ServerConnection]()
    feeds = Feeds(log, _verify, _no_audit, settings(0), now_ms)
    running = asyncio.create_task(feeds.run())
    await feeds.listening.wait()

    async def hold(connection: ServerConnection) -> None:
        bare.add(connection)
        await connection.wait_closed()

    async with serve(hold, "127.0.0.1", 0, compression=None, max_size=16_384) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        print(json.dumps({"listening": feeds.port, "bare": port}), flush=True)
        writers: dict[str, Callable[[int], Awaitable[None]]] = {
            "ours": partial(_ours, feeds, log),
            "bare": partial(_bare, bare),
        }
        async for asked in lines():
            if asked["do"] == "count":
                print(json.dumps({"ours": feeds.tally.subscribed.total(), "bare": len(bare)}),
                      flush=True)  # fmt: skip
                continue
            began = time.process_time()
            await writers[asked["do"]](asked["messages"])
            print(json.dumps({"cpu_s": time.process_time() - began}), flush=True)
    running.cancel()


async def _ours(feeds: Feeds, log: MemoryLog, messages: int) -> None:
    want = feeds.tally.published + messages
    for _ in range(messages):
        log.append("dispatch", BODY, at_ms=now_ms())
    while feeds.tally.published < want:
        await asyncio.sleep(0.001)
    await _written([partial(getattr, client, "_unread") for client in feeds._clients])


async def _bare(connections: set[ServerConnection], messages: int) -> None:
    """The same frame, made once: what a program without feeds would do."""
    log = MemoryLog()
    log.append("dispatch", BODY, at_ms=now_ms())
    (row,) = await log.feed_read("dispatch", 0, 1)
    text = pub("dispatch", "e1", row, now_ms()).text
    for _ in range(messages):
        broadcast(connections, text, text=True)
        await asyncio.sleep(0)
    await _written([connection.transport.get_write_buffer_size for connection in connections])


async def _written(unread: list[Callable[[], int]]) -> None:
    while any(size() for size in unread):
        await asyncio.sleep(0.001)


def main(arguments: list[str]) -> None:
    """Run one of the servers."""
    collect_rarely()
    with (
        open(os.devnull, "w") as nowhere,  # lines are made as in the service, and thrown away
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(nowhere))
        work = fanout() if arguments[0] == "fanout" else push(arguments[1], int(arguments[2]))
        runner.run(work)


if __name__ == "__main__":
    main(sys.argv[1:])
