"""The specification of decisions, crews and calls in the database, on each kind of it."""

import msgspec

from grid.outage import Change, Etr
from grid.public import public_decision
from grid.reasons import Evidence, Why
from grid.work import Acknowledged, Decision, Progress, Stage
from store.desk import NewCall


def a_decision(at_ms: int, number: int, **changed) -> Decision:
    decision = Decision(
        id=f"d-{number}", outage_id="S1-1", group=0, at_ms=at_ms, by="ann", role="dispatcher",
        action="assign", reason="雨", accepted=True, why="", version=2,
    )  # fmt: skip
    return msgspec.structs.replace(decision, **changed)


def decided(applied, *decisions: Decision):
    outcome = msgspec.structs.replace(applied.outcome, decisions=decisions)
    return type(applied)(applied.frame, outcome, applied.snapshot)


def worked(change: Change, **fields) -> Change:
    """The change, with these fields of its outage."""
    outage = msgspec.structs.replace(change.outage, **fields)
    return msgspec.structs.replace(change, outage=outage)


async def test_what_became_of_a_decision_is_kept_with_the_frame_that_brought_it(
    store, house, at, ask
) -> None:
    await house.move_in(store)
    yes = a_decision(at("12:00:02"), 1)
    no = a_decision(at("12:00:03"), 2, accepted=False, why="it is at version 2 by now")
    batch = (decided(house.applied("12:00:05"), yes, no),)
    await store.commit(batch, ())
    await store.commit(batch, ())  # nobody knew whether it had arrived
    assert await store.work.decision("d-1") == public_decision(yes)
    assert await store.work.decision("d-9") is None
    assert await store.work.decisions("S1-1") == (public_decision(yes), public_decision(no))
    assert ask("SELECT id, position, group_slug FROM decisions ORDER BY id") == [
        ("d-1", 1, "S1"), ("d-2", 1, "S1"),
    ]  # fmt: skip


async def test_the_first_word_on_a_decision_counts(store, house, at) -> None:
    await house.move_in(store)
    yes = a_decision(at("12:00:02"), 1)
    again = a_decision(at("12:00:09"), 1, accepted=False, why="stale")
    await store.commit((decided(house.applied("12:00:05"), yes),), ())
    await store.commit((decided(house.applied("12:00:10"), again),), ())
    assert (await store.work.decision("d-1")).accepted


async def test_the_work_on_an_outage_is_told_to_everybody_in_it(
    store, house, change, step, at, ask
) -> None:
    await house.move_in(store)
    dark = step("12:00:00", None, "C-M1")
    first = change("12:00:01", "S1-1", 1, "confirmed", dark)
    work = {
        "acknowledged": Acknowledged(at("12:01:00"), "ann"),
        "crew": "crew-7",
        "stage": Stage.ASSIGNED,
        "progress": (Progress(Stage.ASSIGNED, at("12:02:00"), "ann"),),
        "etr": Etr(at("14:00:00"), "crew", 0.9, at("13:00:00"), at("12:02:00"), "joint"),
        "reasons": (Evidence(code="gasps", text="3 of 4", n=3, of=4),),
    }
    then = worked(change("12:02:00", "S1-1", 2, "confirmed", dark, customers=()), **work)
    fields = {"crew": "crew-7"}
    then = msgspec.structs.replace(
        then, reasons=(Why("assigned", "crew-7", fields),), by="ann", decision="d-1"
    )
    await store.commit((house.applied("12:02:00", changes=(first, then)),), ())
    status = await store.customer_status("C-M1")
    assert (status.stage, status.progress[0].at) == ("assigned", "2026-11-21T12:02:00.000Z")
    assert (status.etr.earliest, status.etr.reason) == ("2026-11-21T13:00:00.000Z", "joint")
    assert status.homes is None, "so few would point at somebody"
    found = await store.outage("S1-1")
    assert (found.crew, found.acknowledged.by, found.reasons[0].n) == ("crew-7", "ann", 3)
    assert (found.changes[1].by, found.changes[1].decision) == ("ann", "d-1")
    assert found.changes[1].reasons[0].fields == fields
    told = await store.feed_read("customer:C-M1", 0, 10)
    assert len(told) == 2, "a stage is news to who is out although nobody's power changed"
    seen = ask("SELECT crew, stage, acknowledged_by FROM outages_now")
    assert seen == [("crew-7", "assigned", "ann")]


async def test_crews_are_busy_while_their_outage_is_not_repaired(
    store, house, change, step
) -> None:
    await house.move_in(store)
    await store.work.put_crew("crew-7", name="Seven", district="East", active=True)
    free = await store.work.put_crew("crew-8", name="Eight", district=None, active=True)
    assert (free.busy, free.outages) == (False, ())
    dark = step("12:00:00", None, "C-M1")
    busy_with = change("12:00:01", "S1-1", 1, "confirmed", dark)
    on_site = worked(busy_with, crew="crew-7", stage=Stage.ON_SITE)
    await store.commit((house.applied("12:00:01", changes=(on_site,)),), ())
    busy, still = await store.work.crews()
    assert (busy.id, busy.busy, busy.outages) == ("crew-7", True, ("S1-1",))
    assert not still.busy
    done = change("12:30:01", "S1-1", 2, "confirmed", dark)
    done = worked(done, crew="crew-7", stage=Stage.REPAIRED)
    await store.commit((house.applied("12:30:01", changes=(done,)),), ())
    assert [crew.busy for crew in await store.work.crews()] == [False, False]
    changed = await store.work.put_crew("crew-7", name="Seven", district="West", active=False)
    assert (changed.district, changed.active) == ("West", False)


async def test_the_calls_of_an_outage_are_those_of_its_customers_since_it_began(
    store, house, change, step, at
) -> None:
    await house.move_in(store)
    dark = step("12:00:00", None, "C-M1", "C-M2")
    outage = change("12:00:01", "S1-1", 1, "confirmed", dark)
    await store.commit((house.applied("12:00:01", changes=(outage,)),), ())
    for customer, clock in (("C-M1", "12:05:00"), ("C-M3", "12:06:00"), ("C-M2", "10:00:00")):
        await store.add_call(
            NewCall(
                customer_id=customer, at_ms=at(clock), kind="no_power", text="没电",
                entered_by="customer", received_ms=at(clock),
            )
        )  # fmt: skip
    assert [c.customer_id for c in await store.work.outage_calls("S1-1")] == ["C-M1"]
    assert (await store.work.outage_calls("S1-1"))[0].text == "没电"
    assert await store.work.outage_calls("S1-9") == ()


async def test_whoever_was_told_of_a_version_was_told(store, house, ask) -> None:
    await house.move_in(store)
    ask(
        "INSERT INTO notice_decisions (decision_no, at, outage_id, version, phase, send, reason,"
        " facts, customers) VALUES (1, now(), 'S1-1', 3, 'confirmed', true, 'x', '{}', '{C-M1}')"
        " RETURNING 1"
    )
    ask(
        "INSERT INTO notices (outage_id, customer_id, phase, edition, channel, decision_no, state,"
        " reason, lane, due_at, expires_at) VALUES ('S1-1', 'C-M1', 'confirmed', 1, 'sms', 1,"
        " 'queued', '', 1, now(), now()) RETURNING 1"
    )
    assert not await store.work.told_since("S1-1", 3), "it waits in the outbox"
    ask("UPDATE notices SET state = 'sending' RETURNING 1")
    assert await store.work.told_since("S1-1", 3)
    assert await store.work.told_since("S1-1", 2)
    assert not await store.work.told_since("S1-1", 4), "that was before"
