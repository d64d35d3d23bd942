"""One phase alone: the inference once more for a phase of which there is evidence.

A blown fuse or a broken conductor takes the customers of one phase; those on the others live, and
devices of three phases say which one is dead.  The tree is solved again on what speaks of that
phase, and a device is held to have lost it where that explains more than single meters, or the
loss of all phases, do: the better of two explanations of everything, by their log-odds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log
from typing import Annotated, NamedTuple

import numpy as np

from detectors.book import Book
from detectors.compiled import OF_RECORDS, compiled
from detectors.evidence import Evidence, suspicious
from detectors.findings import Findings, PhaseWord, note_phases
from detectors.flags import LOST, bits_of
from detectors.hearing import EVERYONE, Hearing
from detectors.inference import Declared, Verdict, solve
from detectors.moments import FAR, NEVER
from detectors.saying import PHASES, TELLS
from detectors.simultaneous import at_one_moment
from detectors.tree import Tree, places
from detectors.weighing import Priors
from grid.network import ALL_PHASES, I64, U8, Bools, Group

SHARE_LL = log(0.3)  # of the faults of a device that it takes one phase alone
LOST_LL = log(0.9 / 1e-3)  # a device that lives on two phases says of the third that it is dead
WORDS_MIN = 2  # devices that must say or show it: one is a service line
HOLD_MS = 20_000  # from its beginning: by then whoever lives on the other phases has said so
OTHERS_MAX = 2  # so many words of the other phases behind a device, and it lost them all


@dataclass(frozen=True, slots=True, eq=False)
class _Words:
    """What devices with several phases say of each.  Entry a node."""

    lost: U8  # bits of phases that are dead
    tells: Bools  # whether it says at all how they are
    since_ms: I64  # our clock: since when it has said that; NEVER where it does not


def with_phases(
    known: tuple[Book, Findings, Hearing], evidence: Evidence, priors: Priors, now_ms: int
) -> Verdict:
    """The verdict on all phases together, and on one alone wherever that explains more.

    ``findings`` know since when each device has lost a phase, ``book`` where it is coming back.
    """
    book, _, hearing = known
    tree = book.tree
    verdict, priors = at_one_moment(tree, evidence, priors, now_ms)
    losers = losing(hearing.flags)
    suspects = suspicious(evidence) if len(losers) or tree.phased else losers
    if not (len(losers) or len(suspects)):
        return verdict
    found: dict[int, Declared] = {}
    said: _Words | None = None
    if len(losers):
        said = _words(known)
        losers = places(said.lost)
    whole = _spans(verdict)
    for bit in (1, 2, 4):
        lost = losers if said is None else losers[said.lost[losers] & np.uint8(bit) > 0]
        if not speaks(tree.phases, suspects, lost, whole, bit):
            continue
        said = said or _words(known)
        ruled = _ruled(tree, evidence, verdict, priors, bit)
        alone = _evidence_of(tree, evidence, said, ruled, bit)
        if alone is None:
            continue
        for one in solve(tree, alone, _weaker(tree, priors, bit), now_ms).declared:
            waiting = int(alone.pending[one.node : one.end].sum())
            words = one.gasps + one.overdue + waiting
            early = now_ms - one.since_ms < HOLD_MS
            if early or tree.phases[one.node] == bit or words < WORDS_MIN:
                continue
            rest = _without(tree, evidence, one, bit)
            other = solve(tree, rest, priors, now_ms)
            if other.score + one.score > verdict.score + 1e-9:
                evidence, verdict = rest, other
                suspects, whole = suspicious(evidence), _spans(verdict)
                _add(found, _named(one, bit, said))
    if not found:
        return verdict
    declared = sorted((*verdict.declared, *found.values()), key=lambda d: (d.node, d.phases))
    return replace(verdict, declared=tuple(declared))


@compiled
def losing(flags: Annotated[U8, OF_RECORDS]) -> I64:
    """Who last said that some of their phases are dead."""
    found, count = np.empty(len(flags), np.int64), 0
    for node in range(len(flags)):
        if bits_of(int(flags[node]), LOST, PHASES):
            found[count] = node
            count += 1
    return found[:count]


def _words(known: tuple[Book, Findings, Hearing]) -> _Words:
    """What counts of what devices say of their phases."""
    book, findings, hearing = known
    says = hearing.lost_phases[EVERYONE]
    lost = says & np.uint8(PHASES)
    old = _overtaken(book, hearing, lost)
    lost, tells = np.where(old, np.uint8(0), lost), (says & np.uint8(TELLS) > 0) & ~old
    return _Words(lost, tells, _since(hearing, book.group, findings, places(lost)))


def take_words(
    findings: Findings, book: Book, hearing: Hearing, words: Sequence[PhaseWord]
) -> None:
    """What devices say of their phases, in the order in which they said it."""
    for word in sorted(words):
        note_phases(findings, word)
        _phase_back(book, word, hearing)


def _phase_back(book: Book, word: PhaseWord, hearing: Hearing) -> None:
    """A device has a phase again: so have those behind whatever had lost it."""
    for outage in book.running.values() if word.back else ():
        if outage.phases & word.back & ~word.lost and outage.phases != ALL_PHASES:
            heard = int(hearing.on_ms.of(word.node) + hearing.lag(np.array([word.node]))[0])
            if book.contains(outage.node, word.node) and heard > outage.since_ms:
                outage.phase_back_ms = heard
                book.spoke.add(outage.sequence)


def _overtaken(book: Book, hearing: Hearing, lost: U8) -> Bools:
    """Who said that a phase is lost before its outage began to be restored, and nothing since."""
    old = np.zeros(len(lost), np.bool_)
    for outage in book.running.values():
        if outage.phases != ALL_PHASES and outage.back_ms is not None:
            nodes = np.arange(outage.node, outage.node + int(book.tree.size[outage.node]))
            heard = hearing.on_ms[nodes] + hearing.lag(nodes)
            old[nodes] |= (lost[nodes] & np.uint8(outage.phases) > 0) & (heard <= outage.back_ms)
    return old


def _since(hearing: Hearing, group: Group, findings: Findings, nodes: I64) -> I64:
    since = np.full(len(group.ids), NEVER, np.int64)
    for node in nodes.tolist():
        known = findings.open.get(f"phase_loss/{group.ids[node]}")
        since[node] = known.since_ms if known is not None else hearing.on_ms.of(node)
    since[nodes] += hearing.lag(nodes)
    return since


def _weaker(tree: Tree, priors: Priors, bit: int) -> Priors:
    """One phase is lost less often than all; no position of a switch says that it is."""
    logit = np.where(tree.phases & np.uint8(bit) > 0, priors.logit + SHARE_LL, -np.inf)
    return priors._replace(logit=logit, open=np.zeros(len(logit), np.bool_))


def _evidence_of(
    tree: Tree, evidence: Evidence, words: _Words, ruled: Bools, bit: int
) -> Evidence | None:
    """What speaks of one phase alone; None where nothing says that it is lost."""
    only = (tree.phases == bit) & ~ruled
    lost = (words.lost & np.uint8(bit) > 0) & ~ruled
    if not ((evidence.suspicious & only) | lost).any():
        return None
    several = (tree.phases & np.uint8(bit) > 0) & (tree.phases != bit)
    speaks = only | (several & words.tells & ~lost)
    alone = _only(evidence, only)
    return alone._replace(
        heard_ms=np.where(speaks, evidence.heard_ms, NEVER),
        gasp_ms=np.where(lost, words.since_ms, alone.gasp_ms),
        gasp_ll=np.where(lost, LOST_LL, alone.gasp_ll),
    )


class Spans(NamedTuple):
    """What is declared: from where to where it has its nodes.  Ascending, and none in another."""

    begins: I64
    ends: I64


def _spans(verdict: Verdict) -> Spans:
    declared = verdict.declared
    begins, ends = [found.node for found in declared], [found.end for found in declared]
    return Spans(np.array(begins, np.int64), np.array(ends, np.int64))


@compiled
def within(spans: Spans, node: int) -> int:
    """In which of them a node is; -1 for none."""
    place = np.searchsorted(spans.ends, node, side="right")
    inside = place < len(spans.begins) and spans.begins[place] <= node
    return int(place) if inside else -1


@compiled
def speaks(phases: U8, suspects: I64, lost: I64, declared: Spans, bit: int) -> bool:
    """Whether anybody speaks of one phase alone outside of what lost all of its phases: most often
    nobody does, and nothing needs to be looked at node by node.
    """
    others = np.zeros(len(declared.ends) + 1, np.int64)  # the last: of who is in none
    for node in suspects:
        others[within(declared, node)] += phases[node] != bit
    others[-1], found = 0, False
    for node in suspects:
        found |= phases[node] == bit and others[within(declared, node)] < OTHERS_MAX
    for node in lost:
        found |= others[within(declared, node)] < OTHERS_MAX
    return found


def _ruled(tree: Tree, evidence: Evidence, verdict: Verdict, priors: Priors, bit: int) -> Bools:
    """Nodes below what lost all of its phases for sure: it is open, or other phases say so, too."""
    others = evidence.suspicious & (tree.phases != bit)
    ruled = np.zeros(len(others), np.bool_)
    for node in places(priors.open).tolist():
        ruled[node : node + int(tree.size[node])] = True
    for found in verdict.declared:
        if int(others[found.node : found.end].sum()) >= OTHERS_MAX:
            ruled[found.node : found.end] = True
    return ruled


def _without(tree: Tree, evidence: Evidence, found: Declared, bit: int) -> Evidence:
    """The evidence less that of who is dark by the loss of one phase."""
    keep = tree.phases != bit
    keep[: found.node] = True
    keep[found.end :] = True
    return _only(evidence, keep)


def _only(evidence: Evidence, keep: Bools) -> Evidence:
    """What some of the nodes say; of the others nothing is known."""
    return evidence._replace(
        heard_ms=np.where(keep, evidence.heard_ms, NEVER),
        gasp_ms=np.where(keep, evidence.gasp_ms, NEVER),
        gasp_ll=np.where(keep, evidence.gasp_ll, 0.0),
        due_ms=np.where(keep, evidence.due_ms, FAR),
        off_ll=np.where(keep, evidence.off_ll, 0.0),
        on_ll=np.where(keep, evidence.on_ll, 0.0),
        overdue=evidence.overdue & keep,
        pending=evidence.pending & keep,
        unanswered=np.where(keep, evidence.unanswered, 0.0),
    )


def _named(found: Declared, bit: int, words: _Words) -> Declared:
    below = slice(found.node, found.end)
    lost = int((words.lost[below] & np.uint8(bit) > 0).sum())
    return replace(found, phases=bit, lost=lost)


def _add(found: dict[int, Declared], one: Declared) -> None:
    """Two phases of one device are one fault."""
    other = found.get(one.node)
    if other is None:
        found[one.node] = one
        return
    found[one.node] = replace(
        other,
        since_ms=min(other.since_ms, one.since_ms),
        probability=min(other.probability, one.probability),
        dead=min(other.dead, one.dead),
        gasps=other.gasps + one.gasps,
        overdue=other.overdue + one.overdue,
        silent=other.silent + one.silent,
        unanswered=other.unanswered + one.unanswered,
        score=other.score + one.score,
        phases=other.phases | one.phases,
        lost=other.lost + one.lost,
    )
