"""Whether an event costs the same in a city of 10,000 meters and in one of five million.

Each size has all its groups in memory, and each of them has heard all its meters.  The events that
are timed are frames of a storm for a sample of groups, evenly spread over all of them, in turns:
so what a group needs is as cold in the caches as it is where all groups have their turn.  Up to
``SAMPLE`` groups take part; a city of one group has all events to itself.  The groups have one
topology in common; what an engine knows is its own.
"""

import gc
import time
from collections.abc import Sequence

import numpy as np

from detectors.engine import Engine
from detectors.settings import EngineSettings
from grid.frame import Frame
from grid.network import Group

GROUPS = (1, 10, 100, 500)
SAMPLE = 25
ROUNDS = 3  # the sample is measured so often with new frames; the median counts
FRAMES = 20  # of a group a round: two verdicts


def _round(engines: Sequence[Engine], frames: Sequence[Frame]) -> float:
    """Seconds a reading."""
    began = time.thread_time()
    for frame in frames:
        for engine in engines:
            engine.apply(frame)
    seconds = time.thread_time() - began
    return seconds / (len(engines) * sum(len(frame.rows) for frame in frames))


def slope(group: Group, storm: Sequence[Frame], meters: int) -> dict[str, object]:
    """Exponent of the cost of an event over the number of meters, and the cost at each size."""
    costs: dict[int, float] = {}
    engines: list[Engine] = []
    for count in GROUPS:
        while len(engines) < count:
            engines.append(Engine(group, EngineSettings(pings_per_minute=0.0)))
            engines[-1].apply(storm[0])
        # those that a smaller city used have moved on: their places are taken by new ones
        chosen = np.unique(np.linspace(0, count - 1, min(SAMPLE, count)).astype(int)).tolist()
        for place in chosen:
            engines[place] = Engine(group, EngineSettings(pings_per_minute=0.0))
            engines[place].apply(storm[0])
        gc.collect()
        sample = [engines[place] for place in chosen]
        rounds = [
            _round(sample, storm[1 + k * FRAMES : 1 + (k + 1) * FRAMES]) for k in range(ROUNDS)
        ]
        costs[count * meters] = float(np.median(rounds))
    line = np.polyfit(np.log(list(costs)), np.log(list(costs.values())), 1)
    return {
        "slope": round(float(line[0]), 4),
        "us_a_reading": {str(size): round(cost * 1e6, 3) for size, cost in costs.items()},
    }
