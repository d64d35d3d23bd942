"""What becomes of a customer's words to a text: still out, tell me no more, tell me again."""

from collections.abc import Awaitable, Callable, Sequence

import structlog

from grid.errors import Refused
from notify.sender import Replied
from store.postgres import Store
from store.wishing import Consent

log = structlog.get_logger(__name__)

STILL_OUT = frozenset({"1", "OFF", "没电", "停电", "无电"})
NO_MORE = frozenset(
    {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "T", "TD", "退订", "N"}
)
AGAIN = frozenset({"START", "UNSTOP", "YES", "订阅", "恢复订阅"})
WIDE = {0xFF01 + n: 0x21 + n for n in range(94)}  # full-width characters, as phones in China type

Call = Callable[[str, int], Awaitable[None]]
"""A customer says that they have no power, and when."""


def word_of(text: str) -> str:
    """The one word of a reply, however it is written."""
    return text.translate(WIDE).strip().upper().rstrip(".。!！ ")


def replies(store: Store, now_ms: Callable[[], int], call: Call) -> Replied:
    """What takes replies: ``1`` and ``OFF`` are trouble calls, ``STOP`` and ``TD`` opt-outs with
    their proof, and the rest is in the log as not understood.
    """

    async def replied(phone: str, text: str) -> None:
        word, at_ms = word_of(text), now_ms()
        if word in STILL_OUT:
            await _still_out(store, phone, at_ms, call)
        elif word in NO_MORE | AGAIN:
            await _consents(store, phone, text, at_ms, wanted=word in AGAIN)
        else:
            log.info("reply_not_understood", length=len(text))

    return replied


async def _still_out(store: Store, phone: str, at_ms: int, call: Call) -> None:
    whose: Sequence[str] = await store.outbox.last_told(phone, at_ms)
    whose = whose or await store.customers_by_phone(phone)
    if not whose:
        log.info("reply_of_nobody")
        return
    try:
        await call(whose[0], at_ms)
    except Refused as no:
        log.warning("reply_refused", reason=no.message)


async def _consents(store: Store, phone: str, text: str, at_ms: int, *, wanted: bool) -> None:
    """It counts for every customer with that number: who answers cannot say for which."""
    whose = await store.customers_by_phone(phone)
    await store.wishing.consent(
        [
            Consent(customer_id=c, at_ms=at_ms, wanted=wanted, source="reply", by=c, words=text)
            for c in whose
        ]
    )
    log.info("consent", customers=len(whose), wanted=wanted)
