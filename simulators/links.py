"""A few MQTT connections that all devices share: some hundred bytes a device instead of a socket.

The first connection also hears what is sent down to devices.  A connection that breaks takes the
others with it, and all are made anew: what a client library still holds of a broken one must not
speak for a device that has died since.
"""

import asyncio
import ssl
import threading
from collections import deque
from urllib.parse import urlsplit

import msgspec
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from grid.errors import ConfigError, Unreachable

SCHEMES = {"mqtt": (1883, False), "mqtts": (8883, True)}


class LinkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The connections of the simulated devices."""

    url: str = "mqtt://127.0.0.1:1883"  # mqtts:// for TLS, USER:PASSWORD@ where the broker asks
    tls_ca: str = ""  # PEM files; without an authority the system's are trusted
    tls_cert: str = ""
    tls_key: str = ""
    connections: int = 2
    keepalive_s: int = 20
    connect_s: float = 5.0
    heard_max: int = 200_000  # acks and pings not looked at yet; above: dropped, facts come again


class Links:
    """Open connections, until one of them breaks."""

    def __init__(self, settings: LinkSettings, topics: tuple[str, ...]) -> None:
        self._settings = settings
        self._topics = topics
        self._clients: list[Client] = []
        self._heard: deque[tuple[str, bytes]] = deque()
        self._broken = threading.Event()
        self._up = False
        self.dropped = 0

    @property
    def open(self) -> bool:
        """Whether all connections still stand."""
        return self._up and not self._broken.is_set()

    async def connect(self) -> None:
        """Open all connections and subscribe; what comes down is heard from then on.

        Raises:
            ConfigError: The URL is no broker's.
            Unreachable: The broker does not answer, or does not let us in.
        """
        host, port, tls, user, password = _address(self._settings.url)
        self._broken.clear()
        self._heard.clear()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._settings.connect_s):
                for number in range(self._settings.connections):
                    ready: asyncio.Future[str] = loop.create_future()
                    client = self._client(number, ready)
                    if tls:
                        client.tls_set_context(tls_of(self._settings))
                    if user is not None:
                        client.username_pw_set(user, password)
                    await asyncio.to_thread(client.connect, host, port, self._settings.keepalive_s)
                    self._clients.append(client)
                    client.loop_start()
                    refusal = await ready
                    if refusal:
                        raise Unreachable(f"the broker at {host}:{port} says: {refusal}")
        except (OSError, TimeoutError) as error:
            await self.close()
            raise Unreachable(f"no MQTT broker at {host}:{port}: {error!r}") from error
        except BaseException:
            await self.close()
            raise
        self._up = True

    def send(self, key: int, topic: str, body: bytes) -> None:
        """Publish at QoS 1 on one of the connections, the same for the same key."""
        client = self._clients[key % len(self._clients)]
        if client.publish(topic, body, qos=1).rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._broken.set()

    def heard(self) -> list[tuple[str, bytes]]:
        """Topics and bodies of what came down since this was last asked."""
        return [self._heard.popleft() for _ in range(len(self._heard))]

    async def close(self) -> None:
        """Close all connections; what they still held is not sent."""
        self._up = False
        clients, self._clients = self._clients, []
        for client in clients:
            client.on_disconnect = None
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)

    def _client(self, number: int, ready: "asyncio.Future[str]") -> Client:
        client = Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        client.max_inflight_messages_set(0)  # the devices' own windows bound what is under way
        client.connect_timeout = self._settings.connect_s
        loop = asyncio.get_running_loop()

        def tell(refusal: str) -> None:
            if not ready.done():
                ready.set_result(refusal)

        def connected(
            client: Client,
            userdata: object,
            flags: ConnectFlags,
            reason: ReasonCode,
            properties: Properties | None,
        ) -> None:
            if reason.is_failure:
                loop.call_soon_threadsafe(tell, str(reason))
            elif number == 0:
                client.subscribe([(topic, 1) for topic in self._topics])
            else:
                loop.call_soon_threadsafe(tell, "")

        def subscribed(*_: object) -> None:
            loop.call_soon_threadsafe(tell, "")

        def disconnected(
            client: Client,
            userdata: object,
            flags: DisconnectFlags,
            reason: ReasonCode,
            properties: Properties | None,
        ) -> None:
            self._broken.set()
            loop.call_soon_threadsafe(tell, f"closed: {reason}")

        client.on_connect = connected
        client.on_subscribe = subscribed
        client.on_disconnect = disconnected
        client.on_message = self._hear
        return client

    def _hear(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        """On the connection's own thread: a deque takes and gives without a lock."""
        if len(self._heard) < self._settings.heard_max:
            self._heard.append((message.topic, bytes(message.payload)))
        else:
            self.dropped += 1


def tls_of(settings: LinkSettings) -> ssl.SSLContext:
    """The devices' side of TLS.

    Raises:
        ConfigError: The files cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca or None)
        if settings.tls_cert:
            context.load_cert_chain(settings.tls_cert, settings.tls_key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"the devices' certificates cannot be used: {error}") from error
    return context


def _address(url: str) -> tuple[str, int, bool, str | None, str | None]:
    """Host, port, TLS, user and password of a broker's URL."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise ConfigError("the broker's URL must be mqtt://HOST:PORT or mqtts://HOST:PORT")
    default, tls = SCHEMES[parts.scheme]
    try:
        port = parts.port or default
    except ValueError:
        raise ConfigError("the port in the broker's URL is no number up to 65535") from None
    return parts.hostname, port, tls, parts.username, parts.password
