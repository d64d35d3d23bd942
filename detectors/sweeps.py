"""Up and down a tree, level by level: the sums that exact inference is made of.

Places are those of the branches that anything points to, each level after the one above it; the
last place, one after them, stands for the substation.  Leaves have been added to their parents
before: nothing here is done for one of them alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from grid.network import F64, I64, Bools

Levels = Sequence[tuple[int, int]]
"""The places of each level, from the top: the first, and the one after the last."""

SURELY = 1e-9  # by so much the whole must beat its parts


class Leaves(NamedTuple):
    """What leaves are worth.  One entry a leaf; neighbours have one parent, most often."""

    first: F64  # log-odds that it is the open point; -inf where nothing says so
    log_z: F64
    shut: F64  # P(it is not open | nothing above it is)
    runs: I64  # where each run of leaves with one parent begins
    parents: I64  # and that parent's place

    def up(self, leaves: I64) -> I64:
        """The places of the parents of some."""
        return self.parents.take(self.runs.searchsorted(leaves, "right") - 1)

    def in_run(self) -> I64:
        """How many there are in each run."""
        ends = np.concatenate((self.runs[1:], [len(self.first)]))
        return ends - self.runs


class Sums(NamedTuple):
    """What the branches are worth.  One entry a place, and one for the substation."""

    best: F64  # of the best set of open points below each
    open_here: F64  # P(it is open | nothing above it is)
    alive: F64  # P(nothing above it is open)
    through: F64  # P(nothing above it is open, nor is it itself)


def leaves_of(first: F64, runs: I64, parents: I64) -> Leaves:
    """Leaves with their probabilities, and what each adds to log Z of its parent.

    A leaf has one word, so its odds are far from the largest number there is.
    """
    odds = np.exp(first)
    log_z = np.log1p(odds)
    odds += 1.0
    return Leaves(first, log_z, np.divide(1.0, odds, out=odds), runs, parents)


def dead_leaves(leaves: Leaves, through: F64) -> F64:
    """P(dead) of each leaf."""
    dead = through.take(leaves.parents).repeat(leaves.in_run())
    dead *= leaves.shut
    return np.subtract(1.0, dead, out=dead)


def gathered(of: np.ufunc, leaves: Leaves, column: F64, start: F64) -> F64:
    """A column of the leaves gathered into that of their parents.  Changes ``start``."""
    if len(column):
        of.at(start, leaves.parents, of.reduceat(column, leaves.runs))
    return start


def swept(levels: Levels, up: I64, own: tuple[F64, Bools | None], leaves: Leaves) -> Sums:
    """Up for the sums and the best of each part, down for what is above each.

    ``own``: each branch's log-odds that it is the open point, and which are so for sure.
    """
    first, hard = own
    count = len(first)
    log_z = gathered(np.add, leaves, leaves.log_z, np.zeros(count + 1))
    best = gathered(np.add, leaves, np.maximum(leaves.first, 0.0), np.zeros(count + 1))
    total = np.empty(count)
    if hard is not None:  # whatever is below it does not count
        log_z[:-1][hard] = -np.inf
    for begin, end in reversed(levels):
        mine, parents = first[begin:end], up[begin:end]
        here = np.logaddexp(mine, log_z[begin:end], out=total[begin:end])
        np.add.at(log_z, parents, here)
        whole = np.maximum(mine, best[begin:end])
        if hard is not None:
            np.copyto(whole, mine, where=hard[begin:end])
        np.add.at(best, parents, whole)
    open_here = np.exp(first - total)
    shut = 1.0 - open_here
    alive, through = np.empty(count), np.ones(count + 1)
    for begin, end in levels:
        above = through.take(up[begin:end], out=alive[begin:end], mode="clip")
        np.multiply(above, shut[begin:end], out=through[begin:end])
    return Sums(best[:-1], open_here, alive, through)


def spared(levels: Levels, up: I64, whole: F64, best: F64, least: F64) -> F64:
    """Entry a place: the worth of the best set below it that leaves somebody there alive.

    Somebody is alive where a part is left out that nothing points to, or else where it costs least
    not to have a whole part: ``least`` is what the leaves right below cost, 0 where there is such a
    part.  Changes ``least``.
    """
    gain = whole - best
    for begin, end in reversed(levels):
        np.minimum.at(least, up[begin:end], gain[begin:end] + least[begin:end])
    return best - least[:-1]
