"""What the API may ask about notices.  ``store/outbox.py`` and ``service/phones.py`` answer.

Every method may raise ``Unreachable``.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from grid.public import PublicNotice, PublicNoticeDecision


class NoticeDesk(Protocol):
    """What customers were told, or not, and why."""

    async def of_outage(self, outage_id: str) -> Sequence[PublicNotice]:
        """What customers were told of an outage or a plan, newest first; numbers masked."""

    async def of_customer(self, customer_id: str) -> Sequence[PublicNotice]:
        """What a customer was told, newest first; their number masked."""

    async def decisions(
        self, *, outage_id: str | None = None, customer_id: str | None = None, since_ms: int = 0
    ) -> Sequence[PublicNoticeDecision]:
        """What was decided for an outage's customers, or for one customer, in order."""


class PhoneText(msgspec.Struct, frozen=True):
    """A text as it arrived on a simulated phone.  ``phone`` names it, masked."""

    no: int
    at: str
    box: int  # which phone it is: two masked numbers may look the same
    phone: str
    source: str
    text: str
    mine: bool  # typed on that phone
    household: str = ""  # of a household that is told every phase: its language


class PhoneDesk(Protocol):
    """The phones of a simulated city."""

    def texts(self, after: int) -> Sequence[PhoneText]:
        """Texts after a number, oldest first; without one (0) the last ones."""

    def reply(self, no: int, text: str) -> bool:
        """Answer a text from the phone that it came to; false where there is no such text."""
