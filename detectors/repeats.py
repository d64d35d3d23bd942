"""Which readings were heard before.  A repeat has no effect and is not stored again.

A fact has up to two identities: (sender, boot, seq), where its sender counts, and (device, kind,
happened_at), by which the same fact over two paths is one.  Remembered per device: a window of 64
sequence numbers and the last two facts; per concentrator: a window of 4,096.  What is older than
its window is taken for new: rather stored twice than lost.

Of times and numbers the last 32 bits are kept: enough to tell facts apart that are not three days
(2^28 ms) apart to the millisecond, and numbers that are not two billion apart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.tree import places, runs_of
from grid.frame import Rows
from grid.network import I64, Bools

WINDOW = 64
CONCENTRATOR_WINDOW = 4096
NO_FACT = np.uint32(0xFFFF_FFF7)  # a tamper in one millisecond of three days
ONE = np.uint64(1)
KINDS = 16  # more than there are


@dataclass(slots=True, eq=False)
class Memory:
    """One entry a node, 24 bytes each, and one a concentrator."""

    boot: NDArray[np.uint32]  # digest of the sender's boot id, 0 where unknown
    high: NDArray[np.uint32]  # highest sequence number of that boot
    window: NDArray[np.uint64]  # bit i: high - i was heard; 0 where nothing was
    fact: NDArray[np.uint32]  # kind and time of the last fact
    fact_before: NDArray[np.uint32]
    concentrators: dict[int, tuple[int, int, int]]  # boot, high, window


def columns() -> tuple[str, ...]:
    """The names of the columns, in the order of the snapshot."""
    return ("boot", "high", "window", "fact", "fact_before")


def blank(nodes: int) -> Memory:
    """Nothing heard yet."""
    return Memory(
        boot=np.zeros(nodes, np.uint32),
        high=np.zeros(nodes, np.uint32),
        window=np.zeros(nodes, np.uint64),
        fact=np.full(nodes, NO_FACT),
        fact_before=np.full(nodes, NO_FACT),
        concentrators={},
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Facts:
    """What identifies rows.  One entry a row."""

    node: I64
    fact: I64  # time and kind
    boot: I64
    seq: I64
    own: Bools  # counted by the device itself

    def part(self, rows: I64) -> "_Facts":
        return _Facts(
            self.node.take(rows),
            self.fact.take(rows),
            self.boot.take(rows),
            self.seq.take(rows),
            self.own.take(rows),
        )


def take(memory: Memory, rows: Rows) -> Bools:
    """Remember rows, in their order, and say which of them are new."""
    new = np.ones(len(rows), np.bool_)
    if len(rows) == 0:
        return new
    dcu, seq = rows["dcu"].astype(np.int64), rows["seq"].astype(np.int64)
    boot, kind = rows["boot"].astype(np.int64), rows["kind"].astype(np.int64)
    fact = rows["happened_ms"].astype(np.int64)
    fact *= KINDS
    fact += kind
    counted = seq >= 0
    own = counted & (dcu < 0)
    relayed = places(counted ^ own)
    if len(relayed):
        new[relayed] = _take_relayed(memory, dcu[relayed], boot[relayed], seq[relayed])
    facts = _Facts(rows["node"].astype(np.int64), fact, boot, seq, own)
    later, before = _pairs(facts.node)
    if later is None:
        parts = rounds(facts.node)
    elif all(_alike(part, later, before) for part in (fact, seq, boot, dcu)):
        new[later] = new[before]  # a copy changes nothing that its first did not
        new = _take_facts(memory, facts, new)
        new[later] = False
        return new
    else:
        leads = np.ones(len(rows), np.bool_)
        leads[later] = False
        parts = [places(leads), places(~leads)]
    for part in parts:
        new[part] = _take_facts(memory, facts.part(part), new.take(part))
    return new


def _alike(column: I64, rows: I64, others: I64) -> bool:
    return not np.count_nonzero(column.take(rows) != column.take(others))


def _pairs(node: I64) -> tuple[I64 | None, I64]:
    """Second rows of nodes that have two, and their first rows; None where a node has more."""
    rows = np.arange(len(node))
    scratch = np.empty(int(node.max()) + 1, np.int64)
    scratch[node] = rows  # of rows of one node the last stays
    last = scratch.take(node)
    before = places(last != rows)
    if len(before) == 0:
        return before, before
    later = last.take(before)
    scratch[node.take(before)] = before
    if np.count_nonzero(scratch.take(node.take(before)) != before):
        return None, before
    return later, before


def _take_facts(memory: Memory, facts: _Facts, new: Bools) -> Bools:
    """Each node at most once among the rows, or in copies; ``new`` as far as their concentrators
    count.
    """
    node, fact = facts.node, facts.fact.astype(np.uint32)
    last, before = memory.fact.take(node), memory.fact_before.take(node)
    new = new & (last != fact)
    new &= before != fact
    own = np.count_nonzero(facts.own)
    if own == len(node):
        new &= _take_counted(memory, node, facts.boot, facts.seq)
    elif own:
        place = places(facts.own)
        columns = (facts.node.take(place), facts.boot.take(place), facts.seq.take(place))
        new[place] &= _take_counted(memory, *columns)
    np.copyto(before, last, where=new)
    np.copyto(last, fact, where=new)
    memory.fact_before[node] = before
    memory.fact[node] = last
    return new


def _take_counted(memory: Memory, node: I64, boot: I64, seq: I64) -> Bools:
    """Shifts by 64 and more give 0, and a negative number read as unsigned is such a shift."""
    number = seq.astype(np.uint32)
    high = memory.high.take(node)
    ahead = (number - high).view(np.int32).astype(np.int64)
    window = memory.window.take(node)
    other = memory.boot.take(node) != boot
    if np.count_nonzero(other) or np.count_nonzero(window) < len(window):
        ahead[other | (window == 0)] = WINDOW
        memory.boot[node] = boot
    bit = ONE << (-ahead).view(np.uint64)
    new: Bools = (window & bit) == 0
    forward = ahead > 0
    moved = window << ahead.view(np.uint64)
    moved |= ONE
    window |= bit
    np.copyto(window, moved, where=forward)
    np.copyto(high, number, where=forward)
    memory.window[node] = window
    memory.high[node] = high
    return new


def _take_relayed(memory: Memory, dcus: I64, boots: I64, seqs: I64) -> Bools:
    fresh = np.zeros(len(dcus), np.bool_)
    limit = (1 << CONCENTRATOR_WINDOW) - 1
    for i, (dcu, boot, seq) in enumerate(
        zip(dcus.tolist(), boots.tolist(), seqs.tolist(), strict=True)
    ):
        known_boot, high, window = memory.concentrators.get(dcu, (boot, -1, 0))
        if known_boot != boot:
            high, window = -1, 0
        if seq > high:
            step = min(seq - high, CONCENTRATOR_WINDOW)
            window, high = ((window << step) | 1) & limit, seq
            fresh[i] = True
        elif high - seq >= CONCENTRATOR_WINDOW:
            fresh[i] = True
        elif not window >> (high - seq) & 1:
            window |= 1 << (high - seq)
            fresh[i] = True
        memory.concentrators[dcu] = (boot, high, window)
    return fresh


def rounds(node: I64) -> list[I64]:
    """Row numbers in rounds: in each round a node comes at most once, and its rows keep their
    order.
    """
    if len(node) == 0:
        return []
    rows = np.arange(len(node), dtype=np.int64)
    later, _ = _pairs(node)
    if later is not None and len(later) == 0:
        return [rows]
    order = np.argsort(node, kind="stable")
    ordered = node[order]
    first = runs_of(ordered)
    nth = rows - np.repeat(first, np.diff(np.append(first, len(node))))
    return [np.sort(order[nth == k]) for k in range(int(nth.max()) + 1)]
