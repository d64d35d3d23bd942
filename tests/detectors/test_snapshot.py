"""The specification of snapshots: an engine as bytes goes on as if nothing had happened."""

import zlib

import msgspec
import pytest

from detectors import hearing, repeats
from detectors.engine import Engine
from detectors.running import Running
from detectors.settings import EngineSettings
from detectors.snapshot import FORMAT, opened, restore, take
from grid.drawing import draw
from grid.errors import BadPayload

NETWORK = draw("""
source S1
  breaker B1 telemetered
    transformer T1
      meter M1..M6 dcu=D1
    transformer T2
      meter M7..M12
  recloser R1 telemetered
    transformer T3
      meter M13..M18 dcu=D2
""")
EVENTFUL = """
    11:57 11:58 11:59 12:00 M1..M18 heartbeat
    11:58 plan P2 R1 12:00..12:10
    11:58 plan P1 R1 12:00..12:10 kind=arrears
    12:00:05 M7..M9 last_gasp boot=a seq=4
    12:00:06 M1 heartbeat via=D1 boot=q seq=700
    12:00:08 M1 voltage volts=230,0,230
    12:00:10 R1 open
    12:00:20 M10,M11 last_gasp
    12:00:30 B1 no_answer
    12:01:30 M7..M10 power_up
    12:01:31 M7 heartbeat boot=b seq=1
    12:01:32 M2 heartbeat via=D1 boot=r seq=1
    12:02:00 lost mqtt
    12:02:30 R1 close
    12:03:00 deaf mqtt from=12:02:00
    12:02:35 M13..M17 power_up received=12:03:01
    12:03:05 caught_up mqtt
    12:03:30 M1..M10 heartbeat
    12:05:00 settings close_after_s=30
    12:06:00 R1 trip
    12:06:01 M2 heartbeat via=D1 boot=q seq=700
    12:06:02 M7 heartbeat boot=a seq=4
    12:06:30 end
"""


@pytest.fixture
def frames(stream):
    """The frames of an eventful day, one every few seconds."""
    day = stream(NETWORK, EVENTFUL)
    first = int(day.rows["stream_ms"][0])
    return day.frames(range(first, day.until_ms, 7_000))


def encoded(outcomes) -> bytes:
    return msgspec.msgpack.encode(outcomes)


def test_restored_after_any_frame_it_says_the_same_bytes_to_the_rest(frames) -> None:
    engine = Engine(NETWORK.groups[0], EngineSettings())
    taken, said = [], []
    for frame in frames:
        said.append(engine.apply(frame))
        taken.append(take(engine))
    assert sum(len(outcome.changes) for outcome in said) > 8
    for i in range(0, len(frames), 9):
        again = restore(NETWORK.groups[0], opened(taken[i]))
        assert encoded([again.apply(frame) for frame in frames[i + 1 :]]) == encoded(said[i + 1 :])


def test_taking_a_snapshot_of_what_was_restored_gives_the_same_bytes(frames) -> None:
    engine = Engine(NETWORK.groups[0], EngineSettings())
    for frame in frames:
        engine.apply(frame)
        body = take(engine)
        assert take(restore(NETWORK.groups[0], opened(body))) == body


def test_a_snapshot_changes_nothing_about_the_engine(frames) -> None:
    looked_at, left_alone = (Engine(NETWORK.groups[0], EngineSettings()) for _ in range(2))
    for frame in frames:
        said = looked_at.apply(frame)
        take(looked_at)
        assert encoded(said) == encoded(left_alone.apply(frame))


def test_it_knows_its_position_and_the_version_of_its_network(frames) -> None:
    engine = Engine(NETWORK.groups[0], EngineSettings())
    for frame in frames:
        engine.apply(frame)
    body = take(engine)
    assert restore(NETWORK.groups[0], opened(body)).position == len(frames)
    assert opened(body).network == NETWORK.version


def test_everything_that_an_engine_keeps_is_in_it(stream) -> None:
    """Whoever adds a field to the engine's state and forgets the snapshot is told here."""
    day = stream(NETWORK, EVENTFUL)
    engine = Engine(NETWORK.groups[0], EngineSettings())
    for frame in day.frames(
        sorted({*day.rows["stream_ms"].tolist(), *(c.at_ms for c in day.commands)})
    ):
        engine.apply(frame)
        again = restore(NETWORK.groups[0], opened(take(engine)))
        assert state(again) == state(engine)


def state(engine: Engine) -> dict[str, object]:
    """All attributes, recursively; columns as bytes."""
    derived = {"group", "tree", "_nodes"}

    def plain(value: object) -> object:
        if hasattr(value, "tobytes"):
            return value.tobytes()
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [plain(v) for v in value]
        if isinstance(value, int | float | str | bytes | set | None | msgspec.Struct):
            return value
        slots = getattr(type(value), "__slots__", None) or vars(value)
        return {name: plain(getattr(value, name)) for name in slots if name not in derived}

    return plain(engine)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda body: b"", "cannot be read"),
        (lambda body: b"nonsense", "cannot be read"),
        (lambda body: body[:-9], "cannot be read"),
        (lambda body: zlib.compress(b"\xc1"), "cannot be read"),
        (lambda body: zlib.compress(msgspec.msgpack.encode([FORMAT])), "cannot be read"),
        (lambda body: of_format(body, FORMAT + 1), "has format"),
        (lambda body: of_format(body, 1), "has format"),
    ],
    ids=["empty", "nonsense", "cut short", "no MessagePack", "of something else", "of the future",
         "of the past"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_a_reason(frames, spoil, reason: str) -> None:
    engine = Engine(NETWORK.groups[0], EngineSettings())
    engine.apply(frames[0])
    with pytest.raises(BadPayload, match=reason):
        restore(NETWORK.groups[0], opened(spoil(take(engine))))


def of_format(body: bytes, number: int) -> bytes:
    """The same snapshot, calling itself of another format."""
    fields = msgspec.msgpack.decode(zlib.decompress(body))
    return zlib.compress(msgspec.msgpack.encode([number, *fields[1:]]))


def test_that_of_another_network_is_refused(frames) -> None:
    engine = Engine(NETWORK.groups[0], EngineSettings())
    engine.apply(frames[0])
    other = draw("source S1\n  breaker B1\n    meter M1").groups[0]
    with pytest.raises(BadPayload, match="another network"):
        restore(other, opened(take(engine)))


def test_columns_have_one_entry_a_node() -> None:
    engine = Engine(NETWORK.groups[0], EngineSettings())
    nodes = len(NETWORK.groups[0].ids)
    columns = [getattr(engine.hearing, name) for name in hearing.columns()]
    columns += [getattr(engine.memory, name) for name in repeats.columns()]
    assert {len(column) for column in columns} == {nodes}
    assert Running(0, 0, 0, 0, 0).members.tolist() == []
