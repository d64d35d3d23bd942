"""What one role of a cluster is run with."""

import socket
from pathlib import Path

import msgspec

from service.keys import Keys
from service.settings import Settings


class RoleRun(msgspec.Struct, frozen=True, kw_only=True):
    """Settled before anything starts, and unchanged after."""

    role: str
    settings: Settings
    data: Path
    keys: Keys
    database_url: str
    network: str | None

    @property
    def sender(self) -> str:
        """Who it is on the bus: its role and which one of it."""
        return f"{self.role}@{self.settings.kafka.instance or socket.gethostname()}"
