"""The specification of the feeds, as a client sees them over a real socket."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from notify.memory import MemoryLog

Serving = Callable[..., Any]


async def test_the_server_speaks_first_and_says_its_terms(serving: Serving) -> None:
    async with serving() as running:
        hello = await (await running.connect()).hear()
        assert hello["op"] == "hello"
        assert hello["protocol"] == 1
        assert hello["server_time"] == "2023-11-14T22:13:20.000Z"
        assert hello["epoch"] == "e1"
        assert (hello["heartbeat_s"], hello["auth_within_s"]) == (25.0, 10.0)
        assert hello["max_bytes"] == 16_384
        assert len(hello["session"]) == 16


async def test_a_first_subscription_gets_a_snapshot_and_then_what_follows(
    serving: Serving,
) -> None:
    async with serving() as running:
        running.log.set_state("customer:C-1", b'{"power":"off"}')
        running.commit("customer:C-1")
        peer = await running.customer("C-1")
        answer = await peer.subscribe("customer:C-1")
        assert answer == {
            "op": "subscribed",
            "channel": "customer:C-1",
            "requested": "customer:C-1",
            "epoch": "e1",
            "offset": 1,
            "top": 1,
            "recovered": False,
            "was_recovering": False,
            "snapshot": {"power": "off"},
        }
        running.clock.ms += 1500
        running.commit("customer:C-1", key="O-7")
        assert await peer.hear() == {
            "op": "pub",
            "channel": "customer:C-1",
            "epoch": "e1",
            "offset": 2,
            "id": "e1:2",
            "key": "O-7",
            "type": "change",
            "schema_v": 1,
            "occurred_at": "2023-11-14T22:13:21.500Z",
            "published_at": "2023-11-14T22:13:21.500Z",
            "data": {"outage": {"id": "O-7"}, "note": ""},
            "skipped": 0,
        }


async def test_a_client_that_comes_back_gets_exactly_what_it_missed(serving: Serving) -> None:
    async with serving() as running:
        peer = await running.dispatcher()
        await peer.subscribe("dispatch")
        for _ in range(3):
            running.commit("dispatch")
        assert [pub["offset"] for pub in await peer.pubs(3)] == [1, 2, 3]
        await peer.close()
        for _ in range(4):
            running.commit("dispatch")
        again = await running.dispatcher()
        answer = await again.subscribe("dispatch", "e1", 3)
        assert (answer["recovered"], answer["was_recovering"]) == (True, True)
        assert (answer["offset"], answer["top"], answer["snapshot"]) == (3, 7, None)
        running.commit("dispatch")
        assert [pub["offset"] for pub in await again.pubs(5)] == [4, 5, 6, 7, 8]


async def test_commits_while_a_client_joins_are_neither_lost_nor_doubled(
    serving: Serving,
) -> None:
    async with serving() as running:
        old = await running.dispatcher()
        await old.subscribe("dispatch")
        joining = [await running.dispatcher() for _ in range(5)]

        async def commit() -> None:
            for number in range(200):
                running.commit("dispatch", key=f"O-{number}")
                if number % 7 == 0:
                    await asyncio.sleep(0)

        async def join(peer: Any, since: int | None) -> tuple[int, list[int]]:
            answer = await peer.subscribe("dispatch", *(("e1", since) if since is not None else ()))
            offsets = [p["offset"] for p in await peer.pubs(200 - answer["offset"])]
            return answer["offset"], offsets

        committing = asyncio.create_task(commit())
        joins = [join(peer, 0 if i % 2 else None) for i, peer in enumerate(joining)]
        for offset, offsets in await asyncio.gather(*joins):
            assert offsets == list(range(offset + 1, 201))
        await committing
        assert [pub["offset"] for pub in await old.pubs(200)] == list(range(1, 201))


async def test_a_commit_between_the_snapshot_and_the_channels_first_member_is_told(
    serving: Serving,
) -> None:
    class Busy(MemoryLog):
        async def feed_snapshot(self, channel: str) -> tuple[str, int, bytes]:
            state = await super().feed_snapshot(channel)
            self.append(channel, b"{}")
            return state

    async with serving(Busy()) as running:
        peer = await running.dispatcher()
        assert (await peer.subscribe("dispatch"))["offset"] == 0
        assert (await peer.hear("pub"))["offset"] == 1


async def test_a_long_absence_within_the_limit_is_replayed_page_by_page(serving: Serving) -> None:
    async with serving(replay_max=50, page_max=7) as running:
        for _ in range(50):
            running.commit("dispatch")
        peer = await running.dispatcher()
        assert (await peer.subscribe("dispatch", "e1", 0))["recovered"] is True
        running.commit("dispatch")
        assert [pub["offset"] for pub in await peer.pubs(51)] == list(range(1, 52))


@pytest.mark.parametrize(
    ("why", "epoch", "offset"),
    [
        ("another epoch", "e0", 55),
        ("further back than is replayed", "e1", 4),
        ("rows that were trimmed", "e1", 51),
        ("an offset that was never given", "e1", 61),
        ("a negative offset", "e1", -1),
    ],
)
async def test_where_a_gapless_replay_is_impossible_there_is_a_snapshot_and_nothing_between(
    serving: Serving, why: str, epoch: str, offset: int
) -> None:
    async with serving(replay_max=50) as running:
        for _ in range(60):
            running.commit("dispatch")
        running.log.trim("dispatch", 52)
        running.log.set_state("dispatch", b'{"outages":[]}')
        peer = await running.dispatcher()
        answer = await peer.subscribe("dispatch", epoch, offset)
        assert (answer["recovered"], answer["was_recovering"]) == (False, True)
        assert (answer["offset"], answer["snapshot"]) == (60, {"outages": []})
        running.commit("dispatch")
        assert (await peer.hear("pub"))["offset"] == 61


async def test_everybody_is_served_by_one_read_of_the_log(serving: Serving) -> None:
    async with serving() as running:
        peers = [await running.dispatcher() for _ in range(10)]
        for peer in peers:
            await peer.subscribe("dispatch")
        await running.until(lambda: not running.feeds._hub._news)
        before = running.log.reads["read_many"]
        running.commit("dispatch")
        assert [(await peer.hear("pub"))["offset"] for peer in peers] == [1] * 10
        assert running.log.reads["read_many"] == before + 1
        assert running.log.reads["read"] == 0


async def test_those_who_want_a_snapshot_together_share_one(serving: Serving) -> None:
    async with serving() as running:
        peers = [await running.dispatcher() for _ in range(5)]
        running.log.gate.clear()
        for peer in peers:
            await peer.say("subscribe", channel="dispatch")
        await running.until(lambda: running.log.reads["snapshot"] > 0)
        for peer in peers:
            await peer.say("ping", id=1)  # the server has read the subscription before it
        running.log.gate.set()
        for peer in peers:
            assert (await peer.hear("subscribed"))["recovered"] is False
        assert running.log.reads["snapshot"] <= 2


async def test_who_listens_anew_looks_at_everything(serving: Serving) -> None:
    async with serving() as running:
        running.log.mute = True
        peers = {name: await running.customer(name) for name in ("C-1", "C-2")}
        for name, peer in peers.items():
            await peer.subscribe(f"customer:{name}")
            running.log.append(f"customer:{name}", b'{"customer_id":"%s"}' % name.encode())
        running.log.interrupt()
        for name, peer in peers.items():
            assert (await peer.hear("pub"))["key"] == name


async def test_news_are_found_even_when_nobody_wakes(serving: Serving) -> None:
    async with serving(poll_s=0.02) as running:
        running.log.mute = True
        peer = await running.customer("C-1")
        await peer.subscribe("customer:C-1")
        running.log.append("customer:C-1", b"{}")
        assert (await peer.hear("pub"))["offset"] == 1


async def test_after_unsubscribe_nothing_more_comes_of_that_channel(serving: Serving) -> None:
    async with serving() as running:
        peer = await running.dispatcher()
        for channel in ("dispatch", "dispatch:north"):
            await peer.subscribe(channel)
        assert await peer.ask("unsubscribe", channel="dispatch") == {
            "op": "unsubscribed",
            "channel": "dispatch",
        }
        running.commit("dispatch")
        running.commit("dispatch:north")
        assert (await peer.hear("pub"))["channel"] == "dispatch:north"
        assert running.feeds.channels == 1


async def test_subscribing_again_starts_the_channel_anew(serving: Serving) -> None:
    async with serving() as running:
        peer = await running.dispatcher()
        await peer.subscribe("dispatch")
        running.commit("dispatch")
        running.commit("dispatch")
        await peer.pubs(2)
        await peer.subscribe("dispatch", "e1", 1)
        assert (await peer.hear("pub"))["offset"] == 2
        running.commit("dispatch")
        assert (await peer.hear("pub"))["offset"] == 3


async def test_a_channel_that_nobody_listens_to_is_not_read(serving: Serving) -> None:
    async with serving() as running:
        peer = await running.customer("C-1")
        await peer.subscribe("customer:C-1")
        await peer.close()
        await running.until(lambda: running.feeds.channels == 0 and running.feeds.clients == 0)


async def test_heartbeats_say_how_far_a_channel_has_come(serving: Serving) -> None:
    async with serving(heartbeat_s=0.05) as running:
        peer = await running.dispatcher()
        await peer.subscribe("dispatch")
        running.commit("dispatch")
        await peer.hear("pub")
        assert await peer.hear("pos") == {
            "op": "pos",
            "channel": "dispatch",
            "epoch": "e1",
            "offset": 1,
        }
        ping = await peer.hear("ping")
        await peer.say("pong", id=ping["id"])
        assert (await peer.hear("pos"))["offset"] == 1


async def test_a_ping_comes_back_as_a_pong_with_its_id(serving: Serving) -> None:
    async with serving() as running:
        peer = await running.customer("C-1")
        assert await peer.ask("ping", id="x7") == {"op": "pong", "id": "x7"}
        assert await peer.ask("ping") == {"op": "pong", "id": None}


async def test_what_a_person_has_seen_is_told(serving: Serving) -> None:
    async with serving() as running:
        peer = await running.customer("C-1")
        await peer.subscribe("customer:C-1")
        running.commit("customer:C-1")
        await peer.hear("pub")
        await peer.say("ack", channel="customer:C-1", offset=1)
        await peer.ask("ping")
        assert running.seen == [("C-1", "customer:C-1", 1)]


async def test_those_who_come_back_together_are_read_together(serving: Serving) -> None:
    async with serving() as running:
        names, since = [f"C-{n}" for n in range(20)], {"epoch": "e1", "offset": 1}
        for name in names:
            for _ in range(3):
                running.commit(f"customer:{name}")
        peers = [await running.customer(name) for name in names]
        running.log.gate.clear()
        for name, peer in zip(names, peers, strict=True):
            await peer.say("subscribe", channel=f"customer:{name}", since=since)
        await running.until(lambda: all(c.talk.channels for c in running.feeds._clients))
        running.log.gate.set()
        for peer in peers:
            assert (await peer.hear("subscribed"))["recovered"] is True
            assert [pub["offset"] for pub in await peer.pubs(2)] == [2, 3]
        assert running.log.reads["positions"] <= 2
        assert running.log.reads["read"] == 0


async def test_of_one_channel_each_who_returns_gets_what_they_missed_themselves(
    serving: Serving,
) -> None:
    async with serving(page_max=2) as running:
        for _ in range(8):
            running.commit("dispatch")
        peers = [await running.dispatcher() for _ in range(8)]
        running.log.gate.clear()
        for offset, peer in enumerate(peers):
            since = {"epoch": "e1", "offset": offset}
            await peer.say("subscribe", channel="dispatch", since=since)
        running.log.gate.set()
        for offset, peer in enumerate(peers):
            assert [pub["offset"] for pub in await peer.pubs(8 - offset)] == list(
                range(offset + 1, 9)
            )
