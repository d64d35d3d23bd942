"""Currents of closed devices that are telemetered: a step down says how much went dark below, a
fault current that it is below.

Both only narrow: they move the log-odds of devices for which something else gives a reason, and
never declare anything by themselves.
"""

from collections.abc import Iterator
from math import log, pi

import numpy as np

from detectors.book import Book
from detectors.loads import Load
from detectors.moments import NEVER
from detectors.running import Running
from detectors.scene import Scene
from detectors.tree import places
from detectors.weighing import Priors
from grid.network import F64, I64
from grid.reasons import Evidence
from grid.times import to_rfc3339

LOSS_MS = 1_800_000  # so long a step speaks, unless the load comes back before
PASSAGE_MS = 300_000  # the same of a fault current
NOISE = 0.5  # density of the share that goes for other reasons: evenly from 0 to 2 of it
SHARE_S = (0.02, 0.15)  # standard deviation of a share: at least, and by its size
SHARES = 200  # shares of the load are told apart by so many steps, less than the deviation at least
LOSS_LL = (-1.0, 3.0)  # what a share that does not fit, and one that does, can weigh
PASSAGE_LL = log(0.9 / 0.05)  # a fault below shows; a current that high without one is rare


def weighed(scene: Scene, priors: Priors) -> Priors:
    """The priors with what currents say of each device below them."""
    moved = np.zeros(len(priors.logit))
    size = scene.book.tree.size
    for node, load in sorted(scene.loads.items()):
        if _stepped(load, scene.now_ms):
            # of devices in series the nearest above counts: the others see the same step again
            read_ms = load.at_ms + int(scene.hearing.lag(np.array([node]))[0])
            narrows = _narrows(scene.book, priors, node, lost=load.lost, read_ms=read_ms)
            before = places(_last_word(scene, node) <= read_ms)
            moved[node + before] = narrows[before]
    for node, load in scene.loads.items():
        if _speaks(load.fault_ms, PASSAGE_MS, scene.now_ms):
            moved[node : node + int(size[node])] += PASSAGE_LL
    return priors._replace(logit=priors.logit + moved) if moved.any() else priors


def currents_of(scene: Scene, outage: Running) -> Iterator[Evidence]:
    """What currents say of an outage, for people: above its device, and behind it."""
    book, loads, now_ms, node = scene.book, scene.loads, scene.now_ms, outage.node
    passed = [
        below
        for below, load in loads.items()
        if below > node
        and book.contains(node, below)
        and _speaks(load.fault_ms, PASSAGE_MS, now_ms)
    ]
    if passed:
        deepest = max(passed, key=lambda below: (int(book.tree.depth[below]), -below))
        name, at = book.group.ids[deepest], to_rfc3339(loads[deepest].fault_ms)
        text = f"fault current passed {name} at {at}: look behind it"
        yield Evidence(code="fault_below", text=text, device_id=name, at=at)
    while node > 0:
        load, name = loads.get(node), book.group.ids[node]
        if load is not None and load.at_ms >= outage.start_ms and _stepped(load, now_ms):
            text = f"the load of {name} fell by {load.lost:.0%}"
            share = round(load.lost, 2)
            yield Evidence(code="load_lost", text=text, for_=None, device_id=name, p=share)
        if load is not None and _speaks(load.fault_ms, PASSAGE_MS, now_ms):
            at = to_rfc3339(load.fault_ms)
            text = f"{load.fault_a:.0f} A passed {name} at {at}: the fault is below it"
            yield Evidence(code="fault_passed", text=text, device_id=name, at=at)
        node = int(book.tree.parent[node])


def _speaks(since_ms: int, for_ms: int, now_ms: int) -> bool:
    return since_ms > 0 and now_ms - since_ms <= for_ms


def _stepped(load: Load, now_ms: int) -> bool:
    """Whether a part of it is gone since a step that still speaks."""
    return load.lost > 0 and _speaks(load.lost_ms, LOSS_MS, now_ms)


def _last_word(scene: Scene, node: int) -> I64:
    """Entry a node below: when anybody behind it last spoke, of power or of none.  What it lost, it
    lost then or later: what was measured before says nothing of it.
    """
    size, evidence = scene.book.tree.size, scene.evidence
    below = np.arange(int(size[node]))
    nodes = slice(node, node + len(below))
    word = np.append(np.maximum(evidence.heard_ms[nodes], evidence.gasp_ms[nodes]), NEVER)
    spans = np.stack([below, below + size[nodes]], axis=1)
    last: I64 = np.maximum.reduceat(word, spans.ravel())[::2]
    return last


def _narrows(book: Book, priors: Priors, node: int, *, lost: float, read_ms: int) -> F64:
    """Entry a node below: how much better the share of the load that is gone is made up by its
    customers and those who are out elsewhere below, than by those elsewhere alone.

    What was known to be out by then explains its part of the step: it speaks for nobody else again.
    Of an outage that runs, a part is weighed as if it were all of it.  Any other device below may
    be open besides, by its prior: where many fit, one that does says little.
    """
    tree = book.tree
    end = node + int(tree.size[node])
    served = np.diff(tree.customers_from[node : end + 1])
    began = [o.sequence for o in book.running.values() if o.since_ms <= read_ms]
    out = np.where(np.isin(book.owner[node:end], began), served, 0)
    ends = np.arange(end - node) + tree.size[node:end]
    all_served, all_out = (np.concatenate([[0], np.cumsum(each)]) for each in (served, out))
    mine = all_served[ends] - all_served[:-1]
    elsewhere = all_out[-1] - (all_out[ends] - all_out[:-1])
    for outage in book.running.values():
        if node <= outage.node < end:
            place = outage.node - node
            parts = slice(place, int(ends[place]))
            elsewhere[parts] = np.minimum(elsewhere[parts], elsewhere[place])
    grain = SHARES / max(int(all_served[-1]), 1)
    known = np.rint(elsewhere * grain).astype(np.int64)
    makes = np.rint(mine * grain).astype(np.int64)
    # odds, by share, that a device which has it is open besides
    besides = np.bincount(makes, np.exp(priors.logit[node:end]), SHARES + 1)
    fits = _fits(np.arange(3 * SHARES + 1) / SHARES, lost)
    fits = np.log(fits[: 2 * SHARES + 1] + np.correlate(fits, besides))
    narrows: F64 = fits[known + makes] - fits[known]
    return narrows


def _fits(share: F64, lost: float) -> F64:
    """How well a share of the customers makes up a share of the load, against a step that goes for
    other reasons.
    """
    deviation = SHARE_S[0] + SHARE_S[1] * share
    fits = -0.5 * ((lost - share) / deviation) ** 2 - np.log(deviation * np.sqrt(2 * pi))
    weight: F64 = np.exp(np.clip(fits - log(NOISE), *LOSS_LL))
    return weight
