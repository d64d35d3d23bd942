"""What a run of the service is made of: settled before anything starts, and unchanged after."""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from service import ports
from service.keys import Keys
from service.settings import Settings


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Settings with the addresses that are really listened on, and everything else it takes."""

    settings: Settings
    data: Path
    keys: Keys
    database_url: str
    psql: str  # how a person looks into the embedded database; empty with one of their own
    network: str | None  # source; None for what the database has
    scenario: str | None  # a file, or a shipped one's name; None: nothing is simulated
    revivers: Mapping[str, Callable[[], bool]]  # start again what has died; whether it had
    again: bool  # a story that was over is told again
    board: bool
    smsc_port: int = 0  # of the simulated SMS centre; 0: none is simulated

    @property
    def http_url(self) -> str:
        """Where the API answers, for this machine."""
        http = self.settings.http
        return f"{'https' if http.tls_cert else 'http'}://{_local(http.listen)}"

    @property
    def feeds_url(self) -> str:
        """Where the feeds are, for browsers."""
        feeds = self.settings.feeds
        return feeds.url or f"{'wss' if feeds.tls_cert else 'ws'}://{_local(feeds.listen)}"


def _local(listen: str) -> str:
    return str(ports.parse(listen, "listen").local)
