"""The specification of the outbox, on every database: decided with the change, claimed once, and
what became of each text by the gateway's own word.
"""

from collections.abc import AsyncIterator, Callable
from datetime import time
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from grid.notice import Decision, Facts, Phase, Reason
from grid.outbox import Back, Receipt, Sent, Unknown
from notify.phases import Rules
from notify.settings import NoticeSettings
from notify.situations import decider
from service.texting import keep_promises
from store.postgres import Store, open_store
from store.sealing import Keys
from store.settings import StoreSettings

pytestmark = pytest.mark.services

RULES = Rules(NoticeSettings(), ZoneInfo("UTC"), time(0), time(0))
KEYS = Keys(phone=b"p" * 32, index=b"i" * 32)
ROWS = "SELECT customer_id, phase, edition, state, reason FROM notices ORDER BY notice_no"


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """The store, which decides who is texted."""
    settings = StoreSettings(retry_s=0.01)
    async with open_store(database_url, KEYS, settings, decider(RULES)) as opened:
        yield opened


def sent(claimed: Any, message_id: str, at_ms: int) -> Sent:
    return Sent(claimed.notice_no, at_ms, "a text", False, at_ms + 3_600_000, (message_id,))


async def claim_both(store: Store, at: Callable[[str], int], clock: str = "12:02:00") -> Any:
    return await store.outbox.claim(at(clock), 10)


async def test_a_confirmed_outage_is_queued_for_each_customer_with_the_change_itself(
    store, house, dark, at, ask
) -> None:
    await house.move_in(store)
    await store.commit([dark("12:00:10", "predicted"), dark("12:00:20", "confirmed")], ())
    assert ask(ROWS) == [
        ("C-M1", "confirmed", 1, "queued", "due"), ("C-M2", "confirmed", 1, "queued", "due"),
    ]  # fmt: skip
    why = await store.outbox.decisions(customer_id="C-M1")
    assert [(d.phase, d.send, d.reason, d.customers) for d in why] == [
        ("detected", False, "not_texted", 2), ("confirmed", True, "due", 2),
    ]  # fmt: skip
    assert await store.outbox.decisions(outage_id="S1-1") == why


async def test_the_same_batch_again_queues_nothing_again(store, house, dark, ask) -> None:
    await house.move_in(store)
    batch = [dark("12:00:10", "confirmed")]
    await store.commit(batch, ())
    once = ask(ROWS), ask("SELECT count(*) FROM notice_decisions")
    await store.commit(batch, ())
    assert (ask(ROWS), ask("SELECT count(*) FROM notice_decisions")) == once


async def test_what_is_due_is_claimed_once_and_its_number_opened_only_there(
    store, house, dark, at
) -> None:
    await house.move_in(store)
    await store.commit([dark("12:00:10", "confirmed")], ())
    assert await claim_both(store, at, "12:01:59") == ()
    claimed = await claim_both(store, at)
    assert [(c.customer_id, c.phone, c.attempts) for c in claimed] == [
        ("C-M1", "10000138000", 1), ("C-M2", "10000138001", 1),
    ]  # fmt: skip
    assert "1000013" not in repr(claimed)
    assert await claim_both(store, at) == ()


async def test_two_senders_never_claim_the_same(store, house, dark, at, opened) -> None:
    await house.move_in(store)
    await store.commit([dark("12:00:10", "confirmed")], ())
    async with opened() as other:
        one = await store.outbox.claim(at("12:02:00"), 1)
        two = await other.outbox.claim(at("12:02:00"), 10)
    assert [c.customer_id for c in (*one, *two)] == ["C-M1", "C-M2"]


async def test_key_and_vulnerable_customers_go_first(store, house, dark, at) -> None:
    graph = house.graph
    customers = tuple(
        msgspec.structs.replace(c, priority="vulnerable" if c.customer_id == "C-M2" else "normal")
        for c in graph.customers
    )
    house.graph = msgspec.structs.replace(graph, customers=customers)
    await house.move_in(store)
    await store.commit([dark("12:00:10", "confirmed")], ())
    assert [c.customer_id for c in await store.outbox.claim(at("12:02:00"), 1)] == ["C-M2"]


async def test_restored_in_the_meantime_takes_back_what_waits(store, house, dark, ask) -> None:
    await house.move_in(store)
    await store.commit([dark("12:00:10", "confirmed")], ())
    await store.commit([dark("12:01:00", "restored", "12:00:50")], ())
    assert {row[3:] for row in ask(ROWS)} == {("held", "superseded")}
    why = await store.outbox.decisions(outage_id="S1-1")
    assert [(d.phase, d.send, d.reason) for d in why][-1] == ("restored", False, "never_told")


async def test_dark_again_after_that_is_told_in_the_same_row(store, house, dark, at, ask) -> None:
    await house.move_in(store)
    await store.commit([dark("12:00:10", "confirmed")], ())
    await store.commit([dark("12:01:00", "restored", "12:00:50")], ())
    await store.commit([dark("12:01:10", "confirmed")], ())
    assert {row[1:] for row in ask(ROWS)} == {("confirmed", 1, "queued", "due")}
    assert len(await claim_both(store, at)) == 2


async def test_restored_is_told_on_the_meters_own_word_to_those_who_were_told(
    store, house, dark, at, ask
) -> None:
    await house.move_in(store)
    await store.commit([dark("12:00:10", "confirmed")], ())
    first = await claim_both(store, at)
    await store.outbox.sent([sent(c, f"m{c.notice_no}", at("12:02:01")) for c in first])
    await store.commit([dark("13:00:00", "restored", "12:59:00", inferred=True)], ())
    assert await claim_both(store, at, "13:00:01") == ()
    await store.commit([dark("13:10:00", "restored", "12:59:00")], ())
    told = await claim_both(store, at, "13:10:01")
    assert {(c.phase, c.facts.on_ms) for c in told} == {(Phase.RESTORED, at("12:59:00"))}


async def test_a_claimed_text_is_not_taken_back_and_its_end_is_told(
    store, house, dark, at, ask
) -> None:
    await house.move_in(store)
    await store.commit([dark("12:00:10", "confirmed")], ())
    await claim_both(store, at)
    await store.commit([dark("12:03:00", "restored", "12:02:50")], ())
    assert [row[1:4] for row in ask(ROWS)] == [
        ("confirmed", 1, "sending"), ("confirmed", 1, "sending"),
        ("restored", 1, "queued"), ("restored", 1, "queued"),
    ]  # fmt: skip


async def test_what_was_never_theirs_is_corrected(store, house, dark, at, ask) -> None:
    await house.move_in(store)
    await store.commit([dark("12:00:10", "confirmed")], ())
    await claim_both(store, at)
    await store.commit([dark("12:10:00", "rejected", gone=True)], ())
    told = await claim_both(store, at, "12:12:00")
    assert {c.phase for c in told} == {Phase.CANCELLED}


# -- what became of it -----------------------------------------------------------------------------


@pytest.fixture
async def two_claimed(store, house, dark, at) -> Any:
    """Both texts, claimed and about to be sent."""
    await house.move_in(store)
    await store.commit([dark("12:00:10", "confirmed")], ())
    return await claim_both(store, at)


STATES = "SELECT state, reason FROM notices ORDER BY notice_no"


def receipt(at_ms: int, message_id: str, stat: str = "DELIVRD", **more: Any) -> Receipt:
    return Receipt(at_ms, message_id, stat, **more)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("early", [True, False], ids=["before the answer", "after the answer"])
async def test_a_receipt_counts_whenever_and_however_often_it_comes(
    store, two_claimed, at, ask, times: int, early: bool
) -> None:
    one, _ = two_claimed
    steps = [store.outbox.sent([sent(one, "m1", at("12:02:01"))])]
    steps += [store.outbox.receipts([receipt(at("12:02:02"), "m1")]) for _ in range(times)]
    for coroutine in reversed(steps) if early else steps:
        await coroutine
    assert ask(STATES)[0] == ("delivered", "due")
    assert ask("SELECT count(*) FROM notice_receipts") == [(0,)]


async def test_a_later_word_does_not_undo_a_final_one(store, two_claimed, at, ask) -> None:
    one, two = two_claimed
    await store.outbox.sent([sent(one, "m1", at("12:02:01"))])
    await store.outbox.receipts([receipt(at("12:02:02"), "m1", "UNDELIV")])
    await store.outbox.receipts([receipt(at("12:02:03"), "m1", "DELIVRD")])
    assert ask(STATES)[0] == ("undelivered", "undeliv")
    await store.outbox.sent([sent(two, "m2", at("12:02:01"))])
    await store.outbox.receipts([receipt(at("12:02:02"), "m2", "ENROUTE")])
    await store.outbox.receipts([receipt(at("12:02:03"), "m2", "DELIVRD")])
    assert ask(STATES)[1] == ("delivered", "due")


async def test_one_lost_segment_is_a_lost_text(store, two_claimed, at, ask) -> None:
    one, _ = two_claimed
    both = Sent(one.notice_no, at("12:02:01"), "long", False, None, ("m1", "m2"))
    await store.outbox.sent([both])
    await store.outbox.receipts([receipt(at("12:02:02"), "m1")])
    assert ask(STATES)[0][0] == "sent"
    await store.outbox.receipts([receipt(at("12:02:03"), "m2", "EXPIRED")])
    assert ask(STATES)[0] == ("undelivered", "expired")


async def test_a_receipt_that_comes_after_more_than_three_days_still_counts(
    store, two_claimed, at, ask
) -> None:
    one, two = two_claimed
    await store.outbox.sent([sent(one, "m1", at("12:02:01"))])
    await store.outbox.unknown([Unknown(two.notice_no, "no_answer", "a text")])
    late_ms = at("12:02:02") + 73 * 3_600_000
    await store.outbox.tidy(late_ms, left_ms=late_ms - 60_000, owed_ms=None, safety_ms=None)
    await store.let_go(late_ms)
    assert ask(STATES) == [("sent", "due"), ("unknown", "no_answer")]
    told = [receipt(late_ms, "m1"), receipt(late_ms, "m2", "UNDELIV", phone=two.phone,
                                            reference=two.notice_no & 0xFFFF)]  # fmt: skip
    assert await store.outbox.receipts(told) == 0
    assert ask(STATES) == [("delivered", "due"), ("undelivered", "undeliv")]
    assert await store.outbox.claim(late_ms, 10) == ()


async def test_who_died_while_sending_leaves_texts_of_unknown_fate_that_nobody_sends_again(
    store, two_claimed, at, ask
) -> None:
    tidied = await store.outbox.tidy(at("12:04:00"), left_ms=at("12:03:00"), owed_ms=None,
                                     safety_ms=None)  # fmt: skip
    assert tidied == {"expired": 0, "unknown": 2, "again": 0}
    assert ask(STATES) == [("unknown", "sender_died")] * 2
    assert await claim_both(store, at, "13:00:00") == ()


@pytest.mark.parametrize("how", ["by reference", "by number", "by number with +86"])
async def test_a_text_of_unknown_fate_is_found_by_its_receipt(
    store, two_claimed, at, ask, how: str
) -> None:
    one, _ = two_claimed
    await store.outbox.unknown([Unknown(one.notice_no, "no_answer", "a text")])
    reference = one.notice_no & 0xFFFF if how == "by reference" else None
    phone = one.phone if "+86" not in how else f"+86 {one.phone}"
    found = receipt(at("12:30:00"), "m9", phone=phone, reference=reference)
    assert await store.outbox.receipts([found]) == 0
    assert ask(STATES)[0][0] == "delivered"
    assert ask(STATES)[1][0] == "sending"


async def test_a_receipt_that_could_be_of_two_is_of_none(store, two_claimed, at, ask, dark) -> None:
    one, _ = two_claimed
    await store.outbox.unknown([Unknown(c.notice_no, "no_answer") for c in two_claimed])
    await store.commit([dark("12:10:00", "restored", "12:09:00")], ())
    again = await claim_both(store, at, "12:10:01")
    await store.outbox.unknown([Unknown(c.notice_no, "no_answer") for c in again])
    assert await store.outbox.receipts([receipt(at("12:30:00"), "m9", phone=one.phone)]) == 1
    assert {state for state, _ in ask(STATES)} == {"unknown"}


async def test_an_answer_that_comes_late_settles_it(store, two_claimed, at, ask) -> None:
    one, _ = two_claimed
    await store.outbox.unknown([Unknown(one.notice_no, "no_answer")])
    await store.outbox.sent([sent(one, "m1", at("12:02:30"))])
    assert ask(STATES)[0][0] == "sent"


async def test_a_gateway_that_owes_receipts_and_gave_none_never_had_it(
    store, two_claimed, at, ask
) -> None:
    await store.outbox.unknown([Unknown(c.notice_no, "no_answer") for c in two_claimed])
    tidied = await store.outbox.tidy(at("12:03:00"), left_ms=0, owed_ms=at("12:02:30"),
                                     safety_ms=None)  # fmt: skip
    assert tidied["again"] == 2
    assert [c.attempts for c in await claim_both(store, at, "12:03:00")] == [2, 2]


async def test_refused_for_good_or_for_the_moment(store, two_claimed, at, ask) -> None:
    one, two = two_claimed
    now = at("12:02:01")
    await store.outbox.back([
        Back(one.notice_no, now, "invalid_number"),
        Back(two.notice_no, now, "throttled", again_ms=at("12:02:05")),
    ])  # fmt: skip
    assert ask(STATES) == [("refused", "invalid_number"), ("queued", "throttled")]
    assert await claim_both(store, at, "12:02:04") == ()
    assert [c.attempts for c in await claim_both(store, at, "12:02:05")] == [2]


async def test_a_text_that_is_late_is_not_sent(store, house, dark, at, ask) -> None:
    await house.move_in(store)
    await store.commit([dark("12:00:10", "confirmed")], ())
    late = at("14:02:00")
    assert await store.outbox.claim(late, 10) == ()
    tidied = await store.outbox.tidy(late, left_ms=0, owed_ms=None, safety_ms=None)
    assert tidied["expired"] == 2
    assert ask(STATES) == [("expired", "too_late")] * 2


async def test_what_the_gateway_never_spoke_of_again_can_be_asked_for(
    store, two_claimed, at
) -> None:
    one, two = two_claimed
    await store.outbox.sent([sent(one, "m1", at("12:02:01")), sent(two, "m2", at("12:02:01"))])
    await store.outbox.receipts([receipt(at("12:02:02"), "m1")])
    (asked,) = await store.outbox.silent(at("12:03:00"), at("11:00:00"), 10)
    assert (asked.notice_no, asked.message_id, asked.phone) == (two.notice_no, "m2", two.phone)
    assert two.phone not in repr(asked)


async def test_texts_of_unknown_fate_are_asked_for_before_those_to_a_phone_that_is_off(
    store, two_claimed, at
) -> None:
    older, newer = two_claimed
    await store.outbox.sent([sent(older, "m1", at("12:02:01"))])
    await store.outbox.unknown([Unknown(newer.notice_no, "no_answer", "a text")])
    for _ in range(5):
        (asked,) = await store.outbox.silent(at("12:03:00"), at("11:00:00"), 1)
        assert asked.notice_no == newer.notice_no


async def test_a_text_of_unknown_fate_is_asked_for_by_its_number_and_words(
    store, two_claimed, at, ask
) -> None:
    one, two = two_claimed
    await store.outbox.unknown([Unknown(one.notice_no, "no_answer", "a text")])
    (asked,) = await store.outbox.silent(at("12:03:00"), at("11:00:00"), 10)
    assert (asked.notice_no, asked.message_id, asked.body) == (one.notice_no, "", "a text")
    await store.outbox.absent([one.notice_no, two.notice_no], at("12:04:00"))
    assert ask(STATES) == [("queued", "not_taken"), ("sending", "due")]


# -- looking on ------------------------------------------------------------------------------------


async def test_numbers_are_masked_for_everybody_else(store, two_claimed, at) -> None:
    one, _ = two_claimed
    await store.outbox.sent([sent(one, "m1", at("12:02:01"))])
    [notice] = await store.outbox.of_customer("C-M1")
    assert (notice.phone, notice.state, notice.text) == ("100****8000", "sent", "a text")
    assert [n.customer_id for n in await store.outbox.of_outage("S1-1")] == ["C-M2", "C-M1"]


async def test_figures_of_what_waits(store, house, dark, at) -> None:
    await house.move_in(store)
    await store.commit([dark("12:00:10", "confirmed")], ())
    [one] = await store.outbox.claim(at("12:02:00"), 1)
    figures = await store.outbox.figures(at("12:03:00"))
    assert (figures.queued, figures.sending, figures.oldest_due_ms) == ({1: 1}, 1, at("12:02:00"))
    await store.outbox.unknown([Unknown(one.notice_no, "no_answer")])
    assert (await store.outbox.figures(at("12:03:00"))).unknown == 1


async def test_a_reply_is_from_whoever_was_told_last(store, two_claimed, at) -> None:
    one, _ = two_claimed
    assert await store.outbox.last_told(f"+86{one.phone}", at("12:05:00")) == ("C-M1",)
    assert await store.outbox.last_told("95598", at("12:05:00")) == ()


async def test_a_plan_is_told_ahead_and_taken_back(store, house, at, ask) -> None:
    await house.move_in(store)
    facts = Facts(at("12:00:00"), from_ms=at("20:00:00"), to_ms=at("22:00:00"))
    ahead = Decision(Phase.PLANNED, True, Reason.AHEAD, facts, due_ms=at("12:00:00"),
                     expires_ms=at("20:00:00"))  # fmt: skip
    await store.outbox.add("plan-1", at("12:00:00"), [(ahead, ("C-M1", "C-M5"))])
    who = await store.outbox.recipients(["C-M1", "C-M9"], at("12:01:00"))
    assert [p.phase for p in who["C-M1"].past] == [Phase.PLANNED]
    assert who.keys() == {"C-M1"}
    assert [c.phase for c in await store.outbox.claim(at("12:01:00"), 10)] == [Phase.PLANNED] * 2


async def test_whoever_was_promised_a_word_and_is_still_in_the_dark_gets_one(
    store, two_claimed, dark, at, ask
) -> None:

    await store.outbox.sent([sent(c, f"m{c.notice_no}", at("12:02:01")) for c in two_claimed])
    await keep_promises(store.outbox, RULES, at("12:50:00"))
    assert len(ask(ROWS)) == 2
    await keep_promises(store.outbox, RULES, at("12:58:00"))
    await keep_promises(store.outbox, RULES, at("12:58:30"))
    assert [row[1:] for row in ask(ROWS)[2:]] == [("update", 1, "queued", "promised")] * 2
    await store.commit([dark("12:59:00", "restored", "12:58:00")], ())
    assert [row[1:4] for row in ask(ROWS)[2:4]] == [("update", 1, "held")] * 2
    await keep_promises(store.outbox, RULES, at("12:59:30"))
    assert [row[1] for row in ask(ROWS)[4:]] == ["restored"] * 2


async def test_old_notices_are_let_go(store, two_claimed, at, ask) -> None:
    one, _ = two_claimed
    await store.outbox.sent([sent(one, "m1", at("12:02:01"))])
    await store.outbox.receipts([receipt(at("12:02:02"), "m1"), receipt(at("12:02:02"), "m7")])
    gone = await store.let_go(at("12:00:00") + 500 * 86_400_000)
    assert gone.notices == 1
    assert ask(STATES) == [("sending", "due")]
    assert ask("SELECT count(*) FROM notice_parts") == ask("SELECT count(*) FROM notice_receipts")
