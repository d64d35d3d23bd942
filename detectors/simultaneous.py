"""Two moments are two faults: what it costs a device that those behind it lost power at different
times.

Terminals' times are weighed with everything else (``weighing.apart``).  Meters' clocks are brought
to ours only to some seconds, so their times are looked at a second time, and only behind what is
declared: where they are further apart than clocks are wrong, the device, what is above it and each
part of it lose what their own times cost, and the tree is solved again.
"""

import numpy as np

from detectors.evidence import Evidence
from detectors.inference import Declared, Verdict, solve
from detectors.moments import NEVER
from detectors.tree import Tree, above
from detectors.weighing import GUARD_MS, Priors
from grid.network import F64, I64

CLOCK_MS = 5_000  # clocks that were brought to ours differ by as much
BEYOND_MS = 2_500.0  # and by the deviation of this, of one that differs by more
WRONG_CLOCK = 7.0  # log-odds against a clock that is simply wrong
WORTH_A_LOOK = 4.0  # less could not change what is declared
WORDS_MIN = 2  # a single clock that differs says nothing
LOOKS_MAX = 3  # what is found instead is looked at again


def at_one_moment(
    tree: Tree, evidence: Evidence, priors: Priors, now_ms: int
) -> tuple[Verdict, Priors]:
    """The verdict with what meters' times are worth, and the priors that say so."""
    verdict = solve(tree, evidence, priors, now_ms)
    if evidence.gasping.stamp_ms > 0:
        return verdict, priors  # their clocks show when they spoke, up to 15 s apart
    charged = np.zeros(len(tree.parent), np.bool_)
    for _ in range(LOOKS_MAX):
        costly = [
            (found, said)
            for found in verdict.declared
            if not (charged[found.node] or priors.open[found.node])
            and _cost(said := _counted(tree, evidence, found)) > WORTH_A_LOOK
        ]
        if not costly:
            break
        priors = priors._replace(logit=priors.logit.copy())
        for found, said in costly:
            _charge(tree, found, said, priors.logit)
            charged[found.node : found.end] = True
        verdict = solve(tree, evidence, priors, now_ms)
    return verdict, priors


def _counted(tree: Tree, evidence: Evidence, found: Declared) -> I64:
    """When each behind a declared device lost power, as far as that counts; NEVER else."""
    behind = slice(found.node, found.end)
    since_ms = int(evidence.heard_ms[behind].max()) - GUARD_MS
    said = evidence.gasp_ms[behind]
    return np.where(said >= since_ms, said, NEVER)


def _cost(said: I64) -> float:
    """What it costs that those who spoke of it did not lose power at one moment: of each by how
    far it is from the middle one.
    """
    said = said[said != NEVER]
    if len(said) < WORDS_MIN or int(said.max()) - int(said.min()) <= CLOCK_MS:
        return 0.0
    place = (len(said) - 1) // 2
    middle = np.partition(said, place)[place]
    beyond = np.maximum(np.abs(said - middle) - CLOCK_MS, 0) / BEYOND_MS
    return float(np.minimum(beyond * beyond / 2, WRONG_CLOCK).sum())


def _charge(tree: Tree, found: Declared, said: I64, logit: F64) -> None:
    """Take from a declared device, from those above it and from its parts what their times cost."""
    logit[found.node] -= (cost := _cost(said))
    for node in above(tree.parent, found.node):
        if node > 0:
            logit[node] -= cost
    for part in range(found.node + 1, found.end):
        if tree.size[part] > 1:
            place = part - found.node
            logit[part] -= _cost(said[place : place + int(tree.size[part])])
