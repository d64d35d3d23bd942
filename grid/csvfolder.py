"""The network as a folder of CSV files: five tables of text to a graph, and back.

Strict about what the values mean: whatever is wrong is named by file and line.
"""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence

from grid.checks import check, error, notice
from grid.csvtable import COLUMNS, Table, read_table
from grid.graph import Branch, BreakerAddress, Customer, Graph, Node, Problem
from grid.tracing import standing_first

TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}
PORT_MAX = 65535
UNIT_MAX = 255


def parse(files: Mapping[str, str]) -> tuple[Graph, tuple[Problem, ...]]:
    """Read the texts of the folder by file name.  With an error among the problems, do not build.

    What can be read of a row with an error is in the graph all the same.
    """
    problems: list[Problem] = []
    tables = {name: read_table(name, files.get(name), problems) for name in COLUMNS}
    problems += [
        notice(name, f"{name} is none of {', '.join(COLUMNS)}", "rename it, or leave it: not read")
        for name in sorted(files.keys() - COLUMNS.keys())
    ]
    comms, comms_rows = _comms(tables["comms.csv"], problems)
    graph = Graph(
        _nodes(tables["nodes.csv"], problems),
        _branches(tables["branches.csv"], problems),
        _customers(tables["customers.csv"]),
        comms,
        _breakers(tables["breakers.csv"], problems),
        _where(tables["nodes.csv"]) | _where(tables["branches.csv"]),
    )

    def locate(name: str, row: int) -> str:
        return tables[name].at(comms_rows[row] if name == "comms.csv" else row)

    problems += check(graph, locate)
    return graph, tuple(problems)


def write(graph: Graph, *, contacts: bool) -> dict[str, str]:
    """The texts of the folder by file name; names, phones and addresses only with ``contacts``."""
    files = {
        "nodes.csv": _text("nodes.csv", map(_node_row, graph.nodes)),
        "branches.csv": _text("branches.csv", map(_branch_row, standing_first(graph.branches))),
        "customers.csv": _text(
            "customers.csv", (_customer_row(c, contacts=contacts) for c in graph.customers)
        ),
    }
    if graph.comms:
        files["comms.csv"] = _text("comms.csv", graph.comms.items())
    if graph.breakers:
        rows = ((b.branch_id, b.host, b.port, b.unit, b.family) for b in graph.breakers)
        files["breakers.csv"] = _text("breakers.csv", rows)
    return files


def _where(table: Table) -> dict[str, str]:
    places = zip(table.columns[0], table.lines, strict=True)
    return {name: f"{table.name}:{line}" for name, line in places}


def _nodes(table: Table, problems: list[Problem]) -> tuple[Node, ...]:
    names, kinds, x, y, districts = table.columns
    xs, ys = _numbers(table, "x", x, problems), _numbers(table, "y", y, problems)
    return tuple(map(Node, names, kinds, xs, ys, districts))


def _numbers(
    table: Table, column: str, texts: Sequence[str], problems: list[Problem]
) -> list[float | None]:
    values = []
    for row, text in enumerate(texts):
        value = None
        if text:
            try:
                value = float(text)
            except ValueError:
                value = math.nan
            if not math.isfinite(value):
                fix = "write a number with a decimal point, or leave it blank"
                found = f"{column} is {text!r}, which is no number"
                problems.append(error(table.at(row), found, fix))
        values.append(value)
    return values


def _branches(table: Table, problems: list[Problem]) -> tuple[Branch, ...]:
    names, starts, ends, kinds, is_open, phases, heard = table.columns
    return tuple(
        map(
            Branch,
            *(names, starts, ends, kinds),
            _truths(table, "normally_open", is_open, problems),
            (text or "ABC" for text in phases),
            _truths(table, "telemetered", heard, problems),
        )
    )


def _truths(table: Table, column: str, texts: Sequence[str], problems: list[Problem]) -> list[bool]:
    meaning = {text: TRUTH.get(text.lower()) for text in set(texts)}
    if None in meaning.values():
        for row, text in enumerate(texts):
            if meaning[text] is None:
                problems.append(error(table.at(row), f"{column} is {text!r}", "write 1 or 0"))
    return [bool(meaning[text]) for text in texts]


def _customers(table: Table) -> tuple[Customer, ...]:
    names, meters, persons, phones, languages, priorities, places = table.columns
    spoken = (text or "zh" for text in languages)
    weights = (text or "normal" for text in priorities)
    return tuple(map(Customer, names, meters, persons, phones, spoken, weights, places))


def _comms(table: Table, problems: list[Problem]) -> tuple[dict[str, str], list[int]]:
    """Meter -> concentrator, and the row of each."""
    comms: dict[str, str] = {}
    rows: list[int] = []
    for i, (meter, dcu) in enumerate(zip(*table.columns, strict=True)):
        if comms.setdefault(meter, dcu) != dcu:
            found = f"meter {meter} has two concentrators, {comms[meter]} and {dcu}"
            problems.append(error(table.at(i), found, "keep one row a meter"))
        if len(comms) > len(rows):
            rows.append(i)
    return comms, rows


def _breakers(table: Table, problems: list[Problem]) -> tuple[BreakerAddress, ...]:
    def whole(row: int, column: str, text: str, low: int, high: int) -> int:
        if text.isascii() and text.isdigit() and low <= int(text) <= high:
            return int(text)
        fix = f"write a whole number from {low} to {high}"
        problems.append(error(table.at(row), f"{column} is {text!r}", fix))
        return low

    def said(row: int, column: str, text: str) -> str:
        if not text:
            problems.append(error(table.at(row), f"{column} is blank", "fill it in"))
        return text

    return tuple(
        BreakerAddress(
            name,
            said(i, "host", host),
            whole(i, "port", port, 1, PORT_MAX),
            whole(i, "unit", unit, 0, UNIT_MAX),
            said(i, "family", family),
        )
        for i, (name, host, port, unit, family) in enumerate(zip(*table.columns, strict=True))
    )


def _text(name: str, rows: Iterable[Sequence[object]]) -> str:
    rows = list(rows)
    out = io.StringIO(newline="")
    writer = csv.writer(out)  # ends lines by CRLF, and so quotes a value with CR in it
    writer.writerow(COLUMNS[name])
    writer.writerows(rows)
    text = out.getvalue()
    return text.replace("\r\n", "\n") if text.count("\r") == len(rows) + 1 else text


def _node_row(node: Node) -> Sequence[object]:
    x, y = ("" if v is None else v for v in (node.x, node.y))
    return node.id, node.kind, x, y, node.district


def _branch_row(branch: Branch) -> Sequence[object]:
    b = branch
    return (
        *(b.id, b.from_id, b.to_id, b.kind),
        *(int(b.normally_open), b.phases, int(b.telemetered)),
    )


def _customer_row(customer: Customer, *, contacts: bool) -> Sequence[object]:
    c = customer
    name, phone, address = (c.name, c.phone, c.address) if contacts else ("", "", "")
    return c.customer_id, c.meter_id, name, phone, c.language, c.priority, address
