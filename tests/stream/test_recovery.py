"""The specification of recovery: an engine that crashed is as if it had not."""

import msgspec
import pytest

from detectors.engine import Engine
from detectors.settings import EngineSettings
from detectors.snapshot import take
from grid.drawing import draw
from grid.frame import Frame, from_bytes, to_bytes
from ingest.packing import Packer
from stream.recovery import recover

OTHER = draw("""
source S1
  breaker B1 telemetered
    transformer T1
      meter M1..M6
    transformer T9
      meter M7..M12
""")
DAY = """
11:57:00 M1..M12 heartbeat
11:58:00 M1..M12 heartbeat
11:59:00 M1..M12 heartbeat
12:00:00 M1..M12 heartbeat
12:00:20 M7..M11 last_gasp
12:00:40 M1..M6 heartbeat
12:02:00 M7..M12 power_up
12:02:30 M1..M12 heartbeat
"""
SETTINGS = EngineSettings(heartbeat_s=60.0)


@pytest.fixture
def frames(network, reading_lines):
    """A day as it is recorded: a frame a line."""
    packer, made = Packer(network), []
    for position, (received, readings) in enumerate(reading_lines(DAY), 1):
        rows = packer.pack(readings, received)[0].copy()
        rows["stream_ms"] = received
        frame = Frame(0, position, network.version, received + 500, rows)
        made.append(from_bytes(to_bytes(frame)))
    return made


@pytest.fixture
def crash(network, frames):
    """The engine after so many frames, recovered; ``keep`` how many of them the snapshot knows."""

    async def recovered(after: int, snapshot: bytes | None, version: str = network.version):
        asked = []

        async def recorded(position: int):
            asked.append(position)
            for frame in frames[position:after]:
                yield frame

        async def group_of(wanted: str):
            return {network.version: network.groups[0], OTHER.version: OTHER.groups[0]}[wanted]

        group = await group_of(version)
        engine = await recover(
            group, version, SETTINGS, snapshot=snapshot, recorded=recorded, group_of=group_of
        )
        return engine, asked

    return recovered


def said(engine: Engine, frames: list[Frame]) -> bytes:
    return msgspec.msgpack.encode([engine.apply(frame) for frame in frames])


def unharmed(network, frames: list[Frame]) -> tuple[Engine, bytes]:
    """An engine that took frames in without a crash, and its snapshot after them."""
    engine = Engine(network.groups[0], SETTINGS)
    for frame in frames:
        engine.apply(frame)
    return engine, take(engine)


@pytest.mark.parametrize("after", [0, 3, 5, 7])
async def test_from_the_recorded_stream_alone(network, frames, crash, after: int) -> None:
    engine, asked = await crash(after, None)
    assert asked == [0]
    whole, _ = unharmed(network, frames[:after])
    assert said(engine, frames[after:]) == said(whole, frames[after:])


@pytest.mark.parametrize(("known", "after"), [(1, 1), (3, 5), (5, 7)])
async def test_from_a_snapshot_and_what_was_recorded_after_it(
    network, frames, crash, known: int, after: int
) -> None:
    _, snapshot = unharmed(network, frames[:known])
    engine, asked = await crash(after, snapshot)
    assert asked == [known]
    whole, _ = unharmed(network, frames[:after])
    assert said(engine, frames[after:]) == said(whole, frames[after:])


async def test_a_snapshot_that_cannot_be_read_is_not_used(network, frames, crash) -> None:
    engine, asked = await crash(5, b"nonsense")
    assert asked == [0]
    whole, _ = unharmed(network, frames[:5])
    assert said(engine, frames[5:]) == said(whole, frames[5:])


async def test_the_engine_ends_on_the_network_that_is_to_run(network, frames, crash) -> None:
    engine, _ = await crash(6, None, OTHER.version)
    assert "T9" in engine.group.ids
    assert engine.position == 6


async def test_nothing_recorded_is_a_new_engine(network, crash) -> None:
    engine, _ = await crash(0, None, OTHER.version)
    assert (engine.position, engine.limits) == (0, SETTINGS)
    assert "T9" in engine.group.ids
