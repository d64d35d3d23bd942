"""The specification of the one transaction, on every database."""

import asyncio

import pytest

from grid.errors import ConfigError, Refused
from grid.frame import CaughtUp, Deaf, PlanCancelled, PlanEntered
from grid.outage import Outcome
from grid.parcel import Applied
from grid.reading import Kind, Quality

pytestmark = pytest.mark.services


async def test_what_a_device_said_is_there_and_what_it_did_not_say_is_null(
    store, house, at, ask
) -> None:
    await house.move_in(store)
    volts = house.reading(
        "M1", Kind.VOLTAGE, "12:00:00", volts=(220.5, 221, 219), dcu=0, boot=77, seq=12
    )
    bare = house.reading("M2", Kind.LAST_GASP, "12:00:00.123", quality=Quality.CLOCK)
    breaker = house.reading(
        "B1", Kind.TRIP, "12:00:01", on=0, commanded=0, phases=7, amps=(0.5, 0, 0)
    )
    back = house.reading("M3", Kind.POWER_UP, "12:00:02", off_at_ms=at("11:00:00"))
    await store.commit([house.applied("12:00:02", volts, bare, breaker, back)], ())
    assert ask(
        "SELECT device_id, kind, volts_a, amps_a, energised, commanded, phases, concentrator, boot,"
        " seq, quality, to_char(off_at, 'HH24:MI') FROM reading_log ORDER BY happened_at, device_id"
    ) == [
        ("M1", "voltage", 220.5, None, None, None, None, "D1", 77, 12, 0, None),
        ("M2", "last_gasp", None, None, None, None, None, None, None, None, 1, None),
        ("B1", "trip", None, 0.5, False, False, 7, None, None, None, 0, None),
        ("M3", "power_up", None, None, None, None, None, None, None, None, 0, "11:00"),
    ]


async def test_events_are_also_kept_apart_from_measurements(store, house, ask) -> None:
    await house.move_in(store)
    rows = [house.reading("M1", kind, f"12:00:{kind:02}") for kind in Kind]
    await store.commit([house.applied("12:01:00", *rows)], ())
    assert ask("SELECT count(*) FROM readings") == [(16,)]
    assert ask("SELECT kind FROM event_log ORDER BY happened_at") == [
        (kind.name.lower(),)
        for kind in Kind
        if kind not in (Kind.HEARTBEAT, Kind.VOLTAGE, Kind.PING_REPLY)
    ]


async def test_a_time_that_no_calendar_has_does_not_spoil_the_batch(store, house, ask) -> None:
    await house.move_in(store)
    rows = [
        house.reading("M1", Kind.POWER_UP, "12:00:00", off_at_ms=absurd)
        for absurd in (2**62, -(2**62), 1)
    ]
    await store.commit([house.applied("12:00:00", *rows)], ())
    found = ask("SELECT extract(year FROM off_at)::int FROM readings ORDER BY off_at")
    assert found == [(1,), (1970,), (9999,)]


async def test_a_batch_that_comes_again_changes_nothing(
    store, house, change, step, finding, quarantined, ask
) -> None:
    await house.move_in(store)
    batch = [
        house.applied(
            "12:00:01",
            house.reading("M1", Kind.LAST_GASP, "12:00:00"),
            changes=(change("12:00:01", "S1-1", 1, "predicted", step("12:00:00", None, "C-M1")),),
            findings=(finding("12:00:01", "S1-c1", "comms_loss", "D1"),),
            snapshot=b"engine",
        )
    ]
    counts = (
        "SELECT (SELECT count(*) FROM readings), (SELECT count(*) FROM device_events),"
        " (SELECT count(*) FROM changes), (SELECT count(*) FROM feed_log),"
        " (SELECT count(*) FROM quarantine), (SELECT count(*) FROM recorded_frames),"
        " (SELECT sum(readings)::int FROM sources), (SELECT count(*) FROM snapshots)"
    )
    await store.commit(batch, [quarantined("12:00:00", b"{")])
    once = ask(counts)
    await store.commit(batch, [quarantined("12:00:00", b"{")])
    assert once == [(1, 1, 1, 5, 1, 1, 1, 1)]
    assert ask(counts) == once


async def test_what_is_larger_than_a_socket_holds_is_committed(store, house, ask) -> None:
    await house.move_in(store)
    snapshot = bytes(32 << 20)
    async with asyncio.timeout(20):
        await store.commit([house.applied("12:00:01", snapshot=snapshot)], ())
    assert ask("SELECT octet_length(body) FROM snapshots") == [(len(snapshot),)]


async def test_a_reading_that_was_heard_before_is_recorded_but_not_stored_again(
    store, house, ask
) -> None:
    await house.move_in(store)
    rows = [house.reading(meter, Kind.LAST_GASP, "12:00:00") for meter in ("M1", "M2", "M1")]
    told = house.applied("12:00:01", *rows)
    repeated = Applied(told.frame, Outcome(repeat_rows=(2,)))
    await store.commit([repeated], ())
    await store.commit(
        [Applied(house.applied("12:00:02", rows[0]).frame, Outcome(repeat_rows=(0,)))], ()
    )
    for view in ("reading_log", "event_log"):
        assert ask(f"SELECT device_id FROM {view} ORDER BY 1") == [("M1",), ("M2",)]
    [frame, again] = [f async for f in store.recorded(house.network.groups[0].slug, 0)]
    assert (len(frame.rows), len(again.rows)) == (3, 1)


async def test_of_a_batch_only_what_is_new_is_added(store, house, ask) -> None:
    await house.move_in(store)
    first = house.applied("12:00:01", house.reading("M1", Kind.HEARTBEAT, "12:00:00"))
    second = house.applied("12:00:02", house.reading("M2", Kind.HEARTBEAT, "12:00:01"))
    await store.commit([first], ())
    await store.commit([first, second], ())
    assert ask("SELECT device_id FROM reading_log ORDER BY happened_at") == [("M1",), ("M2",)]


async def test_a_frame_that_skips_one_is_refused_whole(store, house, ask) -> None:
    await house.move_in(store)
    house.applied("12:00:01")
    late = house.applied("12:00:02", house.reading("M1", Kind.HEARTBEAT, "12:00:00"))
    with pytest.raises(Refused, match="is at frame 0 in the database and was offered 2"):
        await store.commit([late], ())
    assert ask("SELECT count(*) FROM readings") == [(0,)]


async def test_another_service_on_the_same_database_is_found_out(store, house, ask) -> None:
    await house.move_in(store)
    ours = house.applied("12:00:01", house.reading("M1", Kind.HEARTBEAT, "12:00:00"))
    await store.commit([ours], ())
    house.positions.clear()
    theirs = house.applied("12:00:01", house.reading("M2", Kind.HEARTBEAT, "12:00:00"))
    with pytest.raises(Refused, match="two services must not run on one database"):
        await store.commit([theirs], ())
    assert ask("SELECT device_id FROM reading_log") == [("M1",)]


async def test_groups_are_recorded_side_by_side(store, house) -> None:
    await house.move_in(store)
    slugs = [group.slug for group in house.network.groups]
    batch = [
        house.applied("12:00:01", house.reading("M1", Kind.HEARTBEAT, "12:00:00")),
        house.applied("12:00:01", house.reading("M5", Kind.HEARTBEAT, "12:00:00"), group=1),
        house.applied("12:00:02", group=1, snapshot=b"S2 at 2"),
    ]
    await store.commit(batch, ())
    found = [await store.progress(slug) for slug in slugs]
    assert [(p.position, p.snapshot, p.snapshot_position) for p in found] == [
        (1, None, 0),
        (2, b"S2 at 2", 2),
    ]


async def test_the_recorded_stream_comes_back_as_it_was(store, house, at) -> None:
    await house.move_in(store)
    slug = house.network.groups[0].slug
    batch = [
        house.applied("12:00:01", house.reading("M1", Kind.HEARTBEAT, "12:00:00")),
        house.applied("12:00:02", commands=(Deaf(at("12:00:02"), "mqtt", 0, at("12:00:02")),)),
        house.applied("12:00:03"),
    ]
    await store.commit(batch, ())
    frames = [frame async for frame in store.recorded(slug, 0)]
    assert [f.position for f in frames] == [1, 2, 3]
    assert frames[0].rows.tobytes() == batch[0].frame.rows.tobytes()
    assert frames[1].commands == batch[1].frame.commands
    assert [f.position async for f in store.recorded(slug, 1)] == [2, 3]
    assert [f.position async for f in store.recorded(slug, 0, at("12:00:02"))] == [1, 2]


async def test_a_stretch_is_replayed_from_the_snapshot_before_it(store, house, at) -> None:
    await house.move_in(store)
    slug = house.network.groups[0].slug
    batch = [
        house.applied(f"12:0{minute}:00", snapshot=b"at 2" if minute == 2 else None)
        for minute in range(6)
    ]
    await store.commit(batch, ())
    before, frames = await store.recorded_between(slug, at("12:03:00"), at("12:04:00"))
    assert before is not None
    assert (before.position, before.body) == (3, b"at 2")
    assert [f.position async for f in frames] == [4, 5]


async def test_long_recordings_are_read_in_pieces(store, house) -> None:
    await house.move_in(store)
    await store.commit([house.applied("12:00:00") for _ in range(450)], ())
    slug = house.network.groups[0].slug
    assert [f.position async for f in store.recorded(slug, 0)] == list(range(1, 451))


async def test_a_gap_in_the_recording_is_refused_and_not_skipped(store, house, ask) -> None:
    await house.move_in(store)
    slug = house.network.groups[0].slug
    await store.commit([house.applied("12:00:00") for _ in range(3)], ())
    ask("DELETE FROM recorded_frames WHERE position = 1 RETURNING 1")
    with pytest.raises(Refused, match="begins at frame 2"):
        await anext(store.recorded(slug, 0))


async def test_a_network_that_was_never_saved_is_refused(store, house) -> None:
    with pytest.raises(ConfigError, match="import it first"):
        await store.commit([house.applied("12:00:00")], ())


async def test_sources_tell_when_they_were_heard_and_whether_a_backlog_is_awaited(
    store, house, at
) -> None:
    await house.move_in(store)
    rows = [
        house.reading("M1", Kind.HEARTBEAT, "12:00:01", dcu=0),
        house.reading("M3", Kind.HEARTBEAT, "12:00:02"),
        house.reading("T1", Kind.HEARTBEAT, "12:00:03"),
        house.reading("B1", Kind.NO_ANSWER, "12:00:04"),  # our own word about it
    ]
    deaf = Deaf(at("12:00:00"), "mqtt", at("11:00:00"), at("12:00:00"))
    await store.commit([house.applied("12:00:05", *rows, commands=(deaf,))], ())
    ages = {age.source: age for age in await store.source_ages()}
    assert {name: age.heard_ms for name, age in ages.items()} == {
        "concentrator": at("12:00:01"),
        "meter": at("12:00:02"),
        "terminal": at("12:00:03"),
        "mqtt": None,
    }
    assert ages["mqtt"].deaf_since_ms == at("11:00:00")
    more = house.applied("12:00:07", house.reading("M3", Kind.HEARTBEAT, "12:00:06"))
    await store.commit([more], ())
    assert [a.deaf_since_ms for a in await store.source_ages() if a.source == "mqtt"] == [
        at("11:00:00")
    ]
    caught_up = house.applied("12:00:09", commands=(CaughtUp(at("12:00:08"), "mqtt"),))
    await store.commit([caught_up], ())
    ages = {age.source: age for age in await store.source_ages()}
    assert ages["mqtt"].deaf_since_ms is None
    assert (ages["meter"].heard_ms, ages["meter"].readings) == (at("12:00:06"), 3)
    assert ages["concentrator"].readings == 1, "what it relayed is its meters' word, and its own"


async def test_plans_in_the_stream_are_plans_in_the_pool(store, house, at) -> None:
    await house.move_in(store)
    plan = PlanEntered(
        at("12:00:00"), "P1", "T1", at("13:00:00"), at("14:00:00"), "planned", "new\0 cable"
    )
    await store.commit([house.applied("12:00:00", commands=(plan,))], ())
    [kept] = await store.plans(open_at_ms=at("12:30:00"))
    assert (kept.id, kept.reason, kept.cancelled_at) == ("P1", "new\ufffd cable", None)
    gone = PlanCancelled(at("12:10:00"), "P1")
    await store.commit([house.applied("12:10:00", commands=(gone,))], ())
    assert await store.plans(open_at_ms=at("12:30:00")) == ()
    assert [p.cancelled_at for p in await store.plans()] == ["2026-11-21T12:10:00.000Z"]


async def test_text_with_characters_that_no_database_keeps_is_kept_but_for_them(
    store, house, change, step, ask
) -> None:
    await house.move_in(store)
    odd = change(
        "12:00:01", "S1-1", 1, "predicted", step("12:00:00", None, "C-M1"),
        reason='zero \0, backslash-u0000 \\u0000, quote "',
    )  # fmt: skip
    await store.commit([house.applied("12:00:01", changes=(odd,))], ())
    assert ask("SELECT reason FROM changes") == [('zero \ufffd, backslash-u0000 \\u0000, quote "',)]


async def test_a_snapshot_belongs_to_its_frame_and_the_newest_counts(store, house) -> None:
    await house.move_in(store)
    slug = house.network.groups[0].slug
    await store.commit([house.applied("12:00:01", snapshot=b"one")], ())
    await store.commit(
        [house.applied("12:00:02"), house.applied("12:00:03", snapshot=b"three")], ()
    )
    await store.commit([house.applied("12:00:04")], ())
    found = await store.progress(slug)
    assert (found.position, found.snapshot, found.snapshot_position) == (4, b"three", 3)
    assert (await store.progress("nobody")).position == 0
