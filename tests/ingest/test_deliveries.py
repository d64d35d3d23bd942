"""The specification of messages on their way to the commit: bounded, in order, never lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from grid.errors import Unreachable
from grid.parcel import Parcel
from ingest.deliveries import Deliveries, Delivery
from ingest.packets import Message
from ingest.settings import MqttSettings
from ingest.unloading import Load

LIMITS = {
    "outstanding_messages_max": 10,
    "outstanding_bytes_max": 1000,
    "deliveries_max": 2,
    "delivery_messages_max": 3,
    "delivery_bytes_max": 100,
}


class Commits:
    """A stream whose commits end when the test says so, in any order."""

    def __init__(self) -> None:
        self.offered: list[asyncio.Future[None]] = []
        self._changed = asyncio.Event()

    async def deliver(self, parcel: Parcel) -> None:
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.offered.append(end)
        self._changed.set()
        await end

    async def until_offered(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.offered) < count:
                self._changed.clear()
                await self._changed.wait()

    async def no_more_than(self, count: int) -> None:
        """Everybody had a turn, and not more than so many are under way."""
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(self.offered) == count


@pytest.fixture
async def commits() -> Commits:
    return Commits()


@pytest.fixture
def answered() -> list[tuple[int, list[int]]]:
    """(connection, packet ids) of what was answered, in order."""
    return []


@pytest.fixture
async def deliveries(commits, answered) -> AsyncIterator[Callable[..., Deliveries]]:
    tasks: list[asyncio.Task[None]] = []

    def unload(messages: Sequence[Message]) -> Load:
        return Load(messages=len(messages), mids=[mid for _, _, mid in messages])

    def answer(done: Sequence[Delivery]) -> None:
        answered.extend((one.epoch, one.load.mids) for one in done)

    def start(**limits: Any) -> Deliveries:
        settings = MqttSettings(**(LIMITS | limits))
        made = Deliveries(settings, commits, unload=unload, answer=answer)  # type: ignore[arg-type]
        tasks.append(asyncio.create_task(made.run()))
        return made

    yield start
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def messages(*mids: int, size: int = 1) -> list[Message]:
    return [("t", bytes(size), mid) for mid in mids]


async def test_nothing_goes_before_its_connection_is_open(deliveries, commits) -> None:
    under_test = deliveries()
    under_test.take(1, messages(1))
    await commits.no_more_than(0)
    under_test.open(1)
    await commits.until_offered(1)


async def test_what_comes_while_commits_are_under_way_makes_the_next_ones_bigger(
    deliveries, commits, answered
) -> None:
    under_test = deliveries()
    under_test.open(1)
    under_test.take(1, messages(1))
    await commits.until_offered(1)
    under_test.take(1, messages(2))
    await commits.until_offered(2)
    under_test.take(1, messages(3))
    under_test.take(1, messages(4, 5, 6))
    await commits.no_more_than(2)  # deliveries_max
    commits.offered[0].set_result(None)
    await commits.until_offered(3)
    assert answered == [(1, [1])]
    for end in commits.offered[1:]:
        end.set_result(None)
    await commits.until_offered(4)
    commits.offered[3].set_result(None)
    await under_test.settled()
    assert answered == [(1, [1]), (1, [2]), (1, [3, 4, 5]), (1, [6])]  # delivery_messages_max


async def test_answers_keep_the_order_of_receipt(deliveries, commits, answered) -> None:
    under_test = deliveries()
    under_test.open(1)
    under_test.take(1, messages(1, 2, 3, 4))
    await commits.until_offered(2)
    commits.offered[1].set_result(None)
    await commits.no_more_than(2)
    assert answered == []
    commits.offered[0].set_result(None)
    await under_test.settled()
    assert answered == [(1, [1, 2, 3]), (1, [4])]


async def test_messages_of_two_connections_are_never_in_one_load(
    deliveries, commits, answered
) -> None:
    under_test = deliveries()
    under_test.take(1, messages(1))
    under_test.take(2, messages(1))
    under_test.open(2)
    await commits.until_offered(2)
    for end in commits.offered:
        end.set_result(None)
    await under_test.settled()
    assert answered == [(1, [1]), (2, [1])]


@pytest.mark.parametrize(
    ("taken", "full"),
    [
        (messages(*range(9)), False),
        (messages(*range(10)), True),
        (messages(1, size=999), False),
        (messages(1, size=1000), True),
    ],
)
async def test_full_is_said_at_the_limit_of_messages_and_of_bytes(
    deliveries, commits, taken, full
) -> None:
    under_test = deliveries(delivery_bytes_max=10_000, delivery_messages_max=100)
    under_test.open(1)
    under_test.take(1, taken)
    assert under_test.full is full
    await commits.until_offered(1)
    assert under_test.full is full  # under way is still outstanding
    commits.offered[0].set_result(None)
    await under_test.settled()
    assert not under_test.full
    assert (under_test.messages, under_test.bytes) == (0, 0)


async def test_a_load_is_closed_when_it_is_big_enough(deliveries, commits, answered) -> None:
    under_test = deliveries()
    under_test.open(1)
    under_test.take(1, messages(1, 2, 3, size=60))
    await commits.until_offered(2)
    for end in commits.offered:
        end.set_result(None)
    await under_test.settled()
    assert answered == [(1, [1, 2]), (1, [3])]


async def test_what_the_stream_refuses_for_now_is_offered_again(
    deliveries, commits, answered
) -> None:
    under_test = deliveries()
    under_test.open(1)
    under_test.take(1, messages(1))
    for attempt in range(1, 4):
        await commits.until_offered(attempt)
        commits.offered[-1].set_exception(Unreachable("away", retry_in_s=0.001))
    await commits.until_offered(4)
    assert answered == []
    commits.offered[-1].set_result(None)
    await under_test.settled()
    assert answered == [(1, [1])]


async def test_a_failure_that_nobody_expected_is_not_swallowed(commits) -> None:
    broken = Deliveries(
        MqttSettings(),
        commits,
        unload=lambda _: Load(),
        answer=lambda _: None,  # type: ignore[arg-type]
    )
    running = asyncio.create_task(broken.run())
    broken.open(1)
    broken.take(1, messages(1))
    await commits.until_offered(1)
    commits.offered[0].set_exception(RuntimeError("a bug"))
    with pytest.raises(ExceptionGroup):
        await running
