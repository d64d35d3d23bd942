"""Two gateways over HTTP as their houses document them, written for these tests and nothing else:
``web_gateway.py PORT LOG FAULTS``.  It checks signatures with its own arithmetic, writes down what
it took, and sends receipts to our address.

Faults are shares of requests: ``lost`` closes before it takes, ``silent`` takes and never answers,
``throttled``; ``mute`` sends no receipts for what it took; ``callback`` is our address.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import sys
import time
import urllib.parse
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from aiohttp import ClientSession, web

ACCOUNT, SECRET = "ACnobody", "not a secret"
CHINA = timedelta(hours=8)


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251  a house of its own


class Gateway:
    """Both houses; the path says which one is meant."""

    def __init__(self, log: Path, faults: dict[str, Any]) -> None:
        self.log, self.faults = log, faults
        self.dice = Random(faults.get("seed", 1))
        self.messages: list[dict[str, Any]] = []
        self.nonces: set[str] = set()
        self.tasks: set[asyncio.Task[None]] = set()

    def note(self, what: str, **fields: Any) -> None:
        with self.log.open("a") as log:
            log.write(json.dumps({"what": what, **fields}) + "\n")

    def hit(self, fault: str) -> bool:
        return self.dice.random() < self.faults.get(fault, 0.0)

    # -- Twilio ------------------------------------------------------------------------------------

    async def twilio(self, request: web.Request) -> web.StreamResponse:
        form = dict(await request.post())
        if not self.knows(request):
            return web.json_response({"code": 20003, "message": "Authenticate"}, status=401)
        if not {"To", "From", "Body"} <= form.keys() or not str(form["To"]).startswith("+"):
            return web.json_response({"code": 21211, "message": "Invalid 'To'"}, status=400)
        if self.hit("throttled"):
            return web.json_response({"code": 20429, "message": "Too Many Requests"}, status=429)
        if self.hit("lost"):
            request.transport.abort()  # type: ignore[union-attr]
            return web.Response()
        sid = f"SM{len(self.messages):032x}"
        message = {"sid": sid, "to": form["To"], "body": form["Body"], "status": "queued"}
        self.messages.append(message)
        self.note("taken", house="twilio", number=str(form["To"])[1:], text=form["Body"], id=sid)
        if not self.hit("mute"):
            self.later(self.tell_twilio(message, str(form.get("StatusCallback", ""))))
        if self.hit("silent"):
            await asyncio.sleep(60)
        return web.json_response({**message, "error_code": None}, status=201)

    async def tell_twilio(self, message: dict[str, Any], url: str) -> None:
        for status in ("sent", "delivered"):
            await asyncio.sleep(0.05)
            message["status"] = status
            form = {"MessageSid": message["sid"], "MessageStatus": status, "To": message["to"],
                    "From": "+10000000000", "AccountSid": ACCOUNT}  # fmt: skip
            signed = url + "".join(f"{key}{form[key]}" for key in sorted(form))
            digest = hmac.new(SECRET.encode(), signed.encode(), "sha1").digest()
            headers = {"X-Twilio-Signature": base64.b64encode(digest).decode()}
            await self.post(url, headers=headers, data=form)

    async def twilio_list(self, request: web.Request) -> web.Response:
        if not self.knows(request):
            return web.json_response({"code": 20003}, status=401)
        to = request.query["To"]
        assert request.query["DateSent>"] <= _now().strftime("%Y-%m-%d")
        found = [m for m in reversed(self.messages) if m["to"] == to]
        return web.json_response({"messages": found})

    async def twilio_one(self, request: web.Request) -> web.Response:
        sid = request.match_info["sid"]
        found = next((m for m in self.messages if m["sid"] == sid), None)
        return web.json_response(found or {"code": 20404}, status=200 if found else 404)

    def knows(self, request: web.Request) -> bool:
        wanted = base64.b64encode(f"{ACCOUNT}:{SECRET}".encode()).decode()
        return request.headers.get("Authorization") == f"Basic {wanted}"

    # -- Aliyun ------------------------------------------------------------------------------------

    async def aliyun(self, request: web.Request) -> web.StreamResponse:
        raw = request.raw_path.partition("?")[2]
        query = dict(urllib.parse.parse_qsl(raw, keep_blank_values=True))
        wrong = self.mistake(request, query)
        if wrong:
            return web.json_response({"Code": wrong, "Message": wrong}, status=400)
        if request.headers["x-acs-action"] == "QuerySendDetails":
            return self.aliyun_details(query)
        if self.hit("throttled"):
            return web.json_response({"Code": "Throttling.User"}, status=400)
        if self.hit("lost"):
            request.transport.abort()  # type: ignore[union-attr]
            return web.Response()
        biz = f"{len(self.messages)}^0"
        values = json.loads(query["TemplateParam"])
        message = {"biz": biz, "number": query["PhoneNumbers"], "out": query["OutId"], "status": 1}
        self.messages.append(message)
        self.note("taken", house="aliyun", number=query["PhoneNumbers"], id=biz, values=values,
                  text=query["TemplateCode"], sign=query["SignName"])  # fmt: skip
        if not self.hit("mute"):
            self.later(self.tell_aliyun(message))
        if self.hit("silent"):
            await asyncio.sleep(60)
        return web.json_response({"Code": "OK", "Message": "OK", "BizId": biz, "RequestId": "r"})

    def mistake(self, request: web.Request, query: dict[str, str]) -> str:
        """What is wrong with a request's signature (V3), or nothing."""
        said = dict(
            part.split("=", 1)
            for part in request.headers["Authorization"].split(" ", 1)[1].split(",")
        )
        if said["Credential"] != ACCOUNT:
            return "InvalidAccessKeyId.NotFound"
        nonce = request.headers["x-acs-signature-nonce"]
        if nonce in self.nonces:
            return "SignatureNonceUsed"
        self.nonces.add(nonce)
        sent = datetime.fromisoformat(request.headers["x-acs-date"])
        if abs(_now() - sent) > timedelta(minutes=15):
            return "InvalidTimeStamp.Expired"

        def escape(text: str) -> str:
            return urllib.parse.quote_plus(text).replace("+", "%20").replace("%7E", "~")

        lines = [request.method, "/"]
        lines.append("&".join(f"{escape(k)}={escape(v)}" for k, v in sorted(query.items())))
        names = said["SignedHeaders"].split(";")
        assert names == sorted(names)
        assert "host" in names
        lines += [f"{name}:{request.headers[name].strip()}" for name in names]
        empty = hashlib.sha256(b"").hexdigest()
        lines += ["", said["SignedHeaders"], empty]
        text = "ACS3-HMAC-SHA256\n" + hashlib.sha256("\n".join(lines).encode()).hexdigest()
        wanted = hmac.new(SECRET.encode(), text.encode(), "sha256").hexdigest()
        return "" if wanted == said["Signature"] else "SignatureDoesNotMatch"

    def aliyun_details(self, query: dict[str, str]) -> web.Response:
        assert query["SendDate"] == (_now() + CHINA).strftime("%Y%m%d")
        found = [
            {"PhoneNum": m["number"], "OutId": m["out"], "SendStatus": m["status"]}
            for m in self.messages
            if m["number"] == query["PhoneNumber"] and query.get("BizId") in (None, m["biz"])
        ]
        return web.json_response(
            {
                "Code": "OK",
                "TotalCount": len(found),
                "SmsSendDetailDTOs": {"SmsSendDetailDTO": found},
            }
        )

    async def tell_aliyun(self, message: dict[str, Any]) -> None:
        await asyncio.sleep(0.05)
        message["status"] = 3
        told = [{"phone_number": message["number"], "success": True, "err_code": "DELIVERED",
                 "biz_id": message["biz"], "out_id": message["out"], "sms_size": "1",
                 "send_time": "x", "report_time": "x"}]  # fmt: skip
        for _ in range(2):  # idempotence of receipts is not promised
            await self.post(self.faults["callback"], json=told)

    # -- both --------------------------------------------------------------------------------------

    def later(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def post(self, url: str, **what: Any) -> None:
        if not url:
            return
        async with ClientSession() as session, session.post(url, **what) as answer:
            self.note("told", status=answer.status, body=(await answer.text())[:200])

    async def reply(self, request: web.Request) -> web.Response:
        """A customer writes to us: the tests say what."""
        said = await request.json()
        if said["house"] == "twilio":
            form = {"MessageSid": "SM1", "From": f"+{said['number']}", "Body": said["text"]}
            url = self.faults["callback"]
            signed = url + "".join(f"{key}{form[key]}" for key in sorted(form))
            key = said.get("secret", SECRET)
            digest = hmac.new(key.encode(), signed.encode(), "sha1").digest()
            headers = {"X-Twilio-Signature": base64.b64encode(digest).decode()}
            await self.post(url, headers=headers, data=form)
        else:
            told = [{"phone_number": said["number"], "content": said["text"], "sign_name": "x",
                     "dest_code": "1", "send_time": "x", "sequence_id": 1}]  # fmt: skip
            await self.post(self.faults["callback"], json=told)
        return web.Response()


def main(port: int, log: Path, faults: dict[str, Any]) -> None:
    gateway = Gateway(log, faults)
    app = web.Application()
    base = f"/2010-04-01/Accounts/{ACCOUNT}/Messages"
    app.router.add_post(f"{base}.json", gateway.twilio)
    app.router.add_get(f"{base}.json", gateway.twilio_list)
    app.router.add_get(f"{base}/{{sid}}.json", gateway.twilio_one)
    app.router.add_post("/", gateway.aliyun)
    app.router.add_post("/reply", gateway.reply)
    log.touch()
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
