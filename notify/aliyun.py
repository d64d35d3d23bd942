"""Aliyun's SMS service (Dysmsapi 2017-05-25), and what speaks like it.  Pure.

SendSms and QuerySendDetails are signed by signature method V3 (ACS3-HMAC-SHA256).  Texts are of
templates that Aliyun has approved: each of ours has a TemplateCode, and its values go as
TemplateParam.  OutId is our number, so that a request without an answer is found again by
QuerySendDetails, or by its receipt.  Receipts (SmsReport) and replies (SmsUp) are pushed as JSON
arrays without a signature; our address has a key in it instead.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import msgspec

from grid.errors import BadPayload, Refused
from grid.outbox import Absent, Asked, Receipt
from grid.times import EPOCH, MS, to_rfc3339
from notify.carrier import Rejected, Reply, Submit, Unanswered
from notify.web import Callback, Request, Said, an_object, digits

VERSION = "2017-05-25"
ALGORITHM = "ACS3-HMAC-SHA256"
SIGNED = ("host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce",
          "x-acs-version")  # fmt: skip
BEIJING = timedelta(hours=8)  # SendDate is a day of China
LISTED = 50
WAITING, FAILED, ARRIVED = 1, 2, 3  # SendStatus
THROTTLED = frozenset({"Throttling", "Throttling.User", "Throttling.Api"})
AGAIN: Mapping[str, str] = {
    "isv.BUSINESS_LIMIT_CONTROL": "too_many_to_number", "isv.DAY_LIMIT_CONTROL": "account_limit",
    "isv.OUT_OF_SERVICE": "account_limit", "isv.AMOUNT_NOT_ENOUGH": "account_limit",
    "isp.RAM_PERMISSION_DENY": "gateway_refuses_us", "InvalidAccessKeyId.NotFound":
    "gateway_refuses_us", "SignatureDoesNotMatch": "gateway_refuses_us",
}  # fmt: skip
FOR_GOOD: Mapping[str, str] = {
    "isv.MOBILE_NUMBER_ILLEGAL": "invalid_number", "isv.MOBILE_COUNT_OVER_LIMIT": "invalid_number",
    "isv.SMS_TEMPLATE_ILLEGAL": "template_refused", "isv.SMS_SIGNATURE_ILLEGAL": "template_refused",
    "isv.TEMPLATE_MISSING_PARAMETERS": "template_refused",
    "isv.INVALID_PARAMETERS": "template_refused", "isv.PARAM_LENGTH_LIMIT": "too_long",
    "isv.BLACK_KEY_CONTROL_LIMIT": "rejected",
}  # fmt: skip
TAKEN = b'{"code":0,"msg":"OK"}'


class Aliyun:
    """A ``notify.web.Dialect``.  ``base``: https://dysmsapi.aliyuncs.com."""

    by_words = False  # it is asked for our OutId

    def __init__(
        self, base: str, account: str, secret: str, *, sign: str, codes: Mapping[str, str],
        callback_key: str = "",
    ) -> None:  # fmt: skip
        self._base = base.rstrip("/")
        self._account = account
        self._secret = secret
        self._sign = sign
        self._codes = codes
        self._callback_key = callback_key

    def submit(self, text: Submit, now_ms: int) -> Request:
        """SendSms of the text's template."""
        code = self._codes.get(text.template)
        if code is None:
            raise Rejected("no_template_code")
        query = {
            "OutId": str(text.reference), "PhoneNumbers": _local(text.to), "SignName": self._sign,
            "TemplateCode": code, "TemplateParam": msgspec.json.encode(dict(text.values)).decode(),
        }  # fmt: skip
        return self._request("SendSms", query, f"{text.reference}-{text.attempt}", now_ms)

    def answered(self, status: int, body: bytes) -> list[str]:
        """The BizId."""
        said = an_object(body)
        code = str(said.get("Code", ""))
        if code == "OK" and said.get("BizId"):
            return [str(said["BizId"])]
        if status == 429 or code in THROTTLED:
            raise Rejected("throttled", throttled=True)
        if code in AGAIN:
            raise Rejected(AGAIN[code], again=True)
        if code in FOR_GOOD:
            raise Rejected(FOR_GOOD[code])
        if status >= 500 or code in ("", "OK", "SignatureNonceUsed"):
            raise Unanswered  # of the last: it had the very request before
        raise Rejected("rejected")

    def look(self, asked: Asked, now_ms: int) -> Request:
        """QuerySendDetails of the number, on the day on which the text was sent."""
        day = EPOCH + asked.at_ms * MS + BEIJING
        query = {
            "CurrentPage": "1", "PageSize": str(LISTED), "PhoneNumber": _local(asked.phone),
            "SendDate": f"{day:%Y%m%d}",
        }  # fmt: skip
        if asked.message_id:
            query["BizId"] = asked.message_id
        nonce = f"{asked.notice_no}-?{now_ms}"
        return self._request("QuerySendDetails", query, nonce, now_ms)

    def found(self, asked: Asked, status: int, body: bytes, now_ms: int) -> Receipt | Absent | None:
        """The state of the text with our number; absent if there is none."""
        said = an_object(body)
        details = said.get("SmsSendDetailDTOs")
        listed = details.get("SmsSendDetailDTO") if isinstance(details, dict) else None
        if status != 200 or said.get("Code") != "OK" or not isinstance(listed, list):
            return None
        mine = [one for one in listed if str(one.get("OutId")) == str(asked.notice_no)]
        if not mine:
            return None if asked.message_id or len(listed) >= LISTED else Absent(asked.notice_no)
        stats = [{FAILED: "UNDELIV", ARRIVED: "DELIVRD"}.get(one.get("SendStatus"), "ENROUTE")
                 for one in mine]  # fmt: skip
        stat = next((s for s in ("UNDELIV", "ENROUTE") if s in stats), "DELIVRD")
        name = asked.message_id or f"out-{asked.notice_no}"
        return Receipt(now_ms, name, stat, asked.phone, asked.notice_no & 0xFFFF)

    def heard(self, callback: Callback, now_ms: int) -> Said:
        """Receipts and replies."""
        key = parse_qs(callback.query).get("key", [""])[0]
        if not self._callback_key or not hmac.compare_digest(key, self._callback_key):
            raise Refused("the key in the address is not ours")
        try:
            items = msgspec.json.decode(callback.body, type=list[dict[str, Any]])
            said = tuple(_said(item, now_ms) for item in items)
        except (msgspec.DecodeError, KeyError) as error:
            raise BadPayload("neither receipts nor replies") from error
        return Said(said, TAKEN, "application/json")

    def _request(self, action: str, query: Mapping[str, str], nonce: str, now_ms: int) -> Request:
        split = urlsplit(self._base)
        text = "&".join(f"{_escaped(k)}={_escaped(query[k])}" for k in sorted(query))
        headers = {
            "host": split.netloc, "x-acs-action": action, "x-acs-version": VERSION,
            "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
            "x-acs-date": to_rfc3339(now_ms)[:19] + "Z", "x-acs-signature-nonce": nonce,
        }  # fmt: skip
        headers["Authorization"] = authorization(
            "POST", "/", text, headers, account=self._account, secret=self._secret
        )
        return Request("POST", f"{self._base}/?{text}", headers)


def authorization(
    method: str, path: str, query: str, headers: Mapping[str, str], *, account: str, secret: str
) -> str:
    """The header of signature method V3, over a canonical query and all of ``SIGNED``."""
    canonical = "\n".join(
        (
            method, path, query, *(f"{name}:{headers[name].strip()}" for name in SIGNED), "",
            ";".join(SIGNED), headers["x-acs-content-sha256"],
        )
    )  # fmt: skip
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    signature = hmac.new(secret.encode(), f"{ALGORITHM}\n{digest}".encode(), hashlib.sha256)
    return (
        f"{ALGORITHM} Credential={account},SignedHeaders={';'.join(SIGNED)},"
        f"Signature={signature.hexdigest()}"
    )


def _said(item: Mapping[str, Any], now_ms: int) -> Receipt | Reply:
    phone = str(item["phone_number"])
    if "content" in item:
        return Reply(phone, str(item["content"]))
    stat = "DELIVRD" if item["success"] is True else "UNDELIV"
    out = str(item.get("out_id") or "")
    reference = int(out) & 0xFFFF if out.isdigit() else None
    return Receipt(now_ms, str(item["biz_id"]), stat, phone, reference)


def _escaped(text: str) -> str:
    return quote(text, safe="-_.~")


def _local(number: str) -> str:
    """A number of the mainland without its country's code, as SendSms wants it."""
    local = digits(number)
    return local[2:] if len(local) == 13 and local.startswith("86") else local
