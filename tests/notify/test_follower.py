"""The specification of the client in Python: without a gap over broken connections."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from grid.errors import Refused
from notify.follower import Here, Lost, State, Told, follow
from notify.messages import Since

Serving = Callable[..., Any]
QUICK = (0.01, 0.05)


@contextlib.asynccontextmanager
async def following(url: str, token: Callable[[], str], **options: Any) -> AsyncIterator[Any]:
    """What is told, one after the other; what is lost is left out unless it is wanted."""
    told = follow(url, "dispatch", token, back_off_s=QUICK, **options)

    async def hear(*kinds: type) -> Any:
        async with asyncio.timeout(10):
            async for each in told:
                if isinstance(each, kinds or (State, Told, Here)):
                    return each
        raise AssertionError("it ended")

    async with contextlib.aclosing(told):
        yield hear


async def say(ws: ServerConnection, **fields: Any) -> None:
    await ws.send(json.dumps(fields))


def url_of(running: Any) -> str:
    return f"ws://127.0.0.1:{running.feeds.port}"


async def test_it_begins_with_the_state_and_goes_on_over_a_servers_death(serving: Serving) -> None:
    async with contextlib.AsyncExitStack() as opened:
        first = await opened.enter_async_context(serving())
        first.log.set_state("dispatch", b'{"outages":[]}')
        token = first.token("ann", role="dispatcher")
        port = first.feeds.port
        async with following(url_of(first), lambda: token) as hear:
            state = await hear()
            assert (state.since, bytes(state.data)) == (Since("e1", 0), b'{"outages":[]}')
            first.commit("dispatch", key="O-1")
            told = await hear()
            assert (told.since, told.key, told.type) == (Since("e1", 1), "O-1", "change")
            assert json.loads(bytes(told.data))["outage"] == {"id": "O-1"}
            for client in first.feeds._clients:
                client._ws.transport.abort()
            await first.stop()
            for key in ("O-2", "O-3"):
                first.commit("dispatch", key=key)
            await hear(Lost)
            second = await opened.enter_async_context(
                serving(first.log, listen=f"127.0.0.1:{port}")
            )
            assert await hear() == Here(Since("e1", 1))
            second.commit("dispatch", key="O-4")
            heard = [await hear() for _ in range(3)]
            assert [(each.since.offset, each.key) for each in heard] == [
                (2, "O-2"), (3, "O-3"), (4, "O-4"),
            ]  # fmt: skip


async def test_a_token_that_is_refused_is_not_tried_for_ever(serving: Serving) -> None:
    async with serving() as running:
        async with following(url_of(running), lambda: "junk") as hear:
            with pytest.raises(Refused, match="get a new one"):
                await hear()
        assert running.feeds.tally.closed["token_refused"] == 2


async def test_anothers_channel_is_refused_at_once(serving: Serving) -> None:
    async with serving() as running:
        token = running.token("C-1")
        async with following(url_of(running), lambda: token) as hear:
            with pytest.raises(Refused, match="not yours"):
                await hear()
        assert running.feeds.tally.closed["not_allowed"] == 1


async def test_a_hole_is_noticed_and_asked_for_again() -> None:
    asked = []

    async def lossy(ws: ServerConnection) -> None:
        await ws.recv()
        asked.append(await ws.recv())
        at = 1 + len(asked)
        await say(ws, op="subscribed", epoch="e1", offset=at, recovered=True)
        for offset in (at + 1, at + 3):
            await say(ws, op="pub", epoch="e1", offset=offset, type="change", data=1)
        await ws.wait_closed()

    async with serve(lossy, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with following(f"ws://127.0.0.1:{port}", lambda: "t") as hear:
            assert (await hear()) == Here(Since("e1", 2))
            assert (await hear(Told)).since.offset == 3
            assert (await hear(Lost)).reason == "messages were lost on the way"
            assert (await hear(Told)).since.offset == 4
    assert b'"since":{"epoch":"e1","offset":3}' in asked[1].encode()


async def test_a_server_that_has_fallen_silent_is_left() -> None:
    came = []

    async def silent(ws: ServerConnection) -> None:
        came.append(ws)
        at = "2026-11-21T00:00:00.000Z"
        await say(ws, op="hello", server_time=at, heartbeat_s=0.01)
        await ws.wait_closed()

    async with serve(silent, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with following(f"ws://127.0.0.1:{port}", lambda: "t") as hear:
            await hear(Lost)
            await hear(Lost)
    assert len(came) == 2
