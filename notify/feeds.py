"""The feeds' server: connections in, limits kept, deadlines looked at, endings audited.

It runs on the ``websockets`` library itself, without compression: a customer's feed costs about
15 KiB, and a message for many is one ready-made frame written to each transport.
"""

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Coroutine
from ssl import SSLContext
from typing import Any, cast

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from grid.errors import Unreachable
from grid.people import Audit, Principal, Role
from grid.times import to_rfc3339
from notify.client import Client
from notify.closing import Closing, retry_window_ms
from notify.door import Door
from notify.hub import Hub
from notify.ledger import Ledger
from notify.log import FeedLog
from notify.messages import PROTOCOL, Authenticated, Hello, Ping, Unsubscribed, text_frame, write
from notify.protocol import (
    UNAUDITED,
    Action,
    Conversation,
    HangUp,
    Join,
    Leave,
    LetIn,
    Say,
    Seen,
)
from notify.settings import FeedSettings
from notify.tally import Tally
from notify.turnstile import Turnstile, too_fast

log = structlog.get_logger()

BACKLOG = 4_096  # connections that the kernel holds until they are accepted; it may hold fewer
TURN = 500  # clients whose deadlines are looked at before everybody else gets their turn
RETRY_S = 2  # of who connects too fast
BROKEN = {1002: "bad_frame", 1007: "not_utf8", 1009: "message_too_large"}

OnSeen = Callable[[Principal, str, int], None]
"""A person has seen a channel up to an offset."""

_quiet = logging.getLogger("lastgasp.websockets")
_quiet.setLevel(logging.WARNING)  # at DEBUG the library logs payloads, tokens among them
_quiet.addFilter(lambda record: record.msg != "opening handshake failed")  # port scans are no news


def _ignore(_principal: Principal, _channel: str, _offset: int) -> None:
    """Nobody wants to know who has seen what."""


def _nobody(_bearer: Principal) -> bool:
    """Nobody's rights were withdrawn."""
    return False


class Feeds:
    """The websocket server of docs/feeds.md.  ``port`` is the one it got, once it listens."""

    def __init__(
        self,
        feed_log: FeedLog,
        verify: Callable[[str], Principal],
        audit: Audit,
        settings: FeedSettings,
        now_ms: Callable[[], int],
        *,
        tls: SSLContext | None = None,
        on_seen: OnSeen = _ignore,
        withdrawn: Callable[[Principal], bool] = _nobody,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self.tally = Tally()
        self.port = 0
        self.listening = asyncio.Event()
        self._verify = verify
        self._now_ms = now_ms
        self._tls = tls
        self._on_seen = on_seen
        self._withdrawn = withdrawn
        self._jitter = jitter
        self._hub = Hub(feed_log, settings, self.tally, now_ms)
        self._ledger = Ledger(audit, settings, self.tally, now_ms)
        self._clients: set[Client] = set()
        self._door = Door(
            settings, self.tally, self._ledger, retry_after_ms=self.retry_after_ms, now_ms=now_ms
        )
        self._too_fast = too_fast(RETRY_S)
        self._slots = max(1, round(settings.heartbeat_s / settings.tick_s))
        self._patience = max(1, round(settings.pong_s / settings.tick_s))  # ticks
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def ready(self) -> bool:
        """Whether a change committed now will be told."""
        return self.listening.is_set() and self._hub.healthy

    @property
    def clients(self) -> int:
        """Connections now."""
        return len(self._clients)

    @property
    def channels(self) -> int:
        """Channels that somebody listens to now."""
        return len(self._hub)

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run something beside, until the server stops."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def retry_after_ms(self) -> int:
        """When a client that is sent away may come back: at random, so that not all do at once."""
        limits = self.settings
        window = retry_window_ms(len(self._clients), limits.retries_per_s, limits.retry_window_s)
        return int(self._jitter() * window)

    def keep(self, client: Client, event: str, detail: str) -> None:
        """Keep an audit line about a client."""
        self._ledger.keep(event, subject=client.who, address=client.address, detail=detail)

    async def run(self) -> None:
        """Serve until cancelled.  Waits for the log first; stopping closes everybody with 1001."""
        await self._hub.open()
        host, _, port = self.settings.listen.rpartition(":")
        async with serve(
            self._handle,
            host.removeprefix("[").removesuffix("]"),
            int(port),
            ssl=self._tls,
            compression=None,
            process_request=self._door.admit,
            create_connection=self._turnstile,  # type: ignore[arg-type]  # a wrapper will do
            max_size=self.settings.message_bytes_max,
            max_queue=4,
            write_limit=self.settings.direct_bytes_max // 2,
            open_timeout=self.settings.open_s,
            ping_interval=None,  # a task and timers for each; see _tick
            close_timeout=self.settings.close_s,
            server_header=None,
            backlog=BACKLOG,
            logger=_quiet,
        ) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            self.listening.set()
            log.info("feeds_listening", port=self.port)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._hub.listen())
                    tasks.create_task(self._hub.run())
                    tasks.create_task(self._ledger.run())
                    tasks.create_task(self._tick())
            finally:
                self.listening.clear()
                await self._stop(server)

    def _turnstile(self, *args: Any, **kwargs: Any) -> ServerConnection:
        return Turnstile(
            *args, passes=self._door.passes, answer=self._too_fast, open_s=self.settings.open_s,
            **kwargs,
        )  # fmt: skip

    async def _stop(self, server: Server) -> None:
        server.close(close_connections=False)  # no new ones
        for client in tuple(self._clients):
            client.hang_up(Closing.GOING_AWAY)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2 * self.settings.close_s)
        self._hub.close()
        log.info("feeds_stopped")

    # -- connections -------------------------------------------------------------------------------

    async def _handle(self, connection: ServerConnection) -> None:
        """One connection, from its handshake to its end."""
        ws = cast(Turnstile, connection)
        address = self._door.address(ws)
        talk = Conversation(self.settings, self._verify, self._now_ms())
        slot = self.tally.connected % self._slots
        client = Client(ws, talk, self, address=address, slot=slot)
        self.tally.connected += 1
        self._clients.add(client)
        refusal = self._door.enter(ws, address)
        try:
            if refusal is not None:
                self._end(client, refusal)
            else:
                await client.send(self._hello())
            async for text in ws:
                if not client.leaving:
                    await self._answer(client, text)
            await ws.wait_closed()
        except (ConnectionClosed, TimeoutError):
            pass  # it has gone, or reads nothing and was cut off
        finally:
            self._note_broken(client, ws)
            self._door.leave(address, client.counted)
            self._clients.discard(client)
            for channel in talk.channels:
                self._hub.leave(client, channel)

    def _note_broken(self, client: Client, ws: ServerConnection) -> None:
        """What the library itself closed for: frames that are none, or larger than allowed."""
        said = ws.protocol.close_sent
        if said is not None and said.code in BROKEN:
            self.tally.closed[BROKEN[said.code]] += 1
            self.keep(client, f"feed_{BROKEN[said.code]}", f"closed with {said.code}")

    def _hello(self) -> bytes:
        return write(
            Hello(
                protocol=PROTOCOL,
                server_time=to_rfc3339(self._now_ms()),
                session=secrets.token_hex(8),
                epoch=self._hub.epoch,
                heartbeat_s=self.settings.heartbeat_s,
                auth_within_s=self.settings.auth_s,
                max_bytes=self.settings.message_bytes_max,
            )
        )

    # -- the talk ----------------------------------------------------------------------------------

    async def _answer(self, client: Client, text: str | bytes) -> None:
        action = client.talk.receive(text, self._now_ms())
        try:
            await self._do(client, action)
        except Unreachable as error:
            self._end(client, HangUp(Closing.UNAVAILABLE, error.message))

    async def _do(self, client: Client, action: Action | None) -> None:
        match action:
            case Say(message=message):
                await client.send(write(message))
            case LetIn(message=message):
                await self._let_in(client, message)
            case Join(channel=channel, requested=requested, since=since):
                await self._hub.join(client, channel, requested, since)
            case Leave(channel=channel):
                self._hub.leave(client, channel)
                await client.send(write(Unsubscribed(channel)))
            case Seen(channel=channel, offset=offset):
                self.tally.seen += 1
                assert client.talk.principal is not None
                seen = min(offset, self._hub.told(channel))  # nobody sees what was not told
                self._on_seen(client.talk.principal, channel, seen)
            case HangUp():
                self._end(client, action)

    async def _let_in(self, client: Client, message: Authenticated) -> None:
        bearer = client.talk.principal
        assert bearer is not None
        refusal = self._door.know(bearer)
        if refusal is not None:
            self._end(client, refusal)
            return
        client.counted = bearer
        if bearer.role is Role.DISPATCHER:
            self.keep(client, "feed_opened", f"until {message.expires_at}")
        await client.send(write(message))

    def _end(self, client: Client, end: HangUp) -> None:
        if client.leaving:
            return
        if end.closing not in UNAUDITED:
            self.keep(client, f"feed_{end.closing.word}", end.detail)
        client.hang_up(end.closing, end.detail)

    # -- time --------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        """Look at every deadline each tick, and give each client its heartbeat in its own slot, in
        one write: where its channels are, and a ping.
        """
        number = 0
        while True:
            await asyncio.sleep(self.settings.tick_s)
            number += 1
            slot, now = number % self._slots, self._now_ms()
            ping = text_frame(write(Ping(number)))
            for looked_at, client in enumerate(tuple(self._clients), 1):
                if not looked_at % TURN:
                    await asyncio.sleep(0)  # a commit need not wait for thousands of deadlines
                if client not in self._clients:
                    continue  # it went meanwhile
                end = None if client.leaving else self._due(client, now)
                if end is not None:
                    self._end(client, end)
                elif client.slot == slot and client.talk.principal is not None:
                    if client.silent(number - self._patience):
                        client.hang_up(Closing.NO_ANSWER)
                    else:
                        client.beat(self._hub.positions(client) + ping, number)

    def _due(self, client: Client, now: int) -> HangUp | None:
        """The end of a client whose time is over, or whose rights are."""
        bearer = client.talk.principal
        if bearer is not None and self._withdrawn(bearer):
            return HangUp(Closing.TOKEN_REFUSED, "the bearer's rights were withdrawn")
        return client.talk.on_time(now)
