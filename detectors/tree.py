"""The tree: a column each for parents, sizes and kinds; what is below a node is a slice of all."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from grid.network import ALL_PHASES, I16, I32, I64, U8, Bools, Group, NodeKind

TRANSFORMER = int(NodeKind.TRANSFORMER)  # numpy is slow to compare with a member of an enum


class Tree(NamedTuple):
    """A feeder group's shape.  N nodes in preorder; children lists are never needed."""

    parent: I32
    size: I32
    depth: I16
    kind: U8
    meters: Bools  # nodes that have customers
    # N + 1: customers before each node, so that below v are [v + size[v]] - [v]
    customers_from: I32
    depth_max: int
    phases: U8
    phased: bool  # somebody has fewer than three


def tree_of(group: Group) -> Tree:
    """Lay out a group."""
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
    )


def places(which: NDArray[np.generic]) -> I64:
    """Where it is so; numpy's ``flatnonzero`` takes longer to begin than most of ours take."""
    found: I64 = which.nonzero()[0]
    return found


def how_many(which: Bools) -> int:
    """How often it is so; numpy's ``any`` and ``sum`` take long to begin, too."""
    return int(np.count_nonzero(which))


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


def above(parent: I32, node: int) -> Iterator[int]:
    """The nodes above a node, the nearest first and the source last."""
    while (node := int(parent[node])) >= 0:
        yield node


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
