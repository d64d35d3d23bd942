"""What cannot be read is kept as it came, up to a limit, with a sentence that says why."""

import hashlib

from grid.parcel import BODY_BYTES_MAX, Quarantined


def quarantined(
    *, received_ms: int, source: str, topic: str, reason: str, body: bytes
) -> Quarantined:
    """A payload for the quarantine; length and digest are of all of it."""
    digest = hashlib.sha256(body).hexdigest()
    kept = body[:BODY_BYTES_MAX]
    return Quarantined(received_ms, source, topic, reason, kept, len(body), digest)


class Stream:
    """A payload too long to be held: its beginning, its length and its digest, as it passes."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._kept = bytearray()
        self.length = 0

    def __len__(self) -> int:
        """Bytes of it that are held."""
        return len(self._kept)

    def feed(self, chunk: bytes) -> None:
        """The next bytes of it."""
        self._digest.update(chunk)
        self.length += len(chunk)
        self._kept += chunk[: BODY_BYTES_MAX - len(self._kept)]

    def quarantined(self, *, received_ms: int, source: str, topic: str, reason: str) -> Quarantined:
        """All of it has passed."""
        digest = self._digest.hexdigest()
        return Quarantined(
            received_ms, source, topic, reason, bytes(self._kept), self.length, digest
        )
