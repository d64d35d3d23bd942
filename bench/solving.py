"""A full solve over a million nodes, and the least that numpy can do on the same levels.

The nodes are groups of the benchmark's size, one after the other, as the engine has them.  Every
meter is silent and overdue, and one transformer's meters gasped: all nodes are candidates, none is
left out.  The bare pass adds each node to its parent from the bottom up, and hands each parent's
value down again: one gather and one addition a node each way.
"""

import time
from collections.abc import Callable

import numpy as np

from detectors.arriving import Gasping
from detectors.evidence import Evidence
from detectors.inference import solve
from detectors.moments import FAR, NEVER
from detectors.tree import Tree, tree_of
from detectors.weighing import Priors
from grid.network import F64, I64, Group, NodeKind

NODES = 1_000_000
NOW_MS = 1_800_000_000_000
SILENT_MS = 960_000


def _evidence(tree: Tree) -> Evidence:
    count = len(tree.parent)
    heard = np.where(tree.meters, NOW_MS - SILENT_MS, NEVER)
    gasp = np.full(count, NEVER)
    failed = int(np.flatnonzero(tree.kind == NodeKind.TRANSFORMER)[0])
    below = slice(failed, failed + int(tree.size[failed]))
    gasp[below] = np.where(tree.meters[below], NOW_MS - 30_000, NEVER)
    gasped = gasp != NEVER
    overdue = tree.meters & ~gasped
    return Evidence(
        heard_ms=heard,
        gasp_ms=gasp,
        gasp_ll=np.where(gasped, 8.5, 0.0),
        due_ms=np.where(overdue, NOW_MS - 60_000, FAR),
        off_ll=np.where(overdue, -0.7, 0.0),
        on_ll=np.where(overdue, -0.1, 0.0),
        overdue=overdue,
        pending=np.zeros(count, np.bool_),
        unanswered=np.zeros(count),
        mute_dcu=np.zeros(0, np.bool_),
        word_ms=np.zeros(0, np.int64),
        gasping=Gasping(0.5),
    )


def _priors(tree: Tree) -> Priors:
    logit = np.full(len(tree.parent), -6.0)
    nowhere = np.zeros(len(logit), np.bool_)
    return Priors(logit, nowhere, logit, nowhere, np.zeros(0, np.int64), -2.3)


def _levels(tree: Tree) -> list[tuple[I64, I64]]:
    """The nodes of each level with their parents, from the top."""
    order = np.argsort(tree.depth, kind="stable")
    cuts = np.searchsorted(tree.depth[order], np.arange(1, tree.depth_max + 1))
    return [(level, tree.parent[level].astype(np.int64)) for level in np.split(order, cuts)[1:]]


def rates(group: Group, nodes: int = NODES) -> tuple[Callable[[], float], Callable[[], float], int]:
    """Nodes a second of a full solve and of the bare pass, as measurements; and how many nodes."""
    tree = tree_of(group)
    evidence, priors, levels = _evidence(tree), _priors(tree), _levels(tree)
    groups = nodes // len(group.ids) + 1
    count = groups * len(group.ids)

    def ours() -> float:
        began = time.thread_time()
        for _ in range(groups):
            verdict = solve(tree, evidence, priors, NOW_MS)
        seconds = time.thread_time() - began
        assert len(verdict.nodes) == len(group.ids) - 1
        return count / seconds

    def bare() -> float:
        began = time.thread_time()
        for _ in range(groups):
            total: F64 = np.where(tree.meters, 1.0, 0.0)
            for level, above in reversed(levels):
                np.add.at(total, above, total[level])
            share = np.ones(len(total))
            for level, above in levels:
                share[level] = share[above] * 0.5
        assert total[0] > 0
        return count / (time.thread_time() - began)

    return ours, bare, count
