"""One table of the CSV folder: text to rows in a known order of columns, each with its line.

Tolerant of how spreadsheets write: a byte order mark, CRLF, blanks around values, columns in any
order, further columns.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grid.checks import error, notice
from grid.graph import Problem

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "nodes.csv": ("id", "kind", "x", "y", "district"),
    "branches.csv": ("id", "from", "to", "kind", "normally_open", "phases", "telemetered"),
    "customers.csv": (
        "customer_id",
        "meter_id",
        "name",
        "phone",
        "language",
        "priority",
        "address",
    ),
    "comms.csv": ("meter_id", "dcu_id"),
    "breakers.csv": ("branch_id", "host", "port", "unit", "family"),
}
NEEDED: Mapping[str, frozenset[str]] = {  # without these a table has no meaning
    "nodes.csv": frozenset({"id", "kind"}),
    "branches.csv": frozenset({"id", "from", "to", "kind", "normally_open"}),
    "customers.csv": frozenset({"customer_id", "meter_id"}),
    "comms.csv": frozenset(COLUMNS["comms.csv"]),
    "breakers.csv": frozenset(COLUMNS["breakers.csv"]),
}
UNTOLD = frozenset({"district", "address"})  # may be missing without a word
OPTIONAL_FILES = frozenset({"comms.csv", "breakers.csv"})


@dataclass(frozen=True, slots=True)
class Table:
    """The known columns in the order of ``COLUMNS``, blank where the file has none."""

    name: str
    columns: Sequence[Sequence[str]]
    lines: Sequence[int]

    def at(self, row: int) -> str:
        """Where a row stands, like ``nodes.csv:12``."""
        return f"{self.name}:{self.lines[row]}"


def read_table(name: str, text: str | None, problems: list[Problem]) -> Table:
    """Read the text of a file, None where there is none; adds to ``problems`` what is wrong."""
    if text is None:
        if name not in OPTIONAL_FILES:
            fix = f"add it, with the columns {','.join(COLUMNS[name])}"
            problems.append(error(name, f"{name} is missing", fix))
        return _empty(name)
    records, lines = _records(name, text, problems)
    if not records:
        fix = f"begin it with the line {','.join(COLUMNS[name])}"
        problems.append(error(name, f"{name} has no header", fix))
        return _empty(name)
    header = [column.strip().lower() for column in records[0]]
    if not _check_header(name, header, lines[0], problems):
        return _empty(name)
    for record, line in zip(records, lines, strict=True):
        if len(record) > len(header):
            found = f"{len(record)} values under {len(header)} columns"
            fix = "quote a value that has a comma in it"
            problems.append(error(f"{name}:{line}", found, fix))
    return Table(name, _columns(name, header, records[1:]), lines[1:])


def _empty(name: str) -> Table:
    return Table(name, [()] * len(COLUMNS[name]), ())


def _records(name: str, text: str, problems: list[Problem]) -> tuple[list[list[str]], list[int]]:
    """The records with anything in them, and the line on which each begins."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    records, lines = [], []
    before = 0
    try:
        for record in reader:
            if record and (record[0] or any(record)):
                records.append(record)
                lines.append(before + 1)
            before = reader.line_num
    except csv.Error as unreadable:
        fix = "close the quotes; a quote inside a value is written twice"
        problems.append(error(f"{name}:{before + 1}", f"no CSV from here on: {unreadable}", fix))
    return records, lines


def _check_header(name: str, header: Sequence[str], line: int, problems: list[Problem]) -> bool:
    """Whether the table can be read by this header; says what is missing or too much."""
    where = f"{name}:{line}"
    for column in dict.fromkeys(header):
        if header.count(column) > 1:
            problems.append(error(where, f"two columns are called {column}", "rename one of them"))
        elif column not in COLUMNS[name]:
            found = f"column {column!r} is unknown and ignored"
            known = ", ".join(COLUMNS[name])
            problems.append(notice(where, found, f"known are {known}"))
    missing = [column for column in COLUMNS[name] if column not in header]
    for column in missing:
        if column in NEEDED[name]:
            fix = f"add it; the header is {','.join(COLUMNS[name])}, separated by commas"
            problems.append(error(where, f"column {column} is missing", fix))
        elif column not in UNTOLD:
            found = f"column {column} is missing and taken as blank"
            problems.append(notice(where, found, "add it if you know it"))
    return NEEDED[name].isdisjoint(missing)


def _columns(name: str, header: Sequence[str], records: Sequence[list[str]]) -> list[Sequence[str]]:
    """The stripped values by column; a short record ends with blanks."""
    width = len(header)
    if set(map(len, records)) - {width}:
        records = [(record + [""] * width)[:width] for record in records]
    found = dict(zip(header, zip(*records, strict=True), strict=False))
    blank = ("",) * len(records)
    return [tuple(map(str.strip, found.get(column, blank))) for column in COLUMNS[name]]
