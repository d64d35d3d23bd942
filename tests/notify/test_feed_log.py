"""The specification of feeds whose log is away or has lost its history, and of their stop."""

import asyncio
from collections.abc import Callable
from typing import Any

from grid.errors import Unreachable
from notify.feeds import Feeds
from notify.ledger import Ledger
from notify.memory import MemoryLog
from notify.settings import FeedSettings
from notify.tally import Tally

Serving = Callable[..., Any]


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
    away, kept, tally = True, [], Tally()

    async def audit(event: str, **fields: object) -> None:
        if away:
            raise Unreachable("the database is away", retry_in_s=0.001)
        kept.append(event)

    ledger = Ledger(audit, FeedSettings(audit_max=3), tally, lambda: 0)
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


async def test_a_flood_of_audit_lines_reaches_the_database_at_a_pace() -> None:
    kept, tally, clock = [], Tally(), [0]

    async def audit(event: str, **fields: object) -> None:
        kept.append(event)

    ledger = Ledger(audit, FeedSettings(audit_per_minute_max=2), tally, lambda: clock[0])
    for at_ms in (0, 0, 0, 30_000, 30_000):
        clock[0] = at_ms
        ledger.keep(f"at_{at_ms}", subject=None, address="127.0.0.1", detail="")
    task = asyncio.create_task(ledger.run())
    while len(kept) < 3:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert (kept, tally.audit_dropped) == (["at_0", "at_0", "at_30000"], 2)
    task.cancel()
