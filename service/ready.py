"""Asks a service whether it is ready: a container's health check, where there is no curl."""

import http.client
import json
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from grid.errors import ConfigError, Unreachable

TIMEOUT_S = 5.0


def ask(url: str, ca: Path | None) -> list[str]:
    """The parts that are not ready, each with its reason; none: all is well.

    Raises:
        ConfigError: The URL is none, or the authority's file cannot be used.
        Unreachable: Nobody answers there.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{url!r} is no address; write it like https://127.0.0.1:8480")
    try:
        status, body = _get(parts.scheme, parts.hostname, parts.port, ca)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{url} does not answer: {error}") from error
    if status == 200:
        return []
    try:
        found = json.loads(body)["components"]
    except (ValueError, KeyError, TypeError):
        return [f"{url} answers {status}"]
    return [f"{name}: {part['reason']}" for name, part in found.items() if not part["ready"]]


def _get(scheme: str, host: str, port: int | None, ca: Path | None) -> tuple[int, bytes]:
    connection: http.client.HTTPConnection
    if scheme == "https":
        try:
            context = ssl.create_default_context(cafile=ca)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"--ca: {ca} cannot be used: {error}") from error
        connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
