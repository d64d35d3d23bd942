"""The specification of the runner: nothing is acknowledged before it is committed."""

import asyncio

import pytest

from detectors.settings import EngineSettings
from grid.frame import NOT_YET, PingSent, PlanCancelled
from grid.parcel import Parcel, Quarantined
from stream.inprocess import InProcess
from stream.settings import StreamSettings

WARM = "11:57:00 M1..M12 heartbeat\n11:58:00 M1..M12 heartbeat\n11:59:00 M1..M12 heartbeat"


async def test_a_delivery_returns_only_after_its_commit(start, parcel, log) -> None:
    runner = start()
    log.go.clear()
    delivery = asyncio.create_task(runner.deliver(parcel("12:00:00 M1 heartbeat")))
    await log.until(lambda: log.offered)
    assert not delivery.done()
    assert log.batches == []
    log.go.set()
    await delivery
    assert log.rows() == ["M1 heartbeat"]


async def test_a_commit_that_cannot_be_reached_is_tried_again_with_the_same_batch(
    start, parcel, log
) -> None:
    runner = start()
    log.away = 3
    await runner.deliver(parcel("12:00:00 M1 heartbeat"))
    assert len(log.offered) == 4
    assert all(batch is log.offered[0] for batch in log.offered)
    assert log.rows() == ["M1 heartbeat"]


async def test_order_is_kept_while_a_commit_is_being_retried(start, parcel, log) -> None:
    runner = start()
    log.go.clear()
    log.away = 2
    first = asyncio.create_task(runner.deliver(parcel("12:00:00 M1 heartbeat")))
    await log.until(lambda: log.offered)
    others = [
        asyncio.create_task(runner.deliver(parcel(f"12:00:00 M{n} heartbeat"))) for n in range(2, 7)
    ]
    log.go.set()
    await asyncio.gather(first, *others)
    assert log.rows() == [f"M{n} heartbeat" for n in range(1, 7)]
    positions = [frame.position for frame in log.frames()]
    assert positions == list(range(1, len(positions) + 1))


async def test_deliveries_that_come_together_share_a_transaction(start, parcel, log) -> None:
    runner = start(linger_ms=5)
    await asyncio.gather(*(runner.deliver(parcel(f"12:00:00 M{n} heartbeat")) for n in range(1, 9)))
    assert len(log.batches) == 1
    assert len(log.rows()) == 8


async def test_rows_go_to_the_engine_of_their_group(start, parcel, log) -> None:
    runner = start()
    await runner.deliver(
        parcel("12:00:00 M1 heartbeat\n12:00:00 M21 heartbeat\n12:00:00 M2 heartbeat")
    )
    assert log.rows(0) == ["M1 heartbeat", "M2 heartbeat"]
    assert log.rows(1) == ["M21 heartbeat"]
    assert len(log.batches) == 1, "both groups in one transaction"


async def test_what_could_not_be_read_is_committed_too(start, log) -> None:
    runner = start()
    bad = Quarantined(1, "mqtt", "a/b", "no JSON", b"{", 1, "00")
    await runner.deliver(Parcel(quarantined=(bad,)))
    assert log.quarantined == [bad]
    assert log.rows() == []


# -- stream time ---------------------------------------------------------------------------------


async def test_a_command_stands_between_what_was_handed_over_before_and_after_it(
    start, parcel, log
) -> None:
    runner = start(linger_ms=5)
    await asyncio.gather(
        runner.deliver(parcel("12:00:00 M1 heartbeat")),
        runner.command(PlanCancelled(NOT_YET, "P1")),
        runner.deliver(parcel("12:00:00 M2 heartbeat")),
    )
    (frame,) = log.frames()
    (command,) = frame.commands
    before, after = frame.rows["stream_ms"].tolist()
    assert before < command.at_ms <= after <= frame.until_ms


async def test_a_command_reaches_all_groups_or_the_one_it_is_for(start, log) -> None:
    runner = start()
    await runner.command(PlanCancelled(NOT_YET, "P1"))
    await runner.command(PingSent(NOT_YET, "M21"), group=1)
    assert log.commands(0) == ["PlanCancelled"]
    assert log.commands(1) == ["PlanCancelled", "PingSent"]


async def test_stream_time_never_falls(start, parcel, log, clock) -> None:
    runner = start()
    for time in ("12:00:10", "12:00:05", "12:00:11"):
        clock.set(time)
        await runner.deliver(parcel("12:00:00 M1 heartbeat"))
        await runner.command(PlanCancelled(NOT_YET, "P1"))
    times = [t for frame in log.frames() for t in (*frame.rows["stream_ms"], frame.until_ms)]
    assert times == sorted(times)


async def test_time_itself_is_recorded_when_there_is_nothing_else(start, log) -> None:
    start(idle_frame_s=0.0)
    await log.until(lambda: len(log.frames()) >= 3)
    assert log.rows() == []


async def test_a_deadline_of_an_engine_makes_it_speak_without_a_reading(
    start, parcel, log, engines, clock
) -> None:
    """The clock stands; the engine asks to be woken within the next second, and is."""
    engines[0].limits = EngineSettings(heartbeat_s=0.02, heartbeat_slack_s=0.01)
    runner = start(idle_frame_s=3600.0)
    await runner.deliver(parcel("12:00:00 M1..M12 heartbeat"))
    frames = len(log.frames())
    clock.now_ms += 1_000
    await log.until(lambda: len(log.frames()) > frames)
    assert log.frames()[-1].rows.size == 0


# -- limits --------------------------------------------------------------------------------------


async def test_gateways_wait_while_too_much_is_waiting(start, parcel, log) -> None:
    runner = start(waiting_rows_max=12, frame_rows_max=6)
    log.go.clear()
    deliveries = [
        asyncio.create_task(runner.deliver(parcel("12:00:00 M1..M6 heartbeat"))) for _ in range(12)
    ]
    await log.until(lambda: log.offered)
    for _ in range(100):
        await asyncio.sleep(0)
        assert runner.waiting_rows <= 12
    assert not any(delivery.done() for delivery in deliveries)
    log.go.set()
    await asyncio.gather(*deliveries)
    assert len(log.rows()) == 72
    assert runner.waiting_rows == 0


async def test_a_parcel_above_the_limit_is_taken_when_nothing_else_waits(
    start, parcel, log
) -> None:
    runner = start(waiting_rows_max=5)
    await runner.deliver(parcel("12:00:00 M1..M12 heartbeat"))
    assert len(log.rows()) == 12


async def test_a_transaction_takes_no_more_rows_than_its_limit(start, parcel, log) -> None:
    runner = start(frame_rows_max=12, linger_ms=5)
    await asyncio.gather(
        *(runner.deliver(parcel("12:00:00 M1..M6 heartbeat")) for _ in range(5)),
        runner.deliver(parcel("12:00:00 M1..M12 heartbeat\n12:00:00 M1..M6 power_up")),
    )
    sizes = [len(a.frame.rows) for batch in log.batches for a in batch if len(a.frame.rows)]
    assert sizes == [12, 12, 6, 18], "one that is above it by itself goes alone"


# -- our own deafness ----------------------------------------------------------------------------


async def test_it_starts_deaf_and_is_ready_once_every_source_has_caught_up(start, log) -> None:
    runner = start(sources=("mqtt", "modbus"))
    await log.until(lambda: log.batches)
    assert log.commands() == ["Deaf", "Deaf"]
    assert not runner.caught_up_with
    await runner.caught_up("mqtt")
    assert not runner.caught_up_with
    await runner.caught_up("modbus")
    assert runner.caught_up_with
    assert log.commands() == ["Deaf", "Deaf", "CaughtUp", "CaughtUp"]


async def test_twenty_minutes_down_raise_no_outage(start, parcel, log, clock, engines) -> None:
    runner = start()
    clock.set("11:59:00")
    await runner.deliver(parcel(WARM))
    clock.set("12:20:00")
    again = start(sources=("mqtt",))
    await log.until(lambda: "Deaf" in log.commands())
    clock.set("12:20:02")
    await again.deliver(parcel("12:20:01 M1..M12 heartbeat"))
    await again.caught_up("mqtt")
    clock.set("12:20:30")
    await again.deliver(parcel("12:20:30 M1..M12 heartbeat"))
    assert log.changes == []


async def test_what_happened_while_it_was_down_is_found_with_the_devices_times(
    start, parcel, log, clock
) -> None:
    runner = start()
    clock.set("11:59:00")
    await runner.deliver(parcel(WARM))
    clock.set("12:20:00")
    again = start(sources=("mqtt",))
    await again.deliver(parcel("12:05:00 M1..M6 last_gasp received=12:20:00"))
    await again.deliver(parcel("12:12:00 M1..M6 power_up received=12:20:00"))
    assert log.changes == [], "nothing is decided until the backlog is in"
    await again.caught_up("mqtt")
    outage = log.changes[-1].outage
    (step,) = outage.steps
    assert (outage.device_id, outage.state) == ("T1", "closed")
    assert (step.off_ms, step.on_ms) == (clock.now_ms - 15 * 60_000, clock.now_ms - 8 * 60_000)


async def test_a_source_that_never_catches_up_is_given_up_after_the_limit(
    start, parcel, log, clock
) -> None:
    runner = start(sources=("mqtt",), catch_up_s_max=60.0)
    await runner.deliver(parcel("12:00:00 M1 heartbeat"))
    clock.set("12:01:00")
    await runner.deliver(parcel("12:01:00 M1 heartbeat"))
    assert not runner.caught_up_with
    clock.set("12:01:01")
    await runner.deliver(parcel("12:01:01 M1 heartbeat"))
    assert runner.caught_up_with
    assert log.commands() == ["Deaf", "CaughtUp"]


async def test_a_connection_that_is_lost_and_back_is_in_the_stream(start, log, clock) -> None:
    runner = start()
    await runner.lost("mqtt")
    clock.set("12:01:00")
    await runner.deaf("mqtt", clock.now_ms - 60_000, clock.now_ms)
    assert not runner.caught_up_with
    await runner.caught_up("mqtt")
    assert log.commands() == ["SourceLost", "Deaf", "CaughtUp"]
    assert runner.caught_up_with


async def test_while_a_backlog_comes_in_no_empty_frames_are_made(start, log, parcel, clock) -> None:
    runner = start(sources=("mqtt",), idle_frame_s=3600.0)
    await runner.deliver(parcel(WARM))
    before = len(log.frames())
    clock.set("12:30:00")
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(log.frames()) == before


# -- snapshots and stopping ----------------------------------------------------------------------


async def test_a_snapshot_is_taken_now_and_then(start, log, parcel, clock) -> None:
    runner = start(snapshot_s=60.0)
    for time in ("12:00:00", "12:00:30", "12:01:00", "12:01:30"):
        clock.set(time)
        await runner.deliver(parcel(f"{time} M1 heartbeat"))
    taken = [a.snapshot is not None for batch in log.batches for a in batch if a.frame.group == 0]
    assert taken == [True, False, True, False]


@pytest.fixture
async def alone(engines, log, clock, network):
    """A runner and its task, which the test stops itself."""
    runner = InProcess(
        engines, network=network.version, commit=log.commit, now_ms=clock,
        sources=(), settings=StreamSettings(frame_rows_max=1),
    )  # fmt: skip
    task = asyncio.create_task(runner.run())
    await log.until(lambda: log.batches)  # time itself begins
    return runner, task


@pytest.mark.parametrize("waiting", [0, 1, 2])
async def test_when_stopped_what_is_under_way_is_committed_and_the_rest_not_acknowledged(
    alone, log, parcel, waiting: int
) -> None:
    runner, task = alone
    log.go.clear()
    first, *rest = [
        asyncio.create_task(runner.deliver(parcel(f"12:00:00 M{n} heartbeat")))
        for n in range(1, waiting + 2)
    ]
    await log.until(lambda: any(len(a.frame.rows) for batch in log.offered for a in batch))
    for _ in range(20):
        await asyncio.sleep(0)  # the next is applied meanwhile, and waits for its turn
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done(), "it waits for its commit"
    log.go.set()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await task
        await first
        for delivery in rest:
            with pytest.raises(asyncio.CancelledError):
                await delivery
    assert log.rows() == ["M1 heartbeat"]


async def test_when_stopped_while_the_database_is_away_it_stops(alone, log, parcel) -> None:
    runner, task = alone
    log.away = 1_000_000
    delivery = asyncio.create_task(runner.deliver(parcel("12:00:00 M1 heartbeat")))
    await log.until(lambda: len(log.offered) > 2)
    task.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(asyncio.CancelledError):
            await delivery
    assert log.rows() == []


async def test_a_commit_that_fails_for_good_ends_the_runner_and_acknowledges_nothing(
    alone, log, parcel
) -> None:
    runner, task = alone

    async def broken(batch, quarantined) -> None:
        raise ValueError("a bug")

    runner._commit = broken
    delivery = asyncio.create_task(runner.deliver(parcel("12:00:00 M1 heartbeat")))
    async with asyncio.timeout(5):
        with pytest.raises(ValueError, match="a bug"):
            await task
        with pytest.raises(asyncio.CancelledError):
            await delivery
    assert log.rows() == []


async def test_who_gives_up_waiting_does_not_stop_the_others(start, parcel, log) -> None:
    runner = start()
    log.go.clear()
    gone = asyncio.create_task(runner.deliver(parcel("12:00:00 M1 heartbeat")))
    await log.until(lambda: log.offered)
    gone.cancel()
    log.go.set()
    await runner.deliver(parcel("12:00:00 M2 heartbeat"))
    assert log.rows() == ["M1 heartbeat", "M2 heartbeat"]
