"""The specification of gateways over HTTP, without a wire: signatures, answers, and callbacks."""

import base64
import hashlib
import hmac
from urllib.parse import parse_qsl

import msgspec
import pytest

from grid.errors import BadPayload, Refused
from grid.outbox import Absent, Asked, Receipt
from grid.times import from_rfc3339
from notify.aliyun import Aliyun, authorization
from notify.carrier import Rejected, Reply, Submit, Unanswered
from notify.twilio import Twilio
from notify.web import Callback

NOW = from_rfc3339("2026-11-25T17:30:00Z")
OURS = "https://outage.example.org/hooks/sms/twilio"
TWILIO = Twilio("https://api.example.org", "AC1", "secret", source="10000000000", callback_url=OURS)
ALIYUN = Aliyun("https://sms.example.org", "key", "secret", sign="幸福供电",
                codes={"zh.restored": "SMS_1"}, callback_key="k" * 16)  # fmt: skip
TEXT = Submit("8610000000001", ("停电",), False, 70_000, 2, "停电", "zh.restored", {"p": "Lane 7"})
ASKED = Asked(70_000, "8610000000001", NOW - 60_000, body="停电")


def test_the_signature_is_that_of_aliyuns_own_example() -> None:
    query = "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai"
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com", "x-acs-action": "RunInstances",
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        "x-acs-date": "2023-10-26T10:22:32Z",
        "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d", "x-acs-version": "2014-05-26",
    }  # fmt: skip
    said = authorization("POST", "/", query, headers, account="YourAccessKeyId",
                         secret="YourAccessKeySecret")  # fmt: skip
    assert said.endswith(
        "Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


def test_twilio_is_handed_the_words_and_where_to_tell_us() -> None:
    request = TWILIO.submit(TEXT, NOW)
    form = dict(parse_qsl(request.body.decode()))
    assert (form["To"], form["From"], form["Body"]) == ("+8610000000001", "+10000000000", "停电")
    assert form["StatusCallback"] == f"{OURS}?notice=70000"
    pair = base64.b64encode(b"AC1:secret").decode()
    assert request.headers["Authorization"] == f"Basic {pair}"
    assert "10000000001" not in repr(request)


def test_aliyun_is_handed_a_template_and_its_values() -> None:
    request = ALIYUN.submit(TEXT, NOW)
    query = dict(parse_qsl(request.url.partition("?")[2]))
    assert (query["PhoneNumbers"], query["OutId"]) == ("10000000001", "70000")
    assert (query["TemplateCode"], query["TemplateParam"]) == ("SMS_1", '{"p":"Lane 7"}')
    with pytest.raises(Rejected, match="no_template_code"):
        ALIYUN.submit(msgspec.structs.replace(TEXT, template="zh.update"), NOW)


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (201, {"sid": "SM1"}, "SM1"),
        (400, {"code": 21211}, "invalid_number never"),
        (400, {"code": 21610}, "opted_out_at_gateway never"),
        (400, {"code": 99999}, "rejected never"),
        (401, {"code": 20003}, "gateway_refuses_us again"),
        (429, {"code": 20429}, "throttled slower"),
        (500, {}, "unknown"),
        (201, {}, "unknown"),
        (302, {}, "unknown"),
    ],
)
def test_what_twilio_answers(status: int, body: object, outcome: str) -> None:
    assert _outcome(TWILIO, status, body) == outcome


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, {"Code": "OK", "BizId": "1^0"}, "1^0"),
        (400, {"Code": "isv.MOBILE_NUMBER_ILLEGAL"}, "invalid_number never"),
        (400, {"Code": "isv.BUSINESS_LIMIT_CONTROL"}, "too_many_to_number again"),
        (400, {"Code": "isv.AMOUNT_NOT_ENOUGH"}, "account_limit again"),
        (400, {"Code": "SignatureDoesNotMatch"}, "gateway_refuses_us again"),
        (400, {"Code": "isv.TEMPLATE_MISSING_PARAMETERS"}, "template_refused never"),
        (400, {"Code": "Throttling.User"}, "throttled slower"),
        (400, {"Code": "SignatureNonceUsed"}, "unknown"),
        (503, {"Code": "isp.SYSTEM_ERROR"}, "unknown"),
        (200, {"Code": "OK"}, "unknown"),
        (200, "nothing", "unknown"),
    ],
)
def test_what_aliyun_answers(status: int, body: object, outcome: str) -> None:
    assert _outcome(ALIYUN, status, body) == outcome


def _outcome(dialect: Twilio | Aliyun, status: int, body: object) -> str:
    try:
        (name,) = dialect.answered(status, msgspec.json.encode(body))
    except Unanswered:
        return "unknown"
    except Rejected as no:
        return f"{no.reason} {'slower' if no.throttled else 'again' if no.again else 'never'}"
    return name


@pytest.mark.parametrize(
    ("messages", "found"),
    [
        ([], Absent(70_000)),
        ([{"sid": "SM1", "body": "other", "status": "sent"}], Absent(70_000)),
        ([{"sid": "SM1", "body": "停电", "status": "delivered"}], "DELIVRD"),
        ([{"sid": "SM1", "body": "停电", "status": "queued"}], "ACCEPTD"),
        ([{"sid": "SM1", "body": "停电", "status": "sent"}] * 2, None),  # which of them?
        ([{"sid": "SM1", "body": "other", "status": "sent"}] * 50, None),  # there may be more
    ],
)
def test_a_text_of_unknown_fate_is_looked_for_among_twilios(
    messages: list[object], found: object
) -> None:
    request = TWILIO.look(ASKED, NOW)
    assert "DateSent%3E=2026-11-25" in request.url
    body = msgspec.json.encode({"messages": messages})
    assert _stat(TWILIO.found(ASKED, 200, body, NOW)) == found
    assert TWILIO.found(ASKED, 503, b"", NOW) is None


@pytest.mark.parametrize(
    ("details", "found"),
    [
        ([], Absent(70_000)),
        ([{"OutId": "7", "SendStatus": 3}], Absent(70_000)),
        ([{"OutId": "70000", "SendStatus": 3}], "DELIVRD"),
        ([{"OutId": "70000", "SendStatus": 2}], "UNDELIV"),
        ([{"OutId": "70000", "SendStatus": 1}], "ENROUTE"),
    ],
)
def test_a_text_of_unknown_fate_is_looked_for_by_our_number_at_aliyun(
    details: list[object], found: object
) -> None:
    assert "SendDate=20261126" in ALIYUN.look(ASKED, NOW).url  # it is past midnight in China
    body = msgspec.json.encode({"Code": "OK", "SmsSendDetailDTOs": {"SmsSendDetailDTO": details}})
    assert _stat(ALIYUN.found(ASKED, 200, body, NOW)) == found
    assert ALIYUN.found(ASKED, 200, b'{"Code":"isp.SYSTEM_ERROR"}', NOW) is None


def _stat(found: Receipt | Absent | None) -> object:
    if isinstance(found, Receipt):
        assert found.reference == 70_000 & 0xFFFF
        return found.stat
    return found


def signed(form: str, query: str = "", secret: str = "secret") -> Callback:
    url = f"{OURS}?{query}" if query else OURS
    text = url + "".join(f"{k}{v}" for k, v in sorted(parse_qsl(form)))
    mac = hmac.new(secret.encode(), text.encode(), "sha1").digest()
    headers = {"x-twilio-signature": base64.b64encode(mac).decode()}
    return Callback(query, headers, form.encode())


def test_twilios_callbacks_are_receipts_and_replies() -> None:
    told = "MessageSid=SM1&MessageStatus=undelivered&To=%2B8610000000001"
    (receipt,) = TWILIO.heard(signed(told, "notice=70000"), NOW).said
    assert receipt == Receipt(NOW, "SM1", "UNDELIV", "8610000000001", 70_000 & 0xFFFF)
    (reply,) = TWILIO.heard(signed("MessageSid=SM2&From=%2B8610000000001&Body=TD"), NOW).said
    assert reply == Reply("8610000000001", "TD")
    assert "10000000001" not in repr((receipt, reply))


@pytest.mark.parametrize(
    ("callback", "error"),
    [
        (signed("MessageSid=SM1&MessageStatus=sent", secret="guessed"), Refused),
        (Callback("", {}, b"MessageSid=SM1&MessageStatus=sent"), Refused),
        (Callback("", {"x-twilio-signature": "!"}, b""), Refused),
        (signed("MessageSid=SM1&MessageStatus=odd"), BadPayload),
        (signed(""), BadPayload),
    ],
)
def test_a_callback_that_is_not_twilios_is_refused(callback: Callback, error: type) -> None:
    with pytest.raises(error):
        TWILIO.heard(callback, NOW)


KEYED = f"key={'k' * 16}"


def test_aliyuns_callbacks_are_receipts_and_replies() -> None:
    body = msgspec.json.encode([
        {"phone_number": "10000000001", "success": True, "biz_id": "1^0", "out_id": "70000"},
        {"phone_number": "10000000002", "success": False, "biz_id": "2^0", "out_id": None},
        {"phone_number": "10000000003", "content": "退订"},
    ])  # fmt: skip
    said = ALIYUN.heard(Callback(KEYED, {}, body), NOW)
    assert said.said == (
        Receipt(NOW, "1^0", "DELIVRD", "10000000001", 70_000 & 0xFFFF),
        Receipt(NOW, "2^0", "UNDELIV", "10000000002"), Reply("10000000003", "退订"),
    )  # fmt: skip
    assert msgspec.json.decode(said.answer)["code"] == 0


@pytest.mark.parametrize(
    ("query", "body", "error"),
    [("", b"[]", Refused), ("key=guessed", b"[]", Refused), (KEYED, b"{", BadPayload),
     (KEYED, b"[{}]", BadPayload), (KEYED, b"[1]", BadPayload)],
)  # fmt: skip
def test_a_callback_that_is_not_aliyuns_is_refused(query: str, body: bytes, error: type) -> None:
    with pytest.raises(error):
        ALIYUN.heard(Callback(query, {}, body), NOW)


def test_without_a_key_of_ours_nothing_of_aliyuns_is_believed() -> None:
    open_house = Aliyun("https://sms.example.org", "key", "secret", sign="x", codes={})
    with pytest.raises(Refused):
        open_house.heard(Callback("key=", {}, b"[]"), NOW)
