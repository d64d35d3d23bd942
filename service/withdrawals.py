"""Rights that were withdrawn: whose tokens and sign-ins, issued until when, count no more.

A file beside the keys (``<data>.keys/withdrawn``), for tokens have no list that they could be
crossed out in.  A running service looks at it every half second; a token issued later is good.
"""

import os
from collections.abc import Callable
from pathlib import Path

import structlog

from grid.errors import Refused
from grid.people import Principal
from service import tokens

NAME = "withdrawn"
LOOK_MS = 500

log = structlog.get_logger()


class Withdrawals:
    """The file, as it was when it was last looked at."""

    def __init__(self, folder: Path, now_ms: Callable[[], int]) -> None:
        self._path = folder / NAME
        self._now_ms = now_ms
        self._looked_ms = -LOOK_MS
        self._seen: tuple[int, int] | None = None
        self._until: dict[tuple[str, str], int] = {}

    def covers(self, who: Principal) -> bool:
        """Whether the rights that somebody came with were withdrawn since."""
        now = self._now_ms()
        if abs(now - self._looked_ms) >= LOOK_MS:
            self._looked_ms = now
            self._look()
        return who.issued_ms <= self._until.get((who.role.value, who.subject), -1)

    def accept(self, key: bytes, token: str, *, audience: str = tokens.AUDIENCE) -> Principal:
        """Whose token it is.

        Raises:
            Refused: It is none of ours, its time is over, or its bearer's rights were withdrawn.
        """
        who = tokens.verify(key, token, self._now_ms(), audience=audience)
        if self.covers(who):
            raise Refused("the bearer's rights were withdrawn; this token counts no more")
        return who

    def _look(self) -> None:
        try:
            found = self._path.stat()
        except OSError:  # there is none
            return
        if (found.st_mtime_ns, found.st_size) != self._seen:
            self._seen = found.st_mtime_ns, found.st_size
            for line in self._path.read_text().splitlines():
                self._take(line)

    def _take(self, line: str) -> None:
        at, _, rest = line.partition(" ")
        role, _, subject = rest.partition(" ")
        if not at.isdigit() or not subject:
            log.warning("withdrawal_unreadable", file=str(self._path))
            return
        self._until[role, subject] = max(int(at), self._until.get((role, subject), -1))


def withdraw(folder: Path, role: str, subject: str, now_ms: int) -> None:
    """Let nothing count that was issued to somebody until now.

    Raises:
        Refused: Their name has a line break.
    """
    if not subject.isprintable():
        raise Refused("the subject has characters that no name has")
    line = f"{now_ms} {role} {subject}\n".encode()
    number = os.open(folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(number, line)
        os.fsync(number)
    finally:
        os.close(number)
