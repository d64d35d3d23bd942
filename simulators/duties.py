"""What the people of a story have to do, with devices and moments: work orders and wishes.  Pure.

Times are epoch milliseconds.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from grid.errors import ConfigError
from grid.network import Network, Place
from simulators.chance import Chance
from simulators.people import Household, Work, WorkStep
from simulators.scenario import Event
from simulators.speakers import Speaker
from simulators.story import Story


@dataclass(frozen=True, slots=True)
class Due:
    """A step of the work, and from when on it may be said."""

    at_ms: int
    step: WorkStep


@dataclass(frozen=True, slots=True)
class Order:
    """The work order of an event: on which device, by whom, and what is said of it in order."""

    of: str
    device_id: str
    crew: str
    steps: tuple[Due, ...]


@dataclass(frozen=True, slots=True)
class Home:
    """A customer who wishes to be told everything."""

    customer_id: str
    language: str
    of: str


def orders(
    works: Sequence[Work], events: Sequence[Event], story: Story, network: Network, start_ms: int
) -> Iterator[Order]:
    """The work orders of a story.

    Raises:
        ConfigError: An event has no device that could be repaired.
    """
    places, begins = _places(story), {event.name: event.at_s for event in events}
    for work in works:
        if work.of not in places:
            raise ConfigError(f"work order: there is nothing to repair in {work.of}")
        begin_s = begins[work.of.partition("/")[0]]
        steps = tuple(
            Due(start_ms + round(1000 * (begin_s + step.after_s)), step) for step in work.steps
        )
        yield Order(work.of, _id(network, places[work.of]), work.crew, steps)


def households(
    some: Sequence[Household], story: Story, network: Network, meters: Mapping[str, Speaker],
    chance: Chance, languages: Mapping[str, str],
) -> Iterator[Home]:  # fmt: skip
    """A customer for each household: their meter speaks, and no two are the same.

    Where ``languages`` knows of somebody who reads theirs it is one of those.

    Raises:
        ConfigError: There are not so many behind the device.
    """
    places = _places(story)
    taken: set[str] = set()
    for number, home in enumerate(some):
        pool = [c for c in _customers(network, places[home.of], meters) if c not in taken]
        if not pool:
            raise ConfigError(f"household {number}: too few customers live behind {home.of}")
        readers = [c for c in pool if languages.get(c) == home.language]
        chosen = chance.choose(readers or pool, "household", number)
        taken.add(chosen)
        yield Home(chosen, home.language, home.of)


def _customers(network: Network, place: Place, meters: Mapping[str, Speaker]) -> list[str]:
    group, below = network.groups[place.group], network.groups[place.group].below(place.node)
    found: list[str] = []
    for node in range(below.start, below.stop):
        speaker = meters.get(group.ids[node])
        if speaker is not None and not speaker.solar:
            found += group.customer_ids[group.customer_from[node] : group.customer_from[node + 1]]
    return found


def _places(story: Story) -> dict[str, Place]:
    places = {one.id: one.place for one in story.happenings}
    return places | {one.id: one.place for one in story.false_alarms}


def _id(network: Network, place: Place) -> str:
    return network.groups[place.group].ids[place.node]
