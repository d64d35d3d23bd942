"""The tree, laid out for level-wise arithmetic: which nodes lie on which level, and the slices
below them.
"""

from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from grid.network import ALL_PHASES, F64, I16, I32, I64, U8, Bools, Group, NodeKind

TRANSFORMER = int(NodeKind.TRANSFORMER)  # numpy is slow to compare with a member of an enum

Column = TypeVar("Column", I64, F64, Bools)


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """A feeder group's shape.  N nodes in preorder; children lists are never needed."""

    parent: I32
    size: I32
    depth: I16
    kind: U8
    meters: Bools  # nodes that have customers
    customers_from: (
        I32  # N + 1: customers before each node, so that below v are [v + size[v]] - [v]
    )
    depth_max: int
    phases: U8
    phased: bool  # somebody has fewer than three
    # nodes below the substation that have others below them, or are transformers; ascending
    branches: I64
    by_level: I32  # the places of the branches, level by level
    right_below: I32  # entry a branch: how many nodes have it as their parent
    terminals: I64  # the transformers; ascending
    runs: I32  # where each run of nodes with one parent begins


def tree_of(group: Group) -> Tree:
    """Lay out a group."""
    inside = (group.size > 1) | (group.kind == TRANSFORMER)
    inside[0] = False
    branches = np.flatnonzero(inside)
    below = np.bincount(group.parent[1:], minlength=len(inside))
    return Tree(
        parent=group.parent,
        size=group.size,
        depth=group.depth,
        kind=group.kind,
        meters=np.diff(group.customer_from) > 0,
        customers_from=group.customer_from,
        depth_max=int(group.depth.max(initial=0)),
        phases=group.phases,
        phased=bool((group.phases != ALL_PHASES).any()),
        branches=branches,
        by_level=np.argsort(group.depth[branches], kind="stable").astype(np.int32),
        right_below=below[branches].astype(np.int32),
        runs=runs_of(group.parent).astype(np.int32),
        terminals=np.flatnonzero(group.kind == TRANSFORMER),
    )


def places(which: NDArray[np.generic]) -> I64:
    """Where it is so; numpy's ``flatnonzero`` takes longer to begin than most of ours take."""
    found: I64 = which.nonzero()[0]
    return found


def runs_of(column: NDArray[np.generic]) -> I64:
    """Where each run of equal entries begins, of a column with at least one."""
    return np.concatenate(([0], places(column[1:] != column[:-1]) + 1))


def distinct(nodes: I64) -> I64:
    """Each once, ascending; quicker than numpy's own for few, and it needs no masked arrays."""
    nodes = np.sort(nodes)
    return nodes.take(runs_of(nodes)) if len(nodes) else nodes


def among(nodes: I64, some: I64) -> Bools:
    """Which nodes are among some, which ascend; quicker than numpy's own for few."""
    if len(some) == 0:
        return np.zeros(len(nodes), np.bool_)
    place = some.searchsorted(nodes)
    np.minimum(place, len(some) - 1, out=place)
    found: Bools = some.take(place) == nodes
    return found


def transformers(tree: Tree, nodes: I64) -> I64:
    """The nearest transformer at or above each node, -1 where there is none."""
    found = nodes.astype(np.int64)
    for _ in range(tree.depth_max):
        climb = (found > 0) & (tree.kind[found] != TRANSFORMER)
        if not climb.any():
            break
        found[climb] = tree.parent[found[climb]]
    found[found == 0] = -1
    return found


class Spans(NamedTuple):
    """Spans of a column, none of which is empty, as numpy takes them."""

    edges: I64
    to_end: I64  # those that end where the column does, short by one: no edge may lie there


def spans(begin: I64, end: I64, length: int) -> Spans:
    """Spans of a column of some length: each from its begin to before its end."""
    edges = np.empty((len(begin), 2), np.int64)
    edges[:, 0], edges[:, 1] = begin, end
    to_end = places(end == length)
    edges[to_end, 1] -= 1
    return Spans(edges.ravel(), to_end[begin.take(to_end) < length - 1])


def reduced(of: np.ufunc, column: Column, over: Spans) -> Column:
    """A column reduced over each of some spans.  It is read as slices."""
    every: Column = of.reduceat(column, over.edges)[0::2]
    every[over.to_end] = of(every[over.to_end], column[-1])
    return every


def laid_out(begin: I64, end: I64) -> tuple[I64, I64, I64]:
    """All places of some spans, one span after the other; where each starts, and its length."""
    sizes = end - begin
    starts = sizes.cumsum() - sizes
    places = np.arange(int(sizes.sum()), dtype=np.int64)
    places += (begin - starts).repeat(sizes)
    return places, starts, sizes
