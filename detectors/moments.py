"""Moments of devices in 32 bits each: what a device's latest have in common is kept once.

The latest of a device's moments says in which *block* of three days it is. Each of them is kept as
the milliseconds since 46 days before that block's end or more: exact, whatever the year, however
long an outage lasts, and however long nothing is heard. What is older than that beside the latest
is ``LONG_AGO``: the oldest that can be told. It stays in its order with what was said of power.

A block is a function of the latest moment alone, so in whatever order words come, they leave the
same columns.
"""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import OF_RECORDS, compiled
from detectors.tree import places
from grid.network import I16, I64, U32, Bools

NEVER, FAR = -1 << 60, 1 << 60
UNKNOWN, LONG_AGO = 0, 1  # as they are kept
BLOCK_BITS = 28
BLOCKS_MAX = (1 << 15) - 1  # until 2248
BACK = 15  # blocks before the latest that can be told
LATEST = (1 << 32) - 1


HEARD = np.dtype(
    [
        ("on", "u4"), ("off", "u4"), ("beat", "u4"), ("back", "u4"), ("void", "u4"),
        ("ended", "u4"), ("lag_ms", "i4"), ("period_s", "f4"), ("block", "i2"), ("flags", "u1"),
    ],
    align=True,
)  # fmt: skip
"""All that is kept of a node, ``block`` being that of the latest of its moments (the rest is of
``detectors/hearing.py``).  It lies together, for whoever speaks next is anybody: in a large city
each line of memory that a word needs is waited for.
"""

Heard = Annotated[NDArray[np.void], HEARD]
OneHeard = Annotated[np.void, HEARD]
Blocks = Annotated[I16, OF_RECORDS]
Column = Annotated[U32, OF_RECORDS]


def no_times(nodes: int) -> Heard:
    """Nothing was ever said."""
    return np.zeros(nodes, HEARD)


@compiled
def from_ms(block: int) -> int:
    """When what can be told of a device begins."""
    return (block - BACK) << BLOCK_BITS


@compiled
def told(block: int, kept: int) -> int:
    """A moment, or NEVER."""
    return NEVER if kept == UNKNOWN else from_ms(block) + kept


@compiled
def kept_of(block: int, at_ms: int) -> int:
    """How a moment is kept beside a latest one."""
    return UNKNOWN if at_ms == NEVER else min(max(at_ms - from_ms(block), LONG_AGO), LATEST)


@compiled
def older(kept: int, by_ms: int) -> int:
    """How a moment is kept when the latest is later by some blocks."""
    return UNKNOWN if kept == UNKNOWN else max(kept - by_ms, LONG_AGO)


@compiled
def make_room(one: OneHeard, at_ms: int) -> None:
    """A moment comes that may be the latest."""
    latest = min(at_ms >> BLOCK_BITS, BLOCKS_MAX)
    blocks = latest - int(one["block"])
    if blocks <= 0:
        return
    by_ms = blocks << BLOCK_BITS
    off_is_last = one["off"] > one["on"]
    one["on"] = older(int(one["on"]), by_ms)
    one["off"] = older(int(one["off"]), by_ms)
    one["beat"] = older(int(one["beat"]), by_ms)
    one["back"] = older(int(one["back"]), by_ms)
    one["void"] = older(int(one["void"]), by_ms)
    one["ended"] = older(int(one["ended"]), by_ms)
    if off_is_last and one["off"] == one["on"]:
        one["off"] = LONG_AGO + 1
    one["block"] = latest


@compiled
def put(heard: Heard, column: Column, node: int, at_ms: int) -> None:
    """Put a moment, or NEVER, in the place of another."""
    make_room(heard[node], at_ms)
    column[node] = kept_of(int(heard[node]["block"]), at_ms)


@compiled
def told_of(block: Blocks, column: Column, nodes: I64) -> I64:
    """A moment of each of some nodes."""
    found = np.empty(len(nodes), np.int64)
    for place in range(len(nodes)):
        found[place] = told(int(block[nodes[place]]), int(column[nodes[place]]))
    return found


@compiled
def told_of_all(block: Blocks, column: Column) -> I64:
    """A moment of each node."""
    found = np.empty(len(block), np.int64)
    for node in range(len(block)):
        found[node] = told(int(block[node]), int(column[node]))
    return found


@compiled
def put_of(heard: Heard, column: Column, nodes: I64, at_ms: I64) -> None:
    """Put down a moment of each of some nodes."""
    for place in range(len(nodes)):
        put(heard, column, nodes[place], at_ms[place])


class Moments:
    """One moment of each node, as a column of times in ms that may be read and written."""

    __slots__ = ("block", "column", "heard")
    dtype = np.dtype(np.int64)  # as it is read

    def __init__(self, heard: Heard, name: str) -> None:
        self.heard, self.column, self.block = heard, heard[name], heard["block"]

    def __len__(self) -> int:
        return len(self.column)

    def __getitem__(self, nodes: I64 | Bools | slice) -> I64:
        if isinstance(nodes, slice):
            return told_of_all(self.block[nodes], self.column[nodes])
        return told_of(self.block, self.column, _numbers(nodes))

    def __setitem__(self, nodes: I64 | Bools | slice, at_ms: I64 | int) -> None:
        if isinstance(nodes, slice):
            nodes = np.arange(*nodes.indices(len(self.column)))
        nodes = _numbers(nodes)
        each = np.full(len(nodes), at_ms, np.int64)
        put_of(self.heard, self.column, nodes, each)

    def of(self, node: int) -> int:
        """The moment of one node."""
        return told(int(self.block[node]), int(self.column[node]))

    def put(self, node: int, at_ms: int) -> None:
        """Put down the moment of one node."""
        put(self.heard, self.column, node, at_ms)

    @property
    def known(self) -> Bools:
        """Of which nodes there is one."""
        known: Bools = self.column != UNKNOWN
        return known


def _numbers(nodes: I64 | Bools) -> I64:
    if nodes.dtype == np.bool_:
        return places(nodes)
    return np.ascontiguousarray(nodes, np.int64)
