"""Twilio's Programmable Messaging API (2010-04-01), and what speaks like it.  Pure.

``POST /2010-04-01/Accounts/{Sid}/Messages.json`` with basic authentication; receipts come to the
StatusCallback, signed (X-Twilio-Signature: base64 of HMAC-SHA1 over the address and the sorted
parameters).  The API has no idempotency key, so a request without an answer is of unknown fate: our
number is part of the callback's address, and the messages to the same number can be listed.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

from grid.errors import BadPayload, Refused
from grid.outbox import Absent, Asked, Receipt
from grid.times import to_rfc3339
from notify.carrier import Rejected, Reply, Submit, Unanswered
from notify.web import Callback, Request, Said, an_object, digits

STATES: Mapping[str, str] = {
    "accepted": "ACCEPTD", "scheduled": "ACCEPTD", "queued": "ACCEPTD", "sending": "ENROUTE",
    "sent": "ENROUTE", "delivered": "DELIVRD", "read": "DELIVRD", "undelivered": "UNDELIV",
    "failed": "UNDELIV", "canceled": "DELETED",
}  # fmt: skip
FOR_GOOD: Mapping[int, str] = {
    21211: "invalid_number", 21214: "invalid_number", 21217: "invalid_number",
    21614: "invalid_number", 21610: "opted_out_at_gateway", 21617: "too_long",
    21408: "rejected", 21612: "rejected", 21606: "invalid_source", 21212: "invalid_source",
}  # fmt: skip
"""Codes of errors after which a text is not tried again, and why."""
EMPTY = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
LISTED = 50


class Twilio:
    """A ``notify.web.Dialect``.  ``base``: https://api.twilio.com."""

    by_words = True  # a message that nobody heard the SID of is found by what it says

    def __init__(
        self, base: str, account: str, secret: str, *, source: str, callback_url: str
    ) -> None:
        self._base = f"{base.rstrip('/')}/2010-04-01/Accounts/{account}/Messages"
        self._secret = secret
        self._source = source
        self._callback_url = callback_url
        pair = base64.b64encode(f"{account}:{secret}".encode()).decode()
        self._headers = {"Authorization": f"Basic {pair}"}

    def submit(self, text: Submit, now_ms: int) -> Request:
        """The request that hands a text over."""
        form = {"To": f"+{text.to}", "Body": text.body}
        service = self._source.startswith("MG")
        plus = "+" if self._source.isdigit() and len(self._source) > 7 else ""  # no short code
        form["MessagingServiceSid" if service else "From"] = plus + self._source
        if self._callback_url:
            form["StatusCallback"] = f"{self._callback_url}?notice={text.reference}"
        headers = {**self._headers, "Content-Type": "application/x-www-form-urlencoded"}
        return Request("POST", f"{self._base}.json", headers, urlencode(form).encode())

    def answered(self, status: int, body: bytes) -> list[str]:
        """The message's SID."""
        said = an_object(body)
        if status == 201 and said.get("sid"):
            return [str(said["sid"])]
        code = said.get("code")
        if status == 429 or code == 20429:
            raise Rejected("throttled", throttled=True)
        if status in (401, 403):
            raise Rejected("gateway_refuses_us", again=True)
        if 400 <= status < 500:
            raise Rejected(FOR_GOOD.get(code or 0, "rejected"))
        raise Unanswered

    def look(self, asked: Asked, now_ms: int) -> Request:
        """One message by its SID, or those to the number since the day on which it was sent."""
        if asked.message_id:
            return Request("GET", f"{self._base}/{asked.message_id}.json", self._headers)
        query = urlencode({"To": f"+{digits(asked.phone)}", "PageSize": LISTED,
                           "DateSent>": to_rfc3339(asked.at_ms - 60_000)[:10]})  # fmt: skip
        return Request("GET", f"{self._base}.json?{query}", self._headers)

    def found(self, asked: Asked, status: int, body: bytes, now_ms: int) -> Receipt | Absent | None:
        """The state of the one message that says the same; absent if none does."""
        if status != 200:
            return None
        said = an_object(body)
        if asked.message_id:
            return _receipt(said, asked, now_ms)
        listed = said.get("messages")
        if not isinstance(listed, list):
            return None
        same = [one for one in listed if isinstance(one, dict) and one.get("body") == asked.body]
        if not same:
            return None if len(listed) >= LISTED else Absent(asked.notice_no)
        return _receipt(same[0], asked, now_ms) if len(same) == 1 else None

    def heard(self, callback: Callback, now_ms: int) -> Said:
        """A status of a message of ours, or a message to us."""
        form = dict(parse_qsl(callback.body.decode("utf-8", "replace"), keep_blank_values=True))
        url = f"{self._callback_url}?{callback.query}" if callback.query else self._callback_url
        if not self._signed(url, form, callback.headers.get("x-twilio-signature", "")):
            raise Refused("the signature is not Twilio's")
        if form.get("MessageStatus") in STATES and form.get("MessageSid"):
            ours = parse_qs(callback.query).get("notice", [""])[0]
            reference = int(ours) & 0xFFFF if ours.isdigit() else None
            receipt = Receipt(
                now_ms, form["MessageSid"], STATES[form["MessageStatus"]],
                digits(form.get("To", "")), reference,
            )  # fmt: skip
            return Said((receipt,), EMPTY, "text/xml")
        if "Body" in form and form.get("From"):
            return Said((Reply(digits(form["From"]), form["Body"]),), EMPTY, "text/xml")
        raise BadPayload("neither a message's status nor a message")

    def _signed(self, url: str, form: Mapping[str, str], signature: str) -> bool:
        text = url + "".join(name + form[name] for name in sorted(form))
        wanted = hmac.new(self._secret.encode(), text.encode(), hashlib.sha1).digest()
        try:
            given = base64.b64decode(signature, validate=True)
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(wanted, given)


def _receipt(said: Mapping[str, Any], asked: Asked, now_ms: int) -> Receipt | None:
    stat = STATES.get(str(said.get("status")))
    sid = said.get("sid")
    if stat is None or not isinstance(sid, str):
        return None
    return Receipt(now_ms, sid, stat, asked.phone, asked.notice_no & 0xFFFF)
