"""Where and when a story is set: what all its tellers need to know."""

from dataclasses import dataclass

from grid.network import Network
from simulators.chance import Chance
from simulators.scenario import Field


@dataclass(frozen=True, slots=True)
class Scene:
    """A network, a field, the dice, and the time of the story in epoch milliseconds."""

    network: Network
    field: Field
    chance: Chance
    start_ms: int
    end_ms: int
