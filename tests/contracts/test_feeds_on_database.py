"""The specification of the feeds on every database: what is committed is what a client hears."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from grid.people import Principal, Role
from notify.feeds import Feeds
from notify.settings import FeedSettings

pytestmark = pytest.mark.services
BEARERS = {
    "customer": Principal(Role.CUSTOMER, "C-M1", None, 1 << 42),
    "stranger": Principal(Role.CUSTOMER, "C-M3", None, 1 << 42),
    "ann": Principal(Role.DISPATCHER, "ann", None, 1 << 42),
    "west": Principal(Role.DISPATCHER, "bob", "West", 1 << 42),
}


@pytest.fixture
async def feeds(store, at) -> AsyncIterator[Feeds]:
    """Feeds over the store, whose tokens are the names above."""
    settings = FeedSettings(listen="127.0.0.1:0")
    feeds = Feeds(store, BEARERS.__getitem__, store.audit, settings, lambda: at("12:00:00"))
    task = asyncio.create_task(feeds.run())
    await asyncio.wait_for(feeds.listening.wait(), 10)
    yield feeds
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def following(
    feeds: Feeds, token: str, channel: str, since: dict[str, Any] | None = None
) -> AsyncIterator[tuple[ClientConnection, dict[str, Any]]]:
    """A client of a channel, and the answer to its subscription."""
    async with connect(f"ws://127.0.0.1:{feeds.port}", proxy=None) as ws:
        await ws.send(json.dumps({"op": "auth", "token": token}))
        await ws.send(json.dumps({"op": "subscribe", "channel": channel, "since": since}))
        yield ws, await hear(ws, "subscribed")


async def hear(ws: ClientConnection, op: str) -> dict[str, Any]:
    """The next message of a kind."""
    async with asyncio.timeout(10):
        while True:
            message: dict[str, Any] = json.loads(await ws.recv())
            if message["op"] == op:
                return message


async def test_each_hears_their_own_part_of_a_commit_and_resumes_without_a_gap(
    store, feeds, house, change, step, ask
) -> None:
    await house.move_in(store)

    async def commit(clock: str, version: int, state: str, on: str | None) -> None:
        told = change(clock, "S1-1", version, state, step("12:00:00", on, "C-M1", "C-M2"))
        await store.commit([house.applied(clock, changes=(told,))], ())

    async with (
        following(feeds, "customer", "customer:C-M1") as (customer, status),
        following(feeds, "stranger", "customer:C-M3") as (stranger, _),
        following(feeds, "ann", "dispatch") as (ann, board),
        following(feeds, "west", "dispatch") as (west, other),
    ):
        assert status["snapshot"]["power"] == "on"
        assert board["snapshot"] == {"outages": [], "findings": []}
        assert other["channel"] == "dispatch:West"
        await commit("12:00:01", 1, "predicted", None)
        told = await hear(customer, "pub")
        assert (told["offset"], told["type"], told["key"]) == (1, "status", "C-M1")
        assert (told["data"]["power"], told["data"]["outage_id"]) == ("off", "S1-1")
        told = await hear(ann, "pub")
        assert (told["offset"], told["type"], told["key"]) == (1, "change", "S1-1")
        assert told["occurred_at"] == "2026-11-21T12:00:01.000Z"
        await commit("12:00:02", 2, "confirmed", None)
        assert (await hear(ann, "pub"))["data"]["outage"]["state"] == "confirmed"
        for quiet in (stranger, west):
            await quiet.send('{"op":"ping","id":1}')
            assert (await hear(quiet, "pong"))["id"] == 1  # and no pub before it
    await commit("12:00:03", 3, "restored", "12:00:03")
    since = {"epoch": told["epoch"], "offset": 1}
    async with following(feeds, "customer", "customer:C-M1", since) as (customer, answer):
        assert (answer["recovered"], answer["top"]) == (True, 3)
        states = [(await hear(customer, "pub"))["data"]["state"] for _ in range(2)]
        assert states == ["confirmed", "restored"]
    async with following(feeds, "ann", "dispatch") as (_, board):
        assert [outage["version"] for outage in board["snapshot"]["outages"]] == [3]
    lines = ask("SELECT event, subject, address FROM audit ORDER BY audit_no")
    assert ("feed_opened", "ann", "127.0.0.1") in lines
    assert [line for line in lines if line[1] == "C-M1"] == []


async def test_after_a_restore_old_offsets_lead_to_a_snapshot(
    store, feeds, house, change, step, ask
) -> None:
    await house.move_in(store)
    told = change("12:00:01", "S1-1", 1, "predicted", step("12:00:00", None, "C-M1"))
    await store.commit([house.applied("12:00:01", changes=(told,))], ())
    async with following(feeds, "ann", "dispatch") as (_, first):
        assert first["offset"] == 1
    ask("SELECT new_feed_epoch()")
    since = {"epoch": first["epoch"], "offset": 1}
    async with following(feeds, "ann", "dispatch", since) as (_, again):
        assert (again["recovered"], again["was_recovering"]) == (False, True)
        assert again["epoch"] != first["epoch"]
        assert len(again["snapshot"]["outages"]) == 1
