"""Moments of devices in 32 bits each: what a device's latest have in common is kept once.

The latest of a device's moments says in which *block* of three days it is. Each of them is kept as
the milliseconds since 46 days before that block's end or more: exact, whatever the year, however
long an outage lasts, and however long nothing is heard. What is older than that beside the latest
is ``LONG_AGO``: the oldest that can be told. It stays in its order with what was said of power.

A block is a function of the latest moment alone, so in whatever order words come, they leave the
same columns.
"""

from typing import NamedTuple

import numpy as np

from detectors.compiled import compiled
from detectors.tree import places
from grid.network import I16, I64, U32, Bools

NEVER, FAR = -1 << 60, 1 << 60
UNKNOWN, LONG_AGO = 0, 1  # as they are kept
BLOCK_BITS = 28
BLOCKS_MAX = (1 << 15) - 1  # until 2248
BACK = 15  # blocks before the latest that can be told
LATEST = (1 << 32) - 1


class Times(NamedTuple):
    """One entry a node.  About 26 bytes each."""

    block: I16  # of the latest of them
    on: U32
    off: U32
    beat: U32
    back: U32
    void: U32
    ended: U32


def no_times(nodes: int) -> Times:
    """Nothing was ever said."""
    columns = [np.zeros(nodes, np.uint32) for _ in Times._fields[1:]]
    return Times(np.zeros(nodes, np.int16), *columns)


@compiled
def from_ms(block: int) -> int:
    """When what can be told of a device begins."""
    return (block - BACK) << BLOCK_BITS


@compiled
def told(block: I16, column: U32, node: int) -> int:
    """A moment, or NEVER."""
    kept = int(column[node])
    return NEVER if kept == UNKNOWN else from_ms(int(block[node])) + kept


@compiled
def kept_of(block: int, at_ms: int) -> int:
    """How a moment is kept beside a latest one."""
    return UNKNOWN if at_ms == NEVER else min(max(at_ms - from_ms(block), LONG_AGO), LATEST)


@compiled
def older(column: U32, node: int, by_ms: int) -> None:
    """The latest of a device's moments is later by some blocks."""
    if column[node] != UNKNOWN:
        column[node] = max(int(column[node]) - by_ms, LONG_AGO)


@compiled
def make_room(times: Times, node: int, at_ms: int) -> None:
    """A moment comes that may be the latest."""
    latest = min(at_ms >> BLOCK_BITS, BLOCKS_MAX)
    blocks = latest - int(times.block[node])
    if blocks <= 0:
        return
    by_ms = blocks << BLOCK_BITS
    off_is_last = times.off[node] > times.on[node]
    older(times.on, node, by_ms)
    older(times.off, node, by_ms)
    older(times.beat, node, by_ms)
    older(times.back, node, by_ms)
    older(times.void, node, by_ms)
    older(times.ended, node, by_ms)
    if off_is_last and times.off[node] == times.on[node]:
        times.off[node] = LONG_AGO + 1
    times.block[node] = latest


@compiled
def put(times: Times, column: U32, node: int, at_ms: int) -> None:
    """Put a moment, or NEVER, in the place of another."""
    make_room(times, node, at_ms)
    column[node] = kept_of(int(times.block[node]), at_ms)


@compiled
def put_later(times: Times, column: U32, node: int, at_ms: int) -> None:
    """Put a moment in the place of an earlier one."""
    make_room(times, node, at_ms)
    kept = kept_of(int(times.block[node]), at_ms)
    column[node] = max(int(column[node]), kept)


@compiled
def told_of(block: I16, column: U32, nodes: I64) -> I64:
    """A moment of each of some nodes."""
    found = np.empty(len(nodes), np.int64)
    for place in range(len(nodes)):
        found[place] = told(block, column, nodes[place])
    return found


@compiled
def told_of_all(block: I16, column: U32) -> I64:
    """A moment of each node."""
    found = np.empty(len(block), np.int64)
    for node in range(len(block)):
        found[node] = told(block, column, node)
    return found


@compiled
def put_of(times: Times, column: U32, nodes: I64, at_ms: I64) -> None:
    """Put down a moment of each of some nodes."""
    for place in range(len(nodes)):
        put(times, column, nodes[place], at_ms[place])


class Moments:
    """One moment of each node, as a column of times in ms that may be read and written."""

    __slots__ = ("column", "times")
    dtype = np.dtype(np.int64)  # as it is read

    def __init__(self, times: Times, column: U32) -> None:
        self.times, self.column = times, column

    def __len__(self) -> int:
        return len(self.column)

    def __getitem__(self, nodes: I64 | Bools | slice) -> I64:
        block = self.times.block
        if isinstance(nodes, slice):
            return told_of_all(block[nodes], self.column[nodes])
        return told_of(block, self.column, _numbers(nodes))

    def __setitem__(self, nodes: I64 | Bools | slice, at_ms: I64 | int) -> None:
        if isinstance(nodes, slice):
            nodes = np.arange(*nodes.indices(len(self.column)))
        nodes = _numbers(nodes)
        each = np.full(len(nodes), at_ms, np.int64)
        put_of(self.times, self.column, nodes, each)

    def of(self, node: int) -> int:
        """The moment of one node."""
        return told(self.times.block, self.column, node)

    def put(self, node: int, at_ms: int) -> None:
        """Put down the moment of one node."""
        put(self.times, self.column, node, at_ms)

    @property
    def known(self) -> Bools:
        """Of which nodes there is one."""
        known: Bools = self.column != UNKNOWN
        return known


def _numbers(nodes: I64 | Bools) -> I64:
    if nodes.dtype == np.bool_:
        return places(nodes)
    return np.ascontiguousarray(nodes, np.int64)
