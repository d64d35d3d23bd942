"""One-time codes: what a printed link carries, good once and not for long.  Pure but for its draw.

A code stands for a person.  It is kept in memory alone: a restart ends all of them, so that none
can be used twice, and whoever needs another prints one (`lastgasp token --link`).
"""

from collections.abc import Callable

import msgspec

from grid.errors import Refused
from grid.people import Principal

SPENT = "this link was used already, or its time is over; get a new one: lastgasp token --link"


class Code(msgspec.Struct, frozen=True):
    """A code, whom it stands for, and until when (epoch ms) it can be traded."""

    text: str
    who: Principal
    until_ms: int


class Codes:
    """Codes that were given and not yet traded; at most ``codes_max``, then the oldest goes."""

    def __init__(self, draw: Callable[[], str], *, ttl_s: int, codes_max: int) -> None:
        self._draw = draw
        self._ttl_ms = ttl_s * 1000
        self._codes_max = codes_max
        self._open: dict[str, Code] = {}

    def give(self, who: Principal, now_ms: int) -> Code:
        """A new code.  ``who.expires_ms`` is when the sign-in that it is traded for ends."""
        self._forget(now_ms)
        while len(self._open) >= self._codes_max:
            del self._open[next(iter(self._open))]
        code = Code(self._draw(), who, now_ms + self._ttl_ms)
        self._open[code.text] = code
        return code

    def good(self, text: str, now_ms: int) -> bool:
        """Whether a code could be traded now."""
        code = self._open.get(text)
        return code is not None and now_ms < code.until_ms

    def trade(self, text: str, now_ms: int) -> Principal:
        """Whom a code stands for; it is good no more.

        Raises:
            Refused: There is no such code, or no longer.
        """
        code = self._open.pop(text, None)
        if code is None or now_ms >= code.until_ms or now_ms >= code.who.expires_ms:
            raise Refused(SPENT)
        return code.who

    def _forget(self, now_ms: int) -> None:
        for text in [t for t, code in self._open.items() if now_ms >= code.until_ms]:
            del self._open[text]
