"""A paho client that reads as much as the socket holds at a time, and writes many packets at once.

Stock paho does one select and three recv a message (``_packet_read`` of 2.2.0, which is pinned for
the names used here) and one send an acknowledgement.  Here a chunk is received and taken apart;
messages go to a list, everything else to paho's own handlers.  It belongs to one thread: the one
whose event loop calls ``loop_read`` and ``loop_write``.
"""

import socket
import ssl
from time import monotonic
from typing import TYPE_CHECKING, cast

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.exception import MalformedPacket

from grid.errors import BadPayload
from ingest.packets import Inbound, Message

if TYPE_CHECKING:
    from paho.mqtt.client import _InPacket

CHUNK_BYTES = 1 << 18
CHUNKS_MAX = 4  # at a time, then the event loop has its turn
_PUBACK = 0x40


class DrainingClient(Client):
    """An MQTT 3.1.1 client with a session that the broker keeps."""

    def __init__(self, client_id: str, payload_bytes_max: int) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2, client_id, clean_session=False, reconnect_on_failure=False
        )
        self.suppress_exceptions = False
        self._payload_bytes_max = payload_bytes_max
        self._inbound = Inbound(payload_bytes_max)

    def take_messages(self) -> list[Message]:
        """What has come since this was last asked."""
        messages, self._inbound.messages = self._inbound.messages, []
        return messages

    def reconnect(self) -> MQTTErrorCode:
        """Open a new connection, blocking; what was half read of the old one is gone."""
        self._inbound = Inbound(self._payload_bytes_max)
        return super().reconnect()

    def loop_read(self, max_packets: int = CHUNKS_MAX) -> MQTTErrorCode:
        """Take in what the socket holds, a few chunks at most."""
        for _ in range(max_packets):
            try:
                chunk = self._sock_recv(CHUNK_BYTES)
            except BlockingIOError:
                return MQTTErrorCode.MQTT_ERR_SUCCESS
            except OSError:
                chunk = b""
            if not chunk:
                return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
            result = self._take_in(chunk)
            if result:
                return self._loop_rc_handle(result)
            if len(chunk) < CHUNK_BYTES and not self._ssl:
                break  # that was all of it; a TLS record more may be waiting inside ssl
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def send_packets(self, packets: bytes) -> None:
        """Write whole packets that await no answer, as many as there are, in one go."""
        self._packet_queue(_PUBACK, packets, 0, 0)

    def close(self) -> None:
        """Drop the connection without a word; the broker keeps the session."""
        self._sock_close()

    def forget_silence(self) -> None:
        """Take no offence at what went unanswered while nobody read."""
        self._last_bytes_received = monotonic()
        self._ping_t = 0.0

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        """Agree on TLS.  Paho's own leaves the socket open where that fails."""
        assert self._ssl_context is not None, "set together with the port"
        secured = self._ssl_context.wrap_socket(
            tcp_sock, server_hostname=self._host, do_handshake_on_connect=False
        )
        try:
            secured.settimeout(self._connect_timeout)
            secured.do_handshake()
        except BaseException:
            secured.close()
            raise
        return secured

    def _take_in(self, chunk: bytes) -> MQTTErrorCode:
        self._last_bytes_received = monotonic()
        try:
            for first, body in self._inbound.feed(chunk):
                packet = {
                    "command": first,
                    "packet": bytearray(body),
                    "remaining_length": len(body),
                }
                self._in_packet = cast("_InPacket", packet)
                result = self._packet_handle()
                if result:
                    return result
        except (BadPayload, MalformedPacket):
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        return MQTTErrorCode.MQTT_ERR_SUCCESS
