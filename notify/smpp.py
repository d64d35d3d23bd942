"""SMPP 3.4 PDUs, to and from bytes: what we say to a gateway, and what it says to us.

The codec is smpplib's.  No I/O here: ``notify/gateway.py`` has the connection.
"""

import struct
from collections.abc import Mapping
from itertools import count
from typing import Any

import smsutil
from smpplib import consts, exceptions, smpp

from grid.errors import BadPayload
from grid.outbox import Receipt
from notify.carrier import Rejected, Reply, Submit
from notify.receipts import receipt_of

HEADER_BYTES = 16
PDU_BYTES_MAX = 65_536  # no PDU of SMPP 3.4 comes near it
OK = consts.SMPP_ESME_ROK
TRY_LATER = consts.SMPP_ESME_RX_T_APPN
UDHI = 0x40
RECEIPT_CLASSES = (0x04, 0x20)  # 5.2.12: delivery receipt, intermediate notification
GSM, UCS2 = 0, 8
BROKEN = (
    exceptions.PDUError, exceptions.UnknownCommandError, struct.error, ValueError, IndexError,
    KeyError, TypeError, AttributeError,
)  # fmt: skip
THROTTLED = frozenset({consts.SMPP_ESME_RTHROTTLED, consts.SMPP_ESME_RMSGQFUL})
FOR_GOOD: Mapping[int, str] = {
    consts.SMPP_ESME_RINVDSTADR: "invalid_number",
    consts.SMPP_ESME_RINVDSTTON: "invalid_number",
    consts.SMPP_ESME_RINVDSTNPI: "invalid_number",
    consts.SMPP_ESME_RINVSRCADR: "invalid_source",
    consts.SMPP_ESME_RINVMSGLEN: "too_long",
    consts.SMPP_ESME_RX_R_APPN: "rejected",
    consts.SMPP_ESME_RX_P_APPN: "rejected",
}
"""Answers after which a text is not tried again, and why."""


def rejection(status: int) -> Rejected:
    """What an answer other than OK means for a text."""
    if status in THROTTLED:
        return Rejected("throttled", throttled=True)
    reason = FOR_GOOD.get(status)
    return Rejected(reason) if reason else Rejected("gateway_error", again=True)


class Sequence:
    """Sequence numbers of one connection (3.2: 1 to 0x7FFFFFFF)."""

    def __init__(self) -> None:
        self._next = count(1)
        self.sequence = 0

    def next_sequence(self) -> int:
        """The next number."""
        self.sequence = (next(self._next) - 1) % 0x7FFFFFFF + 1
        return self.sequence


def make(name: str, numbers: Sequence, **fields: Any) -> Any:
    """A PDU with the next sequence number."""
    return smpp.make_pdu(name, client=numbers, **fields)


def answer_to(pdu: Any, numbers: Sequence, status: int = OK) -> bytes:
    """The response to a request of the gateway's."""
    name = f"{pdu.command}_resp"
    response = smpp.make_pdu(name, client=numbers, status=status)
    response.sequence = pdu.sequence
    if name == "deliver_sm_resp":
        response.message_id = ""
    return bytes(response.generate())


def read(body: bytes) -> Any:
    """The PDU of its bytes.

    Raises:
        BadPayload: It is none that we know.
    """
    try:
        pdu = smpp.parse_pdu(body, client=Sequence(), allow_unknown_opt_params=True)
    except BROKEN as error:
        raise BadPayload("not an SMPP 3.4 PDU", bytes=len(body)) from error
    if pdu is None:
        raise BadPayload("an SMPP command that we do not know", bytes=len(body))
    return pdu


def refusal_of(body: bytes) -> tuple[int, int]:
    """Command id and sequence number of a PDU that could not be read."""
    _, command, _, sequence = struct.unpack(">LLLL", body[:HEADER_BYTES])
    return command, sequence


def segments(text: Submit) -> list[dict[str, Any]]:
    """The fields of each submit_sm of a text: body, coding, and the header that joins them."""
    coding = GSM if text.gsm else UCS2
    whole = len(text.parts)
    fields = []
    for number, part in enumerate(text.parts, 1):
        body = _encoded(part, gsm=text.gsm)
        if whole > 1:  # 3GPP TS 23.040, 9.2.3.24.1: concatenation with an 8-bit reference
            body = bytes((5, 0, 3, text.reference & 0xFF, whole, number)) + body
        fields.append(
            {
                "short_message": body,
                "data_coding": coding,
                "esm_class": UDHI if whole > 1 else 0,
                "user_message_reference": text.reference & 0xFFFF,
            }
        )
    return fields


def _encoded(text: str, *, gsm: bool) -> bytes:
    return bytes(text.encode("gsm0338")) if gsm else text.encode("utf-16-be")


def delivered(pdu: Any, now_ms: int) -> Receipt | Reply | None:
    """What a deliver_sm brings: a receipt, a customer's words, or nothing that we understand."""
    phone = _text(pdu.source_addr)
    body = pdu.short_message or getattr(pdu, "message_payload", None) or b""
    body = body if isinstance(body, bytes) else body.encode("latin-1", "replace")
    if (pdu.esm_class or 0) & 0x3C in RECEIPT_CLASSES:
        return receipt_of(
            body,
            now_ms,
            phone=phone,
            message_id=_text(getattr(pdu, "receipted_message_id", None)),
            state=getattr(pdu, "message_state", None),
            reference=getattr(pdu, "user_message_reference", None),
        )
    if (pdu.esm_class or 0) & UDHI and body:
        body = body[body[0] + 1 :]
    return Reply(phone, _decoded(body, pdu.data_coding or 0))


def _decoded(body: bytes, coding: int) -> str:
    if coding & 0x0C == UCS2:
        return body.decode("utf-16-be", "replace")
    if coding == GSM:
        return str(smsutil.decode(body))
    return body.decode("latin-1")


def _text(value: Any) -> str:
    if value is None:
        return ""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return text.rstrip("\0")


def message_id(pdu: Any) -> str:
    """What the gateway calls a text that it took."""
    return _text(pdu.message_id)


def international(phone: str, country: str) -> str | None:
    """A number as the gateway wants it, digits with the country's code; None for one that is none.

    ``100 0013 8000`` and ``+86 10000138000`` are one number of country 86; nobody has it.
    """
    kept = "".join(c for c in phone if c not in " -().\u00a0")
    plus, digits = kept.startswith(("+", "00")), kept.lstrip("+")
    if not digits.isascii() or not digits.isdigit():
        return None
    if plus:
        digits = digits.removeprefix("00") if kept.startswith("00") else digits
    elif not (digits.startswith(country) and len(digits) > 11):
        digits = country + digits.lstrip("0")
    return digits if 8 <= len(digits) <= 15 else None  # E.164
