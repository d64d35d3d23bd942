"""Exact MAP on the radial tree, and the posterior of each device by sum-product.

The hypothesis about a node is "dead since just after anything below it was last heard": the latest
beginning that no word contradicts.  It needs no clock of the fault: gasps older than a word from
below are explained by something smaller, and a heartbeat that was due before that word was missing
anyway.
"""

from dataclasses import dataclass, field

import numpy as np

from detectors.evidence import FAR, Evidence
from detectors.hearing import NEVER
from detectors.tree import Tree, highest_below, spread, with_ancestors
from grid.network import ALL_PHASES, F64, I32, I64, Bools, NodeKind

GUARD_MS = 10_000  # clocks and delays are corrected to about this
STORM_NEAR_MS = 60_000  # faults of one cause strike within about this
CLOCK_MS = 700.0  # standard deviation of a terminal's word on when power failed
WRONG_CLOCK = 9.2  # log-odds against a terminal's clock having jumped since it was last heard
RIPE = 0.9  # of what silence is worth, once so much holds
CERTAIN = 50.0  # log-odds of a telemetered open position


@dataclass(frozen=True, slots=True, eq=False)
class Priors:
    """What is known of each node before anything is heard: log-odds that it is the open point."""

    logit: F64  # -inf where telemetry rules it out
    open: Bools  # telemetered open
    left_logit: F64  # the same, for what was not heard again when its outage was restored
    storms_ms: I64  # our clock: when sure faults began; near them others are likely
    calm_ll: float  # what the log-odds lose away from them


@dataclass(frozen=True, slots=True)
class Declared:
    """A node held to be the open point."""

    node: int
    end: int  # after the last node of its subtree
    since_ms: int  # our clock: last word from below, or the first gasp if later
    probability: float  # that it is the open point, or a device in series with the same meters
    dead: float  # that its meters are dead
    gasps: int
    overdue: int
    silent: int
    unanswered: int  # meters that were asked and did not answer
    score: float = 0.0  # log-odds of it against nobody being dead
    margin: float = 0.0  # log-odds against outages of its parts with at least one meter alive
    phases: int = ALL_PHASES  # that are dead: all that it has, or these alone
    lone: bool = False  # one reason alone, and others could still come
    lost: int = 0  # devices that live on the other phases, and say that these are dead


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What is declared, and how sure it is of each device that anything points to."""

    declared: tuple[Declared, ...] = ()
    nodes: I64 = field(default_factory=lambda: np.zeros(0, np.int64))  # ascending
    dead: F64 = field(default_factory=lambda: np.zeros(0))  # P(its meters are dead)

    @property
    def score(self) -> float:
        """Log-odds of all that is declared against nothing."""
        return sum(found.score for found in self.declared)


@dataclass(frozen=True, slots=True, eq=False)
class _Weights:
    llr: F64
    heard_ms: I64
    first_gasp_ms: I64
    gasps: I64
    overdue: I64
    silent: I64
    unanswered: I64
    waiting: I64
    lone: Bools  # one meter's word is all there is
    ripe: Bools  # what else would be said has been said


def solve(tree: Tree, evidence: Evidence, priors: Priors, now_ms: int) -> Verdict:
    """The most probable set of open points, top-down first; empty when nothing is suspicious."""
    suspects = np.flatnonzero(evidence.suspicious | priors.open)
    suspects = suspects[suspects > 0]
    if len(suspects) == 0:
        return Verdict()
    nodes = with_ancestors(tree, suspects)
    heard = highest_below(tree, evidence.heard_ms, nodes)
    reason = highest_below(tree, _reasons(evidence, priors, suspects), nodes)
    # where anyone was heard after the last reason to doubt, nothing can speak for an outage
    doubtful = np.flatnonzero(reason >= heard - GUARD_MS)
    candidates = nodes[doubtful]
    weights = _weigh(tree, evidence, candidates, heard[doubtful], now_ms)
    customers = tree.customers_from[nodes + tree.size[nodes]] - tree.customers_from[nodes]
    # a few who wait for power, of many who have it, leave nothing behind above them
    left = (weights.waiting > 0) & (2 * weights.waiting >= customers[doubtful])
    logit = np.where(left, priors.left_logit[candidates], priors.logit[candidates])
    near = _near(weights, priors, now_ms)
    score = weights.llr + logit + np.where(near, 0.0, priors.calm_ll)
    lone = weights.lone & ~(near & weights.ripe) & (logit < 0)  # not where a plan has it open
    hard = priors.open[candidates]
    first = np.full(len(nodes), -np.inf)
    first[doubtful] = np.where(hard, np.maximum(score, 0.0) + CERTAIN, score)
    above = _above(tree, nodes)
    levels = _levels(tree, nodes)
    sizes = tree.size[nodes]
    chosen, open_here, alive_ll = _upward(levels, above, first, (priors.open[nodes], sizes))
    found, alive = _downward(levels, above, chosen, open_here)
    open_point = alive[:-1] * open_here
    dead = 1 - alive[:-1] * (1 - open_here)
    declared = []
    for i in found.tolist():
        series = _series(i, above, customers)
        place = int(np.searchsorted(doubtful, i))
        declared.append(
            _declared(
                (int(nodes[i]), int(nodes[i] + tree.size[nodes[i]])),
                weights,
                place,
                probability=min(float(open_point[series].sum()), 1.0),
                dead=float(dead[i]),
                score=float(first[i]),
                margin=float(first[series].max() - alive_ll[series[-1]]),
                lone=bool(lone[place] and not hard[place]),
            )
        )
    return Verdict(tuple(declared), nodes, dead)


def _reasons(evidence: Evidence, priors: Priors, suspects: I64) -> I64:
    """When each suspect last gave a reason to think of an outage."""
    reasons = np.full(len(evidence.heard_ms), NEVER, np.int64)
    missed = evidence.overdue[suspects] | evidence.pending[suspects]
    due = np.where(missed, evidence.due_ms[suspects], NEVER)
    latest = np.maximum(evidence.gasp_ms[suspects], due)
    reasons[suspects] = np.where(priors.open[suspects], FAR, latest)
    return reasons


def _weigh(tree: Tree, evidence: Evidence, nodes: I64, heard: I64, now_ms: int) -> _Weights:
    """Log-likelihood ratio of "dead since its last word" against "alive" for each node's whole
    subtree.
    """
    below, starts = spread(tree, nodes)
    limit = np.repeat(heard - GUARD_MS, tree.size[nodes])
    gasp = evidence.gasp_ms[below]
    live = (gasp != NEVER) & (gasp >= limit)
    terminal = tree.kind[below] == NodeKind.TRANSFORMER
    first_terminal = np.minimum.reduceat(np.where(live & terminal, gasp, FAR), starts)
    first_meter = np.minimum.reduceat(np.where(live & ~terminal, gasp, FAR), starts)
    first = np.minimum(first_meter, first_terminal)
    counted = ~live & (evidence.due_ms[below] >= limit)
    off_ll = np.where(live, 0.0, evidence.off_ll[below])
    off = np.add.reduceat(np.where(terminal, 0.0, off_ll), starts)
    off_terminals = np.add.reduceat(np.where(terminal, off_ll, 0.0), starts)
    on = np.add.reduceat(np.where(counted, evidence.on_ll[below], 0.0), starts)
    gasps = np.add.reduceat(np.where(live, evidence.gasp_ll[below], 0.0), starts)
    failed = evidence.gasping.failed(first_meter, first_terminal)
    failed = np.where(first != FAR, failed, heard)
    meters, terminals = evidence.gasping.silence((now_ms - failed).astype(np.float64))

    def count(which: Bools) -> I64:
        total: I64 = np.add.reduceat(which, starts, dtype=np.int64)
        return total

    gasped, overdue = count(live), count(counted & evidence.overdue[below])
    unanswered = count((evidence.unanswered[below] > 0) & (evidence.due_ms[below] >= limit))
    waiting = count(counted & evidence.pending[below])
    lone = (gasped + overdue <= 1) & (unanswered + waiting == 0) & (first_terminal == FAR)
    silence = meters * off + terminals * off_terminals
    return _Weights(
        llr=gasps + silence - on - _apart(starts, gasp, live & terminal),
        heard_ms=heard,
        first_gasp_ms=first,
        gasps=gasped,
        overdue=overdue,
        silent=count(off_ll < 0),
        unanswered=unanswered,
        waiting=waiting,
        lone=lone,
        ripe=meters >= RIPE,
    )


def _apart(starts: I64, gasp: I64, terminals: Bools) -> F64:
    """What it costs each candidate that terminals below it lost power at different times: one
    fault is one moment to them, but for a clock now and then.
    """
    cost = np.zeros(len(starts))
    at = np.flatnonzero(terminals)
    if len(at) < 2:
        return cost
    part = np.searchsorted(starts, at, "right") - 1
    at = at[np.lexsort((gasp[at], part))]  # by candidate, each by time
    begins, place, count = np.unique(part, return_index=True, return_counts=True)
    middle = np.repeat(gasp[at[place + (count - 1) // 2]], count)
    apart = (gasp[at] - middle) / CLOCK_MS
    cost[begins] = np.add.reduceat(np.minimum(apart * apart / 2, WRONG_CLOCK), place)
    return cost


def _near(weights: _Weights, priors: Priors, now_ms: int) -> Bools:
    """Whether a sure fault began about when each node may have: at its first gasp, or else at any
    time since it was last heard.
    """
    gasped = weights.first_gasp_ms != FAR
    begin = np.where(gasped, weights.first_gasp_ms, weights.heard_ms) - STORM_NEAR_MS
    end = np.where(gasped, weights.first_gasp_ms, now_ms) + STORM_NEAR_MS
    storms = np.sort(priors.storms_ms)
    near: Bools = np.searchsorted(storms, begin) < np.searchsorted(storms, end, "right")
    return near | (weights.waiting > 0)


def _above(tree: Tree, nodes: I64) -> I64:
    """Place of each node's parent among ``nodes``; -1 below the substation."""
    parent = tree.parent[nodes]
    return np.where(parent > 0, np.searchsorted(nodes, parent), -1)


def _levels(tree: Tree, nodes: I64) -> list[I64]:
    depth = tree.depth[nodes]
    order = np.argsort(depth, kind="stable")
    cuts = np.searchsorted(depth[order], np.arange(2, tree.depth_max + 1))
    return [level for level in np.split(order, cuts) if len(level)]


def _upward(
    levels: list[I64], above: I64, first: F64, known: tuple[Bools, I32]
) -> tuple[Bools, F64, F64]:
    """Where a node beats the best of its children, P(it is open | nothing above it is), and the
    worth of the best that leaves a meter below it alive.

    ``known``: telemetered open; nodes in each subtree.
    """
    hard, sizes = known
    count = len(above)
    best = np.zeros(count + 1)  # the last entry stands for the substation
    log_z = np.zeros(count + 1)
    spared = np.full(count + 1, np.inf)  # the least that a child loses by a meter alive in it
    within = np.ones(count + 1, np.int64)  # nodes of the children that anything points to
    chosen = np.zeros(count, np.bool_)
    open_here, alive_ll = np.zeros(count), np.zeros(count)
    for level in reversed(levels):
        mine, up = first[level], above[level]
        chosen[level] = (mine > best[level] + 1e-9) | hard[level]
        total = np.where(hard[level], mine, np.logaddexp(mine, log_z[level]))
        open_here[level] = np.exp(mine - total)
        np.add.at(log_z, up, total)
        whole = np.where(hard[level], mine, np.maximum(mine, best[level]))
        np.add.at(best, up, whole)
        elsewhere = (within[level] < sizes[level]) | np.isinf(spared[level])
        alive_ll[level] = best[level] - np.where(elsewhere, 0.0, spared[level])
        np.minimum.at(spared, up, whole - alive_ll[level])
        np.add.at(within, up, sizes[level])
    return chosen, open_here, alive_ll


def _downward(levels: list[I64], above: I64, chosen: Bools, open_here: F64) -> tuple[I64, F64]:
    """The topmost chosen nodes, as places, and P(nothing above is open) of all places."""
    count = len(above)
    alive = np.ones(count + 1)  # P(nothing above is open)
    covered = np.zeros(count + 1, np.bool_)
    for level in levels:
        up = above[level]
        under = up >= 0
        alive[level] = np.where(under, alive[up] * (1 - open_here[up]), 1.0)
        covered[level] = under & (covered[up] | chosen[up])
    return np.flatnonzero(chosen & ~covered[:count]), alive


def _series(i: int, above: I64, customers: I64) -> list[int]:
    """A place and those in series with it that have the same meters, from the top down."""
    series, up = [i], int(above[i])
    while up >= 0 and customers[up] == customers[i]:
        series, up = [up, *series], int(above[up])
    below = np.flatnonzero((above == i) & (customers == customers[i]))
    while len(below):
        series.append(int(below[0]))
        below = np.flatnonzero((above == below[0]) & (customers == customers[i]))
    return series


def _declared(
    span: tuple[int, int],
    weights: _Weights,
    i: int,
    *,
    probability: float,
    dead: float,
    score: float,
    margin: float,
    lone: bool,
) -> Declared:
    gasp, heard = int(weights.first_gasp_ms[i]), int(weights.heard_ms[i])
    return Declared(
        node=span[0],
        end=span[1],
        since_ms=gasp if gasp != FAR else heard,
        probability=probability,
        dead=dead,
        gasps=int(weights.gasps[i]),
        overdue=int(weights.overdue[i]),
        silent=int(weights.silent[i]),
        unanswered=int(weights.unanswered[i]),
        score=score,
        margin=margin,
        lone=lone,
    )
