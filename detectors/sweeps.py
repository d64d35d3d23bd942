"""Up and down the tree: the sums that exact inference is made of."""

from math import exp, log, log1p
from typing import NamedTuple

import numpy as np

from detectors.compiled import compiled
from detectors.tree import Tree
from grid.network import F64, Bools

SURELY = 1e-9  # by so much the whole must beat its parts
MUCH = 1e200  # a product of leaves' Z that may not become much larger


class Sums(NamedTuple):
    """What nodes are worth.  One entry each."""

    best: F64  # of the best set of open points below each
    open_here: F64  # P(it is open | nothing above it is)
    through: F64  # P(nothing above it is open, nor is it itself)


@compiled
def swept(tree: Tree, first: F64, odds: F64, points: Bools, is_open: Bools) -> Sums:
    """Up for the sums and the best below each node, down for what is above it.

    Leaves are many, and a logarithm takes as long as all else that is done for one: their Z are
    multiplied, and the logarithm of that is taken once.

    Args:
        tree: The tree.
        first: Log-odds of each node that it is the open point.
        odds: The same, no logarithms; of nodes with nobody below them.
        points: Where anything points to it or to what is below it.
        is_open: Which are so for sure: whatever is below them does not count.
    """
    parent, size, depth = tree.parent, tree.size, tree.depth
    best = np.zeros(len(first))
    open_here, through = np.zeros(len(first)), np.ones(len(first))
    # by depth: of those of one parent, as far as they were gone through
    log_z, leaves_z = np.zeros(tree.depth_max + 2), np.ones(tree.depth_max + 2)
    for node in range(len(first) - 1, 0, -1):
        up, mine, level = parent[node], first[node], depth[node]
        if not points[node]:
            continue
        if size[node] == 1:
            z = 1.0 + odds[node]
            open_here[node] = odds[node] / z
            leaves_z[level] *= z
            if leaves_z[level] > MUCH:
                log_z[level] += log(leaves_z[level])
                leaves_z[level] = 1.0
            best[up] += max(mine, 0.0)
        else:
            z_below = log_z[level + 1] + log(leaves_z[level + 1])
            log_z[level + 1], leaves_z[level + 1] = 0.0, 1.0
            if is_open[node]:
                z_below = -np.inf
            less = exp(-abs(mine - z_below))
            open_here[node] = (1.0 if mine > z_below else less) / (1.0 + less)
            log_z[level] += max(mine, z_below) + log1p(less)
            best[up] += mine if is_open[node] else max(mine, best[node])
    for node in range(1, len(first)):
        through[node] = through[parent[node]] * (1.0 - open_here[node])
    return Sums(best, open_here, through)


@compiled
def topmost(tree: Tree, first: F64, best: F64, is_open: Bools) -> Bools:
    """Nodes that beat the best of what is below them, and none of which is below another."""
    chosen = np.zeros(len(first), np.bool_)
    end = 0
    for node in range(1, len(first)):
        if node >= end and (is_open[node] or first[node] > best[node] + SURELY):
            chosen[node] = True
            end = node + tree.size[node]
    return chosen
