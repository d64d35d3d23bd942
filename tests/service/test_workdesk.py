"""The specification of decisions through the desk, the stream, the engine and the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from detectors.settings import EngineSettings
from dispatch.workdesk import Answered, NewDecision, NewSwitching
from grid.drawing import draw
from grid.errors import Refused, Unreachable
from grid.graph import Graph
from grid.parcel import Parcel
from grid.reading import Kind, Reading
from ingest.packing import Packer
from service import stored
from service.clock import now_ms
from service.tasks import Failure, running
from service.workdesk import ServiceWorkDesk
from store import sealing
from store.postgres import Store, open_store
from store.settings import StoreSettings
from stream.inprocess import InProcess

pytestmark = pytest.mark.services
NETWORK = draw("""
source S1
  breaker B1
    transformer T1
      meter M1..M4
    transformer T2
      meter M5..M8
""")


class Silent:
    """A stream that nobody reads."""

    async def command(self, command: object, group: int | None = None) -> None:
        """Take it, and that is all."""


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    keys = sealing.Keys(b"p" * 32, b"i" * 32)
    async with open_store(postgres_url, keys, StoreSettings()) as opened:
        await opened.save_network(Graph((), ()), NETWORK, 1, "drawn")
        yield opened


@asynccontextmanager
async def up(store: Store) -> AsyncIterator[tuple[ServiceWorkDesk, InProcess]]:
    """A desk over engines as they were after the last commit."""
    engines = await stored.engines_of(store, NETWORK, EngineSettings())
    runner = InProcess(
        engines, network=NETWORK.version, commit=store.commit, now_ms=now_ms, sources=(),
    )  # fmt: skip
    async with running("runner", runner.run(), Failure(), stop_s=5.0):
        yield ServiceWorkDesk(store, runner, NETWORK, 5.0), runner


async def an_outage(store: Store, runner: InProcess) -> int:
    """Everybody behind T1 gasps; the version of the outage that this becomes."""
    packer, now = Packer(NETWORK), now_ms()
    said = [(f"M{n}", Kind.HEARTBEAT, now - 3000) for n in range(1, 9)]
    said += [(f"M{n}", Kind.LAST_GASP, now - 1000) for n in range(1, 5)]
    rows = [packer.pack([Reading(*each)], each[2] + 200)[0] for each in said]
    await runner.deliver(Parcel(np.concatenate(rows)))
    for _ in range(100):
        found = await store.outages()
        if found:
            return found[0].version
        await asyncio.sleep(0.1)
    raise AssertionError("no outage was declared")


def new(action: str, version: int, by: str = "ann", **fields) -> NewDecision:
    known = {"id": None, "outage_id": "S1-1", "role": "dispatcher", "reason": "seen"}
    return NewDecision(**{**known, "action": action, "version": version, "by": by, **fields})


async def until_taken(desk: ServiceWorkDesk, store: Store, action: str, **fields) -> Answered:
    """Look, decide, and look again if it has moved on meanwhile, as a person does."""
    for _ in range(20):
        version = (await store.outage("S1-1")).version
        done = await desk.decide(new(action, version, **fields))
        if done.decision.accepted:
            return done
        assert "by now" in done.decision.why, done.decision.why
    raise AssertionError("it never stood still")


async def test_of_two_dispatchers_on_one_outage_one_is_told_no_with_what_it_is_now(store) -> None:
    async with up(store) as (desk, runner):
        version = await an_outage(store, runner)
        both = await asyncio.gather(
            *(desk.decide(new("acknowledge", version, by)) for by in ("ann", "bob"))
        )
    taken = [done for done in both if done.decision.accepted]
    refused = [done for done in both if not done.decision.accepted]
    assert len(taken) <= 1, "never both"
    assert refused
    for done in refused:
        assert done.outage.version > version or done.outage.acknowledged
    lines = await store.work.decisions("S1-1")
    assert sorted(line.by for line in lines) == ["ann", "bob"]


async def test_what_was_decided_survives_a_restart_and_can_be_taken_back_after_it(store) -> None:
    async with up(store) as (desk, runner):
        await an_outage(store, runner)
        done = await until_taken(desk, store, "assign", crew="crew-7")
        assert (done.outage.crew, done.outage.stage) == ("crew-7", "assigned")
    async with up(store) as (desk, _):
        done = await until_taken(desk, store, "on_site", by="crew-7", role="crew")
        assert [p.stage for p in done.outage.progress] == ["assigned", "on_site"]
        done = await until_taken(desk, store, "undo")
        assert (done.decision.undoes, done.outage.stage) != (None, "on_site")


async def test_what_was_told_is_not_undone(store, postgres_url) -> None:
    import psycopg

    async with up(store) as (desk, runner):
        await an_outage(store, runner)
        done = await until_taken(desk, store, "cause", cause="tree")
        with psycopg.connect(postgres_url) as connection:
            connection.execute(
                "WITH d AS (INSERT INTO notice_decisions (at, outage_id, version, phase, send,"
                " reason, facts, customers) VALUES (now(), 'S1-1', %s, 'confirmed', true, '',"
                " '{}', '{}') RETURNING decision_no)"
                " INSERT INTO notices (outage_id, customer_id, phase, edition, channel,"
                " decision_no, state, reason, lane, due_at, expires_at) SELECT 'S1-1', 'C-M1',"
                " 'confirmed', 1, 'sms', decision_no, 'sent', '', 1, now(), now() FROM d",
                (done.decision.version,),
            )
        with pytest.raises(Refused, match="customers were told of it already"):
            await desk.decide(new("undo", done.outage.version))


async def test_the_same_decision_sent_again_is_decided_once(store) -> None:
    async with up(store) as (desk, runner):
        await an_outage(store, runner)
        done = await until_taken(desk, store, "note")
        again = await desk.decide(new("note", 1, id=done.decision.id))
        assert again.decision == done.decision
        assert len([d for d in await store.work.decisions("S1-1") if d.accepted]) == 1
        with pytest.raises(Refused, match="was about outage S1-1"):
            await desk.decide(new("note", 1, id=done.decision.id, outage_id="S1-2"))


async def test_an_engine_that_does_not_answer_is_said_to_be_away(store) -> None:
    desk = ServiceWorkDesk(store, Silent(), NETWORK, 0.05)
    with pytest.raises(Unreachable, match="may still be taken"):
        await desk.decide(new("note", 1))
    with pytest.raises(Refused, match="no feeder group"):
        await desk.decide(new("note", 1, outage_id="S9-1"))


async def test_a_switch_opened_by_hand_becomes_an_outage_without_a_fault(store) -> None:
    async with up(store) as (desk, _):
        thrown = NewSwitching(
            device_id="B1", closed=False, when_ms=now_ms(), by="ann", reason="repair"
        )
        done = await desk.throw(thrown)
        assert (done.accepted, done.action, done.outage_id) == (True, "open", "B1")
        again = await desk.throw(thrown)
        assert (again.accepted, again.why) == (False, "B1 is open already")
        (found,) = await store.outages()
        assert (found.kind, found.cause) == ("unknown", "opened by command")
