"""What is known of each device before its meters are asked: its kind, its plan, its position."""

from collections.abc import Iterable, Mapping, Sequence
from math import log

import numpy as np

from detectors.compiled import compiled
from detectors.positions import Position
from detectors.settings import EngineSettings
from detectors.tree import above
from detectors.weighing import Priors
from grid.network import F64, U8, Bools, Group, NodeKind

SUBSTATION = 1e-9  # a whole substation is what its own people see first
LEARNED = frozenset({"breaker", "switch", "recloser", "fuse", "transformer"})
FAULTS_MIN = 20.0  # fewer faults of the past say nothing of classes
CLASS_WEIGHT = 50.0  # faults that the settings are worth
FACTOR_MAX = 4.0  # never further from the settings: large outages are found more surely than small


def priors_of(
    group: Group,
    positions: Mapping[int, Position],
    *,
    expected: Sequence[int],
    storms: Sequence[int],
    tripped: Sequence[int],
    pinned: Sequence[int],
    restoring: Iterable[int],
    failed: Mapping[str, float],
    now_ms: int,
    limits: EngineSettings,
) -> Priors:
    """Log-odds that each node is the open point.

    Args:
        group: The feeder group.
        positions: The last words of telemetered devices.
        expected: Nodes that a plan has in its time: as likely open as not.
        storms: When the sure faults that are running began.
        tripped: Nodes of running outages that their own device told.
        pinned: Nodes where a person has put an outage.
        restoring: Nodes of outages that are being restored, and of what they left behind.
        failed: Faults of the past by kind of device.
        now_ms: Stream time; a position ages.
        limits: Priors by kind.
    """
    by_kind = [
        SUBSTATION,
        limits.prior_breaker,
        limits.prior_switch,
        limits.prior_recloser,
        limits.prior_fuse,
        limits.prior_transformer,
        limits.prior_meter,
    ]
    left = [limits.prior_left] * int(NodeKind.METER) + [limits.prior_left_meter]
    by_kind = learned(by_kind, group, failed)
    logit = of_kinds(_log_odds(by_kind), group.kind)
    left_logit = of_kinds(_log_odds(left), group.kind)
    is_open = np.zeros(len(logit), np.bool_)
    calm_ll = log(limits.prior_calm)
    logit[list(expected)] = -calm_ll  # in any weather
    for node, position in positions.items():
        fresh = now_ms - position.heard_ms <= limits.telemetry_stale_s * 1000
        if position.closed and fresh:
            logit[node] = left_logit[node] = -np.inf
        elif position.closed is False:
            is_open[node] = True
    for node in tripped:
        if positions[node].closed is None:
            logit[node] = left_logit[node] = -calm_ll  # it was open when last heard
    is_open[list(pinned)] = True
    began = np.array(sorted(storms), np.int64)
    return Priors(logit, is_open, left_logit, _above(group, restoring), began, calm_ll)


@compiled
def of_kinds(each: F64, kind: U8) -> F64:
    """The number of each node's kind."""
    found = np.empty(len(kind))
    for node in range(len(kind)):
        found[node] = each[kind[node]]
    return found


def _above(group: Group, restoring: Iterable[int]) -> Bools:
    """Entry a node: whether it is above some of what is being restored and in none of it."""
    found, inside = np.zeros(len(group.ids), np.bool_), set(restoring)
    for node in inside:
        path = list(above(group.parent, node))
        if inside.isdisjoint(path):
            found[path] = True
    return found


def learned(by_kind: list[float], group: Group, failed: Mapping[str, float]) -> list[float]:
    """Priors by kind (``NodeKind``), drawn to the share that each kind of device had in the faults
    of the past.

    Only between the kinds whose faults are seen whatever their size: how many there are at a time
    is not learned, and of a single meter few are ever declared.
    """
    if not failed:
        return by_kind
    count = np.bincount(group.kind, minlength=len(by_kind))
    kinds = [kind for kind in NodeKind if kind.word in LEARNED and by_kind[kind] * count[kind] > 0]
    seen = np.array([failed.get(kind.word, 0.0) for kind in kinds])
    if seen.sum() < FAULTS_MIN:
        return by_kind
    thought = np.array([by_kind[kind] * count[kind] for kind in kinds])
    thought /= thought.sum()
    share = (CLASS_WEIGHT * thought + seen) / (CLASS_WEIGHT + seen.sum())
    factor = np.clip(share / thought, 1 / FACTOR_MAX, FACTOR_MAX)
    drawn = list(by_kind)
    for kind, times in zip(kinds, factor.tolist(), strict=True):
        drawn[kind] = by_kind[kind] * times
    return drawn


def _log_odds(probabilities: list[float]) -> F64:
    q = np.array(probabilities)
    odds: F64 = np.log(q / (1 - q))
    return odds
