"""A crowd of websocket clients for ``bench.feeds``: light, so that thousands fit on one core.

They keep the rules of docs/feeds.md: resume with the last offset after a lost connection, after a
random wait that grows.  Each arrival is noted with the machine's monotonic clock.
"""

import asyncio
import json
import random
import socket
import time
from collections import defaultdict
from typing import Any, cast

import msgspec
import uvloop

from bench.pipes import lines
from grid.people import Principal, Role
from service.clock import now_ms
from service.tokens import issue

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: bGFzdGdhc3AgbGFzdGdhcw==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
FIRST_S, LAST_S = 1.0, 30.0  # the back-off of docs/feeds.md
TOKEN_S = 3_600
OPENING_MAX = 200  # handshakes at the same time when a crowd first comes
SMALL = 4_096  # bytes that the kernel keeps for a reader that will stop reading


class Said(msgspec.Struct):
    """What matters of what the server says."""

    op: str
    offset: int = 0
    epoch: str = ""
    recovered: bool = False
    skipped: int = 0


_said = msgspec.json.Decoder(Said).decode


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """A client's frame; its mask is zero, which changes nothing and costs nothing."""
    size = len(payload)
    head = bytes((0x80 | opcode, 0x80 | size)) if size < 126 else (
        bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    )  # fmt: skip
    return head + bytes(4) + payload


class Member(asyncio.Protocol):
    """One client."""

    __slots__ = ("buffer", "crowd", "epoch", "joined", "number", "offset", "open", "transport",
                 "tries")  # fmt: skip

    def __init__(self, crowd: "Crowd", number: int) -> None:
        self.crowd = crowd
        self.number = number
        self.transport: asyncio.Transport | None = None
        self.buffer = b""
        self.open = self.joined = False
        self.epoch = ""
        self.offset = 0
        self.tries = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Shake hands."""
        self.transport = cast(asyncio.Transport, transport)
        self.buffer, self.open, self.joined = b"", False, False
        self.transport.write(HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        """Take in what came."""
        now = time.monotonic_ns()
        self.buffer = buffer = self.buffer + data if self.buffer else data
        at = 0
        if not self.open:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            assert b" 101 " in buffer[:end], buffer
            self.open, at = True, end + 4
            if not self.crowd.bare:
                self._introduce()
        while (whole := _whole(buffer, at)) is not None:
            opcode, begin, at = whole
            self._hear(opcode, buffer[begin:at], now)
        self.buffer = buffer[at:]

    def connection_lost(self, exc: Exception | None) -> None:
        """Come back later."""
        self.joined = False
        self.crowd.lost(self)

    def _introduce(self) -> None:
        assert self.transport is not None
        channel, token = self.crowd.of(self.number)
        since = {"epoch": self.epoch, "offset": self.offset} if self.epoch else None
        asked = {"op": "subscribe", "channel": channel, "since": since}
        self.transport.write(
            frame(json.dumps({"op": "auth", "token": token}).encode())
            + frame(json.dumps(asked).encode())
        )

    def _hear(self, opcode: int, payload: bytes, now: int) -> None:
        if opcode == 9:
            assert self.transport is not None
            self.transport.write(frame(payload, 10))
        if opcode != 1 or self.crowd.bare:
            return
        said = _said(payload)
        if said.op == "pub":
            self._pub(said, now)
        elif said.op == "subscribed":
            if self.epoch and not said.recovered:
                self.crowd.snapshots += 1
            self.epoch, self.offset, self.tries = said.epoch, said.offset, 0
            self.joined = True

    def _pub(self, said: Said, now: int) -> None:
        if said.offset <= self.offset:
            self.crowd.doubles += 1
        elif said.offset != self.offset + 1 + said.skipped:
            self.crowd.gaps += 1
        self.offset = max(self.offset, said.offset)
        self.crowd.arrivals[said.offset][self.number] = now


def _whole(buffer: bytes, at: int) -> tuple[int, int, int] | None:
    """Opcode, begin and end of the next frame, if all of it is there."""
    left = len(buffer) - at
    if left < 2:
        return None
    size, begin = buffer[at + 1], at + 2
    if size >= 126:
        width = 2 if size == 126 else 8
        if left < 2 + width:
            return None
        size, begin = int.from_bytes(buffer[begin : begin + width], "big"), begin + width
    return (buffer[at] & 0x0F, begin, begin + size) if len(buffer) >= begin + size else None


class Crowd:
    """All clients; they may be customers with a channel each, dispatchers, or listen to nothing."""

    def __init__(self, port: int, count: int, role: str, stalling: int) -> None:
        self.port = port
        self.role = role
        self.bare = role == "bare"
        self.stalling = stalling  # the last so many will stop reading
        self.members = [Member(self, number) for number in range(count)]
        self.arrivals: dict[int, dict[int, int]] = defaultdict(dict)
        self.gaps = self.doubles = self.snapshots = self.losses = 0
        self._tokens: dict[int, str] = {}
        self._coming: set[asyncio.Task[None]] = set()
        self._gone = False

    def of(self, number: int) -> tuple[str, str]:
        """Channel and token of a client."""
        customer = self.role == "customer"
        if number not in self._tokens:
            role = Role.CUSTOMER if customer else Role.DISPATCHER
            who = Principal(role, f"C{number}", None, 0)
            self._tokens[number] = issue(b"b" * 32, who, TOKEN_S, now_ms())
        return f"customer:C{number}" if customer else "dispatch", self._tokens[number]

    async def come(self) -> None:
        """Everybody connects and subscribes."""
        turns = asyncio.Semaphore(OPENING_MAX)

        async def one(member: Member) -> None:
            async with turns:
                await self._connect(member)
                while not (member.open if self.bare else member.joined):
                    await asyncio.sleep(0.005)

        await asyncio.gather(*map(one, self.members))

    def lost(self, member: Member) -> None:
        """A connection broke: again after a random part of a time that grows."""
        if self._gone:
            return
        self.losses += 1
        wait_s = random.uniform(0, min(LAST_S, FIRST_S * 2**member.tries))
        member.tries += 1
        task = asyncio.get_running_loop().create_task(self._return(member, wait_s))
        self._coming.add(task)
        task.add_done_callback(self._coming.discard)

    async def leave(self) -> None:
        """Everybody goes."""
        self._gone = True
        for member in self.members:
            if member.transport is not None:
                member.transport.abort()
        await asyncio.sleep(0)

    def stall(self, *, still: bool) -> None:
        """The last clients stop reading, or go on."""
        for member in self.members[len(self.members) - self.stalling :]:
            assert member.transport is not None
            if still:
                member.transport.pause_reading()
            else:
                member.transport.resume_reading()

    async def _return(self, member: Member, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        try:
            await self._connect(member)
        except OSError:
            self.lost(member)

    async def _connect(self, member: Member) -> None:
        loop = asyncio.get_running_loop()
        if member.number < len(self.members) - self.stalling:
            await loop.create_connection(lambda: member, "127.0.0.1", self.port)
            return
        small = socket.socket()
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        small.setblocking(False)
        await loop.sock_connect(small, ("127.0.0.1", self.port))
        await loop.create_connection(lambda: member, sock=small)


async def main() -> None:
    """Do what one is told."""
    crowds: list[Crowd] = []
    async for asked in lines():
        print(json.dumps(await _do(crowds, **asked)), flush=True)


async def _do(crowds: list[Crowd], do: str, **what: Any) -> dict[str, Any]:
    if do == "come":
        crowds.append(Crowd(**what))
        await crowds[-1].come()
        return {}
    crowd = crowds[-1]
    if do == "arrivals":
        found = crowd.arrivals[what["offset"]]
        while len(found) < what["count"]:
            await asyncio.sleep(0.002)
        return {"at_ns": [at for number, at in found.items() if number < what["count"]]}
    if do == "stall":
        crowd.stall(**what)
    if do == "leave":
        await crowd.leave()
    return {name: getattr(crowd, name) for name in ("gaps", "doubles", "snapshots", "losses")}


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
