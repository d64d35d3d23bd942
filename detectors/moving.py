"""An engine carried over to another version of its group's network: what was heard stays heard.

Devices are the same where their ids are.  An outage whose device left the network is closed; a
member that left is forgotten.
"""

import numpy as np

from detectors import hearing, repeats
from detectors.book import NOBODY, was
from detectors.engine import Engine
from detectors.moments import NEVER
from detectors.running import COLUMNS_OF_MEMBERS, Running
from grid.frame import Rows
from grid.network import I64, Group
from grid.outage import State

GONE = -1


def moved(engine: Engine, group: Group) -> Engine:
    """The same engine over another version of its group."""
    old = engine.group
    place = {name: node for node, name in enumerate(group.ids)}
    to = np.array([place.get(name, GONE) for name in old.ids], np.int64)
    new = Engine(group, engine.limits)
    stays = np.flatnonzero(to != GONE)
    for part, names in ((engine.hearing, hearing.columns()), (engine.memory, repeats.columns())):
        target = new.hearing if part is engine.hearing else new.memory
        for name in names:
            getattr(target, name)[to[stays]] = getattr(part, name)[stays]
    dcu = _concentrators(old, group)
    known, before = engine.memory.concentrators, engine.memory.concentrators_before
    new.memory.concentrators = {dcu[d]: n for d, n in known.items() if d in dcu}
    new.memory.concentrators_before = {dcu[d]: n for d, n in before.items() if d in dcu}
    booted = engine.memory.boots_before.items()
    new.memory.boots_before = {int(to[n]): numbers for n, numbers in booted if to[n] != GONE}
    new.relays.mute = {dcu[d]: since for d, since in engine.relays.mute.items() if d in dcu}
    new.relays.past = {dcu[d]: gap for d, gap in engine.relays.past.items() if d in dcu}
    new.positions = {int(to[n]): p for n, p in engine.positions.items() if to[n] != GONE}
    new.loads = {int(to[n]): load for n, load in engine.loads.items() if to[n] != GONE}
    new.plans, new.waking = engine.plans, engine.waking
    _findings(engine, new, {*group.ids, *group.dcus, group.name})
    new.history = engine.history  # what was decided cannot be taken back over another network
    new.position, new.clock_ms = engine.position, engine.clock_ms
    new.listening, new.backlog_from_ms = engine.listening, engine.backlog_from_ms
    new.catching_up, new.rates = engine.catching_up, engine.rates
    asks = engine.asking.asks.items()
    new.asking.asks = {int(to[n]): times for n, times in asks if to[n] != GONE}
    new.asking.sent_ms = engine.asking.sent_ms
    new.rates.lonely = {int(to[n]) for n in new.rates.lonely if to[n] != GONE}
    new.watched = engine.watched.moved(to)
    new.kept = [_rows(rows, to, dcu) for rows in engine.kept]
    new.book.sequence, new.book.spoke = engine.book.sequence, engine.book.spoke
    latest = engine.book.latest(stays)
    new.book.owner[to[stays]] = np.where(latest == NOBODY, NOBODY, was(latest))
    new.book.back_ms[to[stays]] = engine.book.back_ms[stays]
    if engine.book.dismissed_ms is not None:
        new.book.dismissed_ms = np.full(len(group.ids), NEVER)
        new.book.dismissed_ms[to[stays]] = engine.book.dismissed_ms[stays]
    for sequence, outage in engine.book.running.items():
        _carry(new, outage, to)
        new.book.running[sequence] = outage
    new.waking.dirty = True
    return new


def _findings(engine: Engine, new: Engine, here: set[str]) -> None:
    """Findings go on but for those about what left: they would never end."""
    new.findings.open = engine.findings.open
    gone = [finding for finding in new.findings.open.values() if finding.device_id not in here]
    for finding in gone:
        new.findings.end(finding.kind, finding.device_id, now_ms=engine.clock_ms)


def _concentrators(old: Group, new: Group) -> dict[int, int]:
    place = {name: index for index, name in enumerate(new.dcus)}
    return {i: place[name] for i, name in enumerate(old.dcus) if name in place}


def _rows(rows: Rows, to: I64, dcu: dict[int, int]) -> Rows:
    kept: Rows = rows[to[rows["node"]] != GONE].copy()
    kept["node"] = to[kept["node"]]
    kept["dcu"] = [dcu.get(d, GONE) for d in kept["dcu"].tolist()]
    return kept


def _carry(engine: Engine, outage: Running, to: I64) -> None:
    """Renumber an outage.  Where its device is gone it is closed: who is still out is to be judged
    anew.
    """
    book = engine.book
    node = int(to[outage.node])
    outage.keep(to[outage.members] != GONE)
    if node == GONE:
        outage.node = 0
        outage.cause = "its device left the network"
        gone = {"code": "device_gone"}
        book.note(outage, outage.cause, to[outage.members[outage.out]], **gone)
        book.end(outage, State.CLOSED, outage.cause, **gone)
        outage.keep(~outage.out)
    else:
        outage.node = node
        here = to[outage.members[outage.out]]
        below = (here >= node) & (here < node + int(book.tree.size[node]))
        outage.carried |= not below.all()
        outage.fitted &= not outage.carried
    outage.members = to[outage.members]
    outage.margins = outage.margins[:0]  # the next verdict says them of this tree
    order = np.argsort(outage.members, kind="stable")
    for name in COLUMNS_OF_MEMBERS:
        setattr(outage, name, getattr(outage, name)[order])
    book.owner[outage.members[outage.out]] = outage.sequence
