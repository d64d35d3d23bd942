"""The feeds' limits.  Times in seconds, sizes in bytes, as the names say."""

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class FeedSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything the feeds can be told.  What happens at each limit is in docs/feeds.md."""

    listen: str = "127.0.0.1:8471"
    tls_cert: str = ""  # PEM file; at scale let a proxy do TLS, it costs 256 KiB a connection
    tls_key: str = ""
    origins: tuple[str, ...] = ("http://127.0.0.1:8470", "http://localhost:8470")  # of web pages
    trusted_proxies: tuple[str, ...] = ()  # addresses whose X-Forwarded-For is believed

    connections_max: Count = 20_000
    connections_per_address_max: Count = 10_000  # lower it where no proxy stands in between
    channels_max: Count = 16  # a connection
    message_bytes_max: Count = 16_384  # from a client
    messages_per_minute_max: Count = 600  # from a client
    messages_burst_max: Count = 120

    open_s: Seconds = 5.0  # for the handshake
    auth_s: Seconds = 10.0  # from the handshake to the token
    heartbeat_s: Seconds = 25.0
    tick_s: Seconds = 1.0  # deadlines are looked at, and heartbeats spread, by this
    ping_s: Seconds = 20.0  # websocket's own ping
    pong_s: Seconds = 20.0
    close_s: Seconds = 5.0  # for the other side to close as well

    stall_s: Seconds = 30.0  # a client that reads nothing for so long is cut off
    direct_bytes_max: Count = 65_536  # written ahead of a client before its queue is begun
    queue_messages_max: Count = 256
    queue_bytes_max: Count = 262_144
    replay_max: Count = 1_000  # further back than this a client gets a snapshot
    page_max: Count = 256  # rows of one read
    reads_parallel_max: Count = 4  # of the database's connections, for joining clients
    read_channels_max: Count = 2_000  # in one round trip
    poll_s: Seconds = 5.0  # the log is looked at even when nobody wakes us
    audit_max: Count = 1_000  # lines waiting for the database

    retry_window_s: Seconds = 30.0  # clients sent away are spread over at most this
    retries_per_s: Count = 500
