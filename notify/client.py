"""One connected client: what is written to its socket, and what happens when it does not read.

Messages for everybody are written straight to the transport, as the ready-made frame.  Once the
transport holds ``direct_bytes_max`` that the client has not read, messages wait in its backlog, and
one task hands them over as fast as the client reads.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Protocol

from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from grid.people import Principal
from notify.backlog import Backlog
from notify.closing import Closing, reason_text
from notify.messages import Error, Item, text_frame, write
from notify.protocol import Conversation
from notify.settings import FeedSettings
from notify.tally import Tally
from notify.turnstile import Turnstile

OPEN = State.OPEN  # to look a member up costs more than to compare it
PING = b"\x89\x00"  # RFC 6455, 5.5.2: the frame that every websocket library answers by itself


class House(Protocol):
    """What a client needs of the server it is connected to."""

    settings: FeedSettings
    tally: Tally

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run something beside, until the server stops."""

    def retry_after_ms(self) -> int:
        """When a client that is sent away now may come back."""

    def keep(self, client: "Client", event: str, detail: str) -> None:
        """Keep an audit line about a client."""


class Client:
    """A socket, its conversation, and its place in the heartbeat."""

    __slots__ = (
        "_asked", "_backlog", "_house", "_leaving", "_ws", "address", "counted", "slot", "talk",
    )  # fmt: skip

    def __init__(
        self, ws: Turnstile, talk: Conversation, house: House, *, address: str, slot: int
    ) -> None:
        self._ws = ws
        self._house = house
        self._backlog: Backlog | None = None
        self._leaving = False
        self._asked: int | None = None  # the tick of a ping, if nothing was heard since
        self.talk = talk
        self.address = address
        self.slot = slot
        self.counted: Principal | None = None  # the bearer whose connection it counts as

    @property
    def behind(self) -> bool:
        """Whether messages wait for it."""
        return self._backlog is not None

    @property
    def leaving(self) -> bool:
        """Whether it is being sent away."""
        return self._leaving

    @property
    def who(self) -> str | None:
        """Its bearer's subject, once known."""
        return self.talk.principal.subject if self.talk.principal else None

    def offer(self, item: Item) -> None:
        """Write a message now, or let it wait; a client with no room left is sent away."""
        if self._leaving or self._ws.protocol.state is not OPEN:
            return
        if self._backlog is None:
            limits, transport = self._house.settings, self._ws.transport
            if transport.get_write_buffer_size() < limits.direct_bytes_max:
                transport.write(item.frame)
                return
            self._backlog = Backlog(limits.queue_messages_max, limits.queue_bytes_max)
            self._house.tally.queued += 1
            self._house.spawn(self._hand_over(self._backlog))
        if not self._backlog.push(item):
            self._house.keep(self, "feed_too_slow", f"at {item.channel} {item.offset}")
            self.hang_up(Closing.INSUFFICIENT_STATE)

    def beat(self, frames: bytes, tick: int) -> None:
        """Write a heartbeat and a websocket ping, unless messages wait: it would claim that they
        have arrived.  Who does not read is found by what waits.
        """
        if self._leaving or self.behind or self._ws.protocol.state is not OPEN:
            return
        if self._asked is None:
            self._asked, self._ws.heard = tick, False
        self._ws.transport.write(frames + PING)

    def silent(self, since: int) -> bool:
        """Whether a ping of that tick or before is unanswered, and nothing else was heard."""
        if self._ws.heard or self.behind:
            self._asked = None
        return self._asked is not None and self._asked <= since

    async def send(self, text: bytes) -> None:
        """Write one message and wait until the client keeps up.

        Raises:
            ConnectionClosed: It has gone.
            TimeoutError: It has read nothing for ``stall_s`` and was cut off.
        """
        limit_s = self._house.settings.stall_s
        try:
            async with asyncio.timeout(limit_s):
                await self._ws.send(text, text=True)
        except TimeoutError:  # the library's own ping would wait for the same full buffer
            self._leaving = True
            self._house.tally.closed["stalled"] += 1
            self._house.keep(self, "feed_stalled", f"nothing read for {limit_s:g} s")
            self._ws.transport.abort()
            raise

    async def send_all(self, texts: Sequence[bytes]) -> None:
        """Write some messages, in one go where there is room: thousands come back at once, and
        each write is a call into the kernel.

        Raises:
            ConnectionClosed, TimeoutError: As ``send``.
        """
        frames = b"".join(map(text_frame, texts))
        room = self._house.settings.direct_bytes_max - self._unread
        if not self._leaving and self._ws.protocol.state is OPEN and len(frames) < room:
            self._ws.transport.write(frames)
            return
        for text in texts:
            await self.send(text)

    def forget(self, channel: str) -> None:
        """Drop what waits of a channel it has left."""
        if self._backlog is not None:
            self._backlog.drop(channel)

    def hang_up(self, closing: Closing, detail: str | None = None) -> None:
        """Close the connection beside whatever else is going on; once is enough."""
        if not self._leaving:
            self._leaving = True
            self._house.tally.closed[closing.word] += 1
            self._house.spawn(self._close(closing, detail))

    async def _close(self, closing: Closing, detail: str | None) -> None:
        reason = reason_text(closing, self._house.retry_after_ms())
        try:
            async with asyncio.timeout(self._house.settings.close_s):
                if detail is not None:
                    await self.send(write(Error(closing.code, closing.word, detail)))
                await self._ws.close(closing.code, reason)
        except ConnectionClosed:
            pass
        except TimeoutError:  # it does not read; the library would wait for its buffer to empty
            self._ws.transport.abort()

    async def _hand_over(self, backlog: Backlog) -> None:
        """Hand over what waits; ends when nothing does, or with the connection."""
        try:
            while (text := backlog.pop()) is not None:
                await self.send(text)
        except (ConnectionClosed, TimeoutError):
            return  # the backlog stays in place: nothing more is written directly
        finally:
            self._house.tally.coalesced += backlog.coalesced
        self._backlog = None

    @property
    def _unread(self) -> int:
        return self._ws.transport.get_write_buffer_size()
