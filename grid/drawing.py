"""Networks drawn as indented text, for tests and examples.

    source S1
      breaker B1 telemetered
        transformer T1 district=East
          meter M1 dcu=D1 customers=2 phases=A
          meter M2..M40 dcu=D1

Two blanks a level.  A meter has one customer, ``C-M1``; further ones are ``C-M1-2`` and so on.
``M2..M40`` stands for a line each.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from grid.build import build
from grid.errors import ConfigError
from grid.graph import ISOLATING, Branch, Customer, Graph, Node
from grid.network import Network

INDENT = 2
SOURCES = ("source", "substation")
SPAN = re.compile(r"(.*?)(\d+)\.\.\1(\d+)")


@dataclass(frozen=True, slots=True)
class _Line:
    level: int
    kind: str
    name: str
    words: dict[str, str]


@dataclass(slots=True)
class _Sheet:
    nodes: list[Node] = field(default_factory=list)
    branches: list[Branch] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    comms: dict[str, str] = field(default_factory=dict)


def draw(text: str) -> Network:
    """The network that the text draws.

    Raises:
        ConfigError: A line that cannot be read, or a drawing that is no network.
    """
    built = build(draw_graph(text))
    if built.network is None:
        raise ConfigError("; ".join(f"{p.where}: {p.message}" for p in built.problems))
    return built.network


def draw_graph(text: str) -> Graph:
    """The graph that the text draws: each device a branch to a bus of its own.

    Raises:
        ConfigError: A line that cannot be read.
    """
    sheet = _Sheet()
    above: list[str] = []  # node at each level, down to the line before
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        for item in _read(number, line):
            if item.level > len(above) or (item.level == 0) != (item.kind in SOURCES):
                raise ConfigError(f"drawing, line {number}: {line.strip()!r} hangs on nothing")
            del above[item.level :]
            above.append(_place(sheet, item, above[-1] if above else ""))
    return Graph(
        tuple(sheet.nodes), tuple(sheet.branches), tuple(sheet.customers), dict(sheet.comms)
    )


def _read(number: int, line: str) -> Iterator[_Line]:
    blanks = len(line) - len(line.lstrip())
    kind, *rest = line.replace("[", " ").replace("]", " ").split()
    if not rest or blanks % INDENT or kind not in {*SOURCES, *ISOLATING, "transformer", "meter"}:
        raise ConfigError(f"drawing, line {number}: cannot read {line.strip()!r}")
    words = dict(word.partition("=")[::2] for word in rest[1:])
    known = {"dcu", "customers", "phases", "district", "telemetered", "priority"}
    if not words.keys() <= known:
        raise ConfigError(f"drawing, line {number}: unknown word in {line.strip()!r}")
    for name in _names(rest[0]):
        yield _Line(blanks // INDENT, kind, name, words)


def _names(text: str) -> list[str]:
    span = SPAN.fullmatch(text)
    if span is None:
        return [text]
    return [f"{span[1]}{i}" for i in range(int(span[2]), int(span[3]) + 1)]


def _place(sheet: _Sheet, item: _Line, upstream: str) -> str:
    """Add one device and return the node that what hangs on it joins."""
    words, district = item.words, item.words.get("district", "")
    if item.kind in SOURCES:
        sheet.nodes.append(Node(item.name, "substation", district=district))
        return item.name
    phases, heard = words.get("phases", "ABC"), "telemetered" in words
    if item.kind in ISOLATING:
        bus = f"{item.name}.bus"
        sheet.nodes.append(Node(bus, "bus", district=district))
        sheet.branches.append(
            Branch(item.name, upstream, bus, item.kind, phases=phases, telemetered=heard)
        )
        return bus
    wire = "service" if item.kind == "meter" else "line"
    sheet.nodes.append(Node(item.name, item.kind, district=district))
    sheet.branches.append(Branch(f"{item.name}.{wire}", upstream, item.name, wire, phases=phases))
    if item.kind == "meter":
        _serve(sheet, item)
    return item.name


def _serve(sheet: _Sheet, item: _Line) -> None:
    priority = item.words.get("priority", "normal")
    for i in range(1, int(item.words.get("customers", "1")) + 1):
        name = f"C-{item.name}" if i == 1 else f"C-{item.name}-{i}"
        sheet.customers.append(Customer(name, item.name, priority=priority))
    if "dcu" in item.words:
        sheet.comms[item.name] = item.words["dcu"]
