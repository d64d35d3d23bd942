"""Rows between two verdicts taken in together: what they say, and whom they concern."""

from bisect import bisect_left
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from detectors.book import Book
from detectors.compiled import compiled
from detectors.findings import PhaseWord
from detectors.glancing import SWITCHGEAR, Glance
from detectors.hearing import Hearing, fold
from detectors.moments import NEVER
from detectors.saying import PING_REPLY, URGENT, ReadRows, says_off
from detectors.settings import EngineSettings
from detectors.tree import TRANSFORMER, among, places
from detectors.waking import in_second, soon_after
from grid.frame import Rows
from grid.network import I32, I64, Bools


class Heard(NamedTuple):
    """What was news among rows."""

    phases: list[PhaseWord]
    urgent_ms: int | None  # stream time of the last after which more is to be expected
    soon_ms: int | None  # when the first was heard that should be answered as soon as may be


def switchgear(book: Book, rows: Rows) -> Bools:
    """Which rows are of devices that have a position."""
    return SWITCHGEAR.take(book.group.kind.take(rows["node"].astype(np.int64)))


def hear(
    book: Book,
    hearing: Hearing,
    rows: Rows,
    limits: EngineSettings,
    *,
    asks: Mapping[int, list[int]],
    there: Glance,
) -> Heard:
    """Take in rows of meters and terminals, and remember of which outages anybody spoke.

    ``asks``: stream times at which a node was asked and has not answered yet; ``there``: what
    there is among the rows.
    """
    stream = rows["stream_ms"]
    asked_ms = _asked(rows, asks) if there.answers else np.empty(0, np.int64)
    off, changed = fold(hearing, rows, limits, asked_ms=asked_ms)
    phases = [PhaseWord(*word, at_ms=int(stream[word[0]])) for word in changed]
    if there.terminals and book.running:
        _terminals_spoke(book, rows["node"].astype(np.int64))
    at = of_concern(rows, off, book.owner)
    if len(at) == 0:
        return Heard(phases, None, None)
    rows, off = rows.take(at), off.take(at)
    node, stream = rows["node"], rows["stream_ms"]
    owners = book.owner.take(node).astype(np.int64)
    spoke = {sequence for sequence in owners.tolist() if sequence >= 0}
    book.spoke |= spoke
    # who follows the first to be back is not waited for
    awaited = [s for s in spoke if book.running[s].back_ms is None]
    last = places(off | among(owners, np.array(sorted(awaited), np.int64)))[-1:].tolist()
    soon = _dead_terminals(book, rows, off) if there.terminals else []
    soon += [in_second(int(stream[i])) for i in places(URGENT.take(rows["kind"]))[:1].tolist()]
    return Heard(phases, int(stream[last[0]]) if last else None, min(soon, default=None))


@compiled
def of_concern(rows: ReadRows, off: Bools, owner: I32) -> I64:
    """Which rows are of somebody who is out, say that there is no power, or are urgent."""
    found, count = np.empty(len(rows), np.int64), 0
    for place in range(len(rows)):
        row = rows[place]
        if off[place] or owner[row["node"]] >= 0 or URGENT[row["kind"]]:
            found[count] = place
            count += 1
    return found[:count]


def _dead_terminals(book: Book, rows: Rows, off: Bools) -> list[int]:
    """When the first terminal was dead that is news."""
    dead = places(off & (book.group.kind.take(rows["node"]) == TRANSFORMER)).tolist()
    news = (i for i in dead if _says_more(book, int(rows["node"][i])))
    return [int(rows["stream_ms"][i]) for i in news][:1]


def _says_more(book: Book, node: int) -> bool:
    """Whether a terminal that is dead is news: no outage has it already."""
    return not any(book.contains(o.node, node) and o.dark for o in book.running.values())


def before_answer(book: Book, rows: Rows, limits: EngineSettings) -> int:
    """How many rows there are that a verdict on the first word of a dead terminal has to take in:
    all, where there is none.
    """
    terminals = places(book.group.kind.take(rows["node"].astype(np.int64)) == TRANSFORMER)
    if len(terminals) == 0:
        return len(rows)
    dead = terminals[says_off(rows.take(terminals), limits)]
    if len(dead) == 0:
        return len(rows)
    stream = rows["stream_ms"]
    return int(np.searchsorted(stream, soon_after(int(stream[dead[0]])), "left"))


def calm(book: Book, rows: Rows, limits: EngineSettings) -> int:
    """How many rows there are before the first that asks for a verdict."""
    node = rows["node"].astype(np.int64)
    alarm = says_off(rows, limits) | (book.owner.take(node) >= 0)
    alarm |= URGENT.take(rows["kind"]) | SWITCHGEAR.take(book.group.kind.take(node))
    first = places(alarm)
    return int(first[0]) if len(first) else len(rows)


def _asked(rows: Rows, asks: Mapping[int, list[int]]) -> I64:
    """When those were asked who answer; NEVER for all other rows."""
    asked = np.full(len(rows), NEVER)
    for place in places(rows["kind"] == PING_REPLY).tolist():
        asked[place] = asks.get(int(rows["node"][place]), (NEVER,))[0]
    return asked


def _terminals_spoke(book: Book, node: I64) -> None:
    """A terminal is no member of an outage, but what it says may be news of one above it."""
    terminals = node[book.group.kind.take(node) == TRANSFORMER].tolist()
    if not terminals:
        return
    terminals.sort()
    for outage in book.running.values():
        end = outage.node + int(book.tree.size[outage.node])
        if bisect_left(terminals, outage.node) < bisect_left(terminals, end):
            book.spoke.add(outage.sequence)
