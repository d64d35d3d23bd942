"""The specification of calls, plans, audit and quarantine, on every database."""

import psycopg
import pytest

from grid.errors import Refused
from store.desk import NewCall, NewPlan

pytestmark = pytest.mark.services


def plan(
    plan_id: str, at, since: str = "13:00:00", to: str = "14:00:00", by: str = "Li"
) -> NewPlan:
    return NewPlan(
        plan_id=plan_id, device_id="T1", districts=("East",), from_ms=at(since), to_ms=at(to),
        kind="planned", reason="new cable", entered_by=by, entered_ms=at("09:00:00"),
    )  # fmt: skip


async def test_a_call_is_kept_and_its_words_are_sealed(store, at, ask) -> None:
    kept = await store.add_call(
        NewCall(
            customer_id="C-M1", at_ms=at("12:00:00"), kind="no_power",
            text="Wang here, 10000138000, it is dark", entered_by="customer",
            received_ms=at("12:01:00"),
        )
    )  # fmt: skip
    assert kept.text == "Wang here, 10000138000, it is dark"
    assert kept.at == "2026-11-21T12:00:00.000Z"
    assert await store.calls() == await store.calls("C-M1") == (kept,)
    assert await store.calls("C-M2") == ()
    assert b"Wang" not in bytes(ask("SELECT text_sealed FROM calls")[0][0])


async def test_plans_are_listed_by_their_begin(store, at) -> None:
    await store.add_plan(plan("P2", at, "15:00:00", "16:00:00"))
    await store.add_plan(plan("P1", at))
    assert [p.id for p in await store.plans()] == ["P1", "P2"]
    assert [p.id for p in await store.plans(open_at_ms=at("14:30:00"))] == ["P2"]


async def test_a_plan_entered_twice_is_one(store, at) -> None:
    first = await store.add_plan(plan("P1", at))
    assert await store.add_plan(plan("P1", at, by="Zhao")) == first
    assert first.entered_by == "Li"


async def test_the_first_cancellation_of_a_plan_counts(store, at, ask) -> None:
    await store.add_plan(plan("P1", at))
    first = await store.cancel_plan("P1", "Li", at("12:00:00"))
    assert await store.cancel_plan("P1", "Zhao", at("12:30:00")) == first
    assert first.cancelled_at == "2026-11-21T12:00:00.000Z"
    assert ask("SELECT cancelled_by FROM plans") == [("Li",)]
    assert await store.cancel_plan("P9", "Li", at("12:00:00")) is None


async def test_the_audit_log_is_append_only(store, at, ask) -> None:
    said = {"subject": "C-M1", "address": "127.0.0.1", "detail": "another's channel"}
    await store.audit("feed_refused", at_ms=at("12:00:00"), **said)
    [line] = await store.audit_lines()
    assert (line.event, line.at_ms, line.subject) == ("feed_refused", at("12:00:00"), "C-M1")
    for attempt in ("UPDATE audit SET detail = ''", "TRUNCATE audit"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            ask(attempt)
    ask("INSERT INTO audit (at, event, detail) VALUES (now(), 'new', '') RETURNING 1")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        ask("DELETE FROM audit")


async def test_a_payload_in_quarantine_keeps_its_bytes_up_to_a_limit(
    store, quarantined, at
) -> None:
    await store.commit(
        (), [quarantined("12:00:00", b"{" * 100_000), quarantined("12:00:01", b"\0\xff")]
    )
    newest, oldest = await store.quarantine_list()
    assert (newest.received_ms, newest.length, newest.whole) == (at("12:00:01"), 2, True)
    assert (oldest.length, oldest.whole) == (100_000, False)
    shown = await store.quarantine_show(oldest.no)
    assert shown.body == b"{" * 65536
    assert shown.line == oldest
    assert await store.quarantine_list(before=newest.no) == (oldest,)
    assert await store.quarantine_show(10_000) is None


async def test_whole_payloads_are_taken_for_replay_once(store, quarantined, at) -> None:
    await store.commit((), [quarantined("12:00:00", b"{" * n) for n in (10, 100_000, 20)])
    taken = await store.quarantine_take_for_replay(None, at("13:00:00"))
    assert [len(q.body) for q in taken] == [10, 20]
    assert await store.quarantine_take_for_replay(None, at("13:00:01")) == ()
    again = await store.quarantine_take_for_replay([taken[1].line.no], at("13:00:02"))
    assert [q.line.replayed_ms for q in again] == [at("13:00:02")]


async def test_many_of_the_same_payload_are_as_many_lines(store, quarantined) -> None:
    same = [quarantined("12:00:00", b"{")] * 5
    await store.commit((), same)
    await store.commit((), same)
    assert len(await store.quarantine_list()) == 10


async def test_a_topic_with_characters_that_no_database_keeps_is_quarantined_too(
    store, quarantined
) -> None:
    await store.commit((), [quarantined("12:00:00", b"{", topic="a\0b\udc80")])
    [line] = await store.quarantine_list()
    assert line.topic == "a\ufffdb?"


async def test_a_question_with_a_character_that_no_database_knows_is_refused(store) -> None:
    with pytest.raises(Refused, match="cannot take that"):
        await store.outage("S1-\0")
