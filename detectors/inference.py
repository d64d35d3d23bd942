"""Exact MAP on the radial tree, and the posterior of each device by sum-product.

The hypothesis about a node is "dead since just after anything below it was last heard": the latest
beginning that no word contradicts.  It needs no clock of the fault: gasps older than a word from
below are explained by something smaller, and a heartbeat that was due before that word was missing
anyway.

Each node is weighed by what is said below it (detectors/weighing.py), then the tree is gone through
up and down (detectors/sweeps.py); what is declared is described here.
"""

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from detectors.arriving import failed, worth_of_meters
from detectors.compiled import compiled
from detectors.evidence import Evidence
from detectors.moments import FAR, NEVER
from detectors.sweeps import Sums, swept, topmost
from detectors.tree import TRANSFORMER, Tree, places
from detectors.weighing import GUARD_MS, Priors, left_behind, near, weigh
from grid.network import ALL_PHASES, F64, I64, Bools

LARGEST = 200.0  # log-odds of a node with nobody below it are less, if any: it has one word
RIPE = 0.9  # of what silence is worth, once so much holds


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
    lone: bool = False  # one reason alone, and others could still come
    phases: int = ALL_PHASES  # that are dead: all that it has, or these alone
    lost: int = 0  # devices that live on the other phases, and say that these are dead
    margins: F64 = field(default_factory=lambda: np.zeros(0), compare=False)
    """Entry a node of its subtree: the margin against outages that leave that one alive."""


FOUND = np.dtype(
    [
        ("node", "i8"), ("end", "i8"), ("since_ms", "i8"), ("probability", "f8"), ("dead", "f8"),
        ("gasps", "i8"), ("overdue", "i8"), ("silent", "i8"), ("unanswered", "i8"),
        ("score", "f8"), ("margin", "f8"), ("lone", "?"),
    ],
    align=True,
)  # fmt: skip
"""The first fields of ``Declared``."""

Found = Annotated[NDArray[np.void], FOUND]
OneFound = Annotated[np.void, FOUND]


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


def solve(tree: Tree, evidence: Evidence, priors: Priors, now_ms: int) -> Verdict:
    """The most probable set of open points, top-down first; empty when nothing is suspicious."""
    first, points = weigh(tree, evidence, priors, now_ms)
    nodes = places(points)
    if len(nodes) == 0:
        return Verdict()
    odds = np.exp(np.clip(first, -LARGEST, LARGEST))
    sums = swept(tree, first, odds, points, priors.open)
    chosen = places(topmost(tree, first, sums.best, priors.open))
    found = np.zeros(len(chosen), FOUND)
    describe(tree, evidence, priors, now_ms, chosen, found)
    spared = np.zeros(len(first))
    weigh_found(tree, first, points, sums, priors.open, found, spared)
    declared = tuple(
        Declared(*(*row, ALL_PHASES, 0, spared[row[0] : row[1]])) for row in found.tolist()
    )
    return Verdict(declared, nodes, 1.0 - sums.through.take(nodes))


@compiled
def last_word(evidence: Evidence, node: int, end: int) -> int:
    """When anybody of a subtree was last heard."""
    heard_ms = NEVER
    for below in range(node, end):
        heard_ms = max(heard_ms, evidence.heard_ms[below])
    return heard_ms


@compiled
def describe(
    tree: Tree, evidence: Evidence, priors: Priors, now_ms: int, nodes: I64, found: Found
) -> None:
    """What speaks for some nodes that are held to be dead, in numbers."""
    for place in range(len(nodes)):
        one, node = found[place], nodes[place]
        end = node + tree.size[node]
        heard_ms = last_word(evidence, node, end)
        since_ms = heard_ms - GUARD_MS
        waiting, asked = 0, 0.0
        gasp_ms, terminal_ms = FAR, FAR
        for below in range(node, end):
            gasp = evidence.gasp_ms[below]
            due = evidence.due_ms[below] >= since_ms
            if due:
                one["unanswered"] += evidence.unanswered[below] >= 1
                asked += evidence.unanswered[below]
            if gasp != NEVER and gasp >= since_ms:
                one["gasps"] += 1
                if tree.kind[below] == TRANSFORMER:
                    terminal_ms = min(terminal_ms, gasp)
                else:
                    gasp_ms = min(gasp_ms, gasp)
                continue
            one["overdue"] += due and evidence.overdue[below]
            one["silent"] += evidence.off_ll[below] < 0
            waiting += due and evidence.pending[below] and not priors.above[node]
        first_ms = min(gasp_ms, terminal_ms)
        one["node"], one["end"] = node, end
        one["since_ms"] = heard_ms if first_ms == FAR else first_ms
        others = waiting > 0 or near(priors.storms_ms, heard_ms, first_ms, now_ms)
        failed_ms = heard_ms
        if first_ms != FAR:
            failed_ms = failed(evidence.gasping, gasp_ms, terminal_ms)
        ripe = worth_of_meters(evidence.gasping, now_ms - failed_ms) >= RIPE
        left = left_behind(tree, node, waiting)
        one["lone"] = (
            one["gasps"] + one["overdue"] <= 1
            and one["unanswered"] + waiting == 0
            and terminal_ms == FAR
            and not (others and (ripe or asked >= 1))  # on a calm day answers may all be slow
            and (priors.left_logit if left else priors.logit)[node] < 0
            and not priors.open[node]  # not where a plan has it open
        )


@compiled
def customers(tree: Tree, node: int) -> int:
    """How many customers are below a node."""
    return int(tree.customers_from[node + tree.size[node]] - tree.customers_from[node])


@compiled
def only_child(tree: Tree, points: Bools, node: int) -> int:
    """The node right below another that has all of its customers, if anything points to it; -1."""
    child, end = node + 1, node + tree.size[node]
    while child < end:
        served = customers(tree, child)
        if served == customers(tree, node) and points[child]:
            return child
        if served:
            return -1
        child += tree.size[child]
    return -1


@compiled
def spare(
    tree: Tree, first: F64, points: Bools, sums: Sums, is_open: Bools, last: int, spared: F64
) -> float:
    """From the margin of one node on to those of each below it: whatever is above that one is
    closed, too, and beside the way down to it the best holds.  The least of those with nobody
    below them is returned.
    """
    least = spared[last] if tree.size[last] == 1 else np.inf
    for node in range(last + 1, last + tree.size[last]):
        up, alone = tree.parent[node], 0.0
        if points[node]:
            alone = max(first[node], sums.best[node])
            alone = first[node] if is_open[node] and tree.size[node] > 1 else alone
        spared[node] = spared[up] - (sums.best[up] - alone)
        if tree.size[node] == 1:
            least = min(least, spared[node])
    return least


@compiled
def weigh_found(
    tree: Tree, first: F64, points: Bools, sums: Sums, is_open: Bools, found: Found, spared: F64
) -> None:
    """How sure some nodes are that are held to be dead, and of which margin over each below alive.

    Devices in series that have the same meters are one: nobody can tell which of them it was.
    """
    parent, through, open_here = tree.parent, sums.through, sums.open_here
    for one in found:
        node = one["node"]
        probability = through[parent[node]] * open_here[node]
        best, last = first[node], node
        up = parent[node]
        while up > 0 and customers(tree, up) == customers(tree, node):
            probability += through[parent[up]] * open_here[up]
            best, up = max(best, first[up]), parent[up]
        down = only_child(tree, points, node)
        while down > 0:
            probability += through[parent[down]] * open_here[down]
            best, last = max(best, first[down]), down
            down = only_child(tree, points, down)
        one["probability"] = min(probability, 1.0)
        one["dead"] = 1.0 - through[node]
        one["score"] = first[node]
        spared[node : last + 1] = best
        one["margin"] = spare(tree, first, points, sums, is_open, last, spared)
