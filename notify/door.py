"""Who may connect: limits in all, by address and bearer, pages by origin, no token in an address.

Who is turned away is counted, and leaves an audit line: once a minute for each address, for a flood
must not become a flood of lines.
"""

from collections import Counter
from collections.abc import Callable
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from grid.people import Principal
from notify.closing import Closing
from notify.ledger import Ledger
from notify.pace import Pace
from notify.protocol import HangUp
from notify.settings import FeedSettings
from notify.tally import Tally

ORIGIN_CHARS_MAX = 200
EVERYBODY = ""


class Door:
    """Counts connections by address and bearer, and turns away what is too much."""

    def __init__(
        self,
        settings: FeedSettings,
        tally: Tally,
        ledger: Ledger,
        *,
        retry_after_ms: Callable[[], int],
        now_ms: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._tally = tally
        self._ledger = ledger
        self._retry_after_ms = retry_after_ms
        self._now_ms = now_ms
        names = settings.addresses_max
        self._knocks = Pace(
            settings.handshakes_per_s_max, settings.handshakes_burst_max, names_max=names
        )
        self._arrivals = Pace(
            settings.handshakes_all_per_s_max, settings.handshakes_all_per_s_max, names_max=1
        )
        self._opens = Pace(
            settings.opens_per_minute_max / 60, settings.opens_per_minute_max, names_max=names
        )
        self._lines = Pace(1 / 60, 1, names_max=names)
        self._inside: Counter[str] = Counter()
        self._bearers: Counter[str] = Counter()
        self._total = 0

    def passes(self, peer: str) -> bool:
        """Whether a connection from there may begin its handshake; a proxy's speak for others."""
        return peer in self._settings.trusted_proxies or self._in_pace(peer)

    def admit(self, ws: ServerConnection, request: Request) -> Response | None:
        """An answer that ends the handshake, or None to let it go on."""
        address = self.address(ws)
        if "token=" in request.path:
            text = "Send the token in the first message; addresses end up in logs.\n"
            return self._turn_away(ws, HTTPStatus.BAD_REQUEST, address, text)
        peer = ws.remote_address[0] if ws.remote_address else None
        if peer in self._settings.trusted_proxies and not self._in_pace(address):
            text = "Your address connects faster than it may.\n"
            return self._turn_away(ws, HTTPStatus.TOO_MANY_REQUESTS, address, text)
        if not self._arrivals.take(EVERYBODY, self._now_ms()):
            text = "Too many connect at the same time.\n"
            return self._turn_away(ws, HTTPStatus.SERVICE_UNAVAILABLE, address, text)
        if self._total >= self._settings.connections_max:
            text = "The server has all the connections it may have.\n"
            return self._turn_away(ws, HTTPStatus.SERVICE_UNAVAILABLE, address, text)
        if self._inside[address] >= self._settings.connections_per_address_max:
            text = "Your address has all the connections it may have.\n"
            return self._turn_away(ws, HTTPStatus.TOO_MANY_REQUESTS, address, text)
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

    def know(self, bearer: Principal) -> HangUp | None:
        """Count a connection in as a bearer's, or its end; only who was counted is let out."""
        limits, name = self._settings, _name(bearer)
        if self._bearers[name] >= limits.connections_per_subject_max:
            most = limits.connections_per_subject_max
            return HangUp(Closing.TOO_MANY_CONNECTIONS, f"at most {most} connections a bearer")
        if not self._opens.take(name, self._now_ms()):
            most = limits.opens_per_minute_max
            return HangUp(Closing.TOO_MANY_CONNECTIONS, f"at most {most} a minute and bearer")
        self._bearers[name] += 1
        return None

    def leave(self, address: str, bearer: Principal | None) -> None:
        """Count a connection out, and as its bearer's if it was counted in as that."""
        self._total -= 1
        _less(self._inside, address)
        if bearer is not None:
            _less(self._bearers, _name(bearer))

    def address(self, ws: ServerConnection) -> str:
        """Who connects: the peer, or whom a trusted proxy says it speaks for."""
        peer = str(ws.remote_address[0]) if ws.remote_address else "unknown"
        if peer in self._settings.trusted_proxies and ws.request is not None:
            forwarded = ",".join(ws.request.headers.get_all("X-Forwarded-For"))
            return forwarded.rpartition(",")[2].strip() or peer
        return peer

    def _in_pace(self, address: str) -> bool:
        if self._knocks.take(address, self._now_ms()):
            return True
        self._tally.refused["429"] += 1
        rate = self._settings.handshakes_per_s_max
        self._note("feed_flood", address, f"more than {rate} connections a second")
        return False

    def _turn_away(
        self, ws: ServerConnection, status: HTTPStatus, address: str, text: str
    ) -> Response:
        self._tally.refused[str(status.value)] += 1
        self._note("feed_turned_away", address, f"{status.value}: {text.strip()}")
        response = ws.respond(status, text)
        if status is not HTTPStatus.BAD_REQUEST:
            response.headers["Retry-After"] = str(1 + self._retry_after_ms() // 1000)
        return response

    def _note(self, event: str, address: str, detail: str) -> None:
        if self._lines.take(f"{event} {address}", self._now_ms()):
            self._ledger.keep(event, subject=None, address=address, detail=detail)


def _name(bearer: Principal) -> str:
    return f"{bearer.role.value}:{bearer.subject}"


def _less(counter: Counter[str], name: str) -> None:
    counter[name] -= 1
    if not counter[name]:
        del counter[name]
