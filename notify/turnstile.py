"""The first step of a connection: who comes too fast is told so before it costs anything.

A handshake costs the server about a millisecond, its refusal here some microseconds: no parser, no
task, one answer that is always the same.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from websockets.asyncio.server import ServerConnection

TOO_FAST = (
    b"HTTP/1.1 429 Too Many Requests\r\n"
    b"Retry-After: %d\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\n"
    b"Connection: close\r\n\r\n%s"
)
SENTENCE = b"Your address connects faster than it may.\n"


def too_fast(retry_after_s: int) -> bytes:
    """The answer to who comes too fast."""
    return TOO_FAST % (retry_after_s, len(SENTENCE), SENTENCE)


class Turnstile(ServerConnection):
    """A connection that ``passes`` lets through by the peer's address, or that is answered 429."""

    def __init__(
        self, *args: Any, passes: Callable[[str], bool], answer: bytes, open_s: float, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._passes = passes
        self._answer = answer
        self._open_s = open_s
        self._patience: asyncio.TimerHandle | None = None  # set where it was not let through
        self.heard = False  # whether anything came since this was last set to false

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it through, or wait for its request: an answer before it would be lost."""
        peer = transport.get_extra_info("peername")
        if self._passes(str(peer[0]) if peer else "unknown"):
            super().connection_made(transport)
            return
        self.transport = cast(asyncio.Transport, transport)
        self._patience = self.loop.call_later(self._open_s, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        """Answer a request that was not let through, whatever it says."""
        if self._patience is None:
            self.heard = True
            super().data_received(data)
        elif not self.transport.is_closing():
            self.transport.write(self._answer)
            self.transport.close()

    def eof_received(self) -> None:
        """The end of a request."""
        if self._patience is None:
            super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone."""
        if self._patience is None:
            super().connection_lost(exc)
        else:
            self._patience.cancel()
