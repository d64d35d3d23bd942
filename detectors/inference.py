"""Exact MAP on the radial tree, and the posterior of each device by sum-product.

The hypothesis about a node is "dead since just after anything below it was last heard": the latest
beginning that no word contradicts.  It needs no clock of the fault: gasps older than a word from
below are explained by something smaller, and a heartbeat that was due before that word was missing
anyway.

Most nodes are meters, and a meter is weighed by what it says itself: all of them in one go.  Only
the branches above them need what lies below each (detectors/weighing.py), and only they are gone
through level by level (detectors/sweeps.py).
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from detectors.evidence import FAR, Evidence
from detectors.hearing import NEVER
from detectors.sweeps import (
    SURELY,
    Leaves,
    Levels,
    Sums,
    dead_leaves,
    gathered,
    leaves_of,
    spared,
    swept,
)
from detectors.tree import Tree, places, reduced, runs_of, spans
from detectors.weighing import (
    GUARD_MS,
    Parts,
    Weighed,
    Words,
    counted,
    customers_below,
    parts_of,
    weigh_leaves,
    weigh_parts,
    words_of,
)
from grid.network import ALL_PHASES, F64, I64, Bools

STORM_NEAR_MS = 60_000  # faults of one cause strike within about this
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


class _Solved(NamedTuple):
    """All of one moment's tree.  Places are those of the parts, level by level."""

    tree: Tree
    words: Words
    others: I64  # places of words that are a part's, or give no reason
    leaves: Leaves  # entry a word
    parts: Parts
    levels: Levels
    place: I64  # entry a node: of one of the parts; the substation's for all others
    up: I64  # entry a part: the place of its parent
    first: F64  # log-odds of each part that it is the open point
    hard: Bools  # telemetered open
    sums: Sums


def solve(tree: Tree, evidence: Evidence, priors: Priors, now_ms: int) -> Verdict:
    """The most probable set of open points, top-down first; empty when nothing is suspicious."""
    words = words_of(evidence, priors.open)
    if words is None:
        return Verdict()
    solved = _solved(tree, evidence, priors, words, now_ms)
    found = _topmost(solved)
    declared = _declared(solved, evidence, priors, found, now_ms) if len(found) else ()
    parts, dead_parts = solved.parts, 1.0 - solved.sums.through[:-1]
    nodes, dead = words.nodes, dead_leaves(solved.leaves, solved.sums.through)
    if words.before is None:
        dead[parts.nodes] = dead_parts
        points = words.reason_ms != NEVER
        points[parts.nodes] = True
        if np.count_nonzero(points) < len(points):
            nodes, dead = nodes[points], dead[points]
        return Verdict(declared, nodes, dead)
    if len(solved.others):
        points = np.ones(len(nodes), np.bool_)
        points[solved.others] = False
        nodes, dead = nodes[points], dead[points]
    nodes = np.concatenate((parts.nodes, nodes))
    order = np.argsort(nodes)
    return Verdict(declared, nodes[order], np.concatenate((dead_parts, dead))[order])


def _solved(tree: Tree, evidence: Evidence, priors: Priors, words: Words, now_ms: int) -> _Solved:
    parts, first = _parts(tree, evidence, priors, words, now_ms)
    order, levels = _by_level(tree, parts.nodes)
    parts, first = parts.some(order), first.take(order)
    place = np.full(len(tree.parent), len(order))
    place[parts.nodes] = np.arange(len(order))
    if words.before is None:
        runs, own = tree.runs.astype(np.int64), parts.nodes
        parents = tree.parent.take(runs)
        parents[0] = 0
    else:
        parents = tree.parent.take(words.nodes)
        runs = runs_of(parents)
        parents = parents.take(runs)
        speaks = words.before.take(parts.nodes) > words.before.take(parts.nodes - 1)
        own = parts.begin[speaks]
    others = np.concatenate((own, places(words.reason_ms == NEVER)))
    weighed = weigh_leaves(evidence, words, now_ms)
    alone = _scored(tree, priors, weighed, (words.nodes, words.heard_ms), now_ms)
    alone[others] = -np.inf
    leaves = leaves_of(alone, runs, place.take(parents))
    up = place.take(tree.parent.take(parts.nodes))
    hard = priors.open.take(parts.nodes)
    sums = swept(levels, up, (first, hard if np.count_nonzero(hard) else None), leaves)
    return _Solved(tree, words, others, leaves, parts, levels, place, up, first, hard, sums)


def _parts(
    tree: Tree, evidence: Evidence, priors: Priors, words: Words, now_ms: int
) -> tuple[Parts, F64]:
    """The parts, ascending, with their log-odds."""
    parts, reason = parts_of(tree, evidence, words)
    first = np.full(len(parts.nodes), -np.inf)
    # where anyone was heard after the last reason to doubt, nothing can speak for an outage
    doubtful = places(reason >= parts.heard_ms - GUARD_MS)
    if len(doubtful):
        some = parts.some(doubtful) if len(doubtful) < len(first) else parts
        weighed = weigh_parts(tree, evidence, words, some, now_ms)
        first[doubtful] = _scored(tree, priors, weighed, (some.nodes, some.heard_ms), now_ms)
    return parts, first


def _by_level(tree: Tree, nodes: I64) -> tuple[I64, Levels]:
    """Places of some branches, ascending, level by level; and where each level lies."""
    order = tree.by_level.astype(np.int64)
    if len(nodes) < len(order):
        place = np.full(len(order), -1)
        place[np.searchsorted(tree.branches, nodes)] = np.arange(len(nodes))
        order = place.take(order)
        order = order[order >= 0]
    begins = runs_of(tree.depth.take(nodes.take(order))).tolist()
    return order, list(pairwise([*begins, len(order)]))


def _scored(
    tree: Tree, priors: Priors, weighed: Weighed, about: tuple[I64, I64], now_ms: int
) -> F64:
    """Log-odds that each of some nodes is the open point, by what is known of them and what was
    heard.  ``about``: the nodes, and when anybody below was last heard.
    """
    nodes, heard_ms = about
    score = weighed.llr
    score += _logit(tree, priors, nodes, weighed.waiting)
    if len(priors.storms_ms) or weighed.waiting is not None:
        near = _near(priors, heard_ms, (weighed.gasped, weighed.gasp_ms), now_ms)
        if weighed.waiting is not None:
            near |= weighed.waiting > 0
        score[places(~near)] += priors.calm_ll
    else:
        score += priors.calm_ll
    if np.count_nonzero(priors.open):
        hard = places(priors.open.take(nodes))
        score[hard] = np.maximum(score[hard], 0.0) + CERTAIN
    return score


def _logit(tree: Tree, priors: Priors, nodes: I64, waiting: I64 | None) -> F64:
    logit = priors.logit if len(nodes) == len(priors.logit) else priors.logit.take(nodes)
    if waiting is None or not np.count_nonzero(waiting):
        return logit
    # a few who wait for power, of many who have it, leave nothing behind above them
    left = (waiting > 0) & (2 * waiting >= customers_below(tree, nodes))
    return np.where(left, priors.left_logit.take(nodes), logit)


def _near(priors: Priors, heard_ms: I64, gasps: tuple[I64, I64], now_ms: int) -> Bools:
    """Whether a sure fault began about when each node may have: at its first gasp (``gasps``: the
    places of those who have one, and when), or else at any time since it was last heard.
    """
    gasped, at_ms = gasps
    if len(priors.storms_ms) == 0:
        return np.zeros(len(heard_ms), np.bool_)
    storms = np.sort(priors.storms_ms)
    begun = int(storms.searchsorted(now_ms + STORM_NEAR_MS, "right"))
    latest = int(storms[begun - 1]) if begun else 2 * int(NEVER)
    near: Bools = heard_ms <= latest + STORM_NEAR_MS
    begin = storms.searchsorted(at_ms - STORM_NEAR_MS)
    near[gasped] = begin < storms.searchsorted(at_ms + STORM_NEAR_MS, "right")
    return near


def _topmost(solved: _Solved) -> I64:
    """Nodes that beat the best of what is below them, and none of which is below another."""
    beats = solved.first > solved.sums.best + SURELY
    whole = solved.parts.nodes[beats | solved.hard]
    single = solved.words.nodes[places(solved.leaves.first > SURELY)]
    nodes = np.sort(np.concatenate((whole, single)))
    if len(nodes) < 2:
        return nodes
    ends = np.maximum.accumulate(nodes + solved.tree.size.take(nodes))
    topmost: I64 = nodes[np.concatenate(([True], nodes[1:] >= ends[:-1]))]
    return topmost


def _declared(
    solved: _Solved, evidence: Evidence, priors: Priors, nodes: I64, now_ms: int
) -> tuple[Declared, ...]:
    """What is held to be open, with all that is said of it."""
    tree = solved.tree
    ends = nodes + tree.size.take(nodes)
    heard = reduced(np.maximum, evidence.heard_ms, spans(nodes, ends, len(tree.parent)))
    count = counted(tree, evidence, nodes, heard, now_ms)
    logit = _logit(tree, priors, nodes, count.waiting)
    gasped = places(count.first_gasp_ms != FAR)
    near = _near(priors, heard, (gasped, count.first_gasp_ms[gasped]), now_ms)
    others = (near | (count.waiting > 0)) & (count.silence >= RIPE)
    # not where a plan has it open
    lone = count.lone & ~others & (logit < 0) & ~priors.open.take(nodes)
    since = np.where(count.first_gasp_ms != FAR, count.first_gasp_ms, heard)
    known, spared_ll = _known(solved, nodes), _spared(solved)
    series, begins = _series(solved, nodes)
    same = _known(solved, series)
    probability = np.minimum(np.add.reduceat(same.open_point, begins), 1.0)
    last = solved.place.take(series.take(np.concatenate((begins[1:], [len(series)])) - 1))
    margin = np.maximum.reduceat(same.first, begins) - spared_ll.take(last)
    columns = (
        nodes, ends, since, probability, known.dead, count.gasps, count.overdue, count.silent,
        count.unanswered, known.first, margin, np.full(len(nodes), ALL_PHASES), lone,
    )  # fmt: skip
    return tuple(map(Declared, *(column.tolist() for column in columns)))


class _Known(NamedTuple):
    """What the sums say of some nodes that anything points to."""

    first: F64
    open_point: F64  # P(it is the open point)
    dead: F64  # P(its meters are dead)


def _known(solved: _Solved, nodes: I64) -> _Known:
    sums, leaves = solved.sums, solved.leaves
    first, open_here, alive = np.empty(len(nodes)), np.empty(len(nodes)), np.empty(len(nodes))
    place = solved.place.take(nodes)
    part = place < len(sums.best)
    at = place[part]
    first[part], open_here[part], alive[part] = solved.first[at], sums.open_here[at], sums.alive[at]
    at = solved.words.nodes.searchsorted(nodes[~part])
    first[~part], open_here[~part] = leaves.first[at], 1.0 - leaves.shut[at]
    alive[~part] = sums.through[leaves.up(at)]
    return _Known(first, alive * open_here, 1.0 - alive * (1.0 - open_here))


def _series(solved: _Solved, nodes: I64) -> tuple[I64, I64]:
    """Some nodes, each with those in series with it that have the same meters, from the top down,
    and where each of these series begins.
    """
    tree = solved.tree
    series: list[int] = []
    begins: list[int] = []
    for node, customers in zip(nodes.tolist(), customers_below(tree, nodes).tolist(), strict=True):
        begins.append(len(series))
        line, up = [node], int(tree.parent[node])
        while up > 0 and _customers(tree, up) == customers:
            line, up = [up, *line], int(tree.parent[up])
        while (down := _only_child(solved, line[-1], customers)) is not None:
            line.append(down)
        series += line
    return np.array(series), np.array(begins)


def _only_child(solved: _Solved, node: int, customers: int) -> int | None:
    """The node right below another that has all of its customers, if anything points to it."""
    tree, child = solved.tree, node + 1
    end = node + int(tree.size[node])
    while child < end:
        served = _customers(tree, child)
        if served == customers and _points(solved, child):
            return child
        if served:
            return None
        child += int(tree.size[child])
    return None


def _points(solved: _Solved, node: int) -> bool:
    """Whether anything points to a node."""
    if solved.place[node] < len(solved.parts.nodes):
        return True
    nodes, i = solved.words.nodes, int(np.searchsorted(solved.words.nodes, node))
    return i < len(nodes) and nodes[i] == node and solved.words.reason_ms[i] != NEVER


def _customers(tree: Tree, node: int) -> int:
    return int(tree.customers_from[node + tree.size[node]] - tree.customers_from[node])


def _spared(solved: _Solved) -> F64:
    """Entry a part: the worth of the best set below it that leaves a meter there alive; and 0 for
    what has no part of its own.
    """
    parts, leaves, best = solved.parts, solved.leaves, solved.sums.best
    count = len(best)
    pointed = np.bincount(solved.up, minlength=count + 1)
    np.add.at(pointed, leaves.parents, leaves.in_run())
    np.subtract.at(pointed, leaves.up(solved.others), 1)
    all_pointed = (pointed[:-1] == parts.right_below) & (parts.right_below > 0)
    least = np.concatenate((np.where(all_pointed, np.inf, 0.0), [0.0]))
    loss = np.maximum(leaves.first, 0.0)
    loss[solved.others] = np.inf
    gathered(np.minimum, leaves, loss, least)
    whole = np.where(solved.hard, solved.first, np.maximum(solved.first, best))
    return np.concatenate((spared(solved.levels, solved.up, whole, best, least), [0.0]))
