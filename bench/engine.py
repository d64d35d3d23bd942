"""The engine against the least that numpy can do with the same ids, against an engine that takes
one event at a time, as cities grow, and its memory a meter.

One group of 10,000 meters in a storm that keeps the engine busy: frames of 1,000 readings, 100 ms
apart (each meter speaks once a second); every second a transformer fails and another comes back,
from feeder to feeder;
10 % of the readings are repeats.  Verdicts fall once a second of stream time and are included.
``of_numpy_pass`` is of inference alone (bench/solving.py), ``slope`` of bench/scaling.py.  Times
are of this thread's work, so that a busy machine does not count.
"""

import gc
import random
import time
import tracemalloc

import numpy as np

from bench import scaling, solving
from bench.measure import alternate
from bench.per_event import PerEvent
from detectors.engine import Engine
from detectors.settings import EngineSettings
from grid.build import build
from grid.frame import READING, Frame, Rows
from grid.network import I64, Group, Network, NodeKind
from grid.reading import Kind
from simulators.city import city

METERS = 10_000
ROWS = 1_000
FRAMES = 200
REPEATS = ROWS // 10
STEP_MS = 100
FAIL_EVERY = 10  # frames
DARK_FRAMES = 100
START_MS = 1_800_000_000_000
RUNS = 7
SOLVES = 5


def _network() -> Network:
    network = build(city(METERS, 11)).network
    assert network is not None
    return network


def _group() -> Group:
    groups = _network().groups
    return max(groups, key=lambda group: len(group.ids))


def _rows(said: list[tuple[int, Kind, int]], seq: dict[int, int]) -> Rows:
    rows = np.zeros(len(said), READING)
    rows["dcu"] = -1
    rows["on"] = rows["commanded"] = -1
    rows["boot"] = 1
    rows["volts"] = rows["amps"] = rows["power_kw"] = np.nan
    for i, (node, kind, at) in enumerate(said):
        seq[node] = seq.get(node, 0) + 1
        rows[i]["node"], rows[i]["kind"], rows[i]["seq"] = node, kind, seq[node]
        rows[i]["happened_ms"], rows[i]["received_ms"] = at, at + 900
    return rows


def _failing(group: Group, rng: random.Random) -> list[int]:
    """Transformers in the order in which they fail: from feeder to feeder, for two of one feeder
    that fail within a second of each other may as well be one fault above them.
    """
    transformers = np.flatnonzero(group.kind == NodeKind.TRANSFORMER).tolist()
    rng.shuffle(transformers)
    turns: dict[int, int] = {}
    order = []
    for node in transformers:
        feeder = int(group.feeder[node])
        turns[feeder] = turns.get(feeder, 0) + 1
        order.append((turns[feeder], feeder, node))
    return [node for _, _, node in sorted(order)]


def frames(group: Group, count: int) -> list[Frame]:
    """A storm as frames of mixed readings; the first frame hears every meter once."""
    rng = random.Random(5)
    meters = np.flatnonzero(np.diff(group.customer_from) > 0).tolist()
    transformers = _failing(group, rng)
    seq: dict[int, int] = {}
    first = _rows([(m, Kind.HEARTBEAT, START_MS) for m in meters], seq)
    first["stream_ms"] = START_MS + 1000
    made = [Frame(group.no, 1, "", START_MS + 1000, first)]
    dark: dict[int, list[int]] = {}
    for number in range(count):
        at = START_MS + 60_000 + number * STEP_MS
        below: list[int] = []
        if number % FAIL_EVERY == 0:
            failing = transformers[number // FAIL_EVERY]
            below = [m for m in meters if failing <= m < failing + int(group.size[failing])]
        back = dark.pop(number - DARK_FRAMES, [])
        dark[number] = below
        off = {m for out in dark.values() for m in out}
        said = [(m, Kind.LAST_GASP, at + rng.randrange(500)) for m in below]
        said += [(m, Kind.POWER_UP, at + rng.randrange(500)) for m in back]
        alive = [m for m in rng.sample(meters, ROWS) if m not in off]
        said += [(m, Kind.HEARTBEAT, at + rng.randrange(500)) for m in alive]
        rows = _rows(said[: ROWS - REPEATS], seq)
        rows = np.concatenate([rows, rows[rng.sample(range(len(rows)), REPEATS)]])
        rows["stream_ms"] = at + 1000
        made.append(Frame(group.no, number + 2, "", at + 1000, rows))
    return made


def _bytes_per_meter(group: Group, first: Frame) -> float:
    """What an engine adds to the network it is given, once every meter was heard."""
    Engine(group, EngineSettings(pings_per_minute=0.0)).apply(first)  # whatever is imported late
    gc.collect()
    tracemalloc.start()
    engine = Engine(group, EngineSettings(pings_per_minute=0.0))
    engine.apply(first)
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    columns = (group.parent, group.size, group.depth, group.feeder, group.dcu, group.kind)
    held += sum(column.nbytes for column in columns) + group.customer_from.nbytes
    return held / METERS


def _ours(group: Group, storm: list[Frame], opened: list[str]) -> float:
    """Readings a second through ``apply``; notes the devices of the outages."""
    engine = Engine(group, EngineSettings(pings_per_minute=0.0))
    engine.apply(storm[0])
    opened.clear()
    began = time.thread_time()
    outcomes = [engine.apply(frame) for frame in storm[1:]]
    seconds = time.thread_time() - began
    said = [change.outage for outcome in outcomes for change in outcome.changes]
    opened += [outage.device_id for outage in said if outage.version == 1]
    return _readings(storm) / seconds


def _per_event(group: Group, storm: list[Frame], opened: list[str]) -> float:
    """The same of the peer.  Its events are Python's own already."""
    events = [(frame.rows.tolist(), frame.until_ms) for frame in storm]
    peer = PerEvent(group, EngineSettings(pings_per_minute=0.0))
    peer.apply(*events[0])
    began = time.thread_time()
    for said, until_ms in events[1:]:
        peer.apply(said, until_ms)
    seconds = time.thread_time() - began
    opened[:] = [group.ids[node] for node in peer.opened]
    return _readings(storm) / seconds


def _readings(storm: list[Frame]) -> int:
    return sum(len(frame.rows) for frame in storm[1:])


def _bincount(ids: list[I64]) -> float:
    began = time.thread_time()
    for _ in range(20):
        for part in ids:
            np.bincount(part)
    return 20 * sum(map(len, ids)) / (time.thread_time() - began)


def run() -> dict[str, object]:
    """Readings a second against others', and what a reading and a meter cost."""
    group = _group()
    storm = frames(group, FRAMES)
    ids = [frame.rows["node"].astype(np.int64) for frame in storm[1:]]
    mine: list[str] = []
    theirs: list[str] = []
    result = alternate(
        lambda: _ours(group, storm, mine),
        {
            "of_bincount": lambda: _bincount(ids),
            "of_per_event": lambda: _per_event(group, storm, theirs),
        },
        runs=RUNS,
    )
    assert len(mine) >= FRAMES // FAIL_EVERY - 1, mine
    assert mine == theirs, (mine, theirs)  # fast and wrong is no comparison
    solve, bare, nodes = solving.rates(group)
    solved = alternate(solve, {"of_numpy_pass": bare}, runs=SOLVES)
    return {
        "runs": result["runs"],
        "ratios": {**_part(result, "ratios"), **_part(solved, "ratios")},
        "raw": {**_part(result, "raw"), **_part(solved, "raw")},
        **scaling.slope(group, storm, METERS),
        "bytes_per_meter": round(_bytes_per_meter(group, storm[0]), 1),
        "meters": METERS,
        "nodes": len(group.ids),
        "rows_a_frame": ROWS,
        "outages_opened": len(mine),
        "nodes_solved": nodes,
    }


def _part(result: dict[str, object], name: str) -> dict[str, object]:
    part = result[name]
    assert isinstance(part, dict)
    return part
