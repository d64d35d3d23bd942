"""The specification of a bus's place in the database: one owner, and an offset with each commit."""

from typing import Any

import pytest

from grid.errors import Fenced
from grid.parcel import Advance, Quarantined

BAD = Quarantined(1_795_230_000_000, "bus", "frames/3@7", "no record", b"\xc1", 1, "0" * 64)


def to(claim: Any, offset: int, marks: bytes = b"m") -> Advance:
    return Advance(claim.topic, claim.partition, claim.generation, offset, marks)


async def test_a_partition_that_nobody_had_has_no_offset(store: Any) -> None:
    claim = await store.claim("frames", 3, "worker@a")
    assert (claim.generation, claim.next_offset, claim.marks) == (1, None, b"")


async def test_who_takes_it_over_goes_on_where_the_last_commit_was(store: Any) -> None:
    first = await store.claim("frames", 3, "worker@a")
    await store.commit((), (BAD,), to(first, 8))
    second = await store.claim("frames", 3, "worker@b")
    assert (second.generation, second.next_offset, second.marks) == (2, 8, b"m")


async def test_who_had_it_before_can_commit_no_more(store: Any, ask: Any) -> None:
    first = await store.claim("frames", 3, "worker@a")
    await store.claim("frames", 3, "worker@b")
    with pytest.raises(Fenced, match="taken over"):
        await store.commit((), (BAD,), to(first, 8))
    assert ask("SELECT count(*) FROM quarantine") == [(0,)]
    assert ask("SELECT next_offset FROM bus_partitions") == [(None,)]


async def test_the_same_commit_again_changes_nothing(store: Any, ask: Any) -> None:
    claim = await store.claim("frames", 3, "worker@a")
    for _ in range(2):
        await store.commit((), (BAD,), to(claim, 8))
    assert ask("SELECT count(*) FROM quarantine") == [(1,)]


async def test_only_who_still_has_it_begins_again(store: Any) -> None:
    first = await store.claim("frames", 3, "worker@a")
    assert (await store.claim("frames", 3, "worker@a", held=first.generation)).generation == 2
    await store.claim("frames", 3, "worker@b")
    with pytest.raises(Fenced):
        await store.claim("frames", 3, "worker@a", held=2)


async def test_who_begins_again_may_ask_twice_for_an_answer_may_be_lost(store: Any) -> None:
    first = await store.claim("frames", 3, "worker@a")
    await store.claim("frames", 3, "worker@a", held=first.generation)
    last = await store.claim("frames", 3, "worker@a", held=first.generation)
    await store.commit((), (BAD,), to(last, 8))
    with pytest.raises(Fenced):
        await store.commit((), (BAD,), to(first, 9))


async def test_of_two_that_begin_again_from_one_generation_only_one_may(store: Any) -> None:
    first = await store.claim("frames", 3, "worker@a")
    await store.claim("frames", 3, "worker@b", held=first.generation)
    with pytest.raises(Fenced):
        await store.claim("frames", 3, "worker@a", held=first.generation)
