"""Delivery receipts as gateways write them: by the letter of SMPP 3.4 appendix B, or nearly.

``id:IIII sub:001 dlvrd:001 submit date:... done date:... stat:DELIVRD err:000 text:...``
Carriers leave fields out, write them in other orders and cases, or say it in parameters instead.
"""

import re
from collections.abc import Mapping

from grid.outbox import Receipt

FIELD = re.compile(rb"\b(id|stat)\s*:\s*([^\s:]+)", re.IGNORECASE)
STATES: Mapping[int, str] = {  # 5.2.28 message_state
    1: "ENROUTE", 2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 6: "ACCEPTD",
    7: "UNKNOWN", 8: "REJECTD",
}  # fmt: skip
WORDS: Mapping[str, str] = {
    "DELIVERED": "DELIVRD", "UNDELIVERABLE": "UNDELIV", "UNDELIVERED": "UNDELIV",
    "FAILED": "UNDELIV", "ACCEPTED": "ACCEPTD", "REJECTED": "REJECTD", "EN_ROUTE": "ENROUTE",
    "BUFFERED": "BUFFERD",
}  # fmt: skip
KNOWN = frozenset(STATES.values()) | {"BUFFERD"}


def receipt_of(
    body: bytes,
    at_ms: int,
    *,
    phone: str = "",
    message_id: str = "",
    state: int | None = None,
    reference: int | None = None,
) -> Receipt | None:
    """What a receipt says; parameters before text.  None where it does not say of what."""
    said = {name.lower(): value.decode("latin-1") for name, value in FIELD.findall(body)}
    found = message_id or said.get(b"id", "")
    if not found:
        return None
    word = said.get(b"stat", "").upper()
    stat = STATES.get(state or 0) or WORDS.get(word, word)
    return Receipt(at_ms, found, stat if stat in KNOWN else "UNKNOWN", phone, reference)


def state_word(state: int | None) -> str:
    """The word of a message_state."""
    return STATES.get(state or 0, "UNKNOWN")
