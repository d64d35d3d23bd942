"""A running outage as a value: for snapshots, and for taking a decision back."""

import msgspec
import numpy as np

from detectors.running import COLUMNS_OF_MEMBERS, Running
from grid.outage import Etr, OutageKind, State
from grid.reasons import Evidence
from grid.work import Acknowledged, Progress, Stage


class PackedOutage(msgspec.Struct, frozen=True, array_like=True):
    """The fields of ``detectors.running.Running``; its columns as bytes."""

    sequence: int
    node: int
    start_ms: int
    since_ms: int
    detected_ms: int
    kind: OutageKind
    cause: str | None
    state: State
    version: int
    probability: float
    confirmed_ms: int | None
    restored_ms: int | None
    back_ms: int | None
    ended_ms: int | None
    unsupported_ms: int | None
    parent: int | None
    plan_id: str | None
    overrun: bool
    wider_than: str | None
    telemetered: bool
    locked_out: bool
    closed_ms: int | None
    reopened: bool
    told: float
    fitted: bool
    taught: tuple[float, float]
    relays: tuple[float, float]
    counted: tuple[int, int]
    etr: Etr | None
    evidence: tuple[str, ...]
    reasons: tuple[Evidence, ...]
    acknowledged: Acknowledged | None
    crew: str | None
    stage: Stage
    progress: tuple[Progress, ...]
    placed_by: str | None
    placed_ms: int
    vouched_by: str | None
    margin: float
    margins_from: int
    doubt_ms: int | None
    carried: bool
    phases: int
    phase_back_ms: int | None
    arrays: tuple[bytes, ...]


ARRAYS = (*COLUMNS_OF_MEMBERS, "margins")
PLAIN = tuple(name for name in PackedOutage.__struct_fields__ if name != "arrays")


def pack(outage: Running) -> PackedOutage:
    """The outage as it is now."""
    arrays = tuple(getattr(outage, name).tobytes() for name in ARRAYS)
    return PackedOutage(**{name: getattr(outage, name) for name in PLAIN}, arrays=arrays)


def unpack(packed: PackedOutage) -> Running:
    """The outage that ``pack`` saw."""
    outage = Running(**{name: getattr(packed, name) for name in PLAIN})
    for name, part in zip(ARRAYS, packed.arrays, strict=True):
        setattr(outage, name, np.frombuffer(part, getattr(outage, name).dtype).copy())
    return outage
