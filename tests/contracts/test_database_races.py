"""The specification of texts that are overtaken, on every database: while they wait, and while
nobody knows what became of them.
"""

from datetime import time
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from grid.outbox import Unknown
from notify.phases import Rules
from notify.settings import NoticeSettings
from notify.situations import decider
from store.moments import moment
from store.postgres import open_store
from store.queries import SQL
from store.sealing import Keys
from store.settings import StoreSettings

pytestmark = pytest.mark.services

RULES = Rules(NoticeSettings(), ZoneInfo("UTC"), time(0), time(0))
KEYS = Keys(phone=b"p" * 32, index=b"i" * 32)


async def test_what_is_being_decided_anew_is_not_sent_meanwhile(
    database_url, house, dark, at, ask
) -> None:
    """The sender looks for texts in the very moment in which another takes their place."""
    taken: list[int] = []
    decide = decider(RULES)

    def slowly(*asked: Any) -> Any:
        with psycopg.connect(database_url, autocommit=True) as sender:
            now = {"now": moment(at("12:05:00")), "limit": 10, "channel": "sms"}
            taken.append(len(sender.execute(SQL["claim_notices"], now).fetchall()))
        return decide(*asked)

    settings = StoreSettings(retry_s=0.01)
    async with open_store(database_url, KEYS, settings, slowly) as store:
        await house.move_in(store)
        await store.commit([dark("12:00:10", "confirmed")], ())
        await store.commit([dark("12:00:20", "confirmed", outage_id="S1-2")], ())
        assert set(taken) == {0}
        claimed = await store.outbox.claim(at("12:05:00"), 10)
    assert sorted(one.customer_id for one in claimed) == ["C-M1", "C-M2"]


async def test_what_was_overtaken_is_not_sent_again(database_url, house, dark, at, ask) -> None:
    settings = StoreSettings(retry_s=0.01)
    async with open_store(database_url, KEYS, settings, decider(RULES)) as store:
        await house.move_in(store)
        await store.commit([dark("12:00:10", "confirmed")], ())
        claimed = await store.outbox.claim(at("12:02:00"), 10)
        await store.outbox.unknown([Unknown(c.notice_no, "no_answer") for c in claimed])
        await store.commit([dark("12:10:00", "restored", "12:09:00", inferred=True)], ())
        tidied = await store.outbox.tidy(at("12:12:00"), left_ms=0, owed_ms=at("12:11:30"),
                                         safety_ms=None)  # fmt: skip
    assert tidied["again"] == 0
    assert {state for (state,) in ask("SELECT state FROM notices")} == {"unknown"}
