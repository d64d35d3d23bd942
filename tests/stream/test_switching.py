"""The specification of switching while the service runs: another tree, the same outages."""

import numpy as np
import pytest

from detectors.engine import Engine
from detectors.settings import EngineSettings
from detectors.snapshot import take
from grid.drawing import draw
from grid.frame import NOT_YET, NetworkChanged, PlanEntered, from_bytes, to_bytes
from grid.parcel import Parcel
from ingest.packing import Packer
from stream.recovery import recover

WITHIN = draw("""
source S1
  breaker B1 telemetered
    transformer T1
      meter M1..M6
  breaker B9
    transformer T2
      meter M7..M12
source S2
  breaker B2
    transformer T3
      meter M21..M26
""")
ACROSS = draw("""
source S1
  breaker B1 telemetered
    transformer T1
      meter M1..M6
source S2
  breaker B2
    transformer T2
      meter M7..M12
    transformer T3
      meter M21..M26
""")
TIMES = ("11:57:00", "11:58:00", "11:59:00", "12:00:00")
SPANS = ("M1..M12", "M21..M26")
WARM = "\n".join(f"{time} {span} heartbeat" for time in TIMES for span in SPANS)
DARK = "12:00:10 M7..M12 last_gasp"
LIVE = "{0} M1..M6 heartbeat\n{0} M21..M26 heartbeat"


@pytest.fixture
def engines(network) -> dict[int, Engine]:
    """Engines that ask nobody, for nobody would answer."""
    settings = EngineSettings(heartbeat_s=60.0, pings_per_minute=0.0)
    return {group.no: Engine(group, settings) for group in network.groups}


@pytest.fixture
def told(log):
    """Each outage as it was last told: device, state, who is out."""

    def latest() -> list[str]:
        known = {change.outage.id: change.outage for change in log.changes}
        return [f"{o.id} {o.device_id} {o.state} {o.customers_out}" for o in known.values()]

    return latest


@pytest.fixture
def numbered(reading_lines):
    """What a gateway hands over that has this version of the network."""

    def pack(network, text: str) -> Parcel:
        packer = Packer(network)
        rows = [packer.pack(readings, received)[0] for received, readings in reading_lines(text)]
        return Parcel(np.concatenate(rows), network=packer.version)

    return pack


async def test_an_outage_goes_on_under_its_name_over_the_other_tree(
    start, parcel, numbered, network, clock, told
) -> None:
    runner = start()
    await runner.deliver(parcel(WARM))
    clock.set("12:00:50")
    await runner.deliver(parcel(DARK))
    clock.set("12:01:00")
    await runner.deliver(parcel(LIVE.format("12:00:55")))
    assert told() == ["S1-1 T2 confirmed 6"]
    await runner.replace_network(network, WITHIN)
    clock.set("12:01:55")
    await runner.deliver(numbered(WITHIN, LIVE.format("12:01:50")))
    assert told() == ["S1-1 T2 confirmed 6"]
    clock.set("12:02:00")
    await runner.deliver(numbered(WITHIN, "12:01:57 M7..M12 power_up\n" + LIVE.format("12:01:58")))
    clock.set("12:02:02")
    await runner.deliver(numbered(WITHIN, "12:02:01 M1 heartbeat"))
    assert told() == ["S1-1 T2 restored 0"]


async def test_what_is_on_its_way_by_the_old_numbers_is_not_misplaced(
    start, parcel, numbered, network, clock, log
) -> None:
    runner = start()
    await runner.deliver(numbered(network, WARM))
    await runner.replace_network(network, ACROSS)
    clock.set("12:00:50")
    await runner.deliver(numbered(network, DARK))
    ids = ACROSS.groups[1].ids
    rows = [row for frame in log.frames(1) if frame.network == ACROSS.version for row in frame.rows]
    assert [ids[row["node"]] for row in rows] == [f"M{n}" for n in range(7, 13)]


async def test_readings_of_a_device_that_left_are_let_go(
    start, numbered, network, log, reading_lines
) -> None:
    smaller = draw("source S1\n  breaker B1 telemetered\n    transformer T1\n      meter M1..M6\n"
                   "source S2\n  breaker B2\n    transformer T3\n      meter M21..M26")  # fmt: skip
    runner = start()
    await runner.replace_network(network, smaller)
    await runner.deliver(numbered(network, "12:00:00 M6..M8 heartbeat"))
    assert log.rows() == ["M6 heartbeat"]


async def test_who_goes_over_to_another_substation_is_to_be_verified_and_told_once(
    start, parcel, numbered, network, clock, told, log
) -> None:
    runner = start()
    await runner.deliver(parcel(WARM))
    clock.set("12:00:50")
    await runner.deliver(parcel(DARK))
    clock.set("12:01:00")
    await runner.deliver(parcel(LIVE.format("12:00:55")))
    await runner.replace_network(network, ACROSS)
    assert told() == ["S1-1 T2 closed 0"]
    assert all(step.inferred for step in log.changes[-1].outage.steps)
    clock.set("12:01:30")
    await runner.deliver(numbered(ACROSS, "12:01:20 M7..M12 power_up\n" + LIVE.format("12:01:25")))
    clock.set("12:02:20")
    await runner.deliver(numbered(ACROSS, "12:02:15 M7..M12 heartbeat\n" + LIVE.format("12:02:16")))
    assert told() == ["S1-1 T2 closed 0"]


async def test_what_was_heard_of_them_goes_with_them(
    start, parcel, numbered, network, clock, told
) -> None:
    runner = start()
    await runner.deliver(parcel(WARM))
    await runner.replace_network(network, ACROSS)
    clock.set("12:00:50")
    await runner.deliver(numbered(ACROSS, DARK))
    clock.set("12:00:52")
    await runner.deliver(numbered(ACROSS, LIVE.format("12:00:48")))
    assert told() == ["S2-1 T2 confirmed 6"], "their gasps weigh, for they had been heard before"


async def test_a_flapping_meter_stays_muted_and_its_finding_goes_with_it(
    start, parcel, numbered, network, clock, engines, log
) -> None:
    flaps = [f"12:00:{s} M8 last_gasp\n12:00:{s + 5} M8 power_up" for s in (10, 20, 30, 40)]
    runner = start()
    await runner.deliver(parcel(WARM))
    clock.set("12:00:50")
    await runner.deliver(parcel("\n".join([*flaps, LIVE.format("12:00:48")])))
    clock.set("12:00:55")
    await runner.deliver(parcel(LIVE.format("12:00:54")))
    await runner.replace_network(network, ACROSS)
    clock.set("12:00:58")
    await runner.deliver(numbered(ACROSS, LIVE.format("12:00:57")))
    node = ACROSS.places["M8"].node
    assert list(engines[1].watched.flapping) == [node]
    told = [(f.group, f.kind, f.until_ms is None) for f in log.findings if f.device_id == "M8"]
    assert told == [(0, "flapping", True), (0, "flapping", False), (1, "flapping", True)]


async def test_a_plan_goes_with_its_device(start, parcel, network, clock, engines) -> None:
    runner = start()
    await runner.deliver(parcel(WARM))
    until_ms = clock.now_ms + 3_600_000
    plan = PlanEntered(NOT_YET, "P1", "T2", clock.now_ms, until_ms, "planned", "work")
    await runner.command(plan, 0)
    await runner.replace_network(network, ACROSS)
    assert "P1" in engines[1].plans


async def test_a_replay_of_the_recorded_stream_comes_to_the_same(
    start, parcel, numbered, network, clock, log, engines
) -> None:
    runner = start()
    await runner.deliver(parcel(WARM))
    clock.set("12:00:50")
    await runner.deliver(parcel(DARK))
    await runner.replace_network(network, ACROSS)
    clock.set("12:01:30")
    await runner.deliver(numbered(ACROSS, "12:01:20 M7..M9 power_up\n" + LIVE.format("12:01:25")))
    clock.set("12:02:00")
    await runner.replace_network(ACROSS, WITHIN)
    await runner.deliver(numbered(WITHIN, "12:01:58 M1..M6 heartbeat"))
    versions = {n.version: n for n in (network, ACROSS, WITHIN)}
    for no in (0, 1):
        frames = [from_bytes(to_bytes(frame)) for frame in log.frames(no)]
        assert sum(isinstance(c, NetworkChanged) for f in frames for c in f.commands) == 2

        async def recorded(after: int, frames=frames):
            for frame in frames[after:]:
                yield frame

        async def group_of(version: str, no=no):
            return versions[version].groups[no]

        engine = await recover(
            WITHIN.groups[no],
            WITHIN.version,
            EngineSettings(heartbeat_s=60.0, pings_per_minute=0.0),
            snapshot=None,
            recorded=recorded,
            group_of=group_of,
        )
        assert isinstance(engines[no], Engine)
        assert take(engine) == take(engines[no])
