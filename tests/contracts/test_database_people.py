"""The specification of how people are told, on every database: wishes, the next channel, the desk,
opting out with its proof, staff, and what a person may ask us to show or to forget.
"""

from collections.abc import AsyncIterator, Callable
from datetime import time
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from grid.outbox import Back, Receipt, Sent, Unknown
from notify.phases import Rules
from notify.settings import NoticeSettings
from notify.situations import decider
from service.replying import replies
from service.texting import fall_back
from store.outbox import Outbox
from store.postgres import Store, open_store
from store.sealing import Keys
from store.settings import StoreSettings
from store.wishing import Consent, NewStaff, NewWishes, SeenRow

pytestmark = pytest.mark.services

ALL = frozenset({"sms", "email", "desk"})
RULES = Rules(NoticeSettings(channels=("sms", "email")), ZoneInfo("UTC"), time(0), time(0), ALL)
KEYS = Keys(phone=b"p" * 32, index=b"i" * 32)
ROWS = "SELECT customer_id, channel, state, reason FROM notices ORDER BY notice_no"


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """The store, which decides who is told."""
    settings = StoreSettings(retry_s=0.01)
    async with open_store(database_url, KEYS, settings, decider(RULES)) as opened:
        yield opened


@pytest.fixture
def dark(house: Any, change: Any, step: Any) -> Callable[..., Any]:
    """``dark("12:00:10", "confirmed")``: M1 and M2 have been out since noon."""
    versions: dict[str, int] = {}

    def make(clock: str, state: str, back: str | None = None, **more: Any) -> Any:
        outage_id = more.pop("outage_id", "S1-1")
        versions[outage_id] = versions.get(outage_id, 0) + 1
        steps = (step("12:00:00", back, "C-M1", "C-M2"),)
        named = ("C-M1", "C-M2")
        said = change(clock, outage_id, versions[outage_id], state, *steps, customers=named, **more)
        return house.applied(clock, changes=(said,))

    return make


def wants(customer_id: str, at_ms: int, **wishes: Any) -> NewWishes:
    return NewWishes(customer_id=customer_id, by="customer", at_ms=at_ms, **wishes)


def with_priority(house: Any, customer_id: str, priority: str) -> None:
    customers = tuple(
        msgspec.structs.replace(c, priority=priority) if c.customer_id == customer_id else c
        for c in house.graph.customers
    )
    house.graph = msgspec.structs.replace(house.graph, customers=customers)


def handed(claimed: Any, at_ms: int, message_id: str = "") -> Sent:
    ids = (message_id,) if message_id else ()
    return Sent(claimed.notice_no, at_ms, "a text", False, None, ids)


async def test_a_customer_is_told_on_the_channel_they_chose_at_the_address_they_gave(
    store, house, dark, at, ask
) -> None:
    await house.move_in(store)
    await store.wishing.wish(
        wants("C-M1", at("11:00:00"), channels=("email", "sms"), language="en",
              quiet=("01:00", "02:00"), contacts={"email": "wang@example.org"})
    )  # fmt: skip
    await store.commit([dark("12:00:10", "confirmed")], ())
    assert [row[:2] for row in ask(ROWS)] == [("C-M1", "email"), ("C-M2", "sms")]
    (mail,) = await store.outbox.claim(at("12:02:00"), 10, "email")
    assert (mail.customer_id, mail.address, mail.language) == ("C-M1", "wang@example.org", "en")
    (text,) = await store.outbox.claim(at("12:02:00"), 10)
    assert (text.customer_id, text.address) == ("C-M2", "")
    (told,) = await store.outbox.of_customer("C-M1")
    assert (told.channel, told.phone) == ("email", "w***@example.org")
    found = await store.wishing.wishes("C-M1")
    assert (found.contacts, found.quiet) == ({"email": "w***@example.org"}, ("01:00", "02:00"))


@pytest.fixture
async def two_claimed(store, house, dark, at) -> Any:
    """Texts to both, C-M1 can be reached by mail as well, C-M2 is vulnerable."""
    with_priority(house, "C-M2", "vulnerable")
    await house.move_in(store)
    await store.wishing.wish(wants("C-M1", at("11:00:00"), contacts={"email": "a@example.org"}))
    await store.commit([dark("12:00:10", "confirmed")], ())
    claimed = await store.outbox.claim(at("12:02:00"), 10)
    return sorted(claimed, key=lambda c: c.customer_id)


async def falls(outbox: Outbox, now_ms: int) -> int:
    return await fall_back(outbox, RULES, now_ms)


async def test_without_a_receipt_by_the_deadline_the_next_channel_is_tried_once(
    store, two_claimed, at, ask
) -> None:
    one, two = two_claimed
    await store.outbox.sent([handed(one, at("12:02:01"), "m1"), handed(two, at("12:02:01"), "m2")])
    assert await falls(store.outbox, at("12:04:59")) == 0
    assert await falls(store.outbox, at("12:05:01")) == 1  # a vulnerable customer waits for less
    assert await falls(store.outbox, at("12:12:01")) == 1
    assert await falls(store.outbox, at("12:30:00")) == 0
    assert ask(ROWS)[2:] == [
        ("C-M2", "desk", "queued", "fell_back"), ("C-M1", "email", "queued", "fell_back"),
    ]  # fmt: skip


async def test_a_receipt_in_time_is_enough(store, two_claimed, at, ask) -> None:
    one, two = two_claimed
    await store.outbox.sent([handed(one, at("12:02:01"), "m1"), handed(two, at("12:02:01"), "m2")])
    await store.outbox.receipts([Receipt(at("12:02:09"), m, "DELIVRD") for m in ("m1", "m2")])
    assert await falls(store.outbox, at("12:30:00")) == 0
    assert len(ask(ROWS)) == 2


@pytest.mark.parametrize("how", ["undelivered", "refused", "unknown"])
async def test_what_did_not_arrive_falls_back_however_that_is_known(
    store, two_claimed, at, ask, how: str
) -> None:
    one, two = two_claimed
    await store.outbox.sent([handed(two, at("12:02:01"), "m2")])
    await store.outbox.receipts([Receipt(at("12:02:09"), "m2", "DELIVRD")])
    if how == "undelivered":
        await store.outbox.sent([handed(one, at("12:02:01"), "m1")])
        await store.outbox.receipts([Receipt(at("12:02:09"), "m1", "UNDELIV")])
    elif how == "refused":
        await store.outbox.back([Back(one.notice_no, at("12:02:01"), "invalid_number")])
    else:
        await store.outbox.unknown([Unknown(one.notice_no, "no_answer", "a text")])
    waited = "12:12:01" if how == "unknown" else "12:02:30"
    assert await falls(store.outbox, at(waited)) == 1
    assert ask(ROWS)[2:] == [("C-M1", "email", "queued", "fell_back")]


async def test_who_has_seen_it_on_their_page_needs_no_other_channel(
    store, two_claimed, at, ask
) -> None:
    one, _ = two_claimed
    await store.outbox.sent([handed(one, at("12:02:01"), "m1")])
    _, top = await store.feed_position("customer:C-M1")
    await store.wishing.seen([SeenRow("C-M1", top, "2026-11-21T12:03:00Z")])
    await store.wishing.seen([SeenRow("C-M1", top - 1, "2026-11-21T12:03:01Z")])  # never back
    assert await falls(store.outbox, at("12:30:00")) == 0
    assert len(ask(ROWS)) == 2


async def test_who_saw_the_page_before_it_happened_does_need_it(store, two_claimed, at) -> None:
    one, _ = two_claimed
    await store.outbox.sent([handed(one, at("12:02:01"), "m1")])
    await store.wishing.seen([SeenRow("C-M1", 0, "2026-11-21T11:59:00Z")])
    assert await falls(store.outbox, at("12:30:00")) == 1


async def test_restored_in_the_meantime_takes_the_other_channel_back(
    store, two_claimed, dark, at, ask
) -> None:
    _, two = two_claimed
    await store.outbox.sent([handed(two, at("12:02:01"), "m2")])
    await falls(store.outbox, at("12:05:02"))
    await store.commit([dark("12:06:00", "restored", "12:05:30")], ())
    assert ("C-M2", "desk", "held", "superseded") in ask(ROWS)
    assert await store.tasks.tasks(at("12:07:00")) == ()


async def test_the_desk_sees_whom_to_call_and_what_it_closes_stays_closed(
    store, two_claimed, at, ask
) -> None:
    _, two = two_claimed
    await store.outbox.sent([handed(two, at("12:02:01"), "m2")])
    await falls(store.outbox, at("12:05:02"))
    (task,) = await store.tasks.tasks(at("12:06:00"))
    assert (task.customer_id, task.priority, task.state) == ("C-M2", "vulnerable", "open")
    assert (task.phone, task.off_at) == ("100****8001", "2026-11-21T12:00:00.000Z")
    assert await store.tasks.number_of("C-M2") == "10000138001"
    number = int(task.id)
    assert await store.tasks.close(number, "told", "has a generator", "ann", at("12:07:00"))
    assert not await store.tasks.close(number, "nobody_answered", "", "bob", at("12:08:00"))
    (closed,) = await store.tasks.tasks(at("12:09:00"), open_only=False)
    assert (closed.state, closed.ended_by, closed.note) == ("delivered", "ann", "has a generator")
    assert await store.outbox.claim(at("12:06:00"), 10, "sms") == ()
    told = await store.outbox.of_customer("C-M2")
    assert [(n.channel, n.state) for n in told] == [("desk", "delivered"), ("sms", "sent")]


# -- opting out ------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["STOP", "stop.", "TD", "ｔｄ", "退订"])
async def test_a_stop_is_kept_with_its_words_and_ends_all_texts(
    store, house, dark, at, ask, word: str
) -> None:
    await house.move_in(store)
    await store.commit([dark("12:00:10", "confirmed")], ())
    replied = replies(store, partial(at, "12:01:00"), call=_nobody)
    await replied("+86 10000138000", word)
    assert ask(ROWS) == [("C-M1", "sms", "held", "opted_out"), ("C-M2", "sms", "queued", "due")]
    (proof,) = await store.wishing.consents("C-M1")
    assert (proof.wanted, proof.source, proof.words) == (False, "reply", word)
    assert proof.at == "2026-11-21T12:01:00.000Z"
    assert word not in str(ask("SELECT * FROM consents"))  # sealed
    await store.commit([dark("12:03:00", "confirmed", outage_id="S1-2")], ())
    why = await store.outbox.decisions(customer_id="C-M1", outage_id=None)
    assert (why[-1].send, why[-1].reason) == (False, "opted_out")


async def test_start_tells_them_again(store, house, dark, at, ask) -> None:
    await house.move_in(store)
    replied = replies(store, partial(at, "11:00:00"), call=_nobody)
    for word in ("TD", "START"):
        await replied("10000138000", word)
    assert [c.wanted for c in await store.wishing.consents("C-M1")] == [False, True]
    await store.commit([dark("12:00:10", "confirmed")], ())
    assert ("C-M1", "sms", "queued", "due") in ask(ROWS)


async def test_the_desk_calls_a_vulnerable_customer_who_opted_out(
    store, house, dark, at, ask
) -> None:
    with_priority(house, "C-M1", "vulnerable")
    await house.move_in(store)
    out = Consent(customer_id="C-M1", at_ms=at("11:00:00"), wanted=False, source="api", by="ann")
    await store.wishing.consent([out])
    await store.commit([dark("12:00:10", "confirmed")], ())
    assert ask(ROWS)[0] == ("C-M1", "desk", "queued", "due")


async def _nobody(_customer: str, _at_ms: int) -> None:
    raise AssertionError("a stop is no call")


# -- staff -----------------------------------------------------------------------------------------


LEAD = NewStaff(staff_id="li", duty="cell_lead", district="East", language="zh", name="Li",
                phone="+86 100 0000 0007")  # fmt: skip


async def test_the_lead_of_a_district_is_told_of_its_outages_once_each(
    store, house, dark, at, ask
) -> None:
    await house.move_in(store)
    await store.wishing.keep_staff(LEAD)
    await store.wishing.keep_staff(msgspec.structs.replace(LEAD, staff_id="wu", district="West"))
    await store.commit([dark("12:00:10", "predicted"), dark("12:00:20", "confirmed")], ())
    await store.commit([dark("12:00:30", "confirmed")], ())
    mine = "SELECT phase, state FROM notices WHERE customer_id = 'staff:li' ORDER BY notice_no"
    assert ask(mine) == [("confirmed", "queued")]
    assert ask("SELECT count(*) FROM notices WHERE customer_id = 'staff:wu'") == [(0,)]
    claimed = await store.outbox.claim(at("12:02:30"), 10)
    (text,) = [c for c in claimed if c.customer_id == "staff:li"]
    assert (text.phone, text.language) == ("+86 100 0000 0007", "zh")
    assert (text.facts.device, text.facts.feeder, text.facts.homes) == ("T1", "B1", 2)
    await store.outbox.sent([handed(c, at("12:02:31"), f"m{c.notice_no}") for c in claimed])
    await store.commit([dark("12:09:00", "restored", "12:08:00")], ())
    assert ask(mine)[1:] == [("restored", "queued")]
    (shown, _) = await store.wishing.staff()
    assert (shown.staff_id, shown.name, shown.phone) == ("li", "Li", "100****0007")
    assert await store.wishing.remove_staff("li")
    assert not await store.wishing.remove_staff("li")


async def test_one_outage_of_a_lead_ends_without_the_other(store, house, dark, at, ask) -> None:
    await house.move_in(store)
    await store.wishing.keep_staff(LEAD)
    await store.commit([dark("12:00:10", "confirmed")], ())
    await store.commit([dark("12:00:20", "confirmed", outage_id="S1-2")], ())
    await store.commit([dark("12:01:00", "momentary", "12:00:40")], ())
    mine = "SELECT outage_id, state FROM notices WHERE customer_id = 'staff:li' ORDER BY notice_no"
    assert ask(mine) == [("S1-1", "held"), ("S1-2", "queued")]
    (asked,) = [
        c for c in await store.outbox.claim(at("12:03:00"), 10) if c.customer_id == "staff:li"
    ]
    await store.outbox.unknown([Unknown(asked.notice_no, "no_answer", "a text")])
    found = Receipt(at("12:03:30"), "m9", "DELIVRD", "8610000000007", asked.notice_no & 0xFFFF)
    assert await store.outbox.receipts([found]) == 0
    assert ask(mine)[1] == ("S1-2", "delivered")


# -- what a person may ask for ---------------------------------------------------------------------


async def test_a_customers_data_can_be_shown_whole_and_forgotten(
    store, two_claimed, at, ask
) -> None:
    one, _ = two_claimed
    await store.outbox.sent([handed(one, at("12:02:01"), "m1")])
    said = Consent(customer_id="C-M1", at_ms=at("12:03:00"), wanted=False, source="reply",
                   by="C-M1", words="please stop")  # fmt: skip
    await store.wishing.consent([said])
    whole = await store.wishing.export("C-M1")
    assert (whole["name"], whole["phone"]) == ("Wang C-M1", "10000138000")
    assert whole["contacts"] == {"email": "a@example.org"}
    assert [n["text"] for n in whole["notices"]] == ["a text"]
    assert [c["words"] for c in whole["consents"]] == ["please stop"]
    assert [p["outage_id"] for p in whole["without_power"]] == ["S1-1"]
    assert await store.wishing.erase("C-M1")
    left = await store.wishing.export("C-M1")
    assert (left["name"], left["phone"], left["contacts"]) == ("", "", {})
    assert [n["text"] for n in left["notices"]] == [None]
    assert [c["words"] for c in left["consents"]] == [""]
    assert await store.customers_by_phone("10000138000") == ()
    graph, _ = await store.load_graph()
    contacts = {c.customer_id: (c.name, c.phone) for c in graph.customers}
    assert contacts["C-M1"] == ("", "")
    assert contacts["C-M2"] == ("Wang C-M2", "10000138001")
    assert await store.wishing.export("C-M9") is None
    assert not await store.wishing.erase("C-M9")
