"""The specification of the feeds, as a client sees them over a real socket."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from notify.memory import MemoryLog

Serving = Callable[..., Any]


# -- joining and live messages ---------------------------------------------------------------------


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


async def test_a_wake_without_names_finds_all_news(serving: Serving) -> None:
    async with serving() as running:
        peers = {name: await running.customer(name) for name in ("C-1", "C-2")}
        for name, peer in peers.items():
            await peer.subscribe(f"customer:{name}")
            running.log.append(f"customer:{name}", b'{"customer_id":"%s"}' % name.encode())
        running.feeds.wake()
        for name, peer in peers.items():
            assert (await peer.hear("pub"))["key"] == name


async def test_news_are_found_even_when_nobody_wakes(serving: Serving) -> None:
    async with serving(poll_s=0.02) as running:
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


# -- rights ----------------------------------------------------------------------------------------


async def test_a_district_dispatcher_gets_the_district_under_its_real_name(
    serving: Serving,
) -> None:
    async with serving() as running:
        peer = await running.dispatcher("north")
        answer = await peer.subscribe("dispatch")
        assert (answer["channel"], answer["requested"]) == ("dispatch:north", "dispatch")
        running.commit("dispatch")
        running.commit("dispatch:north")
        assert (await peer.hear("pub"))["channel"] == "dispatch:north"


@pytest.mark.parametrize(
    ("who", "channel"),
    [
        ("customer", "customer:C-2"),
        ("customer", "customer:"),
        ("customer", "dispatch"),
        ("customer", "dispatch:north"),
        ("north", "dispatch:south"),
        ("north", "customer:C-1"),
        ("everywhere", "customer:C-1"),
        ("everywhere", "nonsense"),
        ("everywhere", "dispatch:"),
    ],
)
async def test_a_channel_that_is_not_ones_own_ends_the_connection_and_is_audited(
    serving: Serving, who: str, channel: str
) -> None:
    async with serving() as running:
        running.commit(channel)
        if who == "customer":
            peer = await running.customer("C-1")
        else:
            peer = await running.dispatcher(None if who == "everywhere" else who)
        await peer.say("subscribe", channel=channel)
        assert await peer.hear() == {
            "op": "error",
            "code": 4403,
            "reason": "not_allowed",
            "message": f"channel {channel!r} is not yours",
        }
        assert await peer.ending() == (4403, {"reason": "not_allowed", "retry_after_ms": None})
        await running.until(lambda: running.audit[-1:] != [])
        line = running.audit[-1]
        assert line["event"] == "feed_not_allowed"
        assert line["subject"] in ("C-1", "ann")
        assert line["address"] == "127.0.0.1"
        assert line["at_ms"] == running.clock.ms
        assert channel in line["detail"]


@pytest.mark.parametrize(
    ("why", "code", "reason"),
    [
        ("no token", 4401, "token_refused"),
        ("junk", 4401, "token_refused"),
        ("another key's", 4401, "token_refused"),
        ("expired", 4410, "token_expired"),
    ],
)
async def test_without_a_valid_token_there_is_no_talk(
    serving: Serving, why: str, code: int, reason: str
) -> None:
    from grid.people import Principal, Role
    from service.tokens import issue

    async with serving() as running:
        stranger = issue(b"x" * 32, Principal(Role.CUSTOMER, "C-1", None, 0), 60, running.clock.ms)
        old = running.token("C-1", ttl_s=5)
        running.clock.ms += 6_000
        peer = await running.connect()
        await peer.hear()
        if why == "no token":
            await peer.say("subscribe", channel="customer:C-1")
        else:
            tokens = {"junk": "junk", "another key's": stranger, "expired": old}
            await peer.say("auth", token=tokens[why])
        assert await peer.ending() == (code, {"reason": reason, "retry_after_ms": None})
        if code == 4401:
            await running.until(lambda: running.audit != [])
            assert running.audit[0]["event"] == "feed_token_refused"
            assert running.audit[0]["subject"] is None


async def test_a_client_that_says_nothing_is_closed_in_time(serving: Serving) -> None:
    async with serving(auth_s=10.0) as running:
        peer = await running.connect()
        await peer.hear()
        running.clock.ms += 10_000
        code, reason = await peer.ending()
        assert (code, reason["reason"]) == (4408, "auth_timeout")
        assert isinstance(reason["retry_after_ms"], int)


async def test_the_connection_ends_with_its_token_unless_it_was_refreshed(
    serving: Serving,
) -> None:
    async with serving() as running:
        kept, lost = await running.customer("C-1"), await running.customer("C-2")
        running.clock.ms += 30_000
        fresh = running.token("C-1", ttl_s=60)
        assert await kept.ask("refresh", token=fresh) == {
            "op": "refreshed",
            "expires_at": "2023-11-14T22:14:50.000Z",
        }
        running.clock.ms += 30_000
        assert await lost.ending() == (4410, {"reason": "token_expired", "retry_after_ms": None})
        assert (await kept.ask("ping"))["op"] == "pong"


async def test_a_token_of_somebody_else_swapped_in_ends_the_connection_and_is_audited(
    serving: Serving,
) -> None:
    async with serving() as running:
        peer = await running.customer("C-1")
        await peer.say("refresh", token=running.token("C-2"))
        assert (await peer.ending())[0] == 4403
        await running.until(lambda: running.audit != [])
        assert running.audit[0]["event"] == "feed_not_allowed"
        assert running.audit[0]["subject"] == "C-1"


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://127.0.0.1:8470", True),
        ("http://evil.example", False),
        ("http://127.0.0.1:8470.evil.example", False),
        ("null", False),
    ],
)
async def test_web_pages_of_other_origins_are_closed_before_a_word_and_audited(
    serving: Serving, origin: str | None, allowed: bool
) -> None:
    async with serving() as running:
        peer = await running.connect(origin=origin)
        if allowed:
            assert (await peer.hear())["op"] == "hello"
            return
        assert (await peer.hear())["op"] == "error"
        assert await peer.ending() == (4406, {"reason": "origin_refused", "retry_after_ms": None})
        await running.until(lambda: running.audit != [])
        assert running.audit[0]["event"] == "feed_origin_refused"


async def test_a_token_in_the_address_is_refused_before_the_handshake(serving: Serving) -> None:
    async with serving() as running:
        with pytest.raises(InvalidStatus) as refused:
            await running.connect(f"/?token={running.token('C-1')}")
        assert refused.value.response.status_code == 400


async def test_a_bearer_whose_rights_changed_can_be_sent_away(serving: Serving) -> None:
    from grid.people import Role

    async with serving() as running:
        one, other = await running.customer("C-1"), await running.customer("C-2")
        assert running.feeds.send_away(Role.CUSTOMER, "C-1") == 1
        assert (await one.ending())[0] == 4401
        assert (await other.ask("ping"))["op"] == "pong"


# -- bad messages and limits -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("why", "sent", "code"),
    [
        ("no JSON", "hello", 4400),
        ("no object", "[]", 4400),
        ("no op", '{"channel":"customer:C-1"}', 4400),
        ("an op nobody knows", '{"op":"shout"}', 4400),
        ("a key nobody knows", '{"op":"subscribe","channel":"customer:C-1","form":1}', 4400),
        ("a missing key", '{"op":"subscribe"}', 4400),
        ("a number for a name", '{"op":"subscribe","channel":7}', 4400),
        ("half a since", '{"op":"subscribe","channel":"customer:C-1","since":{"offset":1}}', 4400),
        ("auth twice", '{"op":"auth","token":"x"}', 4400),
        ("500 levels", '{"op":' * 500 + "1" + "}" * 500, 4400),
        ("a channel never subscribed", '{"op":"unsubscribe","channel":"customer:C-1"}', 4400),
        ("an ack of a channel never had", '{"op":"ack","channel":"dispatch","offset":1}', 4400),
        ("binary", b'{"op":"ping"}', 4400),
        ("invalid UTF-8", "utf-8", 1007),
        ("more than 16 KiB", '{"op":"ping","id":"' + "x" * 16_400 + '"}', 1009),
    ],
)
async def test_a_message_that_is_none_of_the_protocol_ends_the_connection(
    serving: Serving, why: str, sent: str | bytes, code: int
) -> None:
    async with serving() as running:
        peer, other = await running.customer("C-1"), await running.customer("C-2")
        if sent == "utf-8":
            await peer.ws.send(b"\xff\xfe", text=True)
        else:
            await peer.ws.send(sent)
        assert (await ending_code(peer)) == code
        assert (await other.ask("ping"))["op"] == "pong"


async def ending_code(peer: Any) -> int:
    """The close code, whatever the reason's text."""
    async with asyncio.timeout(10):
        await peer.ws.wait_closed()
    assert peer.ws.close_code is not None
    return int(peer.ws.close_code)


async def test_a_client_may_not_talk_faster_than_allowed(serving: Serving) -> None:
    async with serving(messages_per_minute_max=60, messages_burst_max=5) as running:
        peer = await running.customer("C-1")  # its auth was the first of five
        for _ in range(4):
            assert (await peer.ask("ping"))["op"] == "pong"
        running.clock.ms += 2_000  # two more are allowed again
        for _ in range(2):
            assert (await peer.ask("ping"))["op"] == "pong"
        await peer.say("ping")
        code, reason = await peer.ending()
        assert (code, reason["reason"]) == (4429, "too_many_messages")


async def test_a_connection_has_so_many_channels_and_no_more(serving: Serving) -> None:
    async with serving(channels_max=2) as running:
        peer = await running.dispatcher()
        for channel in ("dispatch", "dispatch:a", "dispatch"):
            assert (await peer.subscribe(channel))["op"] == "subscribed"
        await peer.say("subscribe", channel="dispatch:b")
        assert (await peer.ending())[0] == 4413


@pytest.mark.parametrize(
    ("limit", "status"), [("connections_max", 503), ("connections_per_address_max", 429)]
)
async def test_more_connections_than_allowed_are_turned_away_with_a_time(
    serving: Serving, limit: str, status: int
) -> None:
    async with serving(**{limit: 2}) as running:
        first, _second = await running.customer("C-1"), await running.customer("C-2")
        with pytest.raises(InvalidStatus) as refused:
            await running.connect()
        assert refused.value.response.status_code == status
        assert int(refused.value.response.headers["Retry-After"]) >= 1
        await first.close()
        await running.until(lambda: running.feeds.clients == 1)
        assert (await (await running.connect()).hear())["op"] == "hello"


async def test_a_trusted_proxy_is_believed_about_addresses_and_nobody_else(
    serving: Serving,
) -> None:
    for proxies, allowed in ((("127.0.0.1",), True), ((), False)):
        async with serving(connections_per_address_max=1, trusted_proxies=proxies) as running:
            await running.connect(additional_headers={"X-Forwarded-For": "203.0.113.1"})
            await running.until(lambda running=running: running.feeds.clients == 1)
            second = running.connect(additional_headers={"X-Forwarded-For": "spoof, 203.0.113.2"})
            if allowed:
                await second
            else:
                with pytest.raises(InvalidStatus):
                    await second


# -- heartbeats ------------------------------------------------------------------------------------


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


# -- slow readers ----------------------------------------------------------------------------------

SMALL = {"direct_bytes_max": 2_000, "queue_messages_max": 20, "queue_bytes_max": 100_000}


async def stalled(running: Any) -> Any:
    """A subscribed dispatcher whose socket is full and who does not read."""
    import socket

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
        running.feeds.wake()
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


# -- the log ---------------------------------------------------------------------------------------


async def test_while_the_log_is_away_nobody_can_join_and_the_feeds_are_not_ready(
    serving: Serving,
) -> None:
    async with serving() as running:
        old, new = await running.dispatcher(), await running.dispatcher()
        await old.subscribe("dispatch")
        assert running.feeds.ready
        running.log.away = True
        running.commit("dispatch")
        await running.until(lambda: not running.feeds.ready)
        await new.say("subscribe", channel="dispatch")
        code, reason = await new.ending()
        assert (code, reason["reason"]) == (4503, "unavailable")
        running.log.away = False
        assert (await old.hear("pub"))["offset"] == 1
        await running.until(lambda: running.feeds.ready)


async def test_the_feeds_wait_for_a_log_that_is_away_at_the_start() -> None:
    from notify.feeds import Feeds
    from notify.settings import FeedSettings

    log = MemoryLog()
    log.away = True

    async def audit(event: str, **fields: object) -> None:
        raise AssertionError(event)

    def verify(token: str) -> Any:
        raise AssertionError(token)

    feeds = Feeds(log, verify, audit, FeedSettings(listen="127.0.0.1:0"), lambda: 0)
    task = asyncio.create_task(feeds.run())
    while log.reads["position"] < 2:  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    assert not feeds.ready
    log.away = False
    await asyncio.wait_for(feeds.listening.wait(), 5)
    assert feeds.ready
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_when_history_is_lost_members_are_sent_to_fetch_a_snapshot(
    serving: Serving,
) -> None:
    async with serving() as running:
        peer = await running.dispatcher()
        await peer.subscribe("dispatch")
        for _ in range(3):
            running.log.append("dispatch", b"{}")
        running.log.trim("dispatch", 2)
        running.feeds.wake()
        code, reason = await peer.ending()
        assert (code, reason["reason"]) == (4508, "insufficient_state")


async def test_a_new_epoch_sends_everybody_to_fetch_a_snapshot(serving: Serving) -> None:
    async with serving(poll_s=0.02) as running:
        peer = await running.dispatcher()
        await peer.subscribe("dispatch")
        running.log.lose_everything("e2")
        assert (await peer.ending())[0] == 4508
        again = await running.connect()
        assert (await again.hear())["epoch"] == "e2"


async def test_a_stop_closes_everybody_with_going_away_and_a_time_to_come_back(
    serving: Serving,
) -> None:
    async with serving() as running:
        peers = [await running.customer(f"C-{n}") for n in range(3)]
        endings = asyncio.gather(*(peer.ending() for peer in peers))
        await running.stop()
        for code, reason in await endings:
            assert (code, reason["reason"]) == (1001, "going_away")
            assert 0 <= reason["retry_after_ms"] <= 1000
        assert not running.feeds.ready


async def test_audit_lines_wait_for_the_database_up_to_a_limit() -> None:
    from grid.errors import Unreachable
    from notify.ledger import Ledger
    from notify.tally import Tally

    away, kept, tally = True, [], Tally()

    async def audit(event: str, **fields: object) -> None:
        if away:
            raise Unreachable("the database is away", retry_in_s=0.001)
        kept.append(event)

    ledger = Ledger(audit, 3, tally, lambda: 0)
    for number in range(5):
        ledger.keep(f"line_{number}", subject=None, address="127.0.0.1", detail="")
    assert tally.audit_dropped == 2
    task = asyncio.create_task(ledger.run())
    await asyncio.sleep(0)
    away = False
    while len(kept) < 3:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert kept == ["line_0", "line_1", "line_2"]
    task.cancel()
