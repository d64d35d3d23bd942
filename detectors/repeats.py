"""Which readings were heard before.  A repeat has no effect and is not stored again.

A fact has up to two identities: (sender, boot, seq), where its sender counts, and (device, kind,
happened_at), by which the same fact over two paths is one.  Remembered per device: a window of 64
sequence numbers and the last two facts; per concentrator: a window of 4,096.  What is older than
its window is taken for new: rather stored twice than lost.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grid.frame import Rows
from grid.network import I64, Bools

WINDOW = 64
CONCENTRATOR_WINDOW = 4096
NO_FACT = np.int64(-1)
ONE = np.uint64(1)


@dataclass(slots=True, eq=False)
class Memory:
    """One entry a node, 36 bytes each, and one a concentrator."""

    boot: NDArray[np.uint32]  # digest of the sender's boot id, 0 where unknown
    high: I64  # highest sequence number of that boot
    window: NDArray[np.uint64]  # bit i: high - i was heard
    fact: I64  # kind and time of the last fact
    fact_before: I64
    concentrators: dict[int, tuple[int, int, int]]  # boot, high, window


def columns() -> tuple[str, ...]:
    """The names of the columns, in the order of the snapshot."""
    return ("boot", "high", "window", "fact", "fact_before")


def blank(nodes: int) -> Memory:
    """Nothing heard yet."""
    return Memory(
        boot=np.zeros(nodes, np.uint32),
        high=np.full(nodes, -1, np.int64),
        window=np.zeros(nodes, np.uint64),
        fact=np.full(nodes, NO_FACT, np.int64),
        fact_before=np.full(nodes, NO_FACT, np.int64),
        concentrators={},
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Facts:
    """What identifies rows.  One entry a row."""

    node: I64
    fact: I64  # time and kind
    boot: NDArray[np.uint32]
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
    counted = seq >= 0
    own = counted & (dcu < 0)
    fact = rows["happened_ms"] * 16
    fact += rows["kind"]
    facts = _Facts(rows["node"].astype(np.int64), fact, rows["boot"].astype(np.uint32), seq, own)
    relayed = counted ^ own
    if relayed.any():
        place = np.flatnonzero(relayed)
        new[place] = _take_relayed(memory, dcu[place], facts.boot[place], seq[place])
    first = _firsts(facts.node)
    again = np.flatnonzero(first != np.arange(len(rows)))
    if len(again) == 0:
        return _take_facts(memory, facts, new)
    leading = np.flatnonzero(first == np.arange(len(rows)))
    new[leading] = _take_facts(memory, facts.part(leading), new.take(leading))
    if _copies(facts, dcu, again, first.take(again)):
        new[again] = False
        return new
    for turn in rounds(facts.node.take(again)):
        part = again.take(turn)
        new[part] = _take_facts(memory, facts.part(part), new.take(part))
    return new


def _copies(facts: _Facts, dcu: I64, rows: I64, before: I64) -> bool:
    """Whether each of some rows says in every way what another row of the same node said, which
    was just taken and is the first of its node.
    """
    return all(
        np.array_equal(column.take(rows), column.take(before))
        for column in (facts.fact, facts.seq, facts.boot, dcu)
    )


def _take_facts(memory: Memory, facts: _Facts, new: Bools) -> Bools:
    """Each node at most once among the rows; ``new`` as far as their concentrators count."""
    node, fact = facts.node, facts.fact
    last, before = memory.fact.take(node), memory.fact_before.take(node)
    new = new & (last != fact) & (before != fact)
    if facts.own.all():
        new &= _take_counted(memory, node, facts.boot, facts.seq)
    elif facts.own.any():
        own = np.flatnonzero(facts.own)
        new[own] &= _take_counted(memory, node[own], facts.boot[own], facts.seq[own])
    memory.fact_before[node] = np.where(new, last, before)
    memory.fact[node] = np.where(new, fact, last)
    return new


def _take_counted(memory: Memory, node: I64, boot: NDArray[np.uint32], seq: I64) -> Bools:
    """Shifts by 64 and more give 0, and a negative number read as unsigned is such a shift."""
    same = memory.boot.take(node) == boot
    high = memory.high.take(node)
    ahead = seq - high
    if not same.all():
        ahead = np.where(same, ahead, WINDOW)
        memory.boot[node] = boot
    window = memory.window.take(node)
    bit = ONE << (-ahead).view(np.uint64)
    new: Bools = (window & bit) == 0
    forward = ahead > 0
    moved = (window << ahead.view(np.uint64)) | ONE
    memory.window[node] = np.where(forward, moved, window | bit)
    memory.high[node] = np.where(forward, seq, high)
    return new


def _take_relayed(memory: Memory, dcus: I64, boots: NDArray[np.uint32], seqs: I64) -> Bools:
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


def _firsts(node: I64) -> I64:
    """For each row the number of the first row of its node."""
    first = np.full(int(node.max()) + 1, len(node), np.int64)
    np.minimum.at(first, node, np.arange(len(node)))
    return first.take(node)


def rounds(node: I64) -> list[I64]:
    """Row numbers in rounds: in each round a node comes at most once, and its rows keep their
    order.
    """
    if len(node) == 0:
        return []
    rows = np.arange(len(node), dtype=np.int64)
    leading = _firsts(node) == rows
    if leading.all():
        return [rows]
    rest = np.flatnonzero(~leading)
    order = rest[np.argsort(node[rest], kind="stable")]
    ordered = node[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    nth = np.arange(len(rest)) - np.repeat(first, np.diff(np.append(first, len(rest))))
    later = [np.sort(order[nth == k]) for k in range(int(nth.max()) + 1)]
    return [np.flatnonzero(leading), *later]
