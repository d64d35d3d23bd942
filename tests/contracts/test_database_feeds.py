"""The specification of the feed log, on every database."""

import asyncio
import contextlib

import msgspec
import pytest

from grid.outage import Finding
from grid.parcel import Applied
from grid.public import CustomerStatus, PublicChange, PublicFinding, customer_statuses
from grid.reading import Kind
from store.feedlog import DispatchState

pytestmark = pytest.mark.services


def status(body: bytes) -> CustomerStatus:
    return msgspec.json.decode(body, type=CustomerStatus)


async def test_a_channel_nobody_wrote_to_is_at_its_beginning(store) -> None:
    epoch, top = await store.feed_position("dispatch")
    assert epoch
    assert top == 0
    assert await store.feed_position("customer:C-M1") == (epoch, 0)
    assert await store.feed_read("dispatch", 0, 10) == ()


async def test_offsets_of_a_channel_begin_at_one_and_have_no_gaps(
    store, house, change, step, finding
) -> None:
    await house.move_in(store)
    dark = step("12:00:00", None, "C-M1")
    for version in (1, 2):
        changes = (change("12:00:01", "S1-1", version, "predicted", dark),)
        findings = (finding("12:00:00", f"S1-c{version}", "comms_loss", "D1"),)
        await store.commit([house.applied("12:00:01", changes=changes, findings=findings)], ())
    for channel in ("dispatch", "dispatch:East"):
        rows = await store.feed_read(channel, 0, 10)
        assert [(r.offset, r.type) for r in rows] == [
            (1, "change"), (2, "finding"), (3, "change"), (4, "finding"),
        ]  # fmt: skip
        assert (await store.feed_position(channel))[1] == 4
    assert [r.offset for r in await store.feed_read("dispatch", 2, 1)] == [3]
    change_row, finding_row = (await store.feed_read("dispatch", 0, 2))[:2]
    assert msgspec.json.decode(change_row.body, type=PublicChange).outage.id == "S1-1"
    assert msgspec.json.decode(finding_row.body, type=PublicFinding).id == "S1-c1"


async def test_each_district_hears_of_its_own(store, house, change, step, finding, ask) -> None:
    await house.move_in(store)
    both = change(
        "12:00:01", "S1-1", 1, "predicted", step("12:00:00", None, "C-M1"),
        districts=("East", "West"),
    )  # fmt: skip
    nowhere: Finding = finding("12:00:00", "S1-c1", "clock", "M1", district="")
    await store.commit([house.applied("12:00:01", changes=(both,), findings=(nowhere,))], ())
    assert ask("SELECT channel, top FROM feed_channels ORDER BY channel") == [
        ("dispatch", 2), ("dispatch:East", 1), ("dispatch:West", 1),
    ]  # fmt: skip


async def test_a_customer_is_told_what_concerns_them(store, house, change, step) -> None:
    await house.move_in(store)
    first = change("12:00:01", "S1-1", 1, "predicted", step("12:00:00", None, "C-M1", "C-M2"))
    second = change(
        "12:30:01", "S1-1", 2, "partially_restored",
        step("12:00:00", "12:30:00", "C-M1"), step("12:00:00", None, "C-M2"),
        customers=("C-M1",),
    )  # fmt: skip
    await store.commit([house.applied("12:00:01", changes=(first,))], ())
    await store.commit([house.applied("12:30:01", changes=(second,))], ())
    mine = await store.feed_read("customer:C-M1", 0, 10)
    assert [(r.offset, r.type) for r in mine] == [(1, "status"), (2, "status")]
    assert [status(r.body) for r in mine] == [
        customer_statuses(first)["C-M1"],
        customer_statuses(second)["C-M1"],
    ]
    still_out = [status(r.body) for r in await store.feed_read("customer:C-M2", 0, 10)]
    assert [(s.power, s.state) for s in still_out] == [
        ("off", "predicted"),
        ("off", "partially_restored"),
    ]
    assert await store.feed_read("customer:C-M3", 0, 10) == ()


async def test_what_only_sharpens_the_evidence_is_for_the_dispatch_centre(
    store, house, change, step
) -> None:
    await house.move_in(store)
    dark = step("12:00:00", None, "C-M1")
    for version, named in ((1, ("C-M1",)), (2, ())):
        said = change("12:00:01", "S1-1", version, "predicted", dark, customers=named)
        await store.commit([house.applied("12:00:01", changes=(said,))], ())
    assert (await store.feed_position("dispatch"))[1] == 2
    assert (await store.feed_position("customer:C-M1"))[1] == 1


async def test_a_customer_told_twice_in_one_commit_hears_both_in_order(
    store, house, change, step
) -> None:
    await house.move_in(store)
    frames = [
        house.applied(
            "12:00:01",
            changes=(change("12:00:01", "S1-1", 1, "predicted", step("12:00:00", None, "C-M1")),),
        ),
        house.applied(
            "12:05:00",
            changes=(
                change("12:05:00", "S1-1", 2, "restored", step("12:00:00", "12:04:00", "C-M1")),
            ),
        ),
    ]
    await store.commit(frames, ())
    rows = await store.feed_read("customer:C-M1", 0, 10)
    assert [(r.offset, status(r.body).power) for r in rows] == [(1, "off"), (2, "on")]
    assert (await store.feed_position("customer:C-M1"))[1] == 2
    assert (await store.customer_status("C-M1")).power == "on"


async def test_nobody_dark_in_one_outage_is_told_of_light_in_another(
    store, house, change, step
) -> None:
    """Restored with the first outage, dark again in its nested successor; then the first closes."""
    await house.move_in(store)
    light = step("12:00:00", "12:30:00", "C-M1")
    await store.commit(
        [
            house.applied(
                "12:30:01",
                changes=(
                    change("12:30:00", "S1-1", 1, "restored", light),
                    change("12:30:01", "S1-2", 1, "predicted", step("12:30:00", None, "C-M1")),
                ),
            )
        ],
        (),
    )
    closing = change("12:36:00", "S1-1", 2, "closed", light)
    await store.commit([house.applied("12:36:00", changes=(closing,))], ())
    rows = await store.feed_read("customer:C-M1", 0, 10)
    assert [(status(r.body).outage_id, status(r.body).power) for r in rows] == [
        ("S1-1", "on"),
        ("S1-2", "off"),
    ]
    assert (await store.customer_status("C-M1")).outage_id == "S1-2"


async def test_a_snapshot_is_the_state_at_exactly_its_offset(
    store, house, change, step, finding
) -> None:
    await house.move_in(store)
    dark = change("12:00:01", "S1-1", 1, "predicted", step("12:00:00", None, "C-M1"))
    mute = finding("12:00:00", "S1-c1", "comms_loss", "D1")
    await store.commit([house.applied("12:00:01", changes=(dark,), findings=(mute,))], ())
    epoch, offset, body = await store.feed_snapshot("dispatch")
    state = msgspec.json.decode(body, type=DispatchState)
    assert (epoch, offset) == await store.feed_position("dispatch")
    assert [o.id for o in state.outages] == ["S1-1"]
    assert [f.id for f in state.findings] == ["S1-c1"]
    west = msgspec.json.decode((await store.feed_snapshot("dispatch:West"))[2], type=DispatchState)
    assert west == DispatchState((), ())
    _, offset, body = await store.feed_snapshot("customer:C-M1")
    assert offset == 1
    assert status(body) == await store.customer_status("C-M1")
    assert (await store.feed_snapshot("customer:nobody"))[1:] == (0, b"null")


async def test_many_channels_are_read_in_one_go(store, house, change, step) -> None:
    await house.move_in(store)
    dark = step("12:00:00", None, "C-M1", "C-M2")
    for version in (1, 2, 3):
        changes = (change("12:00:01", "S1-1", version, "predicted", dark),)
        await store.commit([house.applied("12:00:01", changes=changes)], ())
    found = await store.feed_read_many(
        {"customer:C-M1": 0, "customer:C-M2": 2, "customer:C-M3": 0, "dispatch": 3}, limit=2
    )
    assert {channel: [r.offset for r in rows] for channel, rows in found.items()} == {
        "customer:C-M1": [1, 2],
        "customer:C-M2": [3],
    }
    assert await store.feed_read_many({}, limit=2) == {}


async def test_what_was_trimmed_is_gone_and_offsets_go_on(store, house, change, step, at) -> None:
    await house.move_in(store)
    dark = step("12:00:00", None, "C-M1")
    for version, clock in enumerate(("12:00:01", "12:10:00"), 1):
        changes = (change(clock, "S1-1", version, "predicted", dark),)
        await store.commit([house.applied(clock, changes=changes)], ())
    assert await store.feed_trim(at("12:05:00")) == 3
    assert [r.offset for r in await store.feed_read("dispatch", 0, 10)] == [2]
    await store.feed_trim(at("12:15:00"))
    last = change("12:20:00", "S1-1", 3, "predicted", dark)
    await store.commit([house.applied("12:20:00", changes=(last,))], ())
    for channel in ("dispatch", "customer:C-M1"):
        assert [r.offset for r in await store.feed_read(channel, 0, 10)] == [3]


async def test_commits_of_several_groups_at_once_leave_no_gap(
    store, house, change, step, ask
) -> None:
    await house.move_in(store)

    def told(group: int, version: int) -> Applied:
        dark = step("12:00:00", None, f"C-M{group * 4 + 1}")
        said = change("12:00:01", f"S{group}-1", version, "predicted", dark)
        heard = house.reading(f"M{group * 4 + 1}", Kind.LAST_GASP, "12:00:00")
        return house.applied("12:00:01", heard, group=group, changes=(said,))

    batches = [[told(group, version) for version in range(1, 21)] for group in (0, 1)]

    async def drive(batch: list[Applied]) -> None:
        for applied in batch:
            await store.commit([applied], ())

    await asyncio.gather(*map(drive, batches))
    assert ask("SELECT count(*) FROM readings") == [(40,)]
    rows = await store.feed_read("dispatch", 0, 100)
    assert [r.offset for r in rows] == list(range(1, 41))
    for batch, name in zip(batches, ("S0-1", "S1-1"), strict=True):
        outages = [msgspec.json.decode(r.body, type=PublicChange).outage for r in rows]
        assert [o.version for o in outages if o.id == name] == list(range(1, len(batch) + 1))


async def test_who_listens_is_woken_by_a_commit_with_news(store, house, change, step) -> None:
    await house.move_in(store)
    dark = step("12:00:00", None, "C-M1", "C-M2")
    async with contextlib.aclosing(store.feed_news()) as news, asyncio.timeout(10):
        assert await anext(news) is None  # from here on it listens
        await store.commit([house.applied("12:00:00")], ())  # nothing to tell
        changes = (change("12:00:01", "S1-1", 1, "predicted", dark),)
        await store.commit([house.applied("12:00:01", changes=changes)], ())
        assert await anext(news) == {"dispatch", "dispatch:East", "customer:C-M1", "customer:C-M2"}
