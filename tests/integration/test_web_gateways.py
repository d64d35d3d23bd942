"""The specification of texts over HTTP gateways and of messages through Apprise, at the other end:
what peers of other houses were handed, by their own logs.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from aiosmtpd.controller import Controller
from fastapi import FastAPI, Request, Response
from msgspec.structs import replace

from dispatch.hookroutes import routes
from dispatch.trail import Trail
from notify.apprised import Apprised
from notify.carrier import Submit, Unanswered
from notify.settings import ChannelSettings, NoticeSettings, SmsSettings
from notify.situations import decider
from service import texting
from service.clock import now_ms
from service.settings import Secrets, Settings
from store.postgres import open_store
from store.sealing import Keys
from store.wishing import NewWishes

pytestmark = pytest.mark.services

KEYS = Keys(phone=b"p" * 32, index=b"i" * 32)
ACCOUNT, SECRET, KEY = "ACnobody", "not a secret", "a key that is no secret"
HOMES = 24
CODES = {f"{language}.{key}": f"SMS_{language}_{key}" for language in ("zh", "en")
         for key in ("no_etr", "confirmed", "restored")}  # fmt: skip


class House:
    """A gateway as a process of its own, our address for its callbacks, and its log."""

    def __init__(self, name: str, port: int, ours: int, log: Path) -> None:
        self.name, self.port, self.ours, self.log = name, port, ours, log
        key = f"?key={KEY.replace(' ', '%20')}" if name == "aliyun" else ""
        self.callback = f"http://127.0.0.1:{ours}/hooks/sms/{name}"
        self.keyed = self.callback + key
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **faults: Any) -> None:
        program = str(Path(__file__).with_name("web_gateway.py"))
        told = json.dumps({"callback": self.keyed, **faults})
        command = [sys.executable, program, str(self.port), str(self.log), told]
        self.process = subprocess.Popen(command)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def lines(self, what: str) -> list[dict[str, Any]]:
        if not self.log.exists():
            return []
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if line["what"] == what]

    def settings(self, **sms: Any) -> Settings:
        """A sender in a hurry."""
        hurried: dict[str, Any] = {
            "url": f"{self.name}+http://127.0.0.1:{self.port}", "callback_url": self.callback,
            "source": "10000000000", "sign": "幸福供电", "template_codes": CODES, "answer_s": 1.0,
            "ask_after_s": 0.3, "absent_s": 1.5, "reconnect_s": 0.05, "throttled_s": 0.05,
            "per_s": 500.0, "poll_s": 0.1, "lease_s": 5.0,
        }  # fmt: skip
        secrets = Secrets(sms_system_id=ACCOUNT, sms_password=SECRET, sms_callback_key=KEY)
        notices = NoticeSettings(hold_s=0.0, quiet_from="00:00", quiet_to="00:00")
        return Settings(notices=notices, sms=SmsSettings(**{**hurried, **sms}), secrets=secrets)

    async def reply(self, number: str, text: str, **more: Any) -> None:
        """A customer writes, and the gateway brings it."""
        said = {"house": self.name, "number": number, "text": text, **more}
        async with httpx.AsyncClient() as client:
            await client.post(f"http://127.0.0.1:{self.port}/reply", json=said)


@pytest.fixture(params=["twilio", "aliyun"])
def house(
    request: pytest.FixtureRequest, tmp_path: Path, free_port: Callable[[], int]
) -> Iterator[House]:
    made = House(request.param, free_port(), free_port(), tmp_path / "gateway.jsonl")
    yield made
    made.stop()


@pytest.fixture
async def street(postgres_url: str, house: House, make_street: Any) -> AsyncIterator[Any]:
    settings = house.settings()
    async with open_store(
        postgres_url, KEYS, settings.store, decider(texting.rules_of(settings))
    ) as store:
        street = make_street(store, postgres_url, HOMES)
        await store.save_network(street.graph, street.network, 0, "drawn")
        yield street


@contextlib.asynccontextmanager
async def working(street: Any, house: House, calls: list[str], **sms: Any) -> AsyncIterator[Any]:
    """The sender, and our address for callbacks."""
    settings = house.settings(**sms)

    async def call(customer_id: str, _at_ms: int) -> None:
        calls.append(customer_id)

    async def audit(_event: str, **_fields: object) -> None:
        return

    hooks = texting.hooks(street.store, settings, now_ms, call)
    assert hooks is not None
    app = FastAPI()
    app.include_router(routes(hooks, Trail(audit, 1000, now_ms)))
    config = uvicorn.Config(
        app,
        port=house.ours,
        log_level="critical",
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    outbox = street.store.outbox
    sender = texting.sender(outbox, settings, now_ms, _ignored)
    sending = asyncio.create_task(
        texting.send([sender], outbox, texting.rules_of(settings), now_ms)
    )
    try:
        await street.until(lambda: server.started)
        yield sender
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        server.should_exit = True
        await serving


async def _ignored(_phone: str, _text: str) -> None:
    return


async def all_known(street: Any) -> None:
    """Wait until each text was handed over, or is known not to have been."""
    async with asyncio.timeout(60.0):
        while True:
            figures = await street.store.outbox.figures(now_ms())
            if not figures.unknown and not figures.sending and not any(figures.queued.values()):
                return
            await asyncio.sleep(0.05)


def once_each(house: House, street: Any) -> None:
    """Each number was handed one text, and no other."""
    counts = Counter(line["number"].removeprefix("86") for line in house.lines("taken"))
    wanted = {c.phone.removeprefix("+86") for c in street.graph.customers}
    assert [number for number, n in counts.items() if n > 1] == []
    assert set(counts) == wanted


async def test_texts_arrive_once_with_receipts_by_callback(house: House, street: Any) -> None:
    house.start()
    async with working(street, house, []):
        await street.becomes("confirmed")
        await street.settled()
    once_each(house, street)
    (told,) = await street.store.outbox.of_customer(street.customers[1])
    assert told.state == "delivered"
    assert {line["status"] for line in house.lines("told")} == {200}
    if house.name == "aliyun":
        (mine,) = [t for t in house.lines("taken") if t["number"].endswith("00000001")]
        assert (mine["text"], mine["sign"]) == ("SMS_zh_no_etr", "幸福供电")
        assert mine["values"]["p"] == "Lane 1"


async def test_what_is_lost_silent_or_throttled_is_found_by_asking_and_never_sent_twice(
    house: House, street: Any
) -> None:
    house.start(silent=0.25, lost=0.2, throttled=0.1, mute=0.5, seed=5)
    async with working(street, house, []) as sender:
        await street.becomes("confirmed")
        await street.until(lambda: len(house.lines("taken")) >= HOMES)
        await all_known(street)
    once_each(house, street)
    assert sender.tally.outcomes["unknown"] > 0
    assert sender.tally.outcomes["absent"] > 0


@pytest.mark.parametrize("runs", [5, pytest.param(50, marks=pytest.mark.soak)])
async def test_a_sender_killed_at_seeded_moments_hands_over_nothing_twice(
    house: House, postgres_url: str, make_street: Any, killed_often: Callable[..., Any], runs: int
) -> None:
    house.start(silent=0.1, lost=0.1, throttled=0.1, mute=1.0, seed=runs)
    settings = house.settings(lease_s=0.5, batch_max=4)
    decide = decider(texting.rules_of(settings))
    async with open_store(postgres_url, KEYS, settings.store, decide) as store:
        street = make_street(store, postgres_url, 4 * runs)
        await store.save_network(street.graph, street.network, 0, "drawn")
        await killed_often(street, settings, runs, runs)
        async with working(street, house, [], lease_s=0.5):
            await all_known(street)
    once_each(house, street)


async def test_a_gateway_that_is_away_at_first_is_waited_for(house: House, street: Any) -> None:
    async with working(street, house, []) as sender:
        await street.becomes("confirmed")
        await street.until(lambda: bool(sender.gateway.trouble) and sender.gateway.lost_count > 0)
        house.start()
        await street.settled()
    once_each(house, street)


async def test_replies_come_back_and_a_forged_one_does_not(house: House, street: Any) -> None:
    calls: list[str] = []
    house.start()
    async with working(street, house, calls):
        await street.becomes("confirmed")
        await street.settled()
        await house.reply("8610000000003", "1")
        await house.reply("8610000000004", "TD")
        if house.name == "twilio":
            await house.reply("8610000000005", "1", secret="another secret")
        else:
            async with httpx.AsyncClient() as client:
                forged = await client.post(f"{house.callback}?key=guessed", json=[])
            assert forged.status_code == 403
    assert calls == [street.customers[3]]
    (proof,) = await street.store.wishing.consents(street.customers[4])
    assert (proof.words, proof.source) == ("TD", "reply")
    if house.name == "twilio":
        assert house.lines("told")[-1]["status"] == 403


# -- Apprise ---------------------------------------------------------------------------------------


class Mailbox:
    """What arrived; it can refuse."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, str]] = []
        self.refuses = False

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.refuses:
            return "554 no"
        body = envelope.content.decode("utf-8", "replace")
        self.mails += [(to, body) for to in envelope.rcpt_tos]
        return "250 OK"


@pytest.mark.parametrize("refuses", [False, True], ids=["takes", "refuses"])
async def test_a_mail_goes_to_who_wished_for_it_and_one_that_is_refused_falls_back_to_a_text(
    postgres_url: str, make_street: Any, free_port: Callable[[], int], refuses: bool
) -> None:
    box = Mailbox()
    box.refuses = refuses
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    await asyncio.to_thread(controller.start)
    url = f"mailto://127.0.0.1:{controller.port}?from=outage@example.org&to={{address}}"
    notices = NoticeSettings(hold_s=0.0, quiet_from="00:00", quiet_to="00:00", fallback_s=0.5)
    settings = Settings(
        notices=notices, channels=ChannelSettings(answer_s=5.0),
        sms=SmsSettings(url="smpp://127.0.0.1:1", poll_s=0.1),
        secrets=Secrets(channels=f"# ours\nemail {url}"),
    )  # fmt: skip
    rules = texting.rules_of(settings)
    async with open_store(postgres_url, KEYS, settings.store, decider(rules)) as store:
        street = make_street(store, postgres_url, 2)
        await store.save_network(street.graph, street.network, 0, "drawn")
        mine = street.customers[0]
        await store.wishing.wish(
            NewWishes(customer_id=mine, channels=("email", "sms"), language="en", by="customer",
                      contacts={"email": "wang@example.org"}, at_ms=now_ms())
        )  # fmt: skip
        senders = texting.senders(store.outbox, settings, now_ms, _ignored)
        sending = asyncio.create_task(texting.send(senders, store.outbox, rules, now_ms))
        await street.becomes("confirmed")
        for _ in range(200):
            told = await store.outbox.of_customer(mine)
            if len(told) == 1 + refuses and told[-1].state not in ("queued", "sending"):
                break
            await asyncio.sleep(0.1)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    await asyncio.to_thread(controller.stop)
    if refuses:
        assert [(n.channel, n.state) for n in reversed(told)] == [
            ("email", "unknown"), ("sms", "queued"),
        ]  # fmt: skip
    else:
        assert [to for to, _ in box.mails] == ["wang@example.org"]
        assert [(n.channel, n.state) for n in told] == [("email", "sent")]


async def test_apprise_hands_over_json_and_hears_a_no(free_port: Callable[[], int]) -> None:
    came: list[tuple[str, dict[str, Any]]] = []
    app = FastAPI()

    @app.post("/{address}")
    async def take(address: str, request: Request) -> Response:
        came.append((address, await request.json()))
        return Response(status_code=503 if address == "away" else 200)

    port = free_port()
    config = uvicorn.Config(app, port=port, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    hook = Apprised("hook", f"json://127.0.0.1:{port}/{{address}}", "Power", answer_s=5.0)
    text = Submit("wang", ("停电了",), False, 1, 1, "停电了", "zh.confirmed", {})
    while not server.started:  # noqa: ASYNC110  it has no event
        await asyncio.sleep(0.01)
    try:
        assert await hook.submit(text, lambda _ids: None) == []
        ((address, said),) = came
        assert (address, said["title"], said["message"]) == ("wang", "Power", "停电了")
        with pytest.raises(Unanswered):
            await hook.submit(replace(text, to="away"), lambda _ids: None)
        assert hook.trouble == "the channel hook does not confirm what it gets"
        assert [address for address, _ in came] == ["wang", "away"]
    finally:
        server.should_exit = True
        await serving


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("email mailto://localhost", "lacks {address}"),
        ("sms json://localhost/{address}", "no channel can be called so"),
        ("pigeon coop://{address}", "none that Apprise knows"),
    ],
)
def test_a_channel_that_is_none_is_refused_with_its_line(line: str, says: str) -> None:
    settings = replace(Settings(), secrets=Secrets(channels=line))
    with pytest.raises(Exception, match=r"LASTGASP_CHANNELS: line 1") as refused:
        texting.rules_of(settings)
    assert says in str(refused.value)
