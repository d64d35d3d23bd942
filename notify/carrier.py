"""What the sender needs of whoever carries its texts: a gateway over SMPP or HTTP, or Apprise."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec

from grid.outbox import Absent, Asked, Claimed, Receipt


class Unanswered(Exception):  # noqa: N818  it may have been taken, or not
    """A request was written, and nobody knows what became of it."""


class Rejected(Exception):  # noqa: N818  an answer, no failure
    """An answer: it is not taken.  ``again``: it may be later; ``throttled``: slower, please."""

    def __init__(self, reason: str, *, again: bool = False, throttled: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again or throttled
        self.throttled = throttled


class Submit(msgspec.Struct, frozen=True):
    """A text as it goes to a carrier."""

    to: str  # international, digits only; of Apprise's channels an address
    parts: tuple[str, ...]
    gsm: bool
    reference: int  # ours: the notice's number
    attempt: int = 1
    body: str = ""
    template: str = ""  # language and key of its template: zh.confirmed
    values: Mapping[str, str] = {}  # what was filled in

    def __repr__(self) -> str:
        """Numbers and words stay out of logs and tracebacks."""
        return f"Submit({self.reference}, {len(self.parts)} parts)"


class Reply(msgspec.Struct, frozen=True):
    """What a customer sent to us."""

    phone: str
    text: str

    def __repr__(self) -> str:
        """Numbers stay out of logs and tracebacks."""
        return "Reply(...)"


Heard = Callable[[list[Receipt | Reply]], Awaitable[bool]]
"""Takes what a carrier delivered; true once it is kept.  False: it shall come again."""
Late = Callable[[list[str]], None]
"""Called with the carrier's names of a text, should its answer come after all."""


class Carrier(Protocol):
    """``submit`` and ``ask`` may be called while ``bound``."""

    bound: asyncio.Event
    trouble: str | None
    lost_count: int
    by_words: bool  # it is asked by a text's words: they are kept before it has them

    def heard(self) -> tuple[float, float] | None:
        """From when until when (of the loop's clock) every receipt that came was kept; None where
        none can come.
        """

    async def run(self) -> None:
        """Stay connected, for ever."""

    def to(self, one: Claimed) -> str | None:
        """Where a text goes; None for a number or an address that is none."""

    async def submit(self, text: Submit, late: Late) -> list[str]:
        """Hand a text over; what the carrier calls its segments.

        Raises:
            Unreachable: Nothing was written.
            Rejected: It does not take it.
            Unanswered: Nobody knows.
        """

    async def ask(self, asked: Asked) -> Receipt | Absent | None:
        """What became of a text; None where the carrier does not say."""
