"""Which estimate an outage has: a plan's end, history's, or a crew's, which no machine overwrites.

People are told again only when it matters: by more than half an hour and a quarter of what is left,
or when the time has passed.
"""

from collections.abc import Mapping

from detectors.etr import MINUTE_MS, History, keys_of
from detectors.running import Running
from detectors.scene import Scene
from grid.frame import PlanEntered
from grid.outage import Etr, OutageKind, State
from grid.times import to_rfc3339

MATERIAL_MS = 30 * MINUTE_MS
MATERIAL_PART = 0.25
SURE_DEVICE = 0.9  # probability at which a fault tells what kind of device failed
AWAITED = frozenset({State.CONFIRMED, State.PARTIALLY_RESTORED})
"""States in which somebody waits for an estimate: before, it is not known to be an outage."""


def estimate(
    scene: Scene, outage: Running, history: History, plans: Mapping[str, PlanEntered]
) -> None:
    """Keep the estimate of a running outage up to date."""
    old = outage.etr
    if outage.state not in AWAITED or (old is not None and old.source == "crew"):
        return
    new = _planned(scene, outage, plans) or _by_history(scene, outage, history)
    if new is None or not _material(old, new, scene.now_ms):
        return
    outage.etr = new
    at, before = to_rfc3339(new.at_ms), to_rfc3339(old.at_ms) if old else None
    text = f"expected back by {at}, by {new.source}"
    scene.book.note(outage, text, code="etr", at=at, before=before, source=new.source)


def learn(scene: Scene, outage: Running, history: History) -> None:
    """A fault that is over teaches how long its like last; what hung on another does not."""
    fault = outage.kind is OutageKind.FAULT and outage.parent is None
    if outage.state is State.CLOSED and fault and outage.restored_ms is not None:
        minutes = (outage.restored_ms - outage.start_ms) / MINUTE_MS
        history.learn(_keys(scene, outage), minutes)
        if outage.probability >= SURE_DEVICE:
            history.fail(scene.book.group.kind_word(outage.node))


def _planned(scene: Scene, outage: Running, plans: Mapping[str, PlanEntered]) -> Etr | None:
    plan = plans.get(outage.plan_id or "")
    if plan is None or plan.to_ms <= scene.now_ms:
        return None
    return Etr(plan.to_ms, "plan", 0.8, None, scene.said_ms)


def _by_history(scene: Scene, outage: Running, history: History) -> Etr | None:
    """Nothing is said while it may be over in a moment."""
    now = scene.now_ms
    if now - outage.detected_ms < scene.limits.momentary_scada_s * 1000:
        return None
    if outage.kind not in (OutageKind.FAULT, OutageKind.UNKNOWN) and outage.plan_id is None:
        return None
    left = history.estimate(_keys(scene, outage), now - outage.start_ms)
    minute = now // MINUTE_MS * MINUTE_MS
    early, late = minute + left.early_ms, minute + MINUTE_MS + left.late_ms
    return Etr(late, "history", left.sure, early, scene.said_ms)


def _keys(scene: Scene, outage: Running) -> tuple[str, ...]:
    kind = scene.book.group.kind_word(outage.node)
    return keys_of(kind, outage.cause, outage.start_ms)


def _material(old: Etr | None, new: Etr, now_ms: int) -> bool:
    if old is None or old.at_ms <= now_ms:
        return True
    moved = abs(new.at_ms - old.at_ms)
    return old.source != new.source or moved > max(
        MATERIAL_MS, MATERIAL_PART * (old.at_ms - now_ms)
    )
