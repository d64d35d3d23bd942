"""What rows say about power: on, off, neither, and of which phases."""

from typing import Annotated, NamedTuple

import numpy as np

from detectors.compiled import READ_ONLY, compiled
from detectors.settings import EngineSettings
from grid.frame import READING, Rows
from grid.network import Bools
from grid.reading import Kind, Quality


def _kinds(*kinds: Kind) -> Bools:
    """True at the numbers of some kinds: a table is quicker than a comparison each."""
    table = np.zeros(256, np.bool_)
    table[[int(kind) for kind in kinds]] = True
    return table


REPORTS = _kinds(Kind.HEARTBEAT, Kind.VOLTAGE, Kind.PING_REPLY)
SAYS_ON = _kinds(Kind.POWER_UP, Kind.PHASE_LOSS, Kind.PHASE_OK, Kind.CALL_RESTORED)
SAYS_OFF = _kinds(Kind.LAST_GASP, Kind.CALL_NO_POWER)
URGENT = _kinds(Kind.POWER_UP, Kind.PING_REPLY)
HEARTBEAT, POWER_UP = int(Kind.HEARTBEAT), int(Kind.POWER_UP)
LAST_GASP, PING_REPLY = int(Kind.LAST_GASP), int(Kind.PING_REPLY)
PHASE_LOSS, CALL_NO_POWER = int(Kind.PHASE_LOSS), int(Kind.CALL_NO_POWER)
INVALID = int(Quality.INVALID)
PHASES = 7
TELLS = 8  # in ``lost_phases``: the device has told how its phases are
TELLS_OK = _kinds(Kind.PHASE_OK, Kind.POWER_UP, Kind.CALL_RESTORED)
SILENT_ON_PHASES = 128  # of a row that says nothing of phases


ReadRow = Annotated[np.void, READING]
ReadRows = Annotated[Rows, READING, READ_ONLY]


class Volts(NamedTuple):
    """Between which voltages there is neither power nor none."""

    nominal_v: float
    off_pu: float
    on_pu: float


@compiled
def phases_of(row: ReadRow, limits: Volts) -> tuple[int, int, int]:
    """Bits of the phases that are measured, of those of them that are dead, and that are live."""
    measured, dead, live = 0, 0, 0
    for phase in range(3):
        volts = row["volts"][phase]
        if volts == volts:  # NaN is not itself
            share = np.float32(volts) / np.float32(limits.nominal_v)
            measured |= 1 << phase
            dead |= int(share < np.float32(limits.off_pu)) << phase
            live |= int(share >= np.float32(limits.on_pu)) << phase
    return measured, dead, live


@compiled
def said(row: ReadRow, limits: Volts) -> tuple[bool, bool, int]:
    """Whether a row says that there is power, whether that there is none, and which phases are
    lost (SILENT_ON_PHASES where it does not say).

    It is judged by voltage where it has one (DL/T: off when all phases < 60 %, on when any >=
    80 %), else by word.  Between the two limits, and where the device itself says "not valid", it
    says nothing.
    """
    kind = row["kind"]
    report, on, off = REPORTS[kind], SAYS_ON[kind], SAYS_OFF[kind]
    lost = SILENT_ON_PHASES
    measured, dead, live = phases_of(row, limits)
    if measured:
        on |= live != 0 and report
        off |= dead == measured and report
        report = False
        lost = dead | TELLS if live else TELLS
    if row["on"] == 0:
        off |= report
        report = False
    if TELLS_OK[kind] and lost == SILENT_ON_PHASES:
        lost = TELLS
    if kind == PHASE_LOSS:
        lost = int(row["phases"]) | TELLS
    valid = row["quality"] & INVALID == 0
    return valid and (on or report), valid and off, lost


@compiled
def judge(rows: ReadRows, limits: Volts, off: Bools) -> None:
    """Fill in which rows say that there is no power."""
    for place in range(len(rows)):
        off[place] = said(rows[place], limits)[1]


def volts_of(limits: EngineSettings) -> Volts:
    """The settings, for compiled loops."""
    return Volts(limits.nominal_v, limits.off_pu, limits.on_pu)


def says_off(rows: Rows, limits: EngineSettings) -> Bools:
    """Which rows say that there is no power."""
    off = np.empty(len(rows), np.bool_)
    judge(np.ascontiguousarray(rows), volts_of(limits), off)
    return off
