"""The connection to an MQTT broker inside an event loop: opened, read as long as we may, lost.

Knows packets and sockets; what messages say and when they may be acknowledged is the gateway's.
"""

import asyncio
import ssl
from collections.abc import Callable

import structlog
from paho.mqtt.client import ConnectFlags, DisconnectFlags
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from devices.mqtt_v1 import filters
from grid.errors import ConfigError, Unreachable
from ingest.draining import DrainingClient
from ingest.packets import Message
from ingest.settings import MqttSettings, address_of

log = structlog.get_logger(__name__)
TICK_S = 1.0
_PINGREQ = b"\xc0\x00"


class Link:
    """One broker.  ``epoch`` counts its connections: a packet id means nothing on another one."""

    def __init__(
        self,
        settings: MqttSettings,
        *,
        username: str,
        password: str,
        now_ms: Callable[[], int],
        heard: Callable[[list[Message]], None],
    ) -> None:
        self.epoch = 0
        self.connected = False
        self.last_heard_ms = 0  # 0: never
        self._settings = settings
        self._now_ms = now_ms
        self._heard = heard
        self._paused = False
        self._fd = -1
        self._client = _client_of(settings, username, password)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_socket_close = self._on_socket_close

    async def open(self) -> None:
        """Connect, and subscribe unless the broker has kept our session; messages may come at once.

        A kept session begins with its backlog, and the answer to our subscription stands behind it.

        Raises:
            Unreachable: The broker is away, or will not have us.
        """
        loop = asyncio.get_running_loop()
        self.epoch += 1
        self._loop = loop
        self._up: asyncio.Future[None] = loop.create_future()
        self._lost: asyncio.Future[str] = loop.create_future()
        self._subscribed = asyncio.Event()
        self._paused = False
        await self._dial()
        socket = self._client.socket()
        assert socket is not None, "reconnect opens one or raises"
        self._fd = socket.fileno()
        loop.add_reader(self._fd, self._readable)
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                await self._up
        except TimeoutError as error:
            raise Unreachable("the broker does not answer") from error
        self.connected = True

    async def subscribed(self) -> None:
        """Return once the broker has answered that we are."""
        await self._subscribed.wait()

    async def closed(self) -> str:
        """Keep the connection alive until it is lost; the reason."""
        ticks = 0
        while True:
            done, _ = await asyncio.wait({self._lost}, timeout=TICK_S)
            if done:
                return self._lost.result()
            ticks += 1
            if not self._paused:
                self._client.loop_misc()
            elif ticks % max(1, self._settings.keepalive_s // 2) == 0:
                self.send(_PINGREQ)  # we do not hear the answer before we read again

    def send(self, packets: bytes) -> None:
        """Write whole packets that await no answer."""
        self._client.send_packets(packets)
        self._register_writer()

    def pause(self) -> None:
        """Read no more: what comes stays with the broker."""
        if not self._paused and self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._paused = True

    def resume(self) -> None:
        """Read again."""
        if self._paused and self._fd >= 0:
            self._paused = False
            self._client.forget_silence()
            self._loop.add_reader(self._fd, self._readable)

    def close(self) -> None:
        """Say goodbye if there is somebody; the broker keeps the session."""
        if self.connected:
            self._client.disconnect()
        self._client.close()
        self.connected = False

    async def _dial(self) -> None:
        """Connect in a thread: names are looked up and TLS is agreed on there, blocking."""
        dialling = asyncio.ensure_future(asyncio.to_thread(self._client.reconnect))
        try:
            await asyncio.shield(dialling)
        except asyncio.CancelledError:
            dialling.add_done_callback(self._hang_up)
            raise
        except (OSError, ValueError) as error:  # ValueError: ssl, of a host name
            raise Unreachable(f"the broker is away: {error}") from error

    def _hang_up(self, dialled: "asyncio.Future[MQTTErrorCode]") -> None:
        """Nobody waits for the connection any more that a thread has just opened, or not."""
        dialled.exception()
        self._client.close()

    def _readable(self) -> None:
        self.last_heard_ms = self._now_ms()
        self._client.loop_read()
        messages = self._client.take_messages()
        if messages:
            self._heard(messages)
        self._register_writer()

    def _register_writer(self) -> None:
        if self._fd >= 0 and self._client.want_write():
            self._loop.add_writer(self._fd, self._writable)

    def _writable(self) -> None:
        self._client.loop_write()
        if self._fd >= 0 and not self._client.want_write():
            self._loop.remove_writer(self._fd)

    def _on_connect(
        self, _c: object, _u: object, flags: ConnectFlags, reason: ReasonCode, _p: Properties | None
    ) -> None:
        if reason.is_failure:
            self._fail(f"the broker refuses us: {reason}")
            return
        log.info("mqtt_connected", session_present=flags.session_present, epoch=self.epoch)
        share = f"$share/{self._settings.shared}/" if self._settings.shared else ""
        self._client.subscribe([(share + one, 1) for one in filters(self._settings.prefix)])
        if flags.session_present and not self._up.done():
            self._up.set_result(None)

    def _on_subscribe(
        self, _c: object, _u: object, _mid: int, reasons: list[ReasonCode], _p: Properties | None
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            self._fail(f"the broker refuses a subscription: {refused[0]}")
            return
        self._subscribed.set()
        if not self._up.done():
            self._up.set_result(None)

    def _on_disconnect(
        self,
        _c: object,
        _u: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _p: Properties | None,
    ) -> None:
        self._fail(f"the connection is lost: {reason}")

    def _fail(self, reason: str) -> None:
        self.connected = False
        if not self._up.done():
            self._up.set_exception(Unreachable(reason))
        if not self._lost.done():
            self._lost.set_result(reason)

    def _on_socket_close(self, _client: object, _userdata: object, _socket: object) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            self._fd = -1


def _client_of(settings: MqttSettings, username: str, password: str) -> DrainingClient:
    address = address_of(settings.url)
    client = DrainingClient(settings.client_id, settings.payload_bytes_max)
    client.connect_timeout = settings.connect_timeout_s
    if username:
        client.username_pw_set(username, password)
    if address.tls:
        client.tls_set_context(_tls_of(settings))
    client.connect_async(address.host, address.port, settings.keepalive_s)
    return client


def _tls_of(settings: MqttSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca or None)
        if settings.tls_cert:
            context.load_cert_chain(settings.tls_cert, settings.tls_key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"mqtt.tls_ca, tls_cert or tls_key: {error}") from error
    return context
