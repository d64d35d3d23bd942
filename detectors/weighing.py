"""What speaks for each node being dead, and what against it: log-likelihood ratios of "dead since
the last word from below it" against "alive", of whole subtrees.

Gathered so (detectors/evidence.py), a node that gasped is not silent, and what a node itself missed
was due after its last word.  So silence below a branch counts as it is; only where somebody gasped,
or something was due before the last word of another, is it looked at word by word what counts.
"""

from typing import NamedTuple

import numpy as np

from detectors.evidence import FAR, Evidence
from detectors.hearing import NEVER
from detectors.tree import TRANSFORMER, Column, Spans, Tree, laid_out, places, reduced, spans
from grid.network import F64, I64, Bools

GUARD_MS = 10_000  # clocks and delays are corrected to about this
CLOCK_MS = 700.0  # standard deviation of a terminal's word on when power failed
WRONG_CLOCK = 9.2  # log-odds against a terminal's clock having jumped since it was last heard


DENSE = 2  # where so many of the nodes or fewer have one that speaks, all are looked at as they lie


class Words(NamedTuple):
    """Nodes that give a reason to think of an outage, or were asked for one; one entry each.

    Where most of them do, it is all nodes: columns that lie there already are quicker to read than
    to gather.
    """

    nodes: I64  # ascending
    before: I64 | None  # entry a node: how many words there are up to it; None where it is all
    heard_ms: I64
    gasp_ms: I64
    gasped: I64  # places of those who gasped
    due_ms: I64
    off_ll: F64
    on_ll: F64
    pending: Bools | None  # None where nobody is
    reason_ms: I64  # when it last gave a reason; NEVER where it gave none


class Parts(NamedTuple):
    """Branches with such nodes below them; one entry each."""

    nodes: I64
    ends: I64
    begin: I64  # the places of the words below: the first, and the one after the last
    end: I64
    heard_ms: I64  # the last word that anybody below has power
    right_below: I64  # how many nodes have it as their parent

    def some(self, which: I64) -> "Parts":
        """A part of them."""
        return Parts(*(column.take(which) for column in self))


class Weighed(NamedTuple):
    """The log-likelihood ratios, and what else is to be known for a verdict; one entry each."""

    llr: F64
    gasped: I64  # places of those below whom somebody gasped, as far as it counts
    gasp_ms: I64  # and when the first did
    waiting: I64 | None  # how many of those who were to be heard again were not; None: none at all


class Counted(NamedTuple):
    """What speaks for some nodes that are held to be dead, in numbers; one entry each."""

    first_gasp_ms: I64
    gasps: I64
    overdue: I64
    silent: I64
    unanswered: I64
    waiting: I64
    lone: Bools  # one meter's word is all there is
    silence: F64  # how much of the full worth of silence holds


def words_of(evidence: Evidence, is_open: Bools) -> Words | None:
    """Who says anything, and what; None if nobody does.  An open device is a reason for doubt
    whatever was heard.
    """
    gasped = evidence.gasp_ms != NEVER
    missed = evidence.overdue | evidence.pending
    speaks = gasped | missed
    any_open, asked = np.count_nonzero(is_open), evidence.unanswered > 0
    if any_open:
        speaks |= is_open
    if np.count_nonzero(asked):
        speaks |= asked
    speaks[0] = False
    count = np.count_nonzero(speaks)
    if not count:
        return None
    nodes = None if DENSE * count > len(speaks) else places(speaks)
    due, gasp = _of(evidence.due_ms, nodes), _of(evidence.gasp_ms, nodes)
    reason = due.copy()
    reason[places(~_of(missed, nodes))] = NEVER
    at = places(_of(gasped, nodes))
    reason[at] = np.maximum(reason[at], gasp[at])
    if any_open:
        reason[_of(is_open, nodes)] = FAR
    if nodes is None:
        reason[0] = NEVER  # the substation itself is nobody's part
    return Words(
        np.arange(len(speaks)) if nodes is None else nodes,
        None if nodes is None else np.cumsum(speaks, dtype=np.int64),
        _of(evidence.heard_ms, nodes),
        gasp,
        at,
        due,
        _of(evidence.off_ll, nodes),
        _of(evidence.on_ll, nodes),
        _of(evidence.pending, nodes) if np.count_nonzero(evidence.pending) else None,
        reason,
    )


def _of(column: Column, nodes: I64 | None) -> Column:
    return column if nodes is None else column.take(nodes)


def parts_of(tree: Tree, evidence: Evidence, words: Words) -> tuple[Parts, I64]:
    """The branches with a reason for doubt below them, ascending, and when the last of it was."""
    nodes = tree.branches
    begin, end = nodes, nodes + tree.size.take(nodes)
    ends, right_below = end, tree.right_below.astype(np.int64)
    if words.before is not None:
        begin, end = words.before.take(nodes - 1), words.before.take(end - 1)
        some = places(end > begin)
        nodes, ends, right_below = nodes.take(some), ends.take(some), right_below.take(some)
        begin, end = begin.take(some), end.take(some)
    over = spans(begin, end, len(words.nodes))
    reason = reduced(np.maximum, words.reason_ms, over)
    if words.before is not None:
        over = spans(nodes, ends, len(evidence.heard_ms))
    heard = reduced(np.maximum, evidence.heard_ms, over)
    parts = Parts(nodes, ends, begin, end, heard, right_below)
    doubt = reason != NEVER
    if np.count_nonzero(doubt) < len(doubt):
        some = places(doubt)
        parts, reason = parts.some(some), reason.take(some)
    return parts, reason


def customers_below(tree: Tree, nodes: I64) -> I64:
    """How many customers each of some nodes has."""
    served: I64 = tree.customers_from[nodes + tree.size[nodes]] - tree.customers_from[nodes]
    return served


def weigh_leaves(evidence: Evidence, words: Words, now_ms: int) -> Weighed:
    """Weigh each word as that of a node with nobody below it; -inf where it gives no reason any
    more.

    What a transformer without meters says is weighed by ``weigh_parts``.
    """
    limit = words.heard_ms - GUARD_MS
    llr = evidence.gasping.silence_of_meters(now_ms - words.heard_ms)
    llr *= words.off_ll
    missed = words.due_ms >= limit
    waiting = None
    if words.pending is not None:
        waiting = (words.pending & missed).astype(np.int64)
    llr -= words.on_ll
    late = places(~missed)
    llr[late] += words.on_ll[late]
    gasped = words.gasped
    gasped = gasped[words.gasp_ms[gasped] >= limit[gasped]]
    llr[gasped] += evidence.gasp_ll[words.nodes[gasped]]
    llr[places(words.reason_ms < limit)] = -np.inf
    return Weighed(llr, gasped, words.gasp_ms[gasped], waiting)


def weigh_parts(tree: Tree, evidence: Evidence, words: Words, parts: Parts, now_ms: int) -> Weighed:
    """Weigh branches by all that is said and missed below them."""
    over = said = spans(parts.nodes, parts.ends, len(evidence.off_ll))
    if words.before is not None:
        said = spans(parts.begin, parts.end, len(words.nodes))
    off = reduced(np.add, evidence.off_ll, over)
    off_terminals = _terminals(tree, evidence, over)
    on, waiting = _missed(words, parts, said)
    gasped, meters, terminals, gasps = _gasps(tree, evidence, words, parts)
    failed = parts.heard_ms.copy()
    failed[gasped] = evidence.gasping.failed(meters, terminals)
    if off_terminals is None:
        silence = evidence.gasping.silence_of_meters(now_ms - failed) * off
    else:
        of_meters, of_terminals = evidence.gasping.silence(now_ms - failed)
        silence = of_meters * (off - off_terminals) + of_terminals * off_terminals
    silence -= on
    silence[gasped] += gasps
    return Weighed(silence, gasped, np.minimum(meters, terminals), waiting)


def _terminals(tree: Tree, evidence: Evidence, over: Spans) -> F64 | None:
    """What the silence of the terminals below each part is worth; None where none is silent."""
    worth = evidence.off_ll.take(tree.terminals)
    if not np.count_nonzero(worth):
        return None
    column = np.zeros(len(evidence.off_ll))
    column[tree.terminals] = worth
    return reduced(np.add, column, over)


def _missed(words: Words, parts: Parts, over: Spans) -> tuple[F64, I64 | None]:
    """What was missed below each part is worth, and how many are waited for.

    What was due before the last word of another from there does not count.
    """
    limit = parts.heard_ms - GUARD_MS
    on = reduced(np.add, words.on_ll, over)
    waiting = None
    if words.pending is not None:
        waiting = reduced(np.add, words.pending.astype(np.int64), over)
    mixed = places(reduced(np.minimum, words.due_ms, over) < limit)
    if len(mixed):
        below, starts, sizes = laid_out(parts.begin.take(mixed), parts.end.take(mixed))
        counts = words.due_ms.take(below) >= limit.take(mixed).repeat(sizes)
        on[mixed] = np.add.reduceat(words.on_ll.take(below) * counts, starts)
        if waiting is not None and words.pending is not None:
            counts &= words.pending.take(below)
            waiting[mixed] = np.add.reduceat(counts, starts, dtype=np.int64)
    return on, waiting


def _gasps(tree: Tree, evidence: Evidence, words: Words, parts: Parts) -> tuple[I64, I64, I64, F64]:
    """Which parts have gasps below them that count; the first of a meter and of a terminal, FAR for
    none; and what all of them are worth.
    """
    begin: I64 = words.gasped.searchsorted(parts.begin)
    end: I64 = words.gasped.searchsorted(parts.end)
    some = places(end > begin)
    below, _, sizes = laid_out(begin.take(some), end.take(some))
    part = np.arange(len(some)).repeat(sizes)
    place = words.gasped.take(below)
    gasp = words.gasp_ms.take(place)
    live = places(gasp >= (parts.heard_ms.take(some) - GUARD_MS).take(part))
    part, node, gasp = part.take(live), words.nodes.take(place.take(live)), gasp.take(live)
    worth: F64 = np.bincount(part, weights=evidence.gasp_ll.take(node), minlength=len(some)).astype(
        np.float64
    )
    first = np.full((2, len(some)), FAR)
    terminal = (tree.kind.take(node) == TRANSFORMER).astype(np.int64)
    np.minimum.at(first, (terminal, part), gasp)
    at = places(terminal)
    _apart(worth, part.take(at), gasp.take(at))
    counts = places(np.bincount(part, minlength=len(some)))
    return some.take(counts), first[0].take(counts), first[1].take(counts), worth.take(counts)


def _apart(worth: F64, part: I64, gasp: I64) -> None:
    """Take off what it costs each part that terminals below it lost power at different times: one
    fault is one moment to them, but for a clock now and then.
    """
    if len(part) < 2:
        return
    gasp = gasp[np.lexsort((gasp, part))]  # by part, each by time
    begins, place, count = np.unique(part, return_index=True, return_counts=True)
    middle = np.repeat(gasp[place + (count - 1) // 2], count)
    apart = (gasp - middle) / CLOCK_MS
    worth[begins] -= np.add.reduceat(np.minimum(apart * apart / 2, WRONG_CLOCK), place)


def counted(tree: Tree, evidence: Evidence, nodes: I64, heard_ms: I64, now_ms: int) -> Counted:
    """Count what is said and missed below some nodes, none of which is below another."""
    below, starts, sizes = laid_out(nodes, nodes + tree.size.take(nodes))
    limit = (heard_ms - GUARD_MS).repeat(sizes)
    gasp, due = evidence.gasp_ms.take(below), evidence.due_ms.take(below) >= limit
    live = (gasp != NEVER) & (gasp >= limit)
    terminal = tree.kind.take(below) == TRANSFORMER
    missed = due & ~live
    first_terminal = np.minimum.reduceat(np.where(live & terminal, gasp, FAR), starts)
    first_meter = np.minimum.reduceat(np.where(live & ~terminal, gasp, FAR), starts)
    first = np.minimum(first_meter, first_terminal)
    failed = evidence.gasping.failed(first_meter, first_terminal)
    failed = np.where(first != FAR, failed, heard_ms)

    def count(which: Bools) -> I64:
        total: I64 = np.add.reduceat(which, starts, dtype=np.int64)
        return total

    gasps, overdue = count(live), count(missed & evidence.overdue.take(below))
    unanswered = count(due & (evidence.unanswered.take(below) > 0))
    waiting = count(missed & evidence.pending.take(below))
    return Counted(
        first_gasp_ms=first,
        gasps=gasps,
        overdue=overdue,
        silent=count(~live & (evidence.off_ll.take(below) < 0)),
        unanswered=unanswered,
        waiting=waiting,
        lone=(gasps + overdue <= 1) & (unanswered + waiting == 0) & (first_terminal == FAR),
        silence=evidence.gasping.silence_of_meters(now_ms - failed),
    )
