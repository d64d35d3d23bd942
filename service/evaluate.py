"""``lastgasp evaluate``: seeded worlds over any network, and how often the engine was right.

service/evaluating.py plays them, simulators/scoreboard.py adds them up; here are the processes they
are spread over, the table, and the story of a single mistake.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain

import msgspec
from rich.console import Console
from rich.table import Table

from detectors.settings import EngineSettings
from grid.errors import ConfigError
from grid.outage import Change
from grid.times import to_rfc3339
from service.evaluating import evaluated, played, quiet
from simulators.cells import Cell, cells_of
from simulators.scoreboard import CellLine, line_of
from simulators.scoring import VOICES, DayScore, FaultScore, score

FAULTS_A_STORY = 20  # at once; a small network has room for fewer
STORIES_MAX = 200  # a cell: where the network is so small that a story holds one fault


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The command line of ``evaluate``."""

    networks: tuple[str, ...]
    cells: str
    faults: int
    seed: int
    jobs: int
    settings: EngineSettings


class QuietLine(msgspec.Struct, frozen=True):
    """Outages that were declared while everybody had power."""

    network: str
    meter_days: float
    false: int
    per_million: float
    examples: tuple[str, ...]


def board(wanted: Wanted) -> Iterator[CellLine]:
    """A line a network and cell, as they are done."""
    cells = _cells(wanted.cells)
    with ProcessPoolExecutor(wanted.jobs or os.cpu_count()) as pool:
        for network in wanted.networks:
            for cell in cells:
                yield line_of(network, cell.name, _days(pool, wanted, network, cell))


def _days(pool: ProcessPoolExecutor, wanted: Wanted, network: str, cell: Cell) -> list[DayScore]:
    """As many stories as it takes to see so many faults, a few at a time."""
    days: list[DayScore] = []
    seeds = chain(range(wanted.seed, wanted.seed + STORIES_MAX))
    work = partial(
        evaluated,
        network,
        cell,
        faults=min(FAULTS_A_STORY, wanted.faults),
        settings=wanted.settings,
    )
    while (seen := sum(not f.nested for day in days for f in day.faults)) < wanted.faults:
        a_story = seen / len(days) if days else min(FAULTS_A_STORY, wanted.faults)
        more = max(1, round((wanted.faults - seen) / max(a_story, 1)))
        batch = [seed for seed, _ in zip(seeds, range(more), strict=False)]
        if not batch:
            break
        days += pool.map(work, batch)
    return days


def calm(wanted: Wanted, days: int) -> Iterator[QuietLine]:
    """A line a network: so many days with nothing but heartbeats and false gasps."""
    for network in wanted.networks:
        meter_days, false = quiet(network, days, wanted.seed, wanted.settings)
        rate = round(1e6 * len(false) / meter_days, 3)
        yield QuietLine(network, meter_days, len(false), rate, tuple(false[:20]))


def told(lines: Iterable[CellLine | QuietLine], *, json: bool) -> None:
    """Print lines as they come: JSON, or a table at the end."""
    encode = msgspec.json.Encoder().encode
    rows: list[CellLine | QuietLine] = []
    for line in lines:
        rows.append(line)
        if json:
            sys.stdout.buffer.write(encode(line) + b"\n")
            sys.stdout.flush()
    if not json:
        console = Console(width=None if sys.stdout.isatty() else 200)
        if cells := [row for row in rows if isinstance(row, CellLine)]:
            console.print(_table(cells))
        for row in rows:
            if isinstance(row, QuietLine):
                console.print(
                    f"{row.network}: {row.false} false outages in {row.meter_days:,.0f} quiet "
                    f"meter-days ({row.per_million} a million)"
                )


COLUMNS = (
    "network", "cell", "faults", "exact", "device", "F1", "rule exact", "rule F1", "false",
    "rule false", "p50 s", "p95 s", "p95 s by " + "/".join(VOICES),
    "declared a fault", "pings a fault", "Brier", "nested", "wrong restored",
)  # fmt: skip


def _table(rows: Sequence[CellLine]) -> Table:
    table = Table(*COLUMNS)
    for row in rows:
        cells = (
            row.network, row.cell, row.faults, row.exact, row.device, row.f1, row.rule_exact,
            row.rule_f1, row.false, row.rule_false, row.detect_p50_s, row.detect_p95_s,
            _by_voice(row), row.declared_per_fault,
            row.pings_per_fault, row.brier, row.nested_exact, row.wrong_restored,
        )  # fmt: skip
        table.add_row(*("-" if cell is None else str(cell) for cell in cells))
    return table


def _by_voice(row: CellLine) -> str:
    waits = [row.detect_by[voice].p95_s for voice in VOICES]
    return "/".join("-" if wait is None else f"{wait:g}" for wait in waits)


def explain(wanted: Wanted, seed: int) -> Iterator[str]:
    """Of one seed, each fault that was not exactly right, and each outage that never was: true,
    heard, believed and when.
    """
    for network in wanted.networks:
        for cell in _cells(wanted.cells):
            faults = min(FAULTS_A_STORY, wanted.faults)
            day, world = played(network, cell, seed, faults, wanted.settings)
            scored = score(world, day)
            yield f"{network}, {cell.name}, seed {seed}: {len(scored.faults)} faults"
            for fault in scored.faults:
                if not (fault.exact and fault.device_right):
                    yield from _mistake(fault)
                    truth = next(t for t in world.truth() if getattr(t, "id", None) == fault.id)
                    mine = frozenset(getattr(truth, "customers", ()))
                    for change in day.changes:
                        if mine.intersection(change.customers):
                            yield _believed(change)
            for false_id in scored.false:
                yield f"  false: {false_id}, all of whose customers had power"
                yield from (_believed(c) for c in day.changes if c.outage.id == false_id)


def _believed(change: Change) -> str:
    outage = change.outage
    why = "; ".join(outage.evidence)
    return (
        f"    {to_rfc3339(change.at_ms)} {outage.id} {outage.state} at {outage.device_id}, "
        f"{outage.customers_out} out, {outage.probability:.2f}: {change.reason} ({why})"
    )


def _mistake(fault: FaultScore) -> Iterator[str]:
    ours = ", ".join(fault.ours) or "nothing"
    heard = "never" if fault.detect_s is None and fault.after_s is None else "yes"
    yield (
        f"  {fault.id}: {fault.device_kind} {fault.device_id}, {fault.customers} customers; "
        f"believed {ours}; right at some time: {heard}"
    )


def _cells(names: str) -> tuple[Cell, ...]:
    try:
        return cells_of(names)
    except KeyError as missing:
        known = ", ".join(cell.name for cell in cells_of("full"))
        raise ConfigError(
            f"--cells: there is no cell {missing}; give quick, grid, full, or names among {known}"
        ) from None
