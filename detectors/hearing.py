"""What was heard of each device: columns over a group's nodes, folded from the rows of frames.

Only maxima and minima are kept, so late and reordered readings leave the same columns as ordered
ones. Two clocks: ``on_ms`` and ``off_ms`` are in the device's own clock (what people are told);
adding ``lag_ms``, the smallest delay ever seen between the device's clock and our receipt, brings
them to ours (what inference compares).
"""

from dataclasses import dataclass, field, fields
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors.settings import EngineSettings
from detectors.tree import places
from grid.frame import Rows
from grid.network import I64, U8, Bools
from grid.reading import Kind, Quality

T = TypeVar("T", bound=np.generic)

NEVER = -1 << 60
NO_LAG = np.int32((1 << 31) - 1)
EVERYONE = slice(None)


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
LAST_GASP = int(Kind.LAST_GASP)
PHASE_LOSS, CALL_NO_POWER = int(Kind.PHASE_LOSS), int(Kind.CALL_NO_POWER)
INVALID = int(Quality.INVALID)
PHASES = np.uint8(7)
TELLS = np.uint8(8)  # in ``lost_phases``: the device has told how its phases are
TELLS_OK = _kinds(Kind.PHASE_OK, Kind.POWER_UP, Kind.CALL_RESTORED)
SILENT_ON_PHASES = np.uint8(128)  # of a row that says nothing of phases

LIVE_AMPS = 1.0  # a closed breaker that carries more is energised
BEATS_TO_LEARN = 2  # gaps that must agree before a period is believed
STEADY_MS = (-6_000, 20_000)  # a delay in between is that of a clock right to some seconds
IN_STEP = 0.95  # of the devices, and clocks are held to be good
IN_STEP_MIN = 20  # of fewer nothing is known
WAY_MS = 2_000  # from a device to us, if nothing holds it up
PERIOD_S_MIN = 5.0
PERIOD_S_MAX = 86_400.0


@dataclass(slots=True, eq=False)
class Hearing:
    """One entry a node.  About 60 bytes each."""

    on_ms: I64  # last word that it has power, device clock; NEVER
    off_ms: I64  # last word that it has none, device clock; NEVER
    beat_ms: I64  # last regular report, device clock; NEVER
    back_ms: I64  # last power-up, device clock; NEVER
    void_ms: I64  # our clock: what was heard before is history, its outage was restored then; NEVER
    lag_ms: NDArray[np.int32]  # least (receipt - device clock); NO_LAG where unknown
    period_s: NDArray[np.float32]  # learned reporting period; 0 where unknown
    agreed: U8  # gaps that agreed with period_s
    lost_phases: U8  # bits of phases that are dead while others live, and TELLS
    resumed: Bools  # its last word ended a silence in which it had been due
    called: U8  # trouble calls since the last word that it has power
    dirty: bool = field(default=False)

    def lag(self, nodes: I64 | slice = EVERYONE) -> I64:
        """Device clock to ours, 0 where nothing was heard."""
        lag = _of(self.lag_ms, nodes).astype(np.int64)
        lag[places(lag == NO_LAG)] = 0
        return lag

    def way(self) -> I64:
        """Device clock to ours, for a comparison between devices.

        The smallest of few delays is still long now and then.  Where nearly all clocks are in step
        it is the way that took the seconds, and not the clock that is slow.
        """
        lag = self.lag()
        heard = np.count_nonzero(self.lag_ms != NO_LAG)
        steady = (self.lag_ms > STEADY_MS[0]) & (self.lag_ms < STEADY_MS[1])
        if np.count_nonzero(steady) >= max(IN_STEP * heard, IN_STEP_MIN):
            np.copyto(lag, WAY_MS, where=steady & (lag > WAY_MS))
        return lag

    def period_ms(self, otherwise_s: float, nodes: I64 | slice = EVERYONE) -> I64:
        """Reporting periods: learned, or ``otherwise_s`` until then."""
        unknown = _of(self.agreed, nodes) < BEATS_TO_LEARN
        periods = (_of(self.period_s, nodes) * np.float32(1000)).astype(np.int64)
        periods[places(unknown)] = int(np.float32(otherwise_s) * np.float32(1000))
        return periods


def _of(column: NDArray[T], nodes: I64 | slice) -> NDArray[T]:
    return column[nodes] if isinstance(nodes, slice) else column.take(nodes)


def columns() -> tuple[str, ...]:
    """The names of the columns, in the order of the snapshot."""
    return tuple(f.name for f in fields(Hearing) if f.name != "dirty")


def silence(nodes: int) -> Hearing:
    """Nothing heard of anyone yet."""

    def never() -> I64:
        return np.full(nodes, NEVER, np.int64)

    return Hearing(
        on_ms=never(),
        off_ms=never(),
        beat_ms=never(),
        back_ms=never(),
        void_ms=never(),
        lag_ms=np.full(nodes, NO_LAG, np.int32),
        period_s=np.zeros(nodes, np.float32),
        agreed=np.zeros(nodes, np.uint8),
        lost_phases=np.zeros(nodes, np.uint8),
        resumed=np.zeros(nodes, np.bool_),
        called=np.zeros(nodes, np.uint8),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What rows say about power.  One entry a row."""

    on: Bools
    off: Bools
    lost_phases: U8  # SILENT_ON_PHASES where it does not say

    def part(self, rows: I64) -> "Said":
        """Of some of the rows."""
        return Said(self.on[rows], self.off[rows], self.lost_phases[rows])


def said(rows: Rows, limits: EngineSettings) -> Said:
    """Judge rows by voltage where they have one (DL/T: off when all phases < 60 %, on when any >=
    80 %), else by word.

    Between the two limits, and where the device itself says "not valid", a row says nothing.
    """
    kind = rows["kind"].astype(np.int64)
    report = REPORTS.take(kind)
    yes, no = SAYS_ON.take(kind), SAYS_OFF.take(kind)
    lost = np.full(len(rows), SILENT_ON_PHASES)
    volts = np.ascontiguousarray(rows["volts"].T)  # a row a phase
    measured = volts == volts  # NaN is not itself; quicker than isnan
    if np.count_nonzero(measured):
        volts = volts / np.float32(limits.nominal_v)
        dead = measured & (volts < limits.off_pu)
        live = measured & (volts >= limits.on_pu)
        has_volts, any_live = _any(measured), _any(live)
        yes |= any_live & report
        no |= has_volts & ~_any(measured ^ dead) & report
        report &= ~has_volts
        bits = dead.astype(np.uint8)
        lost[has_volts] = TELLS
        lost = np.where(any_live, bits[0] | bits[1] << 1 | bits[2] << 2 | TELLS, lost)
    wordless = rows["on"] == 0
    if np.count_nonzero(wordless):
        no |= report & wordless
        report &= ~wordless
    yes |= report
    fine = TELLS_OK.take(kind)
    if np.count_nonzero(fine):
        lost[fine & (lost == SILENT_ON_PHASES)] = TELLS
    loss = kind == PHASE_LOSS
    if np.count_nonzero(loss):
        lost = np.where(loss, rows["phases"] | TELLS, lost)
    quality = rows["quality"].copy()
    quality &= np.uint8(INVALID)
    if np.count_nonzero(quality):
        valid = quality == 0
        yes &= valid
        no &= valid
    return Said(yes, no, lost)


def _any(phases: Bools) -> Bools:
    """Whether any of the three: reducing a short axis is slow."""
    either: Bools = phases[0] | phases[1] | phases[2]
    return either


def fold(hearing: Hearing, rows: Rows, words: Said, limits: EngineSettings) -> tuple[I64, U8]:
    """Take rows in, each node at most once among them; ``words`` is what they say.

    Returns which rows changed what phases their devices have lost, and which those were before.
    """
    node = rows["node"].astype(np.int64)
    happened = rows["happened_ms"].astype(np.int64)
    late = rows["received_ms"].astype(np.int64)
    late -= happened
    np.maximum(late, -NO_LAG, out=late)
    np.minimum(late, NO_LAG - 1, out=late)
    hearing.lag_ms[node] = np.minimum(hearing.lag_ms.take(node), late.astype(np.int32))
    kind = rows["kind"]
    changed, before = _hear_on(hearing, node, happened, words, limits)
    _latest(hearing.off_ms, node, happened, words.off)
    back = kind == POWER_UP
    if np.count_nonzero(back):
        _latest(hearing.back_ms, node, happened, back)
        told = back & (rows["off_at_ms"] > 0)  # it tells of a gasp that was lost
        _latest(hearing.off_ms, node, rows["off_at_ms"], told)
    beat = kind == HEARTBEAT
    beat &= words.on
    _learn_period(hearing, node, happened, beat)
    calls = kind == CALL_NO_POWER
    if np.count_nonzero(calls):
        at = node[calls]
        hearing.called[at] = np.minimum(hearing.called[at], 254) + 1
    return changed, before


def _hear_on(
    hearing: Hearing, node: I64, happened: I64, words: Said, limits: EngineSettings
) -> tuple[I64, U8]:
    """Take in who has power.  Remembered is whose word ends a silence that was longer than their
    reporting period.
    """
    row = places(words.on)
    told = words.lost_phases
    if len(row) < len(node):
        node, happened, told = node.take(row), happened.take(row), told.take(row)
    before = hearing.on_ms.take(node)
    gap = happened - before
    due = hearing.period_ms(limits.heartbeat_s, node)
    due += int(limits.heartbeat_slack_s * 1000)
    ends = gap > due
    ends &= before != NEVER
    resumed = hearing.resumed.take(node)
    np.copyto(resumed, ends, where=gap > 0)
    hearing.resumed[node] = resumed
    hearing.on_ms[node] = np.maximum(before, happened)
    hearing.called[node] = 0
    news = told != SILENT_ON_PHASES
    if not np.count_nonzero(news):
        return row[:0], told[:0]
    lost = hearing.lost_phases.take(node)
    place = places(news & (told != lost) & (gap >= 0))
    told, lost = told.take(place), lost.take(place)
    hearing.lost_phases[node.take(place)] = told
    moved = places((told ^ lost) & PHASES)
    return row.take(place.take(moved)), lost.take(moved)


def hear_live(hearing: Hearing, rows: Rows, i: int, limits: EngineSettings) -> None:
    """Row ``i`` is of a closed device: with current or voltage it says that there is power."""
    row = rows[i]
    volts, amps = row["volts"], row["amps"]
    live = bool(np.nanmax(amps) > LIVE_AMPS) if not np.isnan(amps).all() else False
    if not np.isnan(volts).all():
        live = live or bool(np.nanmax(volts) >= limits.on_pu * limits.nominal_v)
    if live:
        node, happened = int(row["node"]), int(row["happened_ms"])
        hearing.on_ms[node] = max(int(hearing.on_ms[node]), happened)
        late = int(row["received_ms"]) - happened
        hearing.lag_ms[node] = min(int(hearing.lag_ms[node]), late)


def _latest(column: I64, node: I64, at: I64, where: Bools) -> None:
    place = places(where)
    if len(place):
        picked = node.take(place)
        column[picked] = np.maximum(column.take(picked), at[place])


def _learn_period(hearing: Hearing, node: I64, happened: I64, which: Bools) -> None:
    """A period is learned from gaps that agree within a tenth; a gap of several periods is missed
    beats.
    """
    count = np.count_nonzero(which)
    if count < len(node):
        place = places(which)
        node, happened = node.take(place), happened.take(place)
    before = hearing.beat_ms.take(node)
    hearing.beat_ms[node] = np.maximum(before, happened)
    gap_s = ((happened - before) / 1000.0).astype(np.float32)
    usable = gap_s >= PERIOD_S_MIN
    usable &= gap_s <= PERIOD_S_MAX  # since ever is longer
    place = places(usable)
    if len(place) == 0:
        return
    node, gap_s = node.take(place), gap_s.take(place)
    period = hearing.period_s.take(node)
    known = period > 0
    times = np.maximum(np.rint(gap_s / np.where(known, period, gap_s)), 1)
    once = gap_s / times
    once -= period
    same = known & (np.abs(once) <= 0.1 * period)
    np.copyto(gap_s, period + once / 4, where=same)
    hearing.period_s[node] = gap_s
    agreed = hearing.agreed.take(node)
    hearing.agreed[node] = np.where(same, np.minimum(agreed, 250) + 1, 1)
