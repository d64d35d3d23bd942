"""The specification of letting go of what is old, on every database."""

import pytest

from grid.reading import Kind

pytestmark = pytest.mark.services

DAY_MS = 86_400_000


async def test_readings_go_by_whole_days(store, house, at, ask) -> None:
    await house.move_in(store)
    noon = at("12:00:00")
    rows = [
        house.reading("M1", Kind.LAST_GASP, "12:00:00", received_ms=noon + day * DAY_MS)
        for day in range(4)
    ]
    await store.commit([house.applied("12:00:00", *rows)], ())
    gone = await store.let_go(noon + (90 + 2) * DAY_MS)
    assert gone.reading_days == 2
    assert ask("SELECT count(*) FROM readings") == [(2,)]
    assert ask("SELECT count(*) FROM device_events") == [(4,)]
    again = house.applied(
        "12:00:01",
        house.reading("M1", Kind.HEARTBEAT, "12:00:00", received_ms=noon + 5 * DAY_MS),
    )
    await store.commit([again], ())
    assert ask("SELECT count(*) FROM readings") == [(3,)]


async def test_the_recorded_stream_stays_replayable(store, house, at) -> None:
    await house.move_in(store)
    slug = house.network.groups[0].slug
    frames = [
        house.applied(f"12:{minute:02}:00", snapshot=b"%d" % minute if minute in (2, 5) else None)
        for minute in range(8)
    ]
    await store.commit(frames, ())
    kept_s = 90 * DAY_MS
    gone = await store.let_go(at("12:04:30") + kept_s)
    assert (gone.frames, gone.snapshots) == (3, 0)
    before, rest = await store.recorded_between(slug, at("12:04:00"), at("12:06:00"))
    assert before is not None
    assert before.body == b"2"
    assert [f.position async for f in rest] == [4, 5, 6, 7]
    gone = await store.let_go(at("13:00:00") + kept_s)
    assert (gone.frames, gone.snapshots) == (3, 1)
    found = await store.progress(slug)
    assert (found.position, found.snapshot_position) == (8, 6)
    assert [f.position async for f in store.recorded(slug, found.snapshot_position)] == [7, 8]


async def test_frames_without_a_snapshot_to_replace_them_stay(store, house, at, ask) -> None:
    await house.move_in(store)
    await store.commit([house.applied("12:00:00")], ())
    await store.let_go(at("12:00:00") + 1000 * DAY_MS)
    assert ask("SELECT count(*) FROM recorded_frames") == [(1,)]


async def test_of_older_snapshots_one_a_day_stays_and_the_newest(store, house, at, ask) -> None:
    await house.move_in(store)
    frames = [house.applied(clock, snapshot=b"x") for clock in ("08:00:00", "09:00:00", "10:00:00")]
    await store.commit(frames, ())
    gone = await store.let_go(at("00:00:00") + 4 * DAY_MS)
    assert gone.snapshots == 1
    assert ask("SELECT position FROM snapshots ORDER BY position") == [(1,), (3,)]


async def test_after_two_hours_one_snapshot_an_hour_stays(store, house, at, ask) -> None:
    """They come every minute: two days of all of them would be more than the readings."""
    await house.move_in(store)
    clocks = ("08:00:00", "08:20:00", "08:40:00", "09:10:00", "11:00:00", "11:01:00")
    await store.commit([house.applied(clock, snapshot=b"x") for clock in clocks], ())
    gone = await store.let_go(at("12:00:00"))
    assert gone.snapshots == 2
    assert ask("SELECT position FROM snapshots ORDER BY position") == [(1,), (4,), (5,), (6,)]


async def test_what_was_said_quarantined_or_looked_at_long_ago_goes(
    store, house, change, step, quarantined, at, ask
) -> None:
    await house.move_in(store)
    dark = change("12:00:01", "S1-1", 1, "predicted", step("12:00:00", None, "C-M1"))
    frame = house.applied("12:00:01", changes=(dark,))
    await store.commit([frame], [quarantined("12:00:00", b"{")])
    ask(
        "INSERT INTO audit (at, event, detail) VALUES (now() - interval '2 years', 'old', ''),"
        " (now(), 'new', '') RETURNING 1"
    )
    gone = await store.let_go(at("12:00:00") + 1000 * DAY_MS)
    assert (gone.feed_rows, gone.quarantined, gone.audit_lines) == (3, 1, 1)
    assert ask("SELECT event FROM audit") == [("new",)]
    assert (await store.feed_position("dispatch"))[1] == 1
    assert [o.id for o in await store.outages()] == ["S1-1"]
