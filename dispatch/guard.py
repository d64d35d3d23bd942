"""What holds for every request: a limit on its body, and headers that keep browsers careful."""

from collections.abc import Sequence

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from grid.errors import BadPayload

HEADERS: Sequence[tuple[bytes, bytes]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"geolocation=(), camera=(), microphone=()"),
)
STRICT = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
UNKEPT = (b"cache-control", b"no-store")
HSTS = (b"strict-transport-security", b"max-age=31536000")


class BodyTooLarge(BadPayload):
    """More bytes than a body may have."""


class Guard:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, body_bytes_max: int) -> None:
        self._app = app
        self._body_bytes_max = body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and see to its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said_length = dict(scope["headers"]).get(b"content-length", b"0")
        secure = scope.get("scheme") == "https"
        if said_length.isdigit() and int(said_length) > self._body_bytes_max:
            await _answer_413(self._body_bytes_max, _headed(send, secure=secure))
            return
        await self._app(scope, self._limited(receive), _headed(send, secure=secure))

    def _limited(self, receive: Receive) -> Receive:
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._body_bytes_max:
                raise BodyTooLarge(too_large(self._body_bytes_max))
            return message

        return limited


def too_large(body_bytes_max: int) -> str:
    """The sentence of a 413."""
    return f"a body may have {body_bytes_max} bytes, and this one has more"


def _headed(send: Send, *, secure: bool) -> Send:
    """Add what is missing of our headers to an answer."""

    async def headed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", []))
            have = {name.lower() for name, _ in headers}
            ours = (*HEADERS, STRICT, UNKEPT, *((HSTS,) if secure else ()))
            message["headers"] = [*headers, *(pair for pair in ours if pair[0] not in have)]
        await send(message)

    return headed


async def _answer_413(body_bytes_max: int, send: Send) -> None:
    body = msgspec.json.encode({"error": too_large(body_bytes_max)})
    await send(
        {
            "type": "http.response.start",
            "status": 413,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
