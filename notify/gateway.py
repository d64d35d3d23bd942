"""The connection to an SMPP 3.4 gateway: bound as a transceiver, kept alive, bound again when lost.

Up to a window of requests are in flight.  What was written and not answered, because the connection
was lost or the answer did not come, is of unknown fate, and that is what the caller is told.
"""

import asyncio
import contextlib
import ssl
import struct
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from grid.errors import BadPayload, ConfigError, Unreachable
from grid.outbox import Asked, Claimed, Receipt
from notify import smpp
from notify.carrier import Heard, Late, Rejected, Submit, Unanswered
from notify.receipts import state_word
from notify.settings import SmsSettings
from notify.smpp import Sequence

log = structlog.get_logger(__name__)

SYSTEM_TYPE = "lastgasp"


class Credentials(msgspec.Struct, frozen=True):
    """Who we are to the gateway."""

    system_id: str
    password: str

    def __repr__(self) -> str:
        """Secrets stay out of logs and tracebacks."""
        return "Credentials(...)"


class Gateway:
    """One gateway, a ``notify.carrier.Carrier``."""

    def __init__(
        self,
        settings: SmsSettings,
        credentials: Credentials,
        heard: Heard,
        now_ms: Callable[[], int],
    ) -> None:
        self.bound = asyncio.Event()
        self.trouble: str | None = "not connected yet"
        self.lost_count = 0
        self.by_words = False
        self._bound_at_s: float | None = None  # of the loop's clock
        self._settings = settings
        self._credentials = credentials
        self._heard = heard
        self._now_ms = now_ms
        self._session: _Session | None = None

    async def run(self) -> None:
        """Stay connected, for ever."""
        pause_s = self._settings.reconnect_s
        while True:
            try:
                await self._once()
                pause_s = self._settings.reconnect_s
            except Unreachable as away:
                self.trouble = away.message
            log.warning("sms_gateway_away", reason=self.trouble, again_in_s=pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(self._settings.reconnect_max_s, pause_s * 2)

    async def _once(self) -> None:
        """One connection, from its beginning to its end.

        Raises:
            Unreachable: There was none.
        """
        session = await _Session.open(self._settings, self._heard, self._now_ms)
        try:
            await session.bind(self._credentials)
            self._session, self.trouble = session, None
            self._bound_at_s = asyncio.get_running_loop().time()
            self.bound.set()
            log.info("sms_gateway_bound")
            self.trouble = await session.closed()
        finally:
            self.bound.clear()
            self._bound_at_s = None
            self._session = None
            self.lost_count += 1
            await session.close()

    def heard(self) -> tuple[float, float] | None:
        """From when until when (of the loop's clock) every receipt that came was kept; None while
        there is no connection.

        It begins anew with a connection, and when something had to be refused; it ends where
        something waits for the database.
        """
        session = self._session
        if session is None or self._bound_at_s is None:
            return None
        until_s = asyncio.get_running_loop().time()
        if session.waits_since_s is not None:
            until_s = session.waits_since_s
        return max(self._bound_at_s, session.refused_at_s), until_s

    def to(self, one: Claimed) -> str | None:
        """The number as the gateway wants it."""
        return smpp.international(one.phone, self._settings.country)

    async def submit(self, text: Submit, late: Late) -> list[str]:
        """As a carrier does."""
        session = self._session
        if session is None:
            raise Unreachable("the SMS gateway is not connected")
        ids: list[str] = []
        for fields in smpp.segments(text):
            fields |= self._addresses(text.to)
            try:
                answer = await session.request("submit_sm", late if not ids else None, **fields)
            except Rejected as no:
                if ids:  # half of it is on its way
                    raise Unanswered from no
                raise
            except Unreachable as away:
                if ids:
                    raise Unanswered from away
                raise
            ids.append(smpp.message_id(answer))
        return ids

    def _addresses(self, number: str) -> dict[str, Any]:
        settings = self._settings
        return {
            "source_addr_ton": settings.source_ton, "source_addr_npi": settings.source_npi,
            "source_addr": settings.source, "dest_addr_ton": settings.dest_ton,
            "dest_addr_npi": settings.dest_npi, "destination_addr": number,
            "registered_delivery": 1,
        }  # fmt: skip

    async def ask(self, asked: Asked) -> Receipt | None:
        """What became of a segment; None where the gateway does not say, or it has no name."""
        session = self._session
        if session is None or not asked.message_id:
            return None
        settings = self._settings
        try:
            answer = await session.request(
                "query_sm", None, message_id=asked.message_id, source_addr_ton=settings.source_ton,
                source_addr_npi=settings.source_npi, source_addr=settings.source,
            )  # fmt: skip
        except (Rejected, Unanswered, Unreachable):
            return None
        return Receipt(self._now_ms(), asked.message_id, state_word(answer.message_state))


class _Session:
    """One connection."""

    def __init__(
        self,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        settings: SmsSettings,
        heard: Heard,
        now_ms: Callable[[], int],
    ) -> None:
        self._reader, self._writer = streams
        self._settings = settings
        self._heard = heard
        self._now_ms = now_ms
        self._numbers = Sequence()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._inbox: asyncio.Queue[tuple[float, Any]] = asyncio.Queue(settings.receipts_max)
        self.waits_since_s: float | None = None  # the oldest that came and is not kept yet
        self.refused_at_s = 0.0  # something was not taken, and has to come again
        self._tasks: list[asyncio.Task[str]] = []

    @classmethod
    async def open(
        cls, settings: SmsSettings, heard: Heard, now_ms: Callable[[], int]
    ) -> "_Session":
        host, port, secure = address_of(settings)
        context = ssl.create_default_context() if secure else None
        try:
            async with asyncio.timeout(settings.connect_s):
                streams = await asyncio.open_connection(host, port, ssl=context)
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"the SMS gateway at {host}:{port} does not answer") from error
        session = cls(streams, settings, heard, now_ms)
        for work in (session._read(), session._keep_alive(), session._hear()):
            session._tasks.append(asyncio.get_running_loop().create_task(work))
        return session

    async def bind(self, who: Credentials) -> None:
        """Become a transceiver.

        Raises:
            Unreachable: It will not have us; it may later.
        """
        try:
            await self.request(
                "bind_transceiver", None, system_id=who.system_id, password=who.password,
                system_type=SYSTEM_TYPE, interface_version=0x34,
            )  # fmt: skip
        except Rejected as no:
            said = "the SMS gateway refuses to bind us; check LASTGASP_SMS_SYSTEM_ID"
            raise Unreachable(said) from no
        except Unanswered as silent:
            raise Unreachable("the SMS gateway does not answer our bind") from silent

    async def request(self, name: str, late: Late | None, **fields: Any) -> Any:
        """Send a request and wait for its answer; as ``Gateway.submit`` raises."""
        if self._writer.is_closing():
            raise Unreachable("the SMS gateway is not connected")
        pdu = smpp.make(name, self._numbers, **fields)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[pdu.sequence] = answer
        self._say(pdu.generate())
        try:
            async with asyncio.timeout(self._settings.answer_s):
                response = await asyncio.shield(answer)
        except TimeoutError:
            if late is None:
                del self._waiting[pdu.sequence]
            else:
                self._forget_oldest()
                answer.add_done_callback(lambda done: _came_late(done, late))
            raise Unanswered from None
        if response.status != smpp.OK:
            raise smpp.rejection(response.status)
        return response

    def _forget_oldest(self) -> None:
        """Late answers are waited for, but not for so many that they fill the memory."""
        while len(self._waiting) > self._settings.late_max:
            del self._waiting[next(iter(self._waiting))]

    async def closed(self) -> str:
        """Return when the connection is over, and why."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(iter(done)).result()

    async def close(self) -> None:
        """Say goodbye and give up on what is in flight."""
        if not self._writer.is_closing() and not self._reader.at_eof():
            with contextlib.suppress(Rejected, Unanswered, Unreachable, OSError):
                async with asyncio.timeout(min(1.0, self._settings.answer_s)):
                    await self.request("unbind", None)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(Unanswered())
                answer.exception()  # whoever waits is told; nobody may be
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()

    # -- what comes in -----------------------------------------------------------------------------

    async def _read(self) -> str:
        try:
            while True:
                head = await self._reader.readexactly(4)
                (length,) = struct.unpack(">L", head)
                if not smpp.HEADER_BYTES <= length <= smpp.PDU_BYTES_MAX:
                    return f"the SMS gateway sent a PDU of {length} bytes"
                body = head + await self._reader.readexactly(length - 4)
                if self._taken(body):
                    return "the SMS gateway said goodbye"
        except (asyncio.IncompleteReadError, OSError):
            return "the SMS gateway closed the connection"

    def _taken(self, body: bytes) -> bool:
        """Act on a PDU; whether it was the last."""
        try:
            pdu = smpp.read(body)
        except BadPayload as bad:
            self._refuse(body)
            log.warning("sms_gateway_unreadable", reason=bad.message, **bad.fields)
            return False
        if pdu.is_response():
            answer = self._waiting.pop(pdu.sequence, None)
            if answer is not None and not answer.done():
                answer.set_result(pdu)
            return False
        if pdu.command == "deliver_sm":
            self._delivered(pdu)
            return False
        if pdu.command in ("enquire_link", "unbind"):
            self._say(smpp.answer_to(pdu, self._numbers))
        return bool(pdu.command == "unbind")

    def _delivered(self, pdu: Any) -> None:
        now_s = asyncio.get_running_loop().time()
        try:
            self._inbox.put_nowait((now_s, pdu))
        except asyncio.QueueFull:  # it keeps what we cannot, and tries again
            self.refused_at_s = now_s
            self._say(smpp.answer_to(pdu, self._numbers, smpp.TRY_LATER))
            return
        if self.waits_since_s is None:
            self.waits_since_s = now_s

    def _say(self, pdu: bytes) -> None:
        """Write, unless there is nobody any more."""
        if not self._writer.is_closing():
            self._writer.write(pdu)

    def _refuse(self, body: bytes) -> None:
        """A generic_nack for a request; an answer that cannot be read says nothing."""
        command, sequence = smpp.refusal_of(body)
        if not command & 0x80000000:
            nack = smpp.make("generic_nack", self._numbers, status=3)  # ESME_RINVCMDID
            nack.status, nack.sequence = 3, sequence
            self._say(nack.generate())

    async def _hear(self) -> str:
        """Hand over what was delivered, and acknowledge it only then."""
        loop = asyncio.get_running_loop()
        while True:
            came = [await self._inbox.get()]
            while not self._inbox.empty() and len(came) < self._settings.batch_max:
                came.append(self._inbox.get_nowait())
            self.waits_since_s = came[0][0]
            some = [pdu for _, pdu in came]
            said = [smpp.delivered(pdu, self._now_ms()) for pdu in some]
            kept = await self._heard([one for one in said if one is not None])
            status = smpp.OK if kept else smpp.TRY_LATER
            if not kept:
                self.refused_at_s = loop.time()
            for pdu in some:
                self._say(smpp.answer_to(pdu, self._numbers, status))
            if self._inbox.empty():
                self.waits_since_s = None  # else the next round begins with the oldest

    async def _keep_alive(self) -> str:
        while True:
            await asyncio.sleep(self._settings.enquire_s)
            try:
                await self.request("enquire_link", None)
            except (Rejected, Unanswered, Unreachable):
                return "the SMS gateway does not answer any more"


def _came_late(done: "asyncio.Future[Any]", late: Late) -> None:
    if not done.cancelled() and done.exception() is None and done.result().status == smpp.OK:
        late([smpp.message_id(done.result())])


def address_of(settings: SmsSettings) -> tuple[str, int, bool]:
    """Host, port and whether with TLS, of ``smpp://HOST:PORT`` or ``smpps://HOST:PORT``.

    Raises:
        ConfigError: It is none.
    """
    scheme, _, rest = settings.url.partition("://")
    host, _, port = rest.rpartition(":")
    if scheme not in ("smpp", "smpps") or not host or not port.isdigit():
        raise ConfigError(
            f"{settings.url!r} is no SMPP gateway - at $.sms.url; write smpp://HOST:PORT"
        )
    return host.strip("[]"), int(port), scheme == "smpps"
