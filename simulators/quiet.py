"""Quiet days as columns: meters with power that beat their hearts, and a few that cry wolf.

A million meter-days are a hundred million heartbeats; here they are made as rows, an hour at a
time, with nothing in between.
"""

from collections.abc import Iterator

import numpy as np

from grid.frame import READING, Rows
from grid.network import Group, Network, NodeKind
from grid.reading import Kind

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
PERIOD_MS = 900_000
SILENT = 0.02  # meters that never speak
FALSE_GASP = 1e-4  # a meter and a day
SKEW_MS = 2000  # standard deviation of a meter's clock
LATENCY_MS = (3000.0, 0.8)  # median and sigma, log-normal
LATENCY_MS_MAX = 25_000


def quiet_hours(
    network: Network, days: int, start_ms: int, seed: int
) -> Iterator[tuple[int, Rows]]:
    """The end of each hour, and what was heard in it of the whole network, in order."""
    rng = np.random.default_rng(seed)
    groups = [_Meters(group, rng) for group in network.groups]
    late = np.zeros(0, READING)
    for hour in range(days * 24):
        end_ms = start_ms + (hour + 1) * HOUR_MS
        said = [group.hour(end_ms - HOUR_MS, rng) for group in groups]
        rows = np.concatenate([late, *said])
        rows = rows[np.argsort(rows["received_ms"], kind="stable")]
        cut = int(np.searchsorted(rows["received_ms"], end_ms, "right"))
        yield end_ms, rows[:cut]
        late = rows[cut:]


class _Meters:
    """The meters of one group that speak, each with its clock and its rhythm."""

    def __init__(self, group: Group, rng: np.random.Generator) -> None:
        meters = np.flatnonzero(group.kind == NodeKind.METER)
        self._nodes = meters[rng.random(len(meters)) >= SILENT]
        self._group = group.no
        self._skew_ms = rng.normal(0, SKEW_MS, len(self._nodes)).astype(np.int64)
        self._phase_ms = rng.integers(0, PERIOD_MS, len(self._nodes))

    def hour(self, begin_ms: int, rng: np.random.Generator) -> Rows:
        """Everything that happens to them in an hour."""
        beats = HOUR_MS // PERIOD_MS
        at = (begin_ms + self._phase_ms[None, :] + np.arange(beats)[:, None] * PERIOD_MS).ravel()
        wolves = np.flatnonzero(rng.random(len(self._nodes)) < FALSE_GASP * HOUR_MS / DAY_MS)
        who = np.concatenate([np.tile(np.arange(len(self._nodes)), beats), wolves])
        at = np.concatenate([at, begin_ms + rng.integers(0, HOUR_MS, len(wolves))])
        rows = np.zeros(len(who), READING)
        rows["group"], rows["node"], rows["dcu"] = self._group, self._nodes[who], -1
        rows["kind"] = Kind.HEARTBEAT
        rows["kind"][len(who) - len(wolves) :] = Kind.LAST_GASP
        rows["on"] = rows["kind"] == Kind.HEARTBEAT
        rows["commanded"] = rows["seq"] = -1
        rows["volts"] = np.where(rows["on"] == 1, 220.0, 0.0)[:, None]
        rows["amps"] = rows["power_kw"] = np.nan
        rows["happened_ms"] = at + self._skew_ms[who]
        median_ms, sigma = LATENCY_MS
        way_ms = np.minimum(rng.lognormal(np.log(median_ms), sigma, len(who)), LATENCY_MS_MAX)
        rows["received_ms"] = at + way_ms.astype(np.int64)
        return rows
