"""The specification of inference's numbers: exactly the most probable set, and how sure.

The oracle enumerates every set of open points of small random trees under the same likelihood, in
plain Python, and is compared with the arithmetic over arrays.
"""

from dataclasses import dataclass
from itertools import combinations, product
from math import exp, log
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.arriving import Gasping, worth_of_meters, worth_of_terminals
from detectors.evidence import Evidence
from detectors.inference import solve
from detectors.moments import FAR, NEVER
from detectors.tree import Tree, tree_of
from detectors.weighing import CERTAIN, CLOCK_MS, GUARD_MS, WRONG_CLOCK, Priors
from grid.drawing import draw
from grid.network import NodeKind

pytestmark = pytest.mark.loops

NOW = 10_000_000
NO_STORM = np.zeros(0, np.int64)


@dataclass
class Case:
    """A tree with evidence and priors at each node; node 0 is the substation."""

    tree: Tree
    evidence: Evidence
    priors: Priors

    def solved(self):
        return solve(self.tree, self.evidence, self.priors, NOW).declared


def drawn_tree(dice: Random) -> Tree:
    """A random feeder of up to twelve nodes, drawn."""
    lines, depth, meters = ["source S1"], 0, 0
    for i in range(dice.randint(2, 11)):
        depth = dice.randint(1, depth + 1)
        kind = dice.choice(["switch", "fuse", "transformer", "meter", "meter"])
        if kind == "meter":
            lines.append(f"{'  ' * depth}meter N{i}")
            depth -= 1
            meters += 1
        else:
            lines.append(f"{'  ' * depth}{kind} N{i}")
    if not meters:
        lines.append("  meter M")
    return tree_of(draw("\n".join(lines)).groups[0])


def random_case(seed: int) -> Case:
    dice = Random(seed)
    tree = drawn_tree(dice)
    count = len(tree.parent)
    ago = [0, 5_000, 20_000, 40_000, 300_000]

    def times(chance: float) -> np.ndarray:
        return np.array(
            [NOW - dice.choice(ago) if dice.random() < chance else NEVER for _ in range(count)],
            np.int64,
        )

    heard, gasp = times(0.7), times(0.4)
    gasp[gasp <= heard] = NEVER
    overdue = np.array([dice.random() < 0.4 for _ in range(count)]) & (heard != NEVER)
    overdue &= gasp == NEVER
    silent = (heard != NEVER) & (gasp == NEVER)
    pending = overdue & np.array([dice.random() < 0.3 for _ in range(count)])
    due = np.where(overdue, NOW - np.array([dice.choice(ago) for _ in range(count)]), FAR)

    def weights(low: float, high: float, where: np.ndarray) -> np.ndarray:
        return np.where(where, [dice.uniform(low, high) for _ in range(count)], 0.0)

    evidence = Evidence(
        heard_ms=heard,
        gasp_ms=gasp,
        gasp_ll=weights(4, 9, gasp != NEVER),
        due_ms=due,
        off_ll=weights(-2, -0.1, silent),
        on_ll=weights(-9, -1, overdue),
        overdue=overdue,
        pending=pending,
        unanswered=np.zeros(count),
        mute_dcu=np.zeros(0, np.bool_),
        word_ms=np.zeros(0, np.int64),
        gasping=Gasping(0.5),
    )
    logit = np.array([dice.uniform(-9, -1) for _ in range(count)])
    logit[[dice.random() < 0.1 for _ in range(count)]] = -np.inf
    is_open = np.array([n > 0 and dice.random() < 0.07 for n in range(count)])
    left = np.where(np.isinf(logit), logit, logit + 2)
    above = np.array([dice.random() < 0.1 for _ in range(count)])
    return Case(tree, evidence, Priors(logit, is_open, left, above, NO_STORM, 0.0))


# -- the oracle ----------------------------------------------------------------------------------


def below(tree: Tree, node: int) -> range:
    return range(node, node + int(tree.size[node]))


def terminal(tree: Tree, node: int) -> bool:
    return int(tree.kind[node]) == NodeKind.TRANSFORMER


def weight(case: Case, node: int) -> float:
    """Log-odds that a node is open, all below it dead since the last word from there."""
    tree, seen = case.tree, case.evidence
    since = max(int(seen.heard_ms[n]) for n in below(tree, node)) - GUARD_MS
    gasps, on, waiting = 0.0, 0.0, 0
    off, failed = {True: 0.0, False: 0.0}, []
    for n in below(tree, node):
        gasp = int(seen.gasp_ms[n])
        if gasp != NEVER and gasp >= since:
            gasps += seen.gasp_ll[n]
            failed.append(gasp if terminal(tree, n) else gasp - seen.gasping.stamp_ms)
            continue
        off[terminal(tree, n)] += seen.off_ll[n]
        if seen.due_ms[n] >= since:
            on += seen.on_ll[n]
            waiting += bool(seen.pending[n])
    apart = sorted(int(seen.gasp_ms[n]) for n in below(tree, node)
                   if terminal(tree, n) and int(seen.gasp_ms[n]) >= max(since, 0))  # fmt: skip
    middle = apart[(len(apart) - 1) // 2] if apart else 0
    gasps -= sum(min(((at - middle) / CLOCK_MS) ** 2 / 2, WRONG_CLOCK) for at in apart)
    since_failed = NOW - min(failed, default=since + GUARD_MS)
    meters = worth_of_meters(seen.gasping, since_failed)
    silence = meters * off[False] + worth_of_terminals(since_failed) * off[True]
    served = int(tree.customers_from[node + tree.size[node]] - tree.customers_from[node])
    left = waiting > 0 and 2 * waiting >= served  # else most of them have power
    left &= not case.priors.above[node]
    prior = (case.priors.left_logit if left else case.priors.logit)[node]
    total = gasps + silence - on + prior
    return max(total, 0.0) + CERTAIN if case.priors.open[node] else total


def candidates(case: Case) -> list[int]:
    """Nodes with a reason for doubt below them that is not older than the last word from there."""
    seen, found = case.evidence, []
    for node in range(1, len(case.tree.parent)):
        heard = max(int(seen.heard_ms[n]) for n in below(case.tree, node))
        reasons = [
            int(FAR)
            if case.priors.open[n]
            else max(int(seen.gasp_ms[n]), int(seen.due_ms[n]) if missed else int(NEVER))
            for n in below(case.tree, node)
            if (missed := bool(seen.overdue[n] or seen.pending[n]))
            or seen.gasp_ms[n] != NEVER
            or case.priors.open[n]
        ]
        if reasons and max(reasons) >= heard - GUARD_MS:
            found.append(node)
    return found


def all_sets(case: Case) -> list[tuple[frozenset[int], float]]:
    """Every set of open points, none below another, with its log-weight.

    A telemetered open device is in the set, or something above it is.
    """
    nodes = candidates(case)
    above = {
        n: {a for a in range(1, n) if n in below(case.tree, a)}
        for n in range(len(case.tree.parent))
    }
    known = [n for n in nodes if case.priors.open[n]]
    weights = {n: weight(case, n) for n in nodes}
    sets = []
    for chosen in product([False, True], repeat=len(nodes)):
        opened = frozenset(n for n, c in zip(nodes, chosen, strict=True) if c)
        if any(above[n] & opened for n in opened):
            continue
        if all(n in opened or above[n] & opened for n in known):
            sets.append((opened, sum(weights[n] for n in opened)))
    return sets


SEEDS = st.integers(0, 2**32)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SEEDS)
def test_the_most_probable_set_is_found(seed: int) -> None:
    case = random_case(seed)
    sets = all_sets(case)
    best, top = max(sets, key=lambda item: item[1])
    found = frozenset(d.node for d in case.solved())
    assert found == best or dict(sets)[found] == pytest.approx(top, abs=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SEEDS)
def test_the_probability_is_that_of_all_sets_in_which_it_is_the_open_point(seed: int) -> None:
    case = random_case(seed)
    sets = [item for item in all_sets(case) if item[1] > -np.inf]
    top = max(w for _, w in sets)
    whole = sum(exp(w - top) for _, w in sets)
    nodes = range(len(case.tree.parent))
    above = {n: {a for a in range(1, n) if n in below(case.tree, a)} for n in nodes}
    for found in case.solved():
        dead = sum(
            exp(w - top) for opened, w in sets if opened & (above[found.node] | {found.node})
        )
        assert found.dead == pytest.approx(dead / whole, abs=1e-6)
        same = in_series(case.tree, found.node)
        if not same:
            continue  # nobody lives there
        here = sum(exp(w - top) for opened, w in sets if opened & same)
        assert found.probability == pytest.approx(here / whole, abs=1e-6)


def in_series(tree: Tree, node: int) -> set[int]:
    """A device and those in series with it, which have the same customers; none if it has none."""
    customers = [int(tree.customers_from[n + tree.size[n]] - tree.customers_from[n])
                 for n in range(len(tree.parent))]  # fmt: skip
    return {
        n
        for n in range(1, len(tree.parent))
        if customers[node]
        and customers[n] == customers[node]
        and (node in below(tree, n) or n in below(tree, node))
    }


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SEEDS)
def test_the_margin_is_over_the_best_set_that_leaves_somebody_alive(seed: int) -> None:
    case = random_case(seed)
    if case.priors.open.any():
        return  # what is open for sure is in every set
    tree, nodes = case.tree, candidates(case)
    weights = {node: weight(case, node) for node in nodes}
    for found in case.solved():
        series = in_series(tree, found.node) & reasons_below(case)
        if not series:
            continue  # nobody lives there
        last = max(series)
        parts = [node for node in nodes if node > last and node in below(tree, last)]
        spared = [
            sum(weights[node] for node in opened)
            for count in range(len(parts) + 1)
            for opened in combinations(parts, count)
            if not covered(tree, last, set(opened)) and disjoint(tree, opened)
        ]
        best = max(weights.get(node, -np.inf) for node in series)
        expected = best - max(spared) if len(below(tree, last)) > 1 else best
        assert found.margin == pytest.approx(expected, abs=1e-6)
        for leaf in (node for node in below(tree, last) if tree.size[node] == 1 and node != last):
            alive = max(
                sum(weights[node] for node in opened)
                for count in range(len(parts) + 1)
                for opened in combinations(parts, count)
                if disjoint(tree, opened) and not any(leaf in below(tree, n) for n in opened)
            )
            assert found.margins[leaf - found.node] == pytest.approx(best - alive, abs=1e-6)


def reasons_below(case: Case) -> set[int]:
    """Nodes with any reason to think of an outage at or below them."""
    seen = case.evidence
    said = (seen.gasp_ms != NEVER) | seen.overdue | seen.pending
    nodes = range(1, len(case.tree.parent))
    return {node for node in nodes if said[below(case.tree, node)].any()}


def covered(tree: Tree, node: int, opened: set[int]) -> bool:
    """Whether all that hangs below a node is below one that is open."""
    parts = [n for n in range(len(tree.parent)) if tree.parent[n] == node]
    return bool(parts) and all(n in opened or covered(tree, n, opened) for n in parts)


def disjoint(tree: Tree, opened: tuple[int, ...]) -> bool:
    """Whether none is below another."""
    return not any(b in below(tree, a) for a in opened for b in opened if a != b)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(SEEDS)
def test_since_when_it_is_dead_is_the_first_gasp_or_the_last_word(seed: int) -> None:
    case = random_case(seed)
    for found in case.solved():
        seen, nodes = case.evidence, below(case.tree, found.node)
        heard = max(int(seen.heard_ms[n]) for n in nodes)
        gasps = [int(g) for n in nodes if (g := seen.gasp_ms[n]) >= heard - GUARD_MS and g != NEVER]
        assert found.since_ms == (min(gasps) if gasps else heard)
        assert found.gasps == len(gasps)


def silent(heard_ms: np.ndarray, **known: np.ndarray) -> Evidence:
    """Who was heard once, and what else is known."""
    count = len(heard_ms)
    nothing = {
        "gasp_ms": np.full(count, NEVER), "gasp_ll": np.zeros(count), "due_ms": np.full(count, FAR),
        "on_ll": np.zeros(count), "overdue": np.zeros(count, np.bool_),
        "pending": np.zeros(count, np.bool_), "unanswered": np.zeros(count),
    }  # fmt: skip
    return Evidence(
        heard_ms=heard_ms, mute_dcu=np.zeros(0, np.bool_), word_ms=np.zeros(0, np.int64),
        gasping=Gasping(0.5), **(nothing | known),
    )  # fmt: skip


def test_the_oracle_knows_a_case_by_heart() -> None:
    """Two meters on a transformer, one gasp: prior and gasp against silence and a false gasp."""
    tree = tree_of(draw("source S1\n  transformer T1\n    meter M1\n    meter M2").groups[0])
    evidence = silent(
        heard_ms=np.array([NEVER, NEVER, NOW - 300_000, NOW - 300_000]),
        gasp_ms=np.array([NEVER, NEVER, NOW - 250_000, NEVER]),
        gasp_ll=np.array([0, 0, log(0.5 / 1e-4), 0]),
        off_ll=np.array([0, 0, 0, log(0.5)]),
    )
    logit = np.log([1e-9, 1e-3, 1e-5, 1e-5])
    nowhere = np.zeros(4, np.bool_)
    case = Case(tree, evidence, Priors(logit, nowhere, logit, nowhere, NO_STORM, 0.0))
    transformer, meter = 1e-3 * 0.5 * 0.5 / 1e-4, 1e-5 * 0.5 / 1e-4
    assert exp(weight(case, 1)) == pytest.approx(transformer)
    (found,) = case.solved()
    assert found.node == 1
    assert found.probability == pytest.approx(transformer / (1 + transformer + meter), rel=1e-3)


@pytest.mark.parametrize(
    ("waiting", "above", "declared"), [(1, False, []), (2, False, ["W1"]), (2, True, [])]
)
def test_a_few_who_are_awaited_leave_nothing_above_them(
    waiting: int, above: bool, declared: list[str]
) -> None:
    """What is likely left in the dark is left below a device of which half is awaited, and not
    above what is being restored.
    """
    lines = ["source S1", "  switch W1", *(f"    meter M{n}" for n in range(1, 5))]
    group = draw("\n".join(lines)).groups[0]
    tree = tree_of(group)
    meters = np.arange(6) >= 2
    pending = meters & (np.arange(6) < 2 + waiting)
    evidence = silent(
        heard_ms=np.where(meters, NOW - 300_000, NEVER),
        due_ms=np.where(pending, NOW - 120_000, FAR),
        off_ll=np.where(meters, log(0.5), 0.0),
        on_ll=np.where(pending, -4.0, 0.0),
        pending=pending,
    )
    seldom, left = np.where(meters, -11.5, -6.9), np.where(meters, -11.5, 0.0)
    nowhere, higher = np.zeros(6, np.bool_), above & (np.arange(6) == 1)
    case = Case(tree, evidence, Priors(seldom, nowhere, left, higher, NO_STORM, 0.0))
    assert [group.ids[found.node] for found in case.solved()] == declared
