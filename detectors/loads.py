"""What is known of the current of each telemetered device: whether it fell in one step, and whether
it was a fault's.
"""

import msgspec
import numpy as np

from detectors.settings import EngineSettings
from grid.frame import Rows

LOAD_A_MIN = 10.0  # of a smaller load a step says nothing
STEP_MIN = 0.03  # share of the load that must go at once; between two readings it wavers by less
BACK_SHARE = 0.97  # of the load before, and what had gone is back
STEP_MS = 120_000  # two readings further apart than this show no step


class Load(msgspec.Struct, frozen=True):
    """What is known of one device's current.  Times by its clock, 0 for never."""

    amps: float = 0.0
    at_ms: int = 0
    full_a: float = 0.0  # before the step
    lost: float = 0.0  # share of it that is gone
    lost_ms: int = 0
    fault_a: float = 0.0
    fault_ms: int = 0


def read_load(rows: Rows, i: int, before: Load | None, limits: EngineSettings) -> Load | None:
    """What row ``i`` says of the current of a closed device; None where it says none."""
    row = rows[i]
    if np.isnan(row["amps"]).all() or row["on"] == 0:
        return None
    amps, at_ms = float(np.nanmean(row["amps"])), int(row["happened_ms"])
    known = before or Load()
    high = float(np.nanmax(row["amps"]))
    if high >= limits.fault_a:
        return msgspec.structs.replace(known, fault_a=high, fault_ms=at_ms)
    full = known.full_a if known.lost else known.amps
    fresh = at_ms - known.at_ms <= STEP_MS and full >= LOAD_A_MIN
    share = 1 - amps / full if fresh else 0.0
    if not fresh or amps >= BACK_SHARE * full:
        return msgspec.structs.replace(known, amps=amps, at_ms=at_ms, full_a=0.0, lost=0.0)
    if known.lost or share >= STEP_MIN:
        since = known.lost_ms if known.lost else at_ms
        return Load(amps, at_ms, full, share, since, known.fault_a, known.fault_ms)
    return msgspec.structs.replace(known, amps=amps, at_ms=at_ms)
