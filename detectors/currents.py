"""Currents of closed devices that are telemetered: a step down says how much went dark below, a
fault current that it is below.

Both only narrow: they move the log-odds of devices for which something else gives a reason, and
never declare anything by themselves.
"""

from collections.abc import Iterator, Mapping
from math import log, pi

import msgspec
import numpy as np

from detectors.book import Book
from detectors.settings import EngineSettings
from detectors.weighing import Priors
from grid.frame import Rows
from grid.network import F64
from grid.reasons import Evidence
from grid.times import to_rfc3339

LOAD_A_MIN = 10.0  # of a smaller load a step says nothing
STEP_MIN = 0.03  # share of the load that must go at once; between two readings it wavers by less
BACK_SHARE = 0.97  # of the load before, and what had gone is back
STEP_MS = 120_000  # two readings further apart than this show no step
LOSS_MS = 1_800_000  # so long a step speaks, unless the load comes back before
PASSAGE_MS = 300_000  # the same of a fault current
NOISE = 0.5  # density of the share that goes for other reasons: evenly from 0 to 2 of it
SHARE_S = (0.02, 0.15)  # standard deviation of a share: at least, and by its size
SHARES = 200  # shares of the load are told apart by so many steps, less than the deviation at least
LOSS_LL = (-1.0, 3.0)  # what a share that does not fit, and one that does, can weigh
PASSAGE_LL = log(0.9 / 0.05)  # a fault below shows; a current that high without one is rare


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


def weighed(book: Book, priors: Priors, loads: Mapping[int, Load], now_ms: int) -> Priors:
    """The priors with what currents say of each device below them."""
    moved = np.zeros(len(priors.logit))
    for node, load in sorted(loads.items()):
        if load.lost and _speaks(load.lost_ms, LOSS_MS, now_ms):
            # of devices in series the nearest above counts: the others see the same step again
            moved[node : node + int(book.tree.size[node])] = _narrows(book, priors, node, load.lost)
    for node, load in loads.items():
        if _speaks(load.fault_ms, PASSAGE_MS, now_ms):
            moved[node : node + int(book.tree.size[node])] += PASSAGE_LL
    return priors._replace(logit=priors.logit + moved) if moved.any() else priors


def currents_of(
    book: Book, loads: Mapping[int, Load], node: int, now_ms: int
) -> Iterator[Evidence]:
    """What currents say of an outage, for people: above its device, and behind it."""
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
        if load is not None and load.lost and _speaks(load.lost_ms, LOSS_MS, now_ms):
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


def _narrows(book: Book, priors: Priors, node: int, lost: float) -> F64:
    """Entry a node below: how much better the share of the load that is gone is made up by its
    customers and those who are out elsewhere below, than by those elsewhere alone.

    What is known to be out already explains its part of the step: it speaks for nobody else again.
    Of an outage that runs, a part is weighed as if it were all of it.  Any other device below may be
    open besides, by its prior: where many fit, one that does says little.
    """
    tree = book.tree
    end = node + int(tree.size[node])
    served = np.diff(tree.customers_from[node : end + 1])
    out = np.where(book.owner[node:end] >= 0, served, 0)
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
    open_here = np.bincount(makes, np.exp(priors.logit[node:end]), SHARES + 1)
    fits = _fits(np.arange(3 * SHARES + 1) / SHARES, lost)
    fits = np.log(fits[: 2 * SHARES + 1] + np.correlate(fits, open_here))
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
