"""The specification of the answers to devices: after the commit, however the commit comes."""

import asyncio
from typing import Any

import pytest

from ingest.answering import Answering
from ingest.backlog import Backlog, BacklogRule
from ingest.concentrators import Concentrators
from ingest.unloading import Covered, Load


@pytest.fixture
def said() -> list[bytes]:
    return []


@pytest.fixture
def answering(said: list[bytes]) -> Answering:
    return Answering("lastgasp/v1", Concentrators(10, 10), said.append, 2)


def receipt() -> "asyncio.Future[None]":
    return asyncio.get_running_loop().create_future()


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_is_committed_already_is_answered_at_once(answering, said) -> None:
    answering.when_committed(Load(acks=[b"a"]), 1, None)
    assert said == [b"a"]
    assert len(answering) == 0


async def test_what_is_only_safe_is_answered_when_its_receipt_comes(answering, said) -> None:
    first, second = receipt(), receipt()
    answering.when_committed(Load(acks=[b"a"]), 1, first)
    answering.when_committed(Load(acks=[b"b"]), 1, second)
    second.set_result(None)
    await turn()
    assert said == [b"b"]
    first.set_result(None)
    await turn()
    assert said == [b"b", b"a"]


async def test_a_part_of_a_backlog_is_in_when_its_receipt_has_come(answering) -> None:
    now_s = asyncio.get_running_loop().time()
    rule = BacklogRule(quiet_s=1.0, s_min=0.0, s_max=20.0, s_max_in_all=60.0, old_ms=2000)
    backlog = Backlog(rule, 0, now_s)
    assert backlog.heard(5, 5, now_s)
    committed = receipt()
    answering.when_committed(Load(backlog=backlog), 1, committed)
    await turn()
    assert backlog.in_at_s() == now_s + 60.0, "as long as it takes, but for the limit"
    committed.set_result(None)
    await turn()
    assert now_s + 1.0 <= backlog.in_at_s() < now_s + 21.0


async def test_a_concentrator_is_answered_in_the_order_of_receipt(answering, said) -> None:
    first, second = receipt(), receipt()
    answering.when_committed(Load(covered=[Covered("D1", "b", [1, 2])]), 1, first)
    answering.when_committed(Load(covered=[Covered("D1", "b", [3, 4])]), 1, second)
    second.set_result(None)
    await turn()
    assert said == [], "1 and 2 are not committed, and 4 would cover them"
    first.set_result(None)
    await turn()
    (both,) = said
    assert both.count(b"/dcu/D1/ack") == 2


async def test_at_the_limit_the_oldest_is_forgotten_and_its_device_sends_again(
    answering, said
) -> None:
    receipts: list[Any] = [receipt() for _ in range(3)]
    for name, one in zip((b"a", b"b", b"c"), receipts, strict=True):
        answering.when_committed(Load(acks=[name]), 1, one)
    assert answering.forgotten == 1
    for one in receipts[1:]:
        one.set_result(None)
    await turn()
    assert said == [b"b", b"c"]
    answering.close()
