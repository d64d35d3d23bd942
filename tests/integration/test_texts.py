"""The specification of texts at the other end: what two SMS centres of other houses were handed, by
their own logs, whatever they do and whenever the sender dies.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from grid.build import build
from grid.drawing import draw_graph
from notify.sender import Replied, Sender
from notify.settings import NoticeSettings, SmsSettings
from notify.situations import decider
from service import replying, texting
from service.clock import now_ms
from service.settings import Settings
from simulators.smsc import read_log
from store.postgres import open_store
from store.sealing import Keys

pytestmark = pytest.mark.services

ROOT = Path(__file__).resolve().parents[2]
KEYS = Keys(phone=b"p" * 32, index=b"i" * 32)
SMPP34 = "from simulators.smsc import main; from service.clock import now_ms; main(now_ms)"
HOMES = 40
VEXING = {"throttled": 0.1, "silent": 0.1, "early": 0.2, "twice": 0.3, "receipt_s": 0.05}
Street = Any  # of conftest.py


@dataclass
class Centre:
    """An SMS centre of another house, as a process of its own, and its log."""

    command: list[str]
    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self, **faults: Any) -> "Centre":
        self.process = subprocess.Popen(
            [*self.command, str(self.port), str(self.log), json.dumps(faults)],
            env={**os.environ, "NODE_PATH": str(ROOT / "build" / "node" / "node_modules")},  # noqa: TID251
            cwd=ROOT,
        )
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def taken(self) -> list[dict[str, Any]]:
        return [line for line in read_log(self.log) if line["what"] == "taken"]


@pytest.fixture
def centre(
    request: pytest.FixtureRequest, tmp_path: Path, free_port: Callable[[], int],
    tool: Callable[[str], str], left_out: Callable[..., Any],
) -> Iterator[Centre]:  # fmt: skip
    """PyPI's smpp34; with ``both`` npm's smpp as well."""
    if getattr(request, "param", "smpp34") == "smpp34":
        command = [sys.executable, "-c", SMPP34]
    else:
        command = [tool("node"), str(Path(__file__).with_name("smsc.cjs"))]
        if not (ROOT / "build" / "node" / "node_modules" / "smpp").is_dir():
            left_out("npm's smpp", "make services")
    made = Centre(command, free_port(), tmp_path / "smsc.jsonl")
    yield made
    made.stop()


def settings_for(centre: Centre, **sms: Any) -> Settings:
    """A sender in a hurry, to a gateway that owes receipts."""
    hurried: dict[str, Any] = {
        "url": f"smpp://127.0.0.1:{centre.port}", "answer_s": 0.4, "lease_s": 0.5,
        "receipt_owed_s": 1.5, "reconnect_s": 0.05, "reconnect_max_s": 0.2, "throttled_s": 0.05,
        "per_s": 2000.0, "poll_s": 0.1, "retry_s": 0.05, "window_max": 8,
    }  # fmt: skip
    notices = NoticeSettings(hold_s=0.0, quiet_from="00:00", quiet_to="00:00")
    return Settings(notices=notices, sms=SmsSettings(**{**hurried, **sms}))


both = pytest.mark.parametrize("centre", ["smpp34", "node"], indirect=True)


@pytest.fixture
async def street(
    postgres_url: str, centre: Centre, make_street: Callable[..., Any]
) -> AsyncIterator[Street]:
    """A street in a database; its outage is decided on as the sender's settings say."""
    settings = settings_for(centre)
    decide = decider(texting.rules_of(settings))
    async with open_store(postgres_url, KEYS, settings.store, decide) as store:
        street = make_street(store, postgres_url, HOMES)
        await store.save_network(street.graph, street.network, 0, "drawn")
        yield street


@contextlib.asynccontextmanager
async def sending(
    street: Street, settings: Settings, replied: Replied | None = None
) -> AsyncIterator[Sender]:
    """A sender in this process."""

    async def ignored(_phone: str, _text: str) -> None:
        return

    outbox = street.store.outbox
    sender = texting.sender(outbox, settings, now_ms, replied or ignored)
    task = asyncio.create_task(texting.send([sender], outbox, texting.rules_of(settings), now_ms))
    try:
        yield sender
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def exactly_once(centre: Centre, street: Street, word: str = "outage") -> None:
    """Each number was handed one text of a phase, and no other."""
    zh = {"outage": "起停电", "back": "恢复供电"}[word]
    taken = [t for t in centre.taken() if word in t["text"] or zh in t["text"]]
    counts = Counter(t["number"] for t in taken)
    wanted = {c.phone.removeprefix("+") for c in street.graph.customers}
    assert [number for number, n in counts.items() if n > 1] == []
    assert set(counts) == wanted


@both
async def test_each_is_handed_one_text_a_phase_and_its_receipt_is_kept(
    centre: Centre, street: Street, postgres_url: str
) -> None:
    centre.start()
    async with sending(street, settings_for(centre)):
        await street.becomes("predicted")
        await street.becomes("confirmed")
        await street.settled()
        await street.becomes("restored", now_ms())
        await street.settled()
    exactly_once(centre, street, "outage")
    exactly_once(centre, street, "back")
    assert len(centre.taken()) == 2 * HOMES
    told = await street.store.outbox.of_customer(street.customers[0])
    assert [(n.phase, n.state) for n in told] == [
        ("restored", "delivered"), ("confirmed", "delivered"),
    ]  # fmt: skip
    by_number = {t["number"]: t["text"] for t in centre.taken()}
    assert {n.text for n in told} >= {by_number["8610000000000"]}


@both
async def test_throttled_silent_early_and_twice_are_one_text_still(
    centre: Centre, street: Street, postgres_url: str
) -> None:
    centre.start(**VEXING, seed=7)
    async with sending(street, settings_for(centre)) as sender:
        await street.becomes("confirmed")
        await street.settled()
    exactly_once(centre, street)
    assert sender.tally.outcomes["throttled"] > 0


async def test_a_gateway_that_vanishes_finds_nothing_lost_and_nothing_twice(
    centre: Centre, street: Street, postgres_url: str
) -> None:
    async with sending(street, settings_for(centre)) as sender:
        await street.becomes("confirmed")
        await street.until(lambda: bool(sender.gateway.trouble))
        assert await street.store.outbox.claim(0, 1) == ()
        centre.start()
        await street.settled()
    exactly_once(centre, street)


@both
async def test_a_connection_cut_in_mid_window_loses_nothing_and_doubles_nothing(
    centre: Centre, street: Street, free_port: Callable[[], int], make_cable: Callable[..., Any]
) -> None:
    centre.start(silent=0.1, receipt_s=0.3)
    cable, port = make_cable(centre.port), free_port()
    hurry = {"url": f"smpp://127.0.0.1:{port}", "per_s": 100.0, "burst": 8}
    async with await asyncio.start_server(cable.joins, "127.0.0.1", port):
        async with sending(street, settings_for(centre, **hurry)) as sender:
            await street.becomes("confirmed")
            for count in (HOMES // 4, HOMES // 2, HOMES * 3 // 4):
                await street.until(partial(handed_so_many, centre, count))
                cable.cut()
            await street.settled()
        cable.cut()
    exactly_once(centre, street)
    assert sender.gateway.lost_count >= 3
    assert sender.tally.outcomes["unknown"] > 0


RUNS = 25  # of a lot; four homes are told in each
LOTS = 20  # 1,000 runs against two centres; the first lot of each is not left to `make soak`
lots = pytest.mark.parametrize(
    "lot",
    [pytest.param(n, id=f"lot{n}", marks=[pytest.mark.soak] if n else []) for n in range(LOTS)],
)
WATCHED = """
CREATE TABLE became_unknown (notice_no bigint);
CREATE FUNCTION note_unknown() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO became_unknown VALUES (new.notice_no); RETURN NULL; END $$;
CREATE TRIGGER unknowns AFTER UPDATE ON notices FOR EACH ROW
WHEN (new.state = 'unknown' AND old.state <> 'unknown') EXECUTE FUNCTION note_unknown();
"""


@both
@lots
async def test_a_sender_killed_at_seeded_moments_sends_nothing_twice_and_leaves_nothing_unknown(
    centre: Centre, postgres_url: str, make_street: Callable[..., Any], lot: int,
    killed_often: Callable[..., Any], record_property: Callable[[str, object], None],
) -> None:  # fmt: skip
    seed = RUNS + lot
    centre.start(**VEXING, seed=seed)
    settings = settings_for(centre)
    decide = decider(texting.rules_of(settings))
    connecting = psycopg.AsyncConnection.connect(postgres_url, autocommit=True)
    async with (
        open_store(postgres_url, KEYS, settings.store, decide) as store,
        await connecting as watching,
    ):
        street = make_street(store, postgres_url, 4 * RUNS)
        await store.save_network(street.graph, street.network, 0, "drawn")
        await watching.execute(WATCHED)
        await killed_often(street, settings, seed, RUNS)
        async with sending(street, settings):
            await street.settled(60.0)
        counted = await watching.execute("SELECT count(DISTINCT notice_no) FROM became_unknown")
        record_property("kills", RUNS)
        record_property("texts", len(centre.taken()))
        record_property("of_unknown_fate", (await counted.fetchone() or (0,))[0])
    exactly_once(centre, street)


def handed_so_many(centre: Centre, count: int) -> bool:
    return len(centre.taken()) >= count


@both
async def test_kill_9_of_the_sender_in_mid_storm(
    centre: Centre, street: Street, postgres_url: str
) -> None:
    centre.start(receipt_s=0.05)
    await street.becomes("confirmed")
    settings = msgspec.json.encode(settings_for(centre, per_s=100.0, burst=4)).decode()
    program = str(Path(__file__).with_name("send_texts.py"))
    sender = await asyncio.create_subprocess_exec(
        sys.executable, program, postgres_url, settings, cwd=ROOT
    )
    await street.until(partial(handed_so_many, centre, HOMES // 2))
    sender.kill()
    await sender.wait()
    async with sending(street, settings_for(centre)):
        await street.settled()
    exactly_once(centre, street)


async def test_a_receipt_that_waits_to_be_kept_is_not_missing(
    centre: Centre, street: Street, postgres_url: str
) -> None:
    """The database is busy for longer than the gateway may take for its receipts."""
    centre.start(silent=1.0, receipt_s=0.3)
    settings = settings_for(centre, answer_s=0.1, receipt_owed_s=0.8)
    connecting = psycopg.AsyncConnection.connect(postgres_url, autocommit=True)
    async with await connecting as busy, sending(street, settings):
        await street.becomes("confirmed")
        await street.until(partial(handed_so_many, centre, HOMES))
        await busy.execute("SELECT pg_advisory_lock(1818325367)")
        await busy.execute("SELECT pg_sleep(2.5)")
        await busy.execute("SELECT pg_advisory_unlock(1818325367)")
        await street.settled()
    exactly_once(centre, street)


async def test_without_a_receipt_that_is_owed_a_text_of_unknown_fate_stays_unknown(
    centre: Centre, street: Street, postgres_url: str
) -> None:
    centre.start(silent=1.0, mute=1.0, receipt_s=60.0)
    settings = settings_for(centre, receipt_owed_s=0.0, answer_s=0.2)
    async with sending(street, settings) as sender:
        await street.becomes("confirmed")
        await street.until(lambda: sender.tally.outcomes.get("unknown", 0) == HOMES)
        looked = sender.tally.looks
        await street.until(lambda: sender.tally.looks > looked + 1)
    exactly_once(centre, street)
    assert (await street.store.outbox.figures(now_ms())).unknown == HOMES


@pytest.mark.parametrize("centre", ["node"], indirect=True)
async def test_a_gateway_that_gives_no_receipts_is_asked_what_became_of_each(
    centre: Centre, street: Street
) -> None:
    centre.start(mute=1.0)
    async with sending(street, settings_for(centre, receipt_owed_s=0.0, ask_after_s=0.2)) as sender:
        await street.becomes("confirmed")
        await street.settled()
    exactly_once(centre, street)
    assert sender.tally.outcomes["asked"] >= HOMES
    asked = [line for line in read_log(centre.log) if line["what"] == "asked"]
    assert {line["fate"] for line in asked} == {2}


async def test_a_number_that_is_none_is_refused_with_its_reason_and_the_others_go(
    centre: Centre, street: Street, postgres_url: str
) -> None:
    wrong = msgspec.structs.replace(street.graph.customers[0], phone="call me")
    short = msgspec.structs.replace(street.graph.customers[1], phone="110")
    customers = (wrong, short, *street.graph.customers[2:])
    graph = msgspec.structs.replace(street.graph, customers=customers)
    moved = draw_graph("source S9\n  breaker B9\n    transformer T9\n      meter M9")
    other = build(moved).network
    assert other is not None
    await street.store.save_network(moved, other, 1, "drawn")  # so that the next is a new one
    await street.store.save_network(graph, street.network, 2, "drawn")
    street.graph = graph
    centre.start()
    async with sending(street, settings_for(centre)):
        await street.becomes("confirmed")
        await street.settled()
    assert len(centre.taken()) == HOMES - 2
    [refused] = await street.store.outbox.of_customer(street.customers[1])
    assert (refused.state, refused.reason) == ("refused", "invalid_number")
    [held] = await street.store.outbox.decisions(customer_id=street.customers[0])
    assert (held.send, held.reason) == (False, "no_phone")


async def test_a_reply_that_says_still_out_is_a_call_of_that_customer(street: Street) -> None:
    calls: list[str] = []

    async def call(customer_id: str, _at_ms: int) -> None:
        calls.append(customer_id)

    await street.becomes("confirmed")
    await street.store.outbox.claim(now_ms(), HOMES)
    replied = replying.replies(street.store, now_ms, call)
    for words in ("1", "OFF", "off.", "１", "没电"):
        await replied("8610000000003", words)
    await replied("8610000000003", "thanks")
    await replied("8610000099999", "1")
    assert calls == [street.customers[3]] * 5
