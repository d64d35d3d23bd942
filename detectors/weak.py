"""Weak points, from what rows measure: low voltage, overload, imbalance; and clocks that are ahead.

A measurement beyond its limit for ``weak_s`` is a finding until the next one within it.  Times are
of the stream.  Limits are settings: the network's files have no ratings.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.findings import Findings
from detectors.glancing import Glance
from detectors.settings import EngineSettings
from detectors.tree import how_many, places
from detectors.watched import Watched
from grid.frame import Rows
from grid.network import I64, Bools, Group, NodeKind
from grid.reading import Quality

AHEAD_MS = 60_000  # a clock that is ahead by more is worth telling
GROSSLY = int(Quality.CLOCK)
CLOCKS = int(Quality.CLOCK | Quality.FUTURE)
INVALID = int(Quality.INVALID)
PHASES = "ABC"
PER_CENT = 100

Volts = NDArray[np.float32]


class _Look(NamedTuple):
    """One kind of finding: which rows can speak of it, and which say that it is so."""

    kind: str
    able: Bools
    bad: Bools
    lasts_ms: int


def note_weak(
    watched: Watched, findings: Findings, rows: Rows, limits: EngineSettings, *, there: Glance
) -> None:
    """Take in what rows of meters and terminals measure; ``there`` is what there is among them."""
    if not (there.clocks or there.volts or there.amps or watched.weak.get("clock")):
        return
    node = rows["node"].astype(np.int64)
    for look in _looks(findings.group, node, rows, limits):
        since = watched.weak.get(look.kind, {})
        if not since and not how_many(look.bad):
            continue
        watched.weak[look.kind] = since
        concerned = np.isin(node, [*since, *node[look.bad].tolist()])
        for i in places(look.able & concerned).tolist():
            _note(findings, look, rows, i, since=since, limits=limits)


def _note(
    findings: Findings, look: _Look, rows: Rows, i: int, *, since: dict[int, int],
    limits: EngineSettings,
) -> None:  # fmt: skip
    node, at_ms = int(rows["node"][i]), int(rows["stream_ms"][i])
    name = findings.group.ids[node]
    if not look.bad[i]:
        if since.pop(node, None) is not None:
            findings.end(look.kind, name, now_ms=at_ms)
        return
    begun = since.setdefault(node, at_ms)
    if at_ms - begun >= look.lasts_ms:
        reason = _sentence(look.kind, rows[i], limits)
        if look.lasts_ms:
            reason += f", for {(at_ms - begun) // 60_000} minutes"
        findings.begin(look.kind, name, node, since_ms=begun, now_ms=at_ms, reason=reason)


def _looks(group: Group, node: I64, rows: Rows, limits: EngineSettings) -> Iterator[_Look]:
    quality = rows["quality"].copy()
    odd = (quality & np.uint8(CLOCKS)) != 0
    if how_many(odd):
        ahead_ms = rows["happened_ms"].astype(np.int64) - rows["received_ms"].astype(np.int64)
        odd &= (ahead_ms > AHEAD_MS) | ((quality & np.uint8(GROSSLY)) != 0)
    yield _Look("clock", np.ones(len(rows), np.bool_), odd, 0)
    lasts_ms = int(limits.weak_s * 1000)
    valid = (quality & np.uint8(INVALID)) == 0
    volts = np.ascontiguousarray(rows["volts"].T)
    if how_many(volts == volts):
        volts = volts / np.float32(limits.nominal_v)
        live = volts >= limits.on_pu  # less is a lost phase, or an outage
        low = live & (volts < limits.low_pu)
        yield _Look("low_voltage", valid & _any(live), valid & _any(low), lasts_ms)
    amps = np.ascontiguousarray(rows["amps"].T)
    if how_many(amps == amps):
        able = valid & (group.kind.take(node) == NodeKind.TRANSFORMER) & (amps[0] == amps[0])
        over = able & _any(amps > limits.transformer_a)
        yield _Look("overload", able, over, lasts_ms)
        most = np.maximum(np.maximum(amps[0], amps[1]), amps[2])
        least = np.minimum(np.minimum(amps[0], amps[1]), amps[2])
        apart = (most >= limits.imbalance_a) & (most - least > limits.imbalance * most)
        yield _Look("imbalance", able, able & apart, lasts_ms)


def _any(phases: Bools) -> Bools:
    either: Bools = phases[0] | phases[1] | phases[2]
    return either


def _sentence(kind: str, row: np.void, limits: EngineSettings) -> str:
    """What the row measures, and the limit it is held against."""
    if kind == "clock":
        ahead_ms = int(row["happened_ms"]) - int(row["received_ms"])
        if ahead_ms > 0:
            return f"its clock is {ahead_ms // 1000} s ahead of ours: its times are brought to ours"
        return "its clock is off by more than a day: when it was heard counts instead"
    if kind == "low_voltage":
        volts: Volts = row["volts"]
        live = np.where(volts >= limits.on_pu * limits.nominal_v, volts, np.inf)
        phase, limit = int(np.argmin(live)), limits.low_pu * limits.nominal_v
        return f"phase {PHASES[phase]} has {volts[phase]:.0f} V, less than {limit:.0f} V"
    amps: Volts = row["amps"]
    if kind == "overload":
        phase = int(np.nanargmax(amps))
        return f"phase {PHASES[phase]} carries {amps[phase]:.0f} A of {limits.transformer_a:.0f} A"
    apart = PER_CENT * (amps.max() - amps.min()) / amps.max()
    carried = ", ".join(f"{a:.0f}" for a in amps.tolist())
    return f"its phases carry {carried} A: {apart:.0f} % apart"
