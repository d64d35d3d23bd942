"""The specification of clients that read slowly, or not at all."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable
from typing import Any

from websockets.exceptions import ConnectionClosed

Serving = Callable[..., Any]


SMALL = {"direct_bytes_max": 2_000, "queue_messages_max": 20, "queue_bytes_max": 100_000}


async def stalled(running: Any) -> Any:
    """A subscribed dispatcher whose socket is full and who does not read."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", running.feeds.port))
    peer = await running.dispatcher(sock=sock, max_queue=1, write_limit=1024)
    await peer.subscribe("dispatch")
    peer.ws.transport.pause_reading()
    before = running.feeds.tally.queued
    while running.feeds.tally.queued == before:  # fill what the kernel takes on its own
        running.commit("dispatch", key="filler", size=8_000)
        await asyncio.sleep(0)
    return peer


async def test_a_burst_is_written_bit_by_bit_so_that_everybody_else_gets_their_turn(
    serving: Serving,
) -> None:
    async with serving() as running:
        peer = await running.dispatcher()
        await peer.subscribe("dispatch")
        for number in range(200):
            running.log.append("dispatch", b'{"id":"%d","note":"%s"}' % (number, b"x" * 1_000))
        channel, turns = running.feeds._hub._channels["dispatch"], set()
        async with asyncio.timeout(10):
            while channel.offset < 200:
                await asyncio.sleep(0)
                turns.add(channel.offset)
        assert len(turns) > 5
        assert [p["offset"] for p in await peer.pubs(200)] == list(range(1, 201))


async def test_a_slow_reader_is_spared_superseded_states_and_then_has_everything(
    serving: Serving,
) -> None:
    async with serving(**SMALL) as running:
        peer = await stalled(running)
        for number in range(200):
            running.commit("dispatch", key=f"O-{number % 5}")
        top = running.commit("dispatch", key="last")
        await running.until(lambda: running.feeds._hub._channels["dispatch"].offset == top)
        peer.ws.transport.resume_reading()
        have, latest = 0, {}
        while have < top:
            pub = await peer.hear("pub")
            assert pub["offset"] == have + 1 + pub["skipped"]
            have = pub["offset"]
            latest[pub["key"]] = have
        assert {key: top - offset for key, offset in latest.items() if key != "filler"} == {
            "last": 0, "O-4": 1, "O-3": 2, "O-2": 3, "O-1": 4, "O-0": 5,
        }  # fmt: skip
        running.commit("dispatch", key="after")
        assert (await peer.hear("pub"))["skipped"] == 0
        assert running.feeds.tally.coalesced > 0


async def test_a_reader_too_slow_even_for_that_is_disconnected_and_resumes_without_a_gap(
    serving: Serving,
) -> None:
    async with serving(**SMALL) as running:
        peer = await stalled(running)
        for number in range(50):
            running.commit("dispatch", key=f"O-{number}")
        await running.until(lambda: running.feeds.tally.closed["insufficient_state"] == 1)
        peer.ws.transport.resume_reading()
        have = 0
        with contextlib.suppress(ConnectionClosed):
            while True:
                message = json.loads(await asyncio.wait_for(peer.ws.recv(), 10))
                if message["op"] == "pub":
                    assert message["offset"] == have + 1 + message["skipped"]
                    have = message["offset"]
        assert peer.ws.close_code == 4508
        assert (await running.audited("feed_too_slow"))["subject"] == "ann"
        reason = json.loads(peer.ws.close_reason)
        assert reason["reason"] == "insufficient_state"
        assert isinstance(reason["retry_after_ms"], int)
        again = await running.dispatcher()
        assert (await again.subscribe("dispatch", "e1", have))["recovered"] is True
        top = running.commit("dispatch")
        assert [p["offset"] for p in await again.pubs(top - have)] == list(range(have + 1, top + 1))


async def test_a_stalled_reader_does_not_hold_up_the_others(serving: Serving) -> None:
    async with serving(**SMALL) as running:
        quick = await running.dispatcher()
        await quick.subscribe("dispatch")
        await stalled(running)
        top = running.commit("dispatch", key="news")
        while (await quick.hear("pub"))["offset"] < top:
            pass
        assert running.feeds._hub._channels["dispatch"].offset == top


async def test_a_reader_that_reads_nothing_at_all_is_cut_off(serving: Serving) -> None:
    async with serving(**SMALL, stall_s=0.1) as running:
        await stalled(running)
        await running.until(lambda: running.feeds.clients == 0)
        assert running.feeds.tally.closed["stalled"] == 1
        assert (await running.audited("feed_stalled"))["subject"] == "ann"


async def test_heartbeats_of_a_slow_reader_never_claim_what_it_does_not_have(
    serving: Serving,
) -> None:
    async with serving(**SMALL, heartbeat_s=0.01) as running:
        peer = await stalled(running)
        top = running.commit("dispatch", key="last")
        await running.until(lambda: running.feeds._hub._channels["dispatch"].offset == top)
        peer.ws.transport.resume_reading()
        have = 0
        while have < top:
            message = await peer.hear("pub", "pos")
            assert message["op"] == "pub" or message["offset"] <= have
            have = max(have, message["offset"])


async def test_a_client_that_answers_no_ping_is_cut_off_and_others_stay(serving: Serving) -> None:
    async with serving(heartbeat_s=0.02, pong_s=0.1) as running:
        dead, alive = await running.customer("C-1"), await running.customer("C-2")
        dead.ws.transport.pause_reading()
        while running.feeds.clients > 1:
            await alive.hear("ping")
        assert running.feeds.tally.closed == {"no_answer": 1}
        assert (await alive.ask("ping"))["op"] == "pong"
