"""How every client of ours reaches Kafka: the same addresses, certificates and credentials."""

import ssl
from collections.abc import Callable
from typing import Any

import msgspec
from kafka.errors import KafkaConfigurationError, KafkaError, SaslAuthenticationFailedError

from grid.errors import ConfigError, Unreachable
from stream.settings import BusSettings

TOPICS = ("frames", "commands", "quarantine")
SECURITY = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")


class Credentials(msgspec.Struct, frozen=True):
    """Empty where the broker wants none."""

    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        """Secrets stay out of logs and tracebacks."""
        return "Credentials(...)"


def topic_of(settings: BusSettings, name: str) -> str:
    """The topic's name in the cluster."""
    return settings.prefix + name


def brokers_of(settings: BusSettings) -> list[str]:
    """The addresses to begin with.

    Raises:
        ConfigError: There is none, or one without a port.
    """
    brokers = [one.strip() for one in settings.bootstrap.split(",") if one.strip()]
    if not brokers or not all(one.rpartition(":")[2].isdigit() for one in brokers):
        raise ConfigError(f"kafka.bootstrap {settings.bootstrap!r} should look like host:9092")
    return brokers


def tls_of(settings: BusSettings) -> ssl.SSLContext | None:
    """The client's side of TLS; None where there is none.

    Raises:
        ConfigError: The files cannot be used, or ``security`` is no word of Kafka's.
    """
    if settings.security not in SECURITY:
        raise ConfigError(f"kafka.security {settings.security!r} is none of {', '.join(SECURITY)}")
    if not settings.security.endswith("SSL"):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca or None)
        if settings.tls_cert:
            context.load_cert_chain(settings.tls_cert, settings.tls_key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"kafka.tls_ca, tls_cert or tls_key: {error}") from error
    return context


def options_of(settings: BusSettings, credentials: Credentials) -> dict[str, Any]:
    """What each client of kafka-python is made with."""
    options: dict[str, Any] = {
        "bootstrap_servers": brokers_of(settings),
        "security_protocol": settings.security,
        "ssl_context": tls_of(settings),
        "request_timeout_ms": int(settings.request_s * 1000),
        "reconnect_backoff_max_ms": 1000,
    }
    if settings.security.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": credentials.username,
            "sasl_plain_password": credentials.password,
        }
    return options


def reached(make: Callable[[], Any]) -> Any:
    """What ``make`` makes.

    Raises:
        Unreachable: Kafka is away.
        ConfigError: It will not have us.
    """
    try:
        return make()
    except (KafkaConfigurationError, SaslAuthenticationFailedError) as wrong:
        raise ConfigError(f"[kafka] of the settings: {wrong}") from wrong
    except KafkaError as error:
        raise Unreachable(f"Kafka is away: {error}") from error
