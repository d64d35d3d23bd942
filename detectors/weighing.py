"""What speaks for each node being dead, and what against it: log-odds of "dead since the last word
from below it" against "alive".

Nodes are gone through from the last to the first, so that all below a node comes before it: what is
said there is summed up on the way.  Only where somebody gasped, or something was due, before the
last word of another from below the same node, is it looked at one by one what still counts.

Gathered so (detectors/evidence.py), a node that gasped is not silent.
"""

from typing import Annotated, NamedTuple

import numpy as np

from detectors.arriving import Gasping, failed, worth_of_meters, worth_of_terminals
from detectors.compiled import compiled
from detectors.evidence import Evidence
from detectors.moments import FAR, NEVER
from detectors.tree import TRANSFORMER, Tree
from grid.network import F64, I64, Bools

GUARD_MS = 10_000  # clocks and delays are corrected to about this
CLOCK_MS = 700.0  # standard deviation of a terminal's word on when power failed
WRONG_CLOCK = 9.2  # log-odds against a terminal's clock having jumped since it was last heard
STORM_NEAR_MS = 60_000  # faults of one cause strike within about this
CERTAIN = 50.0  # log-odds of a telemetered open position


class Priors(NamedTuple):
    """What is known of each node before anything is heard: log-odds that it is the open point."""

    logit: F64  # -inf where telemetry rules it out
    open: Bools  # telemetered open
    left_logit: F64  # the same, for what was not heard again when its outage was restored
    above: Bools  # above all that is being restored: what it feeds besides was never out
    storms_ms: I64  # our clock, ascending: when sure faults began; near them others are likely
    calm_ll: float  # what the log-odds lose away from them


class Said(NamedTuple):
    """All that is said and missed below a node, itself included; or what of it counts."""

    heard_ms: int  # the last word that anybody has power
    reason_ms: int  # the last reason to think of an outage; NEVER where there is none
    due_ms: int  # the first word that was missed; FAR
    gasp_ms: int  # the first gasp of a meter; FAR
    terminal_ms: int  # and of a terminal
    terminals: int  # how many terminals gasped
    waiting: int  # how many were to be heard again and were not
    on_ll: float
    gasp_ll: float
    off_ll: float
    off_terminals_ll: float  # of it, that of the terminals


NOTHING = Said(NEVER, NEVER, FAR, FAR, FAR, 0, 0, 0.0, 0.0, 0.0, 0.0)


@compiled
def together(one: Said, other: Said) -> Said:
    """What is said below either of two nodes."""
    return Said(
        max(one.heard_ms, other.heard_ms),
        max(one.reason_ms, other.reason_ms),
        min(one.due_ms, other.due_ms),
        min(one.gasp_ms, other.gasp_ms),
        min(one.terminal_ms, other.terminal_ms),
        one.terminals + other.terminals,
        one.waiting + other.waiting,
        one.on_ll + other.on_ll,
        one.gasp_ll + other.gasp_ll,
        one.off_ll + other.off_ll,
        one.off_terminals_ll + other.off_terminals_ll,
    )


SAID = np.dtype([(name, "f8" if name.endswith("_ll") else "i8") for name in Said._fields])
"""``Said`` where it is kept while the tree is gone through."""

Kept = Annotated[np.void, SAID]


@compiled
def read(kept: Kept) -> Said:
    """What is kept."""
    return Said(
        kept["heard_ms"], kept["reason_ms"], kept["due_ms"], kept["gasp_ms"], kept["terminal_ms"],
        kept["terminals"], kept["waiting"],
        kept["on_ll"], kept["gasp_ll"], kept["off_ll"], kept["off_terminals_ll"],
    )  # fmt: skip


@compiled
def keep(kept: Kept, said: Said) -> None:
    """Keep what is said."""
    kept["heard_ms"], kept["reason_ms"], kept["due_ms"] = said.heard_ms, said.reason_ms, said.due_ms
    kept["gasp_ms"], kept["terminal_ms"] = said.gasp_ms, said.terminal_ms
    kept["terminals"], kept["waiting"] = said.terminals, said.waiting
    kept["on_ll"], kept["gasp_ll"] = said.on_ll, said.gasp_ll
    kept["off_ll"], kept["off_terminals_ll"] = said.off_ll, said.off_terminals_ll


@compiled
def nothing_new(kept: Kept, evidence: Evidence, node: int, terminal: bool) -> None:
    """Add a node with nobody below it, and with no reason to think of an outage."""
    kept["heard_ms"] = max(kept["heard_ms"], evidence.heard_ms[node])
    kept["due_ms"] = min(kept["due_ms"], evidence.due_ms[node])
    kept["on_ll"] += evidence.on_ll[node]
    kept["off_ll"] += evidence.off_ll[node]
    if terminal:
        kept["off_terminals_ll"] += evidence.off_ll[node]


@compiled
def apart(tree: Tree, evidence: Evidence, node: int, since_ms: int) -> float:
    """What it costs that terminals below a node lost power at different times: one fault is one
    moment to them, but for a clock now and then.
    """
    said = np.empty(tree.size[node], np.int64)
    count = 0
    for below in range(node, node + tree.size[node]):
        gasp = evidence.gasp_ms[below]
        if tree.kind[below] == TRANSFORMER and gasp != NEVER and gasp >= since_ms:
            said[count] = gasp
            count += 1
    said = said[:count]
    said.sort()
    middle = said[(count - 1) // 2]
    cost = 0.0
    for at in said:
        away = (at - middle) / CLOCK_MS
        cost += min(away * away / 2, WRONG_CLOCK)
    return cost


@compiled
def one_by_one(tree: Tree, evidence: Evidence, node: int, all_said: Said) -> Said:
    """What counts of what is said below a node: what is not older than the last word from there."""
    on_ll, gasp_ll, waiting, terminals = 0.0, 0.0, 0, 0
    gasp_ms, terminal_ms = FAR, FAR
    since_ms = all_said.heard_ms - GUARD_MS
    for below in range(node, node + tree.size[node]):
        if evidence.due_ms[below] >= since_ms:
            on_ll += evidence.on_ll[below]
            waiting += evidence.pending[below]
        gasp = evidence.gasp_ms[below]
        if gasp == NEVER or gasp < since_ms:
            continue
        gasp_ll += evidence.gasp_ll[below]
        if tree.kind[below] == TRANSFORMER:
            terminals += 1
            terminal_ms = min(terminal_ms, gasp)
        else:
            gasp_ms = min(gasp_ms, gasp)
    if terminals > 1:
        gasp_ll -= apart(tree, evidence, node, since_ms)
    return Said(
        all_said.heard_ms, all_said.reason_ms, all_said.due_ms, gasp_ms, terminal_ms, terminals,
        waiting, on_ll, gasp_ll, all_said.off_ll, all_said.off_terminals_ll,
    )  # fmt: skip


@compiled
def left_behind(tree: Tree, node: int, waiting: int) -> bool:
    """Whether a node may have been left dark when power came back.  A few who wait for power, of
    many who have it, leave nothing behind above them.
    """
    served = tree.customers_from[node + tree.size[node]] - tree.customers_from[node]
    return bool(waiting > 0 and 2 * waiting >= served)


@compiled
def near(storms_ms: I64, heard_ms: int, gasp_ms: int, now_ms: int) -> bool:
    """Whether a sure fault began about when a node may have: at its first gasp (FAR for none), or
    else at any time since it was last heard.
    """
    if len(storms_ms) == 0:
        return False
    if gasp_ms != FAR:
        at = np.searchsorted(storms_ms, gasp_ms - STORM_NEAR_MS)
        return bool(at < len(storms_ms) and storms_ms[at] <= gasp_ms + STORM_NEAR_MS)
    begun = np.searchsorted(storms_ms, now_ms + STORM_NEAR_MS, side="right")
    return bool(begun > 0 and heard_ms <= storms_ms[begun - 1] + STORM_NEAR_MS)


@compiled
def speaks(said: Said, gasping: Gasping, now_ms: int) -> float:
    """Log-likelihood ratio of all below a node being dead, by what is said there."""
    failed_ms = said.heard_ms
    if min(said.gasp_ms, said.terminal_ms) != FAR:
        failed_ms = failed(gasping, said.gasp_ms, said.terminal_ms)
    of_meters = said.off_ll - said.off_terminals_ll
    silence = worth_of_meters(gasping, now_ms - failed_ms) * of_meters
    if said.off_terminals_ll != 0.0:
        silence += worth_of_terminals(now_ms - failed_ms) * said.off_terminals_ll
    return silence + said.gasp_ll - said.on_ll


@compiled
def gasped(said: Said, gasp_ms: int, gasp_ll: float, terminal: bool) -> Said:
    """With a node's own word that it has no power."""
    return Said(
        said.heard_ms,
        max(said.reason_ms, gasp_ms),
        said.due_ms,
        said.gasp_ms if terminal else gasp_ms,
        gasp_ms if terminal else said.terminal_ms,
        int(terminal),
        said.waiting,
        said.on_ll,
        gasp_ll,
        said.off_ll,
        said.off_terminals_ll,
    )


@compiled
def weigh(tree: Tree, evidence: Evidence, priors: Priors, now_ms: int) -> tuple[F64, Bools]:
    """Log-odds of each node that it is the open point: -inf where anyone was heard after the last
    reason to doubt, for then nothing can speak for an outage.
    """
    count = len(tree.parent)
    # by depth: what is said below those of one parent, as far as they were gone through
    siblings = np.empty(tree.depth_max + 2, SAID)
    first, points = np.full(count, -np.inf), np.zeros(count, np.bool_)
    depth, size, kind = tree.depth, tree.size, tree.kind
    logit, left_logit, is_open = priors.logit, priors.left_logit, priors.open
    storms_ms, gasping, calm_ll = priors.storms_ms, evidence.gasping, priors.calm_ll
    overdue, pending = evidence.overdue, evidence.pending
    heard_ms, due_ms, gasp_ms = evidence.heard_ms, evidence.due_ms, evidence.gasp_ms
    on_ll, off_ll, gasp_ll = evidence.on_ll, evidence.off_ll, evidence.gasp_ll
    for kept in siblings:
        keep(kept, NOTHING)
    for node in range(count - 1, 0, -1):
        terminal = kind[node] == TRANSFORMER
        late = overdue[node] or pending[node]
        if not (late or is_open[node]) and size[node] == 1 and gasp_ms[node] == NEVER:
            nothing_new(siblings[depth[node]], evidence, node, terminal)
            continue
        reason_ms = due_ms[node] if late else NEVER
        said = Said(
            heard_ms[node],
            FAR if is_open[node] else reason_ms,
            due_ms[node],
            FAR,
            FAR,
            0,
            int(pending[node]),
            on_ll[node],
            0.0,
            off_ll[node],
            off_ll[node] if terminal else 0.0,
        )
        if gasp_ms[node] != NEVER:
            said = gasped(said, gasp_ms[node], gasp_ll[node], terminal)
        if size[node] > 1:
            below = siblings[depth[node] + 1]
            said = together(said, read(below))
            keep(below, NOTHING)
        beside = siblings[depth[node]]
        keep(beside, together(read(beside), said))
        points[node] = said.reason_ms != NEVER
        since_ms = said.heard_ms - GUARD_MS
        if not points[node] or said.reason_ms < since_ms:
            continue
        first_ms = min(said.due_ms, said.gasp_ms, said.terminal_ms)
        if first_ms < since_ms or said.terminals > 1:
            said = one_by_one(tree, evidence, node, said)
        waiting = 0 if priors.above[node] else said.waiting
        left = left_behind(tree, node, waiting)
        score = left_logit[node] if left else logit[node]
        score += speaks(said, gasping, now_ms)
        first_ms = min(said.gasp_ms, said.terminal_ms)
        if waiting == 0 and not near(storms_ms, said.heard_ms, first_ms, now_ms):
            score += calm_ll
        first[node] = max(score, 0.0) + CERTAIN if is_open[node] else score
    return first, points
