"""What the gateways can be told.  Each queue has its maximum here; what happens at it is said."""

from urllib.parse import urlsplit

import msgspec

from devices.mqtt_v1 import PREFIX
from grid.errors import ConfigError


class MqttSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where devices' messages come from.  User name and password come from the environment."""

    url: str = "mqtt://127.0.0.1:1883"  # mqtts:// for TLS
    prefix: str = PREFIX
    client_id: str = "lastgasp-ingest"  # the broker keeps our session under it: unique, stable
    tls_ca: str = ""  # PEM files; without an authority the system's are trusted
    tls_cert: str = ""
    tls_key: str = ""
    keepalive_s: int = 20
    connect_timeout_s: float = 5.0
    reconnect_s_min: float = 0.2  # doubled at each failure up to the maximum, with jitter
    reconnect_s_max: float = 10.0
    payload_bytes_max: int = 1 << 20  # above: quarantined unread
    outstanding_messages_max: int = 20_000  # above: we stop reading, the broker keeps the rest
    outstanding_bytes_max: int = 64 << 20  # the same
    deliveries_max: int = 8  # at a time; above: messages wait for the next one
    delivery_messages_max: int = 1_000
    unconfirmed_deliveries_max: int = 2_000  # on a bus; above: the oldest is forgotten, sent again
    shared: str = ""  # several gateways share the devices under this name ($share/NAME/...)
    delivery_bytes_max: int = 4 << 20
    caught_up_quiet_s: float = 1.5  # a backlog is in when this long nothing old has come
    caught_up_old_s: float = 2.0  # old: happened this long before we connected
    caught_up_stragglers: float = 0.05  # share of old ones that is mere lateness, no backlog
    caught_up_s_min: float = 1.0
    caught_up_s_max: float = 20.0  # since the last of a backlog was committed: given up
    caught_up_s_max_in_all: float = 240.0  # less than $.stream.catch_up_s_max
    concentrators_max: int = 100_000  # above: the one heard longest ago is forgotten
    gap_arrays_max: int = 100  # beyond a gap, a concentrator; above: they must be sent again


class ModbusSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How breakers are polled."""

    share: str = "1/1"  # of the breakers: "2/3" is the second of three gateways
    poll_s: float = 1.0
    timeout_s: float = 1.0  # of one request and of a connection attempt
    failures_max: int = 2  # polls in a row without an answer before the state is unknown
    reconnect_s_min: float = 0.2
    reconnect_s_max: float = 10.0
    heartbeat_s: float = 10.0  # measurements are told at least this often
    amps_deadband: float = 5.0  # and when a current has moved by this much
    volts_deadband_pct: float = 5.0  # or a voltage
    deliveries_max: int = 4  # at a time; above: readings wait for the next one
    outstanding_readings_max: int = 10_000  # above: polls wait
    caught_up_s_max: float = 5.0  # a first round of polls is waited for this long


class Address(msgspec.Struct, frozen=True):
    """A broker's."""

    host: str
    port: int
    tls: bool


def share_of(share: str) -> tuple[int, int]:
    """Which gateway, from 1, of how many.

    Raises:
        ConfigError: It is no such thing.
    """
    number, slash, of = share.partition("/")
    if slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of):
        return int(number), int(of)
    raise ConfigError(f"modbus.share {share!r} should look like 2/3: the second of three gateways")


def address_of(url: str) -> Address:
    """Host and port of ``mqtt://host:port``.

    Raises:
        ConfigError: Another scheme, no host, a bad port, or a password where everybody sees it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"mqtt.url {url!r}: {error}") from error
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise ConfigError(f"mqtt.url {url!r} should look like mqtt://host:1883 or mqtts://host")
    if parts.username or parts.password:
        raise ConfigError("mqtt.url holds a user; set LASTGASP_MQTT_USERNAME and _PASSWORD instead")
    tls = parts.scheme == "mqtts"
    return Address(parts.hostname, port or (8883 if tls else 1883), tls)
