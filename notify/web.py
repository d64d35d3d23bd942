"""A gateway over HTTP: its dialect makes requests and reads answers, this sends them.

What was written and not answered is of unknown fate: the gateway is asked for it later, or its
callback tells.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import httpx
import msgspec
import structlog

from grid.errors import Unreachable
from grid.outbox import Absent, Asked, Claimed, Receipt
from notify import smpp
from notify.carrier import Late, Reply, Submit, Unanswered
from notify.settings import SmsSettings

log = structlog.get_logger(__name__)

NOT_WRITTEN = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Request(msgspec.Struct, frozen=True):
    """One HTTP request."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""

    def __repr__(self) -> str:
        """Numbers and signatures stay out of logs and tracebacks."""
        return f"Request({self.method})"


class Callback(msgspec.Struct, frozen=True):
    """What a gateway sent to our address."""

    query: str  # as it came, without the question mark
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def __repr__(self) -> str:
        """Numbers stay out of logs and tracebacks."""
        return "Callback(...)"


class Said(msgspec.Struct, frozen=True):
    """What a callback says, and what it is answered once that is kept."""

    said: tuple[Receipt | Reply, ...]
    answer: bytes
    media_type: str


class Dialect(Protocol):
    """One house's way of speaking.  Pure.  ``by_words`` as of a carrier."""

    by_words: bool

    def submit(self, text: Submit, now_ms: int) -> Request:
        """The request that hands a text over.

        Raises:
            Rejected: It cannot be said in this dialect.
        """

    def answered(self, status: int, body: bytes) -> list[str]:
        """What the gateway calls a text that it took.

        Raises:
            Rejected: It does not take it.
            Unanswered: It does not say.
        """

    def look(self, asked: Asked, now_ms: int) -> Request:
        """The request that asks what became of a text."""

    def found(self, asked: Asked, status: int, body: bytes, now_ms: int) -> Receipt | Absent | None:
        """What became of it."""

    def heard(self, callback: Callback, now_ms: int) -> Said:
        """What a callback says.

        Raises:
            Refused: It is not the gateway's.
            BadPayload: It cannot be read.
        """


def an_object(body: bytes) -> dict[str, Any]:
    """A JSON object that a gateway answers; empty where it is none."""
    try:
        said = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def digits(number: str) -> str:
    """A telephone number without plus sign, blanks and hyphens."""
    return "".join(c for c in number if c in "0123456789")


class WebGateway:
    """A ``notify.carrier.Carrier`` over HTTP."""

    def __init__(self, settings: SmsSettings, dialect: Dialect, now_ms: Callable[[], int]) -> None:
        self.bound = asyncio.Event()
        self.trouble: str | None = "not connected yet"
        self.lost_count = 0
        self.by_words = dialect.by_words
        self._settings = settings
        self._dialect = dialect
        self._now_ms = now_ms
        self._client: httpx.AsyncClient | None = None
        self._lost = asyncio.Event()
        self._since_s = 0.0  # of the loop's clock

    def heard(self) -> tuple[float, float] | None:
        """Since it has answered: what it calls back is kept before it is thanked."""
        if not self.bound.is_set():
            return None
        return self._since_s, asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Keep connections open, and wait a while after one could not be made, for ever."""
        limits = httpx.Limits(max_connections=self._settings.window_max)
        timeout = httpx.Timeout(self._settings.answer_s, connect=self._settings.connect_s)
        pause_s = self._settings.reconnect_s
        async with httpx.AsyncClient(limits=limits, timeout=timeout, trust_env=False) as client:
            self._client = client
            while True:
                self._lost.clear()
                self._since_s = asyncio.get_running_loop().time()
                self.bound.set()
                await self._lost.wait()
                self.bound.clear()
                held_s = asyncio.get_running_loop().time() - self._since_s
                pause_s = self._settings.reconnect_s if held_s > pause_s else pause_s * 2
                pause_s = min(self._settings.reconnect_max_s, pause_s)
                log.warning("sms_gateway_away", reason=self.trouble, again_in_s=pause_s)
                self.lost_count += 1
                await asyncio.sleep(pause_s)

    def to(self, one: Claimed) -> str | None:
        """The number, international."""
        return smpp.international(one.phone, self._settings.country)

    async def submit(self, text: Submit, late: Late) -> list[str]:
        """As a carrier does; an answer that is late is not waited for."""
        request = self._dialect.submit(text, self._now_ms())
        status, body = await self._exchange(request)
        self.trouble = None
        return self._dialect.answered(status, body)

    async def ask(self, asked: Asked) -> Receipt | Absent | None:
        """What became of a text."""
        request = self._dialect.look(asked, self._now_ms())
        try:
            status, body = await self._exchange(request)
        except (Unreachable, Unanswered):
            return None
        return self._dialect.found(asked, status, body, self._now_ms())

    async def _exchange(self, request: Request) -> tuple[int, bytes]:
        if self._client is None:
            raise Unreachable("the SMS gateway is not connected")
        try:
            answer = await self._client.request(
                request.method, request.url, headers=dict(request.headers), content=request.body
            )
        except NOT_WRITTEN as error:
            self.trouble = "the SMS gateway does not answer"
            self._lost.set()
            raise Unreachable(self.trouble) from error
        except httpx.HTTPError as error:
            raise Unanswered from error
        return answer.status_code, answer.content
