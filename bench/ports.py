"""Ports for what a benchmark starts."""

import random
import socket
from contextlib import suppress

# Below the ports that connections go out from: one of those would be taken before its server is up.
FIRST, LAST = 12_000, 32_000


def free_port() -> int:
    """A loopback port that nobody listens on, and neither on the one above it."""
    while True:
        port = random.randrange(FIRST, LAST, 2)
        with socket.socket() as one, socket.socket() as above, suppress(OSError):
            one.bind(("127.0.0.1", port))
            above.bind(("127.0.0.1", port + 1))
            return port
