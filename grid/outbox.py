"""What goes between the outbox and the sender: a text to be sent, and what became of it."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from grid.notice import SMS, Facts, Phase, Recipient


class Claimed(msgspec.Struct, frozen=True):
    """A notice that is being sent.  Only here the number is readable."""

    notice_no: int
    outage_id: str
    customer_id: str
    phase: Phase
    edition: int
    lane: int
    attempts: int
    facts: Facts
    language: str
    priority: str
    phone: str
    place: str
    address: str = ""  # on another channel than texts

    def __repr__(self) -> str:
        """Numbers and addresses stay out of logs and tracebacks."""
        return f"Claimed({self.notice_no}, {self.phase.value})"


class Sent(msgspec.Struct, frozen=True):
    """The gateway has it, and calls its segments so."""

    notice_no: int
    at_ms: int
    body: str
    bare: bool
    next_ms: int | None
    message_ids: tuple[str, ...]


class Back(msgspec.Struct, frozen=True):
    """The gateway has it not, for certain.  ``again_ms`` None: and never will."""

    notice_no: int
    at_ms: int
    reason: str
    again_ms: int | None = None


class Unknown(msgspec.Struct, frozen=True):
    """Nobody knows whether the gateway has it."""

    notice_no: int
    reason: str
    body: str | None = None


class Receipt(msgspec.Struct, frozen=True):
    """What the gateway says became of a segment.  ``stat``: DELIVRD, UNDELIV, ENROUTE, ..."""

    at_ms: int
    message_id: str
    stat: str
    phone: str = ""  # whose it is
    reference: int | None = None  # ours, where the gateway gives it back

    @property
    def final(self) -> bool:
        """Whether there is nothing more to come."""
        return self.stat not in OPEN

    def __repr__(self) -> str:
        """Numbers stay out of logs and tracebacks."""
        return f"Receipt({self.message_id}, {self.stat})"


class Asked(msgspec.Struct, frozen=True):
    """A text of which the gateway is asked what became: one that it took (``message_id``), or one
    of which nobody knows whether it did.  Here too the number is readable.
    """

    notice_no: int
    phone: str
    at_ms: int  # when it was handed over
    message_id: str = ""
    body: str = ""

    def __repr__(self) -> str:
        """Numbers and words stay out of logs and tracebacks."""
        return f"Asked({self.notice_no}, {self.message_id!r})"


class Absent(msgspec.Struct, frozen=True):
    """The gateway knows of no such text."""

    notice_no: int


class Unreached(msgspec.Struct, frozen=True):
    """A notice that did not arrive on its channel, and of whom: a receipt says so, or none came."""

    notice_no: int
    customer_id: str
    phase: Phase
    channel: str
    who: Recipient


OPEN = frozenset({"ENROUTE", "ACCEPTD", "BUFFERD", "UNKNOWN"})
"""What a gateway says of a segment that is still on its way, or that it has lost sight of."""


class Figures(msgspec.Struct, frozen=True):
    """How much waits: by lane, the oldest that is due, and what nobody knows of."""

    queued: dict[int, int]
    sending: int
    unknown: int
    oldest_due_ms: int | None


class OutboxLog(Protocol):
    """The outbox as the sender knows it.  Every method may raise ``Unreachable``."""

    async def claim(self, now_ms: int, limit: int, channel: str = SMS) -> Sequence[Claimed]:
        """Take what is due, the most urgent first; committed before it returns."""

    async def worded(self, one: Claimed, body: str) -> bool:
        """Keep the words before they are handed over; false if the claim is ours no more."""

    async def sent(self, some: Sequence[Sent]) -> None:
        """The gateway has these."""

    async def back(self, some: Sequence[Back]) -> None:
        """The gateway has these not."""

    async def unknown(self, some: Sequence[Unknown]) -> None:
        """Nobody knows of these."""

    async def receipts(self, some: Sequence[Receipt]) -> int:
        """Apply receipts; how many are of nothing we know yet, which are kept."""

    async def tidy(
        self,
        now_ms: int,
        *,
        left_ms: int,
        owed_ms: int | None,
        safety_ms: int | None,
        channel: str = SMS,
    ) -> dict[str, int]:
        """What is late expires; what a dead process was sending is unknown; and of what is unknown
        that goes again which was claimed before ``owed_ms``, or ``safety_ms`` where a life may hang
        on it.  How many of each.
        """

    async def silent(
        self, before_ms: int, since_ms: int, limit: int, channel: str = SMS
    ) -> Sequence[Asked]:
        """Texts handed over in between of which the gateway never said what became of them."""

    async def absent(self, notices: Sequence[int], now_ms: int) -> None:
        """The gateway knows of none of these: they may go again."""
