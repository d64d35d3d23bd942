"""An invented city's network: for demonstrations, tests and benchmarks, the same for the same seed.

About 10,000 meters a substation, 1,000 a feeder, 50 a transformer, a customer a meter.  A feeder
has a telemetered breaker at its head, switches and a recloser along its trunk, fused laterals and
open ties to its neighbours; a transformer has fused low-voltage feeders and a concentrator,
which a few share with the next one.  It lies in the open sea.  Its names are invented and its phone
numbers cannot exist: no number in China begins with 100.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

from grid.errors import ConfigError
from grid.graph import Branch, Customer, Graph, Node

METERS_MIN = 50
METERS_MAX = 1_000_000
METERS_PER_SUBSTATION = 10_000
METERS_PER_FEEDER = 1_000
METERS_PER_TRANSFORMER = 50
METERS_PER_LV_FEEDER = 12

CENTRE = (111.5, 18.5)  # degrees east and north: water
DEGREES_PER_M = 9e-6
SECTORS = ("east", "north", "old-town", "harbour", "south")
DISTRICTS = ("centre", *SECTORS)
CENTRE_RADIUS_M = 1_200.0
SUBSTATION_SPACING_M = 6_000.0
STOP_M = 240.0  # between two stops of a trunk

SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰飞"
FIRST = ("Alice", "Ben", "Clara", "David", "Emma", "Frank", "Grace", "Henry", "Iris", "Jack")
STREETS = (
    "幸福路", "和平里", "青年路", "柳荫街", "迎春巷", "胜利路", "文昌里", "海棠街", "望江路",
)  # fmt: skip
LANES = (
    "Willow Lane", "Harbour Road", "Mill Street", "Chapel Row", "Orchard Way", "Station Road",
    "Bridge Street", "Park View", "King Street", "Meadow Lane",
)  # fmt: skip
HOUSES = 120  # in a street
LAST = ("Archer", "Bell", "Carter", "Dale", "Ellis", "Ford", "Green", "Hill", "Irwin", "Jones")


@dataclass(frozen=True, slots=True)
class _Spot:
    """A place in metres from the city's centre, and the way onward in radians."""

    x: float
    y: float
    heading: float

    def on(self, metres: float, turn: float = 0.0) -> "_Spot":
        heading = self.heading + turn
        x, y = self.x + metres * math.cos(heading), self.y + metres * math.sin(heading)
        return _Spot(x, y, heading)


@dataclass(slots=True)
class _Plan:
    """The network while it is being drawn."""

    dice: Random
    sizes: Iterator[int]  # meters of each transformer to come
    nodes: list[Node] = field(default_factory=list)
    branches: list[Branch] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    comms: dict[str, str] = field(default_factory=dict)
    transformers: int = 0
    meters: int = 0

    def node(self, name: str, kind: str, spot: _Spot, district: str = "") -> str:
        x, y = CENTRE[0] + spot.x * DEGREES_PER_M, CENTRE[1] + spot.y * DEGREES_PER_M
        self.nodes.append(Node(name, kind, round(x, 6), round(y, 6), district))
        return name

    def join(self, name: str, start: str, end: str, kind: str, phases: str = "ABC") -> None:
        self.branches.append(Branch(name, start, end, kind, phases=phases))


@dataclass(slots=True)
class _Feeder:
    """A feeder while it grows; ``bus`` is the end of its trunk so far."""

    name: str
    bus: str
    spot: _Spot
    fuses: int = 0
    buses: int = 0
    dcu: str = ""  # of the transformer before


def city(meters: int, seed: int) -> Graph:
    """The network of a city with so many meters.

    Raises:
        ConfigError: Fewer than 50 meters, or more than a million.
    """
    if not METERS_MIN <= meters <= METERS_MAX:
        raise ConfigError(
            f"a city has {METERS_MIN} to {METERS_MAX} meters, not {meters}; "
            "write for instance city:20000:7"
        )
    dice = Random(seed)  # noqa: S311 - a drawing, no secret
    transformers = max(1, round(meters / METERS_PER_TRANSFORMER))
    plan = _Plan(dice, iter(_shares(dice, meters, transformers)))
    feeders = max(1, round(meters / METERS_PER_FEEDER))
    substations = math.ceil(meters / METERS_PER_SUBSTATION)
    ends: list[str] = []
    for s, place in enumerate(_places(substations)):
        here = range(s * feeders // substations, (s + 1) * feeders // substations)
        source = plan.node(f"S{s + 1}", "substation", place, _district(place))
        for f in here:
            count = (f + 1) * transformers // feeders - f * transformers // feeders
            way = 2 * math.pi * (f - here.start) / len(here) + dice.uniform(-0.2, 0.2)
            name = f"{source}-F{f - here.start + 1:02}"
            ends.append(_feeder(plan, source, name, count, place.on(0.0, way)))
    _tie(plan, ends)
    return Graph(tuple(plan.nodes), tuple(plan.branches), tuple(plan.customers), plan.comms)


def _shares(dice: Random, total: int, count: int) -> list[int]:
    """``total`` in ``count`` unequal shares of at least one."""
    weights = [dice.uniform(0.4, 1.6) for _ in range(count)]
    scale, sum_so_far, given = (total - count) / sum(weights), 0.0, 0
    shares = []
    for weight in weights:
        sum_so_far += weight * scale
        share = round(sum_so_far) - given
        given += share
        shares.append(share + 1)
    return shares


def _places(count: int) -> Iterator[_Spot]:
    """Places of the substations, on a square grid about the centre."""
    across = math.ceil(math.sqrt(count))
    down = math.ceil(count / across)
    for i in range(count):
        x, y = i % across - (across - 1) / 2, i // across - (down - 1) / 2
        yield _Spot(x * SUBSTATION_SPACING_M, y * SUBSTATION_SPACING_M, 0.0)


def _district(spot: _Spot) -> str:
    if math.hypot(spot.x, spot.y) < CENTRE_RADIUS_M:
        return DISTRICTS[0]
    turn = math.atan2(spot.y, spot.x) / (2 * math.pi) % 1.0
    return SECTORS[int(turn * len(SECTORS)) % len(SECTORS)]


def _feeder(plan: _Plan, source: str, name: str, transformers: int, start: _Spot) -> str:
    """Draw a feeder and return the bus at the end of its trunk."""
    spot = start.on(STOP_M)
    bus = plan.node(f"{name}-N0", "bus", spot, _district(spot))
    plan.branches.append(Branch(name, source, bus, "breaker", telemetered=True))
    feeder = _Feeder(name, bus, spot)
    sections, left = 0, transformers
    while left:
        if sections:
            reclosing = sections == 2 or (sections > 2 and plan.dice.random() < 0.1)
            kind, letters = ("recloser", "R") if reclosing else ("switch", "SW")
            _onward(plan, feeder, f"{name}-{letters}{sections}", kind)
        here = min(left, plan.dice.randint(3, 6))
        if left - here == 1:  # no section for one transformer alone
            here = left
        _section(plan, feeder, here)
        left -= here
        sections += 1
    return feeder.bus


def _onward(plan: _Plan, feeder: _Feeder, branch: str, kind: str) -> None:
    """Move the end of the trunk one stop on, over a new branch."""
    feeder.spot = feeder.spot.on(STOP_M, plan.dice.uniform(-0.25, 0.25))
    feeder.buses += 1
    district = _district(feeder.spot)
    bus = plan.node(f"{feeder.name}-N{feeder.buses}", "bus", feeder.spot, district)
    plan.join(branch, feeder.bus, bus, kind)
    feeder.bus = bus


def _section(plan: _Plan, feeder: _Feeder, transformers: int) -> None:
    """Draw so many transformers along the trunk, some of them together behind a fuse."""
    while transformers:
        _onward(plan, feeder, f"{feeder.name}-L{feeder.buses + 1}", "line")
        side = feeder.spot.on(0.0, plan.dice.choice((-1, 1)) * math.pi / 2)
        luck = plan.dice.random()
        count = min(transformers, plan.dice.randint(2, 4)) if luck < 0.3 else 1
        bus = _fused(plan, feeder, side) if luck < 0.45 else feeder.bus
        for _ in range(count):
            side = side.on(90.0, plan.dice.uniform(-0.3, 0.3))
            _transformer(plan, feeder, bus, side)
        transformers -= count


def _fused(plan: _Plan, feeder: _Feeder, spot: _Spot) -> str:
    """A lateral's bus, behind a fuse."""
    feeder.fuses += 1
    name = f"{feeder.name}-FU{feeder.fuses}"
    bus = plan.node(f"{name}-N", "bus", spot.on(30.0), _district(spot))
    plan.join(name, feeder.bus, bus, "fuse")
    return bus


def _transformer(plan: _Plan, feeder: _Feeder, bus: str, spot: _Spot) -> None:
    """A transformer with its low-voltage feeders and their meters."""
    plan.transformers += 1
    number = f"{plan.transformers:04}"
    name = plan.node(f"T{number}", "transformer", spot, _district(spot))
    plan.join(f"{name}-HV", bus, name, "line")
    shared = feeder.dcu and plan.dice.random() < 0.05
    dcu = feeder.dcu if shared else f"D{number}"
    feeder.dcu = "" if shared else dcu  # two transformers a concentrator at most
    meters = next(plan.sizes)
    outlets = max(1, round(meters / METERS_PER_LV_FEEDER))
    for i in range(outlets):
        way = spot.on(20.0, 2 * math.pi * i / outlets)
        street = plan.node(f"{name}-LV{i + 1}-N", "bus", way)
        plan.join(f"{name}-LV{i + 1}", name, street, "fuse")
        for _ in range((i + 1) * meters // outlets - i * meters // outlets):
            way = way.on(9.0)
            _meter(plan, street, way, dcu)


def _meter(plan: _Plan, street: str, spot: _Spot, dcu: str) -> None:
    plan.meters += 1
    number = f"{plan.meters:06}"
    luck = plan.dice.random()
    name = plan.node(f"M{number}", "meter", spot)
    phases = "ABC"[plan.meters % 3] if luck > 0.9 else "ABC"
    plan.join(f"{name}-S", street, name, "service", phases)
    plan.comms[name] = dcu
    plan.customers.append(_customer(plan.dice, f"C{number}", name, plan.meters))


def _customer(dice: Random, name: str, meter: str, number: int) -> Customer:
    luck = dice.random()
    english = luck > 0.93
    pick = int(luck * 1e9)
    priority = "key" if pick % 200 == 0 else "vulnerable" if pick % 67 == 0 else "normal"
    return Customer(
        name,
        meter,
        _english(pick) if english else _chinese(pick),
        f"+86100{number:08}",
        "en" if english else "zh",
        priority,
        _address(number, english=english),
    )


def _address(number: int, *, english: bool) -> str:
    street, house = divmod(number, HOUSES)
    if english:
        return f"{house + 1} {LANES[street % len(LANES)]}"
    return f"{STREETS[street % len(STREETS)]}{house + 1}号"


def _chinese(pick: int) -> str:
    pick, surname = divmod(pick, len(SURNAMES))
    pick, first = divmod(pick, len(GIVEN))
    second = GIVEN[pick % len(GIVEN)] if pick % 3 else ""
    return SURNAMES[surname] + GIVEN[first] + second


def _english(pick: int) -> str:
    return f"{FIRST[pick % len(FIRST)]} {LAST[pick // len(FIRST) % len(LAST)]}"


def _tie(plan: _Plan, ends: Sequence[str]) -> None:
    """Open switches between the ends of neighbouring feeders, substations' borders included."""
    for i, (bus, other) in enumerate(pairwise(ends), 1):
        plan.branches.append(Branch(f"TIE{i:02}", bus, other, "switch", normally_open=True))
