"""The specification of what somebody was told last, on every database: what was decided last."""

from collections.abc import AsyncIterator, Callable
from datetime import time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from grid.notice import Phase
from grid.outage import Etr
from grid.outbox import Sent
from notify.phases import Rules
from notify.settings import NoticeSettings
from notify.situations import decider
from store.postgres import Store, open_store
from store.sealing import Keys
from store.settings import StoreSettings

pytestmark = pytest.mark.services

EVERY_PHASE = Rules(NoticeSettings(phases=tuple(Phase)), ZoneInfo("UTC"), time(0), time(0))
KEYS = Keys(phone=b"p" * 32, index=b"i" * 32)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """The store of a site where every phase is texted."""
    settings = StoreSettings(retry_s=0.01)
    async with open_store(database_url, KEYS, settings, decider(EVERY_PHASE)) as opened:
        yield opened


@pytest.fixture
def said(store: Store, dark: Any, at: Callable[[str], int]) -> Callable[..., Any]:
    """``said("12:10:00", "confirmed", "18:00:00")``: T1's outage as a crew expects its end."""

    async def commit(clock: str, state: str, until: str) -> None:
        await store.commit([dark(clock, state, etr=Etr(at(until), "crew", 0.9))], ())

    return commit


@pytest.fixture
def texted(store: Store, at: Callable[[str], int]) -> Callable[..., Any]:
    """``texted("12:11:00")``: what goes out then, as phases in order."""

    async def claim(clock: str) -> list[str]:
        taken = await store.outbox.claim(at(clock), 10)
        await store.outbox.sent(
            [Sent(c.notice_no, at(clock), "a text", False, None, (f"m{clock}{c.notice_no}",))
             for c in taken]
        )  # fmt: skip
        return [c.phase.value for c in taken]

    return claim


async def test_an_estimate_that_another_text_overtook_is_told_once_when_it_comes_again(
    store: Store, house: Any, said: Any, texted: Any
) -> None:
    await house.move_in(store)
    await said("12:10:00", "confirmed", "18:00:00")
    assert await texted("12:11:00") == ["confirmed"] * 2
    await said("12:20:00", "confirmed", "15:00:00")  # waits, and ...
    await said("12:20:01", "partially_restored", "15:00:00")  # ... is overtaken
    assert await texted("12:21:00") == ["partially_restored"] * 2
    await said("12:30:00", "partially_restored", "13:00:00")  # in the row that was overtaken
    assert await texted("12:31:00") == ["etr_changed"] * 2
    await said("12:40:00", "partially_restored", "13:00:00")
    assert await texted("12:41:00") == []
    told = await store.outbox.of_customer("C-M1")
    assert [n.phase for n in told] == ["etr_changed", "partially_restored", "confirmed"]
