"""Addresses to listen on: read, checked, and refused in words that name the flag which changes
them.
"""

import errno
import ipaddress
import socket
import time

import msgspec

from grid.errors import ConfigError

PATIENCE_S = 3.0  # a killed run's children may hold a port for a moment longer than it did
TRIES = 200  # ports that --demo looks at, upwards


class Address(msgspec.Struct, frozen=True):
    """A host and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        """``127.0.0.1:8470``, ``[::1]:8470``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def local(self) -> "Address":
        """Where this machine itself reaches it: a wildcard is no address to connect to."""
        wildcards = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  told, not bound
        return Address(wildcards.get(self.host, self.host), self.port)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse(text: str, flag: str) -> Address:
    """The address of ``HOST:PORT``.

    Raises:
        ConfigError: Not of that form.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(f"{flag}: {text!r} is no HOST:PORT; write it like 127.0.0.1:8470")
    return Address(host, int(port))


def refuse_open_door(address: Address, flag: str, *, tls: bool) -> None:
    """Nothing listens beyond loopback without TLS and credentials.

    Raises:
        ConfigError: It would.
    """
    if not address.loopback and not tls:
        section = flag.removeprefix("--")
        raise ConfigError(
            f"{flag} {address} would listen beyond this machine without TLS; set tls_cert and "
            f"tls_key in [{section}] of the settings, or listen on 127.0.0.1 behind a TLS proxy"
        )


def claim(
    address: Address, flag: str, *, next_free: bool, patience_s: float = PATIENCE_S
) -> Address:
    """The address, known to be free; with ``next_free`` the next free port above it.

    Raises:
        ConfigError: The port is taken, or the host is not this machine's.
    """
    if next_free:
        patience_s = 0.0
    deadline = time.monotonic() + patience_s
    while not is_free(address, flag):
        if next_free:
            return _next_free(address, flag)
        if time.monotonic() >= deadline:
            raise ConfigError(
                f"port {address.port} on {address.host} is taken; stop who has it, or choose "
                f"another with {flag} {address.host}:PORT"
            )
        time.sleep(0.05)
    return address


def is_free(address: Address, flag: str) -> bool:
    """Whether one could listen there now.

    Raises:
        ConfigError: The host is not an address of this machine, or the port is not ours to take.
    """
    try:
        infos = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(f"{flag}: {address.host} is no address of this machine") from error
    family, kind, proto, _, where = infos[0]
    with socket.socket(family, kind, proto) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(where)
        except PermissionError as error:
            raise ConfigError(
                f"{flag}: port {address.port} needs root; use one above 1023"
            ) from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise ConfigError(f"{flag}: cannot listen on {address}: {error.strerror}") from error
    return True


def _next_free(address: Address, flag: str) -> Address:
    for port in range(address.port + 1, min(address.port + TRIES, 65536)):
        candidate = Address(address.host, port)
        if is_free(candidate, flag):
            return candidate
    raise ConfigError(f"no free port from {address.port} on; choose one with {flag} HOST:PORT")
