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


def take(memory: Memory, rows: Rows) -> Bools:
    """Remember rows, in their order, and say which of them are new."""
    new = np.ones(len(rows), np.bool_)
    relayed = (rows["seq"] >= 0) & (rows["dcu"] >= 0)
    if relayed.any():
        new[relayed] = _take_relayed(memory, rows[relayed])
    for part in rounds(rows["node"].astype(np.int64)):
        new[part] = _take_facts(memory, rows[part], new[part])
    return new


def _take_facts(memory: Memory, rows: Rows, new: Bools) -> Bools:
    """Each node at most once among the rows; ``new`` as far as their concentrators count."""
    node = rows["node"].astype(np.int64)
    fact = rows["happened_ms"] * 16 + rows["kind"]
    new = new & (memory.fact[node] != fact) & (memory.fact_before[node] != fact)
    own = (rows["seq"] >= 0) & (rows["dcu"] < 0)
    if own.any():
        new[own] &= _take_counted(memory, node[own], rows["boot"][own], rows["seq"][own])
    picked = node[new]
    memory.fact_before[picked] = memory.fact[picked]
    memory.fact[picked] = fact[new]
    return new


def _take_counted(memory: Memory, node: I64, boot: NDArray[np.uint32], seq: I64) -> Bools:
    same = memory.boot[node] == boot
    ahead = np.where(same, seq - memory.high[node], WINDOW)
    window = np.where(same, memory.window[node], np.uint64(0))
    behind = np.clip(-ahead, 0, WINDOW - 1).astype(np.uint64)
    bit = np.uint64(1) << behind
    old = (ahead <= 0) & (-ahead < WINDOW)
    heard = old & ((window & bit) != 0)
    shift = np.clip(ahead, 0, WINDOW - 1).astype(np.uint64)
    moved = np.where(ahead >= WINDOW, np.uint64(0), window << shift) | np.uint64(1)
    forward = ahead > 0
    memory.window[node] = np.where(forward, moved, np.where(old, window | bit, window))
    memory.high[node] = np.where(forward, seq, memory.high[node])
    memory.boot[node] = boot
    new: Bools = ~heard
    return new


def _take_relayed(memory: Memory, rows: Rows) -> Bools:
    fresh = np.zeros(len(rows), np.bool_)
    limit = (1 << CONCENTRATOR_WINDOW) - 1
    for i, (dcu, boot, seq) in enumerate(
        zip(rows["dcu"].tolist(), rows["boot"].tolist(), rows["seq"].tolist(), strict=True)
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
    count = len(node)
    if count == 0:
        return []
    # sixteen bits are sorted by radix, several times as fast
    order = np.argsort(node.astype(np.uint16) if node.max() < 1 << 16 else node, kind="stable")
    ordered = node[order]
    begins = np.empty(count, np.bool_)
    begins[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=begins[1:])
    if begins.all():
        return [np.arange(count, dtype=np.int64)]
    first = np.flatnonzero(begins)
    nth = np.arange(count, dtype=np.int64) - np.repeat(first, np.diff(np.append(first, count)))
    return [np.sort(order[nth == k]) for k in range(int(nth.max()) + 1)]
