"""The tree, laid out for level-wise arithmetic: which nodes lie on which level, and the slices
below them.
"""

from dataclasses import dataclass

import numpy as np

from grid.network import ALL_PHASES, I16, I32, I64, U8, Bools, Group, NodeKind


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


def distinct(nodes: I64) -> I64:
    """Each once, ascending; quicker than numpy's own for few, and it needs no masked arrays."""
    nodes = np.sort(nodes)
    return nodes[np.append(True, nodes[1:] != nodes[:-1])] if len(nodes) else nodes


def transformers(tree: Tree, nodes: I64) -> I64:
    """The nearest transformer at or above each node, -1 where there is none."""
    found = nodes.astype(np.int64)
    for _ in range(tree.depth_max):
        climb = (found > 0) & (tree.kind[found] != NodeKind.TRANSFORMER)
        if not climb.any():
            break
        found[climb] = tree.parent[found[climb]]
    found[found == 0] = -1
    return found


def with_ancestors(tree: Tree, nodes: I64) -> I64:
    """The nodes and everything above them, ascending; the substation's node 0 left out."""
    marked = np.zeros(len(tree.parent), np.bool_)
    marked[0] = True
    while len(nodes):
        nodes = nodes[~marked[nodes]]
        marked[nodes] = True
        nodes = tree.parent[nodes].astype(np.int64)
    marked[0] = False
    return np.flatnonzero(marked)


def highest_below(tree: Tree, column: I64, nodes: I64) -> I64:
    """The largest entry of a column in the subtree of each node.  The column is read as slices."""
    edges = np.empty(2 * len(nodes), np.int64)
    edges[0::2] = nodes
    edges[1::2] = nodes + tree.size[nodes]
    padded = np.append(column, column[:1])  # a subtree may end where the column does
    highest: I64 = np.maximum.reduceat(padded, edges)[0::2]
    return highest


def spread(tree: Tree, nodes: I64) -> tuple[I64, I64]:
    """All nodes below each of ``nodes``, one subtree after the other, and where each subtree
    starts.
    """
    sizes = tree.size[nodes]
    starts = np.cumsum(sizes) - sizes
    below = np.arange(int(sizes.sum()), dtype=np.int64)
    below += np.repeat(nodes - starts, sizes)
    return below, starts
