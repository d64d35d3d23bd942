"""The contract of the feed log (notify/log.py), kept by the log in memory and by the store."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from notify.log import FeedLog
from notify.memory import MemoryLog

DISPATCH, DISTRICT, CUSTOMER = "dispatch", "dispatch:East", "customer:C-M1"
ALL = (DISPATCH, DISTRICT, CUSTOMER)


@dataclass
class Subject:
    """A log, and how to commit the next change of an outage that concerns all three channels."""

    log: FeedLog
    commit: Callable[[], Awaitable[None]]
    forget: Callable[[], Awaitable[None]]  # trim all that was committed


class FeedLogContract:
    """What every feed log keeps; a subclass has the subject."""

    async def test_a_channel_nobody_wrote_to_is_at_zero_of_the_same_epoch(
        self, subject: Subject
    ) -> None:
        positions = [await subject.log.feed_position(name) for name in (*ALL, "customer:nobody")]
        assert {offset for _, offset in positions} == {0}
        assert len({epoch for epoch, _ in positions}) == 1
        assert isinstance(positions[0][0], str)
        assert positions[0][0]
        names = (*ALL, "customer:nobody")
        epoch, tops = await subject.log.feed_positions(names)
        assert (epoch, tops) == (positions[0][0], dict.fromkeys(names, 0))
        assert list(await subject.log.feed_read(DISPATCH, 0, 10)) == []
        assert dict(await subject.log.feed_read_many({DISPATCH: 0, CUSTOMER: 0}, 10)) == {}

    async def test_offsets_of_each_channel_are_contiguous_from_one(self, subject: Subject) -> None:
        for _ in range(5):
            await subject.commit()
        for name in ALL:
            rows = await subject.log.feed_read(name, 0, 10)
            assert [row.offset for row in rows] == [1, 2, 3, 4, 5]
            assert (await subject.log.feed_position(name))[1] == 5
        assert (await subject.log.feed_positions(ALL))[1] == dict.fromkeys(ALL, 5)

    async def test_a_read_gives_what_comes_after_up_to_a_limit(self, subject: Subject) -> None:
        for _ in range(5):
            await subject.commit()
        rows = await subject.log.feed_read(DISPATCH, 2, 2)
        assert [row.offset for row in rows] == [3, 4]
        assert list(await subject.log.feed_read(DISPATCH, 5, 10)) == []
        assert list(await subject.log.feed_read(DISPATCH, 99, 10)) == []

    async def test_many_channels_are_read_at_once_each_after_its_own_offset(
        self, subject: Subject
    ) -> None:
        for _ in range(4):
            await subject.commit()
        after = {DISPATCH: 1, CUSTOMER: 3, DISTRICT: 4, "customer:nobody": 0}
        found = await subject.log.feed_read_many(after, 2)
        assert {name: [row.offset for row in rows] for name, rows in found.items()} == {
            DISPATCH: [2, 3],
            CUSTOMER: [4],
        }

    async def test_a_row_says_when_what_and_about_whom_as_json(self, subject: Subject) -> None:
        await subject.commit()
        (change,) = await subject.log.feed_read(DISPATCH, 0, 10)
        (status,) = await subject.log.feed_read(CUSTOMER, 0, 10)
        assert (change.type, status.type) == ("change", "status")
        assert json.loads(change.body)["outage"]["id"] == "S1-1"
        assert json.loads(status.body)["customer_id"] == "C-M1"
        assert change.at_ms == status.at_ms > 1_700_000_000_000

    async def test_a_snapshot_is_of_exactly_the_offset_that_it_names(
        self, subject: Subject
    ) -> None:
        await subject.commit()
        await subject.commit()
        for name in ALL:
            epoch, offset, body = await subject.log.feed_snapshot(name)
            assert (epoch, offset) == await subject.log.feed_position(name)
            assert offset == 2
            state = json.loads(body)
            if name == CUSTOMER:
                assert state["customer_id"] == "C-M1"
            else:
                assert [(o["id"], o["version"]) for o in state["outages"]] == [("S1-1", 2)]

    async def test_what_was_trimmed_is_gone_and_the_offsets_go_on(self, subject: Subject) -> None:
        await subject.commit()
        await subject.commit()
        await subject.forget()
        assert list(await subject.log.feed_read(CUSTOMER, 0, 10)) == []
        assert (await subject.log.feed_position(CUSTOMER))[1] == 2
        await subject.commit()
        for name in ALL:
            assert [row.offset for row in await subject.log.feed_read(name, 0, 10)] == [3]


class TestInMemory(FeedLogContract):
    """notify/memory.py."""

    @pytest.fixture
    def subject(self, at: Callable[[str], int]) -> Subject:
        log, versions = MemoryLog(), iter(range(1, 100))

        async def commit() -> None:
            outage = {"id": "S1-1", "version": next(versions)}
            change = json.dumps({"outage": outage}).encode()
            status = b'{"customer_id":"C-M1"}'
            for name in (DISPATCH, DISTRICT):
                log.append(name, change, at_ms=at("12:00:01"))
                log.set_state(name, json.dumps({"outages": [outage], "findings": []}).encode())
            log.append(CUSTOMER, status, type="status", at_ms=at("12:00:01"))
            log.set_state(CUSTOMER, status)

        async def forget() -> None:
            for name in ALL:
                log.trim(name, 1_000)

        return Subject(log, commit, forget)


@pytest.mark.services
class TestStore(FeedLogContract):
    """store/postgres.py, on every database."""

    @pytest.fixture
    async def subject(self, store, house, change, step, at) -> Subject:
        await house.move_in(store)
        versions = iter(range(1, 60))

        async def commit() -> None:
            version = next(versions)
            clock = f"12:00:{version:02}"
            told = change(clock, "S1-1", version, "predicted", step("12:00:00", None, "C-M1"))
            await store.commit([house.applied(clock, changes=(told,))], ())

        async def forget() -> None:
            await store.feed_trim(at("13:00:00"))

        return Subject(store, commit, forget)
