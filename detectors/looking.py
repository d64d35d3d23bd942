"""What was heard and missed of each node at one moment, gone through once: the compiled loops of
``detectors/evidence.py``, which says what it means.
"""

from typing import NamedTuple

import numpy as np

from detectors.compiled import compiled
from detectors.flags import AGREED, CALLED, bits_of
from detectors.hearing import BEATS_TO_LEARN, NO_LAG, STEADY_MS, WAY_MS
from detectors.moments import FAR, NEVER, UNKNOWN, Heard, from_ms
from detectors.tree import TRANSFORMER
from grid.network import F64, I32, I64, U8, Bools

CLOCKS_MS = 10_000  # what two devices' corrected clocks may differ by


class Terms(NamedTuple):
    """What everything is held against.  Times in ms, by our clock."""

    now_ms: int
    period_ms: int  # of who has not shown its own
    slack_ms: int
    slack_float_ms: float
    in_step: bool  # clocks are good
    off_ll: float  # of the silence of a meter
    off_terminal_ll: float
    gasp_ll: float  # of a word that there is no power
    gasp_terminal_ll: float
    call_ll: float
    late_first_ll: float  # of a heartbeat that is late by nothing
    late_last_ll: float  # and by more than its slack
    void_ll: float  # of a power-up that did not come
    void_first_ms: int
    void_spread_ms: int


class Beyond(NamedTuple):
    """What else is known, entry a node; without entries where there is none."""

    dismissed_ms: I64
    muted: I64  # nodes, ascending
    relay_from_ms: I64
    relay_until_ms: I64
    gap_from_ms: I64  # entry a gap
    gap_until_ms: I64


class Seen(NamedTuple):
    """What is found.  One entry a node."""

    heard_ms: I64
    known_ms: I64  # the same, for a comparison between devices
    gasp_ms: I64
    gasp_ll: F64
    due_ms: I64
    late_ms: I64  # the same, with what may be on its way yet
    off_ll: F64
    on_ll: F64
    silent: Bools
    overdue: Bools
    pending: Bools


def unseen(nodes: int) -> Seen:
    """Columns to be filled in."""
    times = [np.empty(nodes, np.int64) for _ in range(5)]
    worth = [np.empty(nodes, np.float64) for _ in range(3)]
    which = [np.empty(nodes, np.bool_) for _ in range(3)]
    heard, known, gasp, due, late = times
    silent, overdue, pending = which
    return Seen(
        heard, known, gasp, worth[0], due, late, worth[1], worth[2], silent, overdue, pending
    )


class Words(NamedTuple):
    """What one node said.  By its clock, but ``void_ms``."""

    on_ms: int
    off_ms: int
    beat_ms: int
    back_ms: int
    void_ms: int
    period_ms: int
    relay_from_ms: int  # by our clock: its concentrator was mute
    relay_until_ms: int


@compiled
def moment(begin_ms: int, kept: int) -> int:
    """A moment as it is kept."""
    return NEVER if kept == UNKNOWN else begin_ms + kept


@compiled
def next_due(words: Words, beyond: Beyond, heard_ms: int, slack_ms: int) -> int:
    """When a node's next regular report is due, by our clock.  What was expected while we did not
    listen has a period from when we do again.
    """
    since_ms = max(heard_ms, words.void_ms)
    if words.relay_from_ms < since_ms < words.relay_until_ms:
        since_ms = words.relay_until_ms  # power came back while its concentrator was mute
    expected_ms = since_ms + words.period_ms
    # an answer or a reading between two reports does not put off the next report
    between = words.on_ms > words.beat_ms > max(words.back_ms, words.off_ms)
    if between and heard_ms > words.void_ms:
        expected_ms -= (words.on_ms - words.beat_ms) % words.period_ms
    if expected_ms + slack_ms > words.relay_from_ms and expected_ms < words.relay_until_ms:
        expected_ms = words.relay_until_ms + words.period_ms
    for gap in range(len(beyond.gap_from_ms)):
        if expected_ms + slack_ms > beyond.gap_from_ms[gap]:
            expected_ms = max(expected_ms, beyond.gap_until_ms[gap] + words.period_ms)
    return expected_ms


@compiled
def gasp_of(words: Words, ended_ms: int, lag_ms: int, dismissed_ms: int) -> int:
    """When a node said that it has no power, if that is its last word and counts; NEVER."""
    if words.off_ms <= words.on_ms or words.off_ms <= ended_ms:
        return NEVER
    at_ms = words.off_ms + lag_ms
    return NEVER if at_ms <= words.void_ms or at_ms <= dismissed_ms else at_ms


@compiled
def missed(terms: Terms, beat_ms: int) -> float:
    """Log P(silence | on) of a heartbeat that did not come, by how late it is."""
    late_ms = terms.now_ms - beat_ms - terms.slack_ms
    later = min(late_ms / terms.slack_float_ms, 1.0)
    return terms.late_first_ll + later * (terms.late_last_ll - terms.late_first_ll)


@compiled
def waited_for(terms: Terms, words: Words) -> float:
    """Log P(silence | on) of a power-up that did not come after a restoration."""
    if words.relay_from_ms < words.void_ms < words.relay_until_ms:
        return 0.0  # its concentrator was mute then, and is no more
    waited = (terms.now_ms - words.void_ms - terms.void_first_ms) / terms.void_spread_ms
    return min(max(waited, 0.0), 1.0) * terms.void_ll


@compiled
def gasp_worth(terms: Terms, terminal: bool, called: int) -> float:
    """Log-likelihood ratio of a "no power"."""
    if called:
        return terms.call_ll
    return terms.gasp_terminal_ll if terminal else terms.gasp_ll


@compiled
def look(heard: Heard, kind: U8, terms: Terms, beyond: Beyond, seen: Seen) -> int:
    """Fill in what is seen of all nodes; when the first of those is due who are neither late nor
    without power, FAR for none.
    """
    relay_from, relay_until = beyond.relay_from_ms, beyond.relay_until_ms
    slack_ms, first_ms = terms.slack_ms, FAR
    for node in range(len(kind)):
        one = heard[node]
        begin_ms, flag = from_ms(int(one["block"])), int(one["flags"])
        learned = bits_of(flag, AGREED, 3) >= BEATS_TO_LEARN
        words = Words(
            moment(begin_ms, int(one["on"])),
            moment(begin_ms, int(one["off"])),
            moment(begin_ms, int(one["beat"])),
            moment(begin_ms, int(one["back"])),
            moment(begin_ms, int(one["void"])),
            int(one["period_s"] * np.float32(1000)) if learned else terms.period_ms,
            relay_from[node] if len(relay_from) else FAR,
            relay_until[node] if len(relay_until) else NEVER,
        )
        dismissed_ms = beyond.dismissed_ms[node] if len(beyond.dismissed_ms) else NEVER
        lag_ms = 0 if one["lag_ms"] == NO_LAG else int(one["lag_ms"])
        steady = terms.in_step and STEADY_MS[0] < lag_ms < STEADY_MS[1]
        ever, terminal = words.on_ms != NEVER, kind[node] == TRANSFORMER
        heard_ms = words.on_ms + lag_ms if ever else NEVER
        known_ms = words.on_ms + (min(lag_ms, WAY_MS) if steady else lag_ms) if ever else NEVER
        gasp_ms = gasp_of(words, moment(begin_ms, int(one["ended"])), lag_ms, dismissed_ms)
        if gasp_ms != NEVER and len(beyond.muted) and node in beyond.muted:
            gasp_ms = NEVER
        silent = ever and gasp_ms == NEVER and heard_ms > dismissed_ms
        beat_ms = next_due(words, beyond, heard_ms, slack_ms)
        overdue = silent and beat_ms < terms.now_ms - slack_ms
        if ever and not overdue and gasp_ms == NEVER:
            same = known_ms == heard_ms
            known_due_ms = beat_ms if same else next_due(words, beyond, known_ms, slack_ms)
            first_ms = min(first_ms, known_due_ms)
        waits = silent and words.void_ms != NEVER and heard_ms < words.void_ms - CLOCKS_MS
        on_ll = missed(terms, beat_ms) if overdue else 0.0
        on_ll += waited_for(terms, words) if waits else 0.0
        off_ll = terms.off_terminal_ll if terminal else terms.off_ll
        worth = gasp_worth(terms, terminal, bits_of(flag, CALLED, 1)) if gasp_ms != NEVER else 0.0
        seen.heard_ms[node], seen.known_ms[node] = heard_ms, known_ms
        seen.gasp_ms[node], seen.gasp_ll[node] = gasp_ms, worth
        due_ms = words.void_ms if waits else beat_ms if overdue else FAR
        seen.due_ms[node], seen.late_ms[node] = due_ms, due_ms + (slack_ms if overdue else 0)
        seen.off_ll[node] = off_ll if silent and not waits else 0.0
        seen.on_ll[node] = on_ll
        seen.silent[node], seen.overdue[node], seen.pending[node] = silent, overdue, waits
    return first_ms


class Relayed(NamedTuple):
    """What is heard of each concentrator.  Times by our clock."""

    members: I64  # how many devices speak through it
    word_ms: I64  # when anything last came through it; NEVER
    spoke_ms: I64  # the last gasp through it; NEVER
    missing: I64  # how many were due since its last word and did not come
    waiting: Bools  # whether any of its meters is to be heard again
    burst_ms: I64  # when the last burst of gasps on a feeder of its meters began; NEVER


@compiled
def bursts(feeder: I32, gasp_ms: I64, burst_ms: int) -> I64:
    """Entry a feeder's node: when the last burst of gasps on it began; NEVER where there was none.
    From then on concentrators should have let some through.
    """
    last = np.full(len(feeder), NEVER, np.int64)
    for node in range(len(feeder)):
        if gasp_ms[node] != NEVER:
            last[feeder[node]] = max(last[feeder[node]], gasp_ms[node])
    first = last.copy()
    for node in range(len(feeder)):
        if gasp_ms[node] != NEVER and gasp_ms[node] > last[feeder[node]] - burst_ms:
            first[feeder[node]] = min(first[feeder[node]], gasp_ms[node])
    return first


@compiled
def relay(dcu: I32, seen: Seen, missing: Bools, found: Relayed) -> None:
    """Fill in what is heard of each concentrator, but for bursts."""
    word_ms, spoke_ms, count, waiting = found.word_ms, found.spoke_ms, found.missing, found.waiting
    heard_ms, gasp_ms = seen.heard_ms, seen.gasp_ms
    for node in range(len(dcu)):
        of = dcu[node]
        if of >= 0:
            found.members[of] += 1
            word_ms[of] = max(word_ms[of], heard_ms[node])
            spoke_ms[of] = max(spoke_ms[of], gasp_ms[node])
    for node in range(len(dcu)):
        if not (missing[node] or seen.pending[node]):
            continue
        of = dcu[node]
        if of >= 0 and seen.silent[node] and seen.late_ms[node] > word_ms[of]:
            count[of] += missing[node]
            waiting[of] |= seen.pending[node]


@compiled
def behind(dcu: I32, which: Bools, seen: Seen, word_ms: I64) -> I64:
    """The nodes behind some concentrators that are silent since the last word through theirs."""
    found, count = np.empty(len(dcu), np.int64), 0
    for node in range(len(dcu)):
        of = dcu[node]
        if of >= 0 and which[of] and seen.silent[node] and seen.late_ms[node] > word_ms[of]:
            found[count] = node
            count += 1
    return found[:count]


@compiled
def bursts_of(dcu: I32, feeder: I32, first_ms: I64, found: I64) -> None:
    """The last burst on a feeder of any meter of each concentrator."""
    for node in range(len(dcu)):
        of = dcu[node]
        if of >= 0:
            found[of] = max(found[of], first_ms[feeder[node]])
