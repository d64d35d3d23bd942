"""Worlds for the simulators' tests: a small town and short stories."""

from collections.abc import Callable

import pytest

from grid.drawing import draw
from grid.network import Network
from simulators.scenario import parse
from simulators.world import World

START_MS = 1_793_491_200_000

TOWN = """
source S1
  breaker B1 telemetered
    transformer T1
      fuse F1
        meter M1..M10 dcu=D1
      fuse F2
        meter M11..M20 dcu=D1
    switch W1
      transformer T2
        meter M21..M40 dcu=D2
      transformer T3
        fuse F3
          meter M41..M50 dcu=D3
        meter M51 dcu=D3 customers=0 phases=B
        meter M52 dcu=D3 phases=A
  breaker B2 telemetered
    transformer T4
      meter M61..M80 dcu=D4
    transformer T5
      meter M81..M90
"""

CALM = """
duration_s = 600
[field]
delivery = 1.0
false_gasp = 0.0
silent = 0.0
repeats = 0.0
skew_s = 0.0
holdoff_s = [3, 5]
power_up_s = [1, 3]
latency_s = 0.5
terminal_delivery = 1.0
heartbeat_s = 60
"""


@pytest.fixture(scope="session")
def town() -> Network:
    """Two feeders, five transformers, 82 meters."""
    return draw(TOWN)


@pytest.fixture(scope="session")
def make_world(town: Network) -> Callable[..., World]:
    """A world of the town: ``make_world('[[event]] ...', delivery=0.5)``; calm but for that."""

    def make(events: str = "", start_ms: int = START_MS, seed: int = 5, **knobs: object) -> World:
        text = f"seed = {seed}\n{CALM}"
        for name, value in knobs.items():
            said = str(value).lower() if isinstance(value, bool) else str(value)
            lines = [x for x in text.splitlines() if not x.startswith(f"{name} =")]
            text = "\n".join([*lines, f"{name} = {said}"])
        return World(town, parse(f"{text}\n{events}"), start_ms)

    return make


@pytest.fixture(scope="session")
def drawn_town() -> str:
    """The town as it is drawn, for another process."""
    return TOWN


@pytest.fixture(scope="session")
def make_world_of() -> Callable[[Network, str], World]:
    """A calm world of another network."""
    return lambda network, events: World(network, parse(f"seed = 5\n{CALM}\n{events}"), START_MS)
