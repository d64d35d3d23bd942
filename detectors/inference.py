"""Exact MAP on the radial tree, and the posterior of each device by sum-product.

The hypothesis about a node is "dead since just after anything below it was last heard": the latest
beginning that no word contradicts.  It needs no clock of the fault: gasps older than a word from
below are explained by something smaller, and a heartbeat that was due before that word was missing
anyway.
"""

from dataclasses import dataclass

import numpy as np

from detectors.evidence import FAR, Evidence
from detectors.hearing import NEVER
from detectors.tree import Tree, spread, with_ancestors
from grid.network import F64, I64, Bools

GUARD_MS = 10_000  # clocks and delays are corrected to about this
GASP_FIRST_MS = 15_000  # head start of the share of gasps expected to be in, at the first one
GASP_SPREAD_MS = 45_000  # hold-off of meters (30-45 s) and delay, from first to last gasp
SILENT_FIRST_MS = 30_000  # without any gasp: the hold-off
CERTAIN = 50.0  # log-odds of a telemetered open position


@dataclass(frozen=True, slots=True, eq=False)
class Priors:
    """What is known of each node before anything is heard: log-odds that it is the open point."""

    logit: F64  # -inf where telemetry rules it out
    open: Bools  # telemetered open
    pending_logit: F64  # for a meter whose outage was restored and who was not heard again


@dataclass(frozen=True, slots=True)
class Declared:
    """A node held to be the open point."""

    node: int
    since_ms: int  # our clock: last word from below, or the first gasp if later
    probability: float
    gasps: int
    overdue: int
    silent: int


@dataclass(frozen=True, slots=True, eq=False)
class _Weights:
    llr: F64
    heard_ms: I64
    first_gasp_ms: I64
    gasps: I64
    overdue: I64
    silent: I64


def solve(tree: Tree, evidence: Evidence, priors: Priors, now_ms: int) -> tuple[Declared, ...]:
    """The most probable set of open points, top-down first; empty when nothing is suspicious."""
    suspects = np.flatnonzero(evidence.suspicious | priors.open)
    suspects = suspects[suspects > 0]
    if len(suspects) == 0:
        return ()
    nodes = with_ancestors(tree, suspects)
    weights = _weigh(tree, evidence, nodes, now_ms)
    logit = np.where(evidence.pending[nodes], priors.pending_logit[nodes], priors.logit[nodes])
    first = weights.llr + logit
    first = np.where(priors.open[nodes], np.maximum(first, 0.0) + CERTAIN, first)
    above = _above(tree, nodes)
    chosen, open_here = _upward(tree, nodes, above, first, priors.open[nodes])
    return _downward(tree, nodes, above, (chosen, open_here), weights)


def _weigh(tree: Tree, evidence: Evidence, nodes: I64, now_ms: int) -> _Weights:
    """Log-likelihood ratio of "dead since its last word" against "alive" for each node's whole
    subtree.
    """
    below, starts = spread(tree, nodes)
    sizes = tree.size[nodes]
    heard = np.maximum.reduceat(evidence.heard_ms[below], starts)
    limit = np.repeat(heard - GUARD_MS, sizes)
    gasp = evidence.gasp_ms[below]
    live = (gasp != NEVER) & (gasp >= limit)
    first = np.minimum.reduceat(np.where(live, gasp, FAR), starts)
    counted = ~live & (evidence.due_ms[below] >= limit)
    off = np.add.reduceat(np.where(live, 0.0, evidence.off_ll[below]), starts)
    on = np.add.reduceat(np.where(counted, evidence.on_ll[below], 0.0), starts)
    gasps = np.add.reduceat(np.where(live, evidence.gasp_ll[below], 0.0), starts)
    gasped = first != FAR
    since_first = (now_ms - np.where(gasped, first, 0) + GASP_FIRST_MS) / GASP_SPREAD_MS
    since_word = (now_ms - heard - SILENT_FIRST_MS) / GASP_SPREAD_MS
    arrived = np.clip(np.where(gasped, since_first, since_word), 0.0, 1.0)
    silent = (~live & (evidence.off_ll[below] < 0)).astype(np.int64)
    late = (counted & evidence.overdue[below]).astype(np.int64)
    return _Weights(
        llr=gasps + arrived * off - on,
        heard_ms=heard,
        first_gasp_ms=first,
        gasps=np.add.reduceat(live.astype(np.int64), starts),
        overdue=np.add.reduceat(late, starts),
        silent=np.add.reduceat(silent, starts),
    )


def _above(tree: Tree, nodes: I64) -> I64:
    """Place of each node's parent among ``nodes``; -1 below the substation."""
    parent = tree.parent[nodes]
    return np.where(parent > 0, np.searchsorted(nodes, parent), -1)


def _levels(tree: Tree, nodes: I64) -> list[I64]:
    depth = tree.depth[nodes]
    return [np.flatnonzero(depth == d) for d in range(1, tree.depth_max + 1)]


def _upward(tree: Tree, nodes: I64, above: I64, first: F64, hard: Bools) -> tuple[Bools, F64]:
    """Where the node itself beats the best of its children, and P(it is open | nothing above
    is).
    """
    count = len(nodes)
    best = np.zeros(count + 1)  # the last entry stands for the substation
    log_z = np.zeros(count + 1)
    chosen = np.zeros(count, np.bool_)
    open_here = np.zeros(count)
    for level in reversed(_levels(tree, nodes)):
        mine = first[level]
        chosen[level] = (mine > best[level] + 1e-9) | hard[level]
        total = np.logaddexp(mine, log_z[level])
        open_here[level] = np.exp(mine - total)
        np.add.at(log_z, above[level], total)
        np.add.at(best, above[level], np.maximum(mine, best[level]))
    return chosen, open_here


def _downward(
    tree: Tree,
    nodes: I64,
    above: I64,
    verdict: tuple[Bools, F64],
    weights: _Weights,
) -> tuple[Declared, ...]:
    chosen, open_here = verdict
    count = len(nodes)
    alive = np.ones(count + 1)  # P(nothing above is open)
    covered = np.zeros(count + 1, np.bool_)
    declared: list[Declared] = []
    for level in _levels(tree, nodes):
        up = above[level]
        alive[level] = np.where(up >= 0, alive[up] * (1 - open_here[up]), 1.0)
        covered[level] = (up >= 0) & (covered[up] | (chosen[up]))
        for i in level[chosen[level] & ~covered[level]].tolist():
            gasp, heard = int(weights.first_gasp_ms[i]), int(weights.heard_ms[i])
            declared.append(
                Declared(
                    node=int(nodes[i]),
                    since_ms=gasp if gasp != FAR else heard,
                    probability=float(alive[i] * open_here[i]),
                    gasps=int(weights.gasps[i]),
                    overdue=int(weights.overdue[i]),
                    silent=int(weights.silent[i]),
                )
            )
    return tuple(declared)
