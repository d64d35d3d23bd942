"""What is known of each device before its meters are asked: its kind, its plan, its position."""

from collections.abc import Mapping, Sequence
from math import log

import numpy as np

from detectors.inference import Priors
from detectors.positions import Position
from detectors.settings import EngineSettings
from grid.network import F64, Group, NodeKind

SUBSTATION = 1e-9  # a whole substation is what its own people see first


def priors_of(
    group: Group,
    positions: Mapping[int, Position],
    *,
    expected: Sequence[int],
    storms: Sequence[int],
    tripped: Sequence[int],
    pinned: Sequence[int],
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
    logit = _log_odds(by_kind)[group.kind]
    left_logit = _log_odds(left)[group.kind]
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
    began = np.array(storms, np.int64)
    return Priors(logit, is_open, left_logit, began, calm_ll)


def _log_odds(probabilities: list[float]) -> F64:
    q = np.array(probabilities)
    odds: F64 = np.log(q / (1 - q))
    return odds
