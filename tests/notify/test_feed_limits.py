"""The specification of bad messages and of the limits of a feed."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

Serving = Callable[..., Any]


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
