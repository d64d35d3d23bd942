"""Notices and phones in memory, for tests of what stands on them."""

from collections.abc import Sequence

from dispatch.noticedesk import PhoneText
from grid.public import PublicNotice, PublicNoticeDecision
from grid.times import to_rfc3339


class MemoryNotices:
    """Customer C-1 was told of outage S1-2, and that is all."""

    def __init__(self, at_ms: int) -> None:
        at = to_rfc3339(at_ms)
        self._decision = PublicNoticeDecision(at, "S1-2", 1, "confirmed", True, "due", 2)
        self._notice = PublicNotice(
            id="7", outage_id="S1-2", customer_id="C-1", phase="confirmed", edition=1,
            channel="sms", state="delivered", reason="due", decided="due", lane=1, at=at,
            due_at=at, sent_at=at, ended_at=None, text="停电", phone="100****0001",
        )  # fmt: skip

    async def of_outage(self, outage_id: str) -> Sequence[PublicNotice]:
        """What customers were told of an outage."""
        return [self._notice] if outage_id == "S1-2" else []

    async def of_customer(self, customer_id: str) -> Sequence[PublicNotice]:
        """What a customer was told."""
        return [self._notice] if customer_id == "C-1" else []

    async def decisions(
        self, *, outage_id: str | None = None, customer_id: str | None = None, since_ms: int = 0
    ) -> Sequence[PublicNoticeDecision]:
        """What was decided."""
        known = outage_id == "S1-2" or customer_id == "C-1"
        return [self._decision] if known else []


class MemoryPhones:
    """A phone with one text on it."""

    def __init__(self, at_ms: int) -> None:
        self._text = PhoneText(1, to_rfc3339(at_ms), 1, "100****0001", "95598", "停电", False)
        self.replied: list[tuple[int, str]] = []

    def texts(self, after: int) -> Sequence[PhoneText]:
        """Texts after a number."""
        return [self._text] if after < self._text.no else []

    def reply(self, no: int, text: str) -> bool:
        """Answer a text."""
        self.replied.append((no, text))
        return no == self._text.no
