"""Who may connect: limits in all and by address, pages by origin, no token in an address."""

from collections import Counter
from collections.abc import Callable
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from notify.closing import Closing
from notify.protocol import HangUp
from notify.settings import FeedSettings
from notify.tally import Tally

ORIGIN_CHARS_MAX = 200


class Door:
    """Counts connections by address, and turns handshakes away before they cost anything."""

    def __init__(
        self, settings: FeedSettings, tally: Tally, retry_after_ms: Callable[[], int]
    ) -> None:
        self._settings = settings
        self._tally = tally
        self._retry_after_ms = retry_after_ms
        self._inside: Counter[str] = Counter()
        self._total = 0

    def admit(self, ws: ServerConnection, request: Request) -> Response | None:
        """An answer that ends the handshake, or None to let it go on."""
        if "token=" in request.path:
            text = "Send the token in the first message; addresses end up in logs.\n"
            return self._turn_away(ws, HTTPStatus.BAD_REQUEST, text)
        if self._total >= self._settings.connections_max:
            text = "The server has all the connections it may have.\n"
            return self._turn_away(ws, HTTPStatus.SERVICE_UNAVAILABLE, text)
        if self._inside[self.address(ws)] >= self._settings.connections_per_address_max:
            text = "Your address has all the connections it may have.\n"
            return self._turn_away(ws, HTTPStatus.TOO_MANY_REQUESTS, text)
        return None

    def enter(self, ws: ServerConnection, address: str) -> HangUp | None:
        """Count a connection in; its end, if it may not stay."""
        self._inside[address] += 1
        self._total += 1
        origin = ws.request.headers.get("Origin") if ws.request else None
        if origin is not None and origin not in self._settings.origins:
            return HangUp(Closing.ORIGIN_REFUSED, f"origin {origin[:ORIGIN_CHARS_MAX]!r}")
        limits = self._settings
        if (
            self._total > limits.connections_max
            or self._inside[address] > limits.connections_per_address_max
        ):  # many shook hands at the same time
            return HangUp(Closing.TOO_MANY_CONNECTIONS, "all connections are taken")
        return None

    def leave(self, address: str) -> None:
        """Count a connection out."""
        self._total -= 1
        self._inside[address] -= 1
        if not self._inside[address]:
            del self._inside[address]

    def address(self, ws: ServerConnection) -> str:
        """Who connects: the peer, or whom a trusted proxy says it speaks for."""
        peer = str(ws.remote_address[0]) if ws.remote_address else "unknown"
        if peer in self._settings.trusted_proxies and ws.request is not None:
            forwarded = ",".join(ws.request.headers.get_all("X-Forwarded-For"))
            return forwarded.rpartition(",")[2].strip() or peer
        return peer

    def _turn_away(self, ws: ServerConnection, status: HTTPStatus, text: str) -> Response:
        self._tally.refused[str(status.value)] += 1
        response = ws.respond(status, text)
        if status is not HTTPStatus.BAD_REQUEST:
            response.headers["Retry-After"] = str(1 + self._retry_after_ms() // 1000)
        return response
