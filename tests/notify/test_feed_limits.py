"""The specification of bad messages and of the limits of a feed."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

Serving = Callable[..., Any]
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: bGFzdGdhc3AgbGFzdGdhcw==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


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
        ("1 MiB", '{"op":"ping","id":"' + "x" * 1_048_576 + '"}', 1009),
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
            with contextlib.suppress(ConnectionClosed):  # it may hang up while we speak
                await peer.ws.send(sent)
        assert (await ending_code(peer)) == code
        assert (await other.ask("ping"))["op"] == "pong"
        event = {1007: "feed_not_utf8", 1009: "feed_message_too_large", 4400: "feed_bad_message"}
        assert (await running.audited(event[code]))["subject"] == "C-1"


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
        assert (await running.audited("feed_too_many_messages"))["subject"] == "C-1"


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
        line = await running.audited("feed_turned_away")
        assert (line["address"], line["detail"][:3]) == ("127.0.0.1", str(status))
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


async def test_a_bearer_has_so_many_connections_and_others_are_not_counted_with_it(
    serving: Serving,
) -> None:
    async with serving(connections_per_subject_max=2) as running:
        mine = [await running.customer("C-1") for _ in range(2)]
        third = await running.connect()
        await third.say("auth", token=running.token("C-1"))
        assert (await third.ending())[1]["reason"] == "too_many_connections"
        assert (await running.audited("feed_too_many_connections"))["subject"] == "C-1"
        await running.customer("C-2")
        await mine[0].close()
        await running.until(lambda: running.feeds.clients == 2)
        assert (await (await running.customer("C-1")).ask("ping"))["op"] == "pong"


async def test_a_bearer_who_comes_and_goes_all_the_time_has_to_wait(serving: Serving) -> None:
    async with serving(opens_per_minute_max=3) as running:
        for _ in range(3):
            await (await running.customer("C-1")).close()
        fourth = await running.connect()
        await fourth.say("auth", token=running.token("C-1"))
        code, reason = await fourth.ending()
        assert (code, reason["reason"]) == (4430, "too_many_connections")
        assert isinstance(reason["retry_after_ms"], int)
        running.clock.ms += 20_000
        assert (await (await running.customer("C-1")).ask("ping"))["op"] == "pong"


async def test_a_thousand_handshakes_in_a_second_are_answered_and_nobody_else_notices(
    serving: Serving,
) -> None:
    async with serving(handshakes_per_s_max=20, handshakes_burst_max=40) as running:
        mine = await running.customer("C-1")
        await mine.subscribe("customer:C-1")

        async def knock() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.feeds.port)
            writer.write(HANDSHAKE)
            answer = await reader.readuntil(b"\r\n\r\n")
            writer.close()
            return answer

        answers = await asyncio.gather(*(knock() for _ in range(1_000)))
        assert sum(b" 101 " in answer for answer in answers) == 39  # and C-1 itself
        assert sum(b" 429 " in one and b"Retry-After: 2" in one for one in answers) == 961
        running.commit("customer:C-1")
        assert (await mine.hear("pub"))["offset"] == 1
        line = await running.audited("feed_flood")
        assert (line["address"], line["subject"]) == ("127.0.0.1", None)
        assert len([x for x in running.audit if x["event"] == "feed_flood"]) == 1
        running.clock.ms += 1_000
        assert b" 101 " in await knock()


async def test_floods_behind_a_trusted_proxy_are_told_apart(serving: Serving) -> None:
    limits = {"handshakes_per_s_max": 1, "handshakes_burst_max": 1}
    async with serving(trusted_proxies=("127.0.0.1",), **limits) as running:
        for last, refused in ((1, False), (2, False), (1, True), (3, False)):
            knock = running.connect(additional_headers={"X-Forwarded-For": f"203.0.113.{last}"})
            if refused:
                with pytest.raises(InvalidStatus) as answer:
                    await knock
                assert answer.value.response.status_code == 429
            else:
                await knock
        assert (await running.audited("feed_flood"))["address"] == "203.0.113.1"


async def test_all_addresses_together_are_let_in_at_a_pace(serving: Serving) -> None:
    async with serving(handshakes_all_per_s_max=2) as running:
        for _ in range(2):
            await running.connect()
        with pytest.raises(InvalidStatus) as answer:
            await running.connect()
        assert answer.value.response.status_code == 503
        running.clock.ms += 500
        await running.connect()
