"""The specification of who may hear what, and of how the others are sent away."""

from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from grid.people import Principal, Role
from service.tokens import issue

Serving = Callable[..., Any]


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
        assert (await running.audited(f"feed_{reason}"))["subject"] is None


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
        assert (await running.audited("feed_token_expired"))["subject"] == "C-2"
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


async def test_a_bearer_whose_rights_were_withdrawn_is_sent_away_at_once(serving: Serving) -> None:
    async with serving() as running:
        one, other = await running.customer("C-1"), await running.customer("C-2")
        running.withdrawn.add("C-1")
        assert await one.ending() == (4401, {"reason": "token_refused", "retry_after_ms": None})
        assert (await running.audited("feed_token_refused"))["subject"] == "C-1"
        assert (await other.ask("ping"))["op"] == "pong"
