"""What was heard of each device: columns over a group's nodes, folded from the rows of frames.

Only maxima and minima are kept, so late and reordered readings leave the same columns as ordered
ones. Two clocks: ``on_ms`` and ``off_ms`` are in the device's own clock (what people are told);
adding ``lag_ms``, the smallest delay ever seen between the device's clock and our receipt, brings
them to ours (what inference compares).
"""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import OF_RECORDS, compiled
from detectors.flags import AGREED, CALLED, FEW, LOST, RESUMED, Bits, bits_of, with_bits
from detectors.moments import (
    BLOCK_BITS,
    NEVER,
    Heard,
    Moments,
    OneHeard,
    kept_of,
    make_room,
    no_times,
    told,
)
from detectors.saying import (
    CALL_NO_POWER,
    HEARTBEAT,
    PHASES,
    PING_REPLY,
    POWER_UP,
    SILENT_ON_PHASES,
    ReadRow,
    ReadRows,
    Volts,
    said,
    volts_of,
)
from detectors.settings import EngineSettings
from detectors.tree import places
from grid.frame import Rows
from grid.network import F32, I32, I64, U8, Bools

NO_LAG = (1 << 31) - 1
EVERYONE = slice(None)

LIVE_AMPS = 1.0  # a closed breaker that carries more is energised
BEATS_TO_LEARN = 2  # gaps that must agree before a period is believed
STEADY_MS = (-6_000, 20_000)  # a delay in between is that of a clock right to some seconds
IN_STEP = 0.95  # of the devices, and clocks are held to be good
IN_STEP_MIN = 20  # of fewer nothing is known
WAY_MS = 2_000  # from a device to us, if nothing holds it up
PERIOD_S_MIN = 5.0
PERIOD_S_MAX = 86_400.0

KEPT = (
    "block", "on", "off", "beat", "back", "void", "ended", "lag_ms", "period_s", "flags",
)  # fmt: skip
"""The order of a snapshot."""


@dataclass(slots=True, eq=False)
class Hearing:
    """One entry a node, 36 bytes each; columns are views of the records."""

    heard: Heard
    lag_ms: I32  # least (receipt - device clock); NO_LAG where unknown
    period_s: F32  # learned reporting period; 0 where unknown
    flags: U8  # ``lost_phases``, ``resumed``, ``called`` and ``agreed``

    @property
    def on_ms(self) -> Moments:
        """Last word that it has power, device clock."""
        return Moments(self.heard, "on")

    @property
    def off_ms(self) -> Moments:
        """Last word that it has none, device clock."""
        return Moments(self.heard, "off")

    @property
    def beat_ms(self) -> Moments:
        """Last regular report, device clock."""
        return Moments(self.heard, "beat")

    @property
    def back_ms(self) -> Moments:
        """Last power-up, device clock."""
        return Moments(self.heard, "back")

    @property
    def void_ms(self) -> Moments:
        """Our clock: what was heard before is history, its outage was restored then."""
        return Moments(self.heard, "void")

    @property
    def ended_ms(self) -> Moments:
        """Device clock: when its last step of an outage ended."""
        return Moments(self.heard, "ended")

    @property
    def lost_phases(self) -> Bits:
        """Bits of phases that are dead while others live, and TELLS."""
        return Bits(self.flags, LOST, 4)

    @property
    def resumed(self) -> Bits:
        """1 where its last word ended a silence in which it had been due."""
        return Bits(self.flags, RESUMED, 1)

    @property
    def called(self) -> Bits:
        """1 where there was a trouble call since the last word that it has power."""
        return Bits(self.flags, CALLED, 1)

    @property
    def agreed(self) -> Bits:
        """Gaps that agreed with period_s, up to FEW."""
        return Bits(self.flags, AGREED, 2)

    def lag(self, nodes: I64 | slice = EVERYONE) -> I64:
        """Device clock to ours, 0 where nothing was heard."""
        lag = self.lag_ms[nodes].astype(np.int64)
        lag[places(lag == NO_LAG)] = 0
        return lag

    def period_ms(self, otherwise_s: float, nodes: I64 | slice = EVERYONE) -> I64:
        """Reporting periods: learned, or ``otherwise_s`` until then."""
        unknown = self.agreed[nodes] < BEATS_TO_LEARN
        periods = (self.period_s[nodes] * np.float32(1000)).astype(np.int64)
        periods[places(unknown)] = int(np.float32(otherwise_s) * np.float32(1000))
        return periods


def columns() -> tuple[str, ...]:
    """What a device brings along where it goes, and is recorded by these names."""
    return (
        "on_ms", "off_ms", "beat_ms", "back_ms", "void_ms", "lag_ms", "period_s", "agreed",
        "lost_phases", "resumed", "called",
    )  # fmt: skip


def kept(hearing: Hearing) -> tuple[NDArray[np.generic], ...]:
    """The columns as they are kept, in the order of the snapshot."""
    return tuple(hearing.heard[name] for name in KEPT)


def silence(nodes: int) -> Hearing:
    """Nothing heard of anyone yet."""
    heard = no_times(nodes)
    heard["lag_ms"] = NO_LAG
    return Hearing(heard, heard["lag_ms"], heard["period_s"], heard["flags"])


@compiled
def in_step(lag_ms: Annotated[I32, OF_RECORDS]) -> bool:
    """Whether nearly all clocks are right.  The smallest of few delays is still long now and then:
    then it is the way that took the seconds, and not the clock that is slow.
    """
    heard, steady = 0, 0
    for lag in lag_ms:
        heard += lag != NO_LAG
        steady += STEADY_MS[0] < lag < STEADY_MS[1]
    return steady >= max(IN_STEP * heard, float(IN_STEP_MIN))


class Limits(NamedTuple):
    """Of a reporting period that is not learned yet, of what is late, and of voltages."""

    period_ms: int
    slack_ms: int
    volts: Volts


PHASE_WORD = np.dtype(
    [("row", "i8"), ("node", "i8"), ("lost", "i8"), ("back", "i8"), ("since_ms", "i8")]
)
"""A row that changes what phases its device has lost: all that are lost, those that are back, and
when the device last said that it has power, by its clock.
"""

PhaseWords = Annotated[NDArray[np.void], PHASE_WORD]
OneWord = Annotated[np.void, PHASE_WORD]


def fold(
    hearing: Hearing, rows: Rows, limits: EngineSettings, *, asked_ms: I64
) -> tuple[Bools, list[tuple[int, int, int, int, int]]]:
    """Take rows in, in their order; ``asked_ms`` is when those were asked who answer: without
    entries where none is an answer.

    Returns which say that there is no power, and which change what phases their devices have lost
    (``PHASE_WORD``).
    """
    period_ms = int(np.float32(limits.heartbeat_s) * np.float32(1000))
    of = Limits(period_ms, int(limits.heartbeat_slack_s * 1000), volts_of(limits))
    off, changed = np.empty(len(rows), np.bool_), np.empty(len(rows), PHASE_WORD)
    rows = np.ascontiguousarray(rows)
    fetch(hearing.heard, rows)
    count = take_in(hearing.heard, rows, asked_ms, of, off, changed)
    found: list[tuple[int, int, int, int, int]] = changed[:count].tolist()
    return off, found


@compiled
def by_own_clock(row: ReadRow, asked_ms: int, lag_ms: int) -> int:
    """When a row happened.  An answer often has the time of whoever asked, and not that of the
    meter's clock, which may be a minute off: it is of after the question, and of before it came.
    """
    if row["kind"] != PING_REPLY or lag_ms == NO_LAG:
        return int(row["happened_ms"])
    return int(min(max(row["happened_ms"], asked_ms - lag_ms), row["received_ms"] - lag_ms))


@compiled
def put_down(word: OneWord, place: int, node: int, lost: int, since_ms: int) -> None:
    """What phases a device has lost from this row on, and since when."""
    word["row"], word["node"], word["lost"], word["since_ms"] = place, node, lost, since_ms


@compiled
def due_ms(period_s: float, agreed: int, limits: Limits) -> int:
    """How long after its last word a device is late."""
    learned_ms = int(np.float32(period_s) * np.float32(1000))
    return (learned_ms if agreed >= BEATS_TO_LEARN else limits.period_ms) + limits.slack_ms


@compiled
def learned(period_s: float, agreed: int, gap_ms: int) -> tuple[float, int]:
    """The reporting period, and how many gaps agreed with it.  It is learned from those that agree
    within a tenth; a gap of several periods is missed beats.
    """
    gap_s = gap_ms / 1000.0
    if gap_s < PERIOD_S_MIN or gap_s > PERIOD_S_MAX:  # since ever is longer
        return period_s, agreed
    if period_s == 0:
        return gap_s, 1
    once_s = gap_s / max(round(gap_s / period_s), 1)
    if abs(once_s - period_s) > 0.1 * period_s:
        return gap_s, 1
    return period_s + (once_s - period_s) / 4, min(agreed + 1, FEW)


@compiled
def came_back(one: OneHeard, now: int, off_at_ms: int) -> None:
    """A power-up, which may tell of a gasp that was lost."""
    one["back"] = max(int(one["back"]), now)
    if off_at_ms > 0:
        make_room(one, off_at_ms)
        one["off"] = max(int(one["off"]), kept_of(int(one["block"]), off_at_ms))


@compiled
def fetch(heard: Heard, rows: ReadRows) -> int:
    """Read something of all that rows are about: asked for at once, memory comes sooner than row by
    row.  What is returned means nothing, but that it was read.
    """
    read = 0
    for row in rows:
        one = heard[row["node"]]
        read += int(one["on"]) + int(one["flags"])  # the first of it and the last
    return read


@compiled
def take_in(
    heard: Heard, rows: ReadRows, asked_ms: I64, limits: Limits, off: Bools, changed: PhaseWords
) -> int:
    """Take rows in; fills in which say that there is no power, and returns how many were put into
    ``changed``.
    """
    count = 0
    for place in range(len(rows)):
        row = rows[place]
        node, kind = row["node"], row["kind"]
        one = heard[node]
        on, off[place], says = said(row, limits.volts)
        asked = asked_ms[place] if len(asked_ms) else NEVER
        happened_ms = by_own_clock(row, asked, one["lag_ms"])
        late_ms = min(max(row["received_ms"] - happened_ms, -NO_LAG), NO_LAG - 1)
        one["lag_ms"] = min(one["lag_ms"], late_ms)
        says_so = on or off[place] or kind == POWER_UP
        if says_so and happened_ms >> BLOCK_BITS > one["block"]:
            make_room(one, happened_ms)
        block = int(one["block"])
        now = kept_of(block, happened_ms)
        if on:
            known_flags = int(one["flags"])
            lost, agreed = bits_of(known_flags, LOST, 15), bits_of(known_flags, AGREED, 3)
            on_ms = told(block, int(one["on"]))
            gap_ms = happened_ms - on_ms
            if gap_ms > 0:  # whose word ends a silence that was longer than its reporting period
                late = gap_ms > due_ms(one["period_s"], agreed, limits) and on_ms != NEVER
                known_flags = with_bits(known_flags, RESUMED, 1, int(late))
                one["on"] = now
            known_flags = with_bits(known_flags, CALLED, 1, 0)
            if says not in (SILENT_ON_PHASES, lost) and gap_ms >= 0:
                put_down(changed[count], place, node, says & PHASES, happened_ms)
                changed[count]["back"] = lost & ~says & PHASES
                count += ((says ^ lost) & PHASES) != 0
                known_flags = with_bits(known_flags, LOST, 15, says)
            if kind == HEARTBEAT:
                gap_ms = happened_ms - told(block, int(one["beat"]))
                one["period_s"], agreed = learned(one["period_s"], agreed, gap_ms)
                known_flags = with_bits(known_flags, AGREED, 3, agreed)
                one["beat"] = max(int(one["beat"]), now)
            one["flags"] = known_flags
        if off[place]:
            one["off"] = max(int(one["off"]), now)
        if kind == POWER_UP:
            came_back(one, now, row["off_at_ms"])
        elif kind == CALL_NO_POWER:
            one["flags"] = with_bits(int(one["flags"]), CALLED, 1, 1)
    return count


def hear_live(hearing: Hearing, rows: Rows, i: int, limits: EngineSettings) -> None:
    """Row ``i`` is of a closed device: with current or voltage it says that there is power."""
    row = rows[i]
    volts, amps = row["volts"], row["amps"]
    live = bool(np.nanmax(amps) > LIVE_AMPS) if not np.isnan(amps).all() else False
    if not np.isnan(volts).all():
        live = live or bool(np.nanmax(volts) >= limits.on_pu * limits.nominal_v)
    if live:
        node, happened = int(row["node"]), int(row["happened_ms"])
        hearing.on_ms.put(node, max(hearing.on_ms.of(node), happened))
        late = int(row["received_ms"]) - happened
        hearing.lag_ms[node] = min(int(hearing.lag_ms[node]), late)
