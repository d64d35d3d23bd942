"""What the feeds count; the service shows it as metrics."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Since the start, all of them."""

    connected: int = 0  # handshakes that became a connection
    refused: Counter[str] = field(default_factory=Counter)  # handshakes by HTTP status
    closed: Counter[str] = field(default_factory=Counter)  # by closing word
    subscribed: Counter[str] = field(default_factory=Counter)  # recovered, snapshot
    published: int = 0  # messages of the log that somebody was subscribed to
    delivered: int = 0  # the same, times who got them
    queued: int = 0  # times a client fell behind
    coalesced: int = 0  # messages left out for slow clients
    seen: int = 0  # acks
    audit_dropped: int = 0  # audit lines that only the log has, because the database was away
