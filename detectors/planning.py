"""The outage pool held against what happens: planned, temporary, arrears and curtailment outages.

A plan covers the subtree of its device, in its time and a tolerance around it.  What lasts longer,
or takes more than the plan covers, people are told of.
"""

from collections.abc import Sequence

from detectors.running import Running
from detectors.scene import Scene
from grid.english import form, meters
from grid.frame import PlanEntered
from grid.outage import RUNNING, OutageKind
from grid.times import to_rfc3339

ANNOUNCED = frozenset({OutageKind.PLANNED, OutageKind.CURTAILMENT})
"""Kinds whose people were promised an end.  A temporary outage is told of anyway; arrears end with
a payment, and who pays is told otherwise."""

EARLY_MS = 60_000  # planned work may begin a little early

Planned = tuple[PlanEntered, int | None]
"""A plan and its device's node, None where that is not of this group."""


def expected(plans: Sequence[Planned], now_ms: int) -> list[int]:
    """Nodes that a plan has in its time: as likely open as not."""
    return [
        node
        for plan, node in plans
        if node is not None and plan.from_ms - EARLY_MS <= now_ms <= plan.to_ms
    ]


def match_plan(scene: Scene, outage: Running, plans: Sequence[Planned]) -> None:
    """A plan on the device or above it, in its time, makes the outage planned: no alarm."""
    if outage.parent is not None:
        return
    if outage.plan_id is not None:
        _keep_to_plan(scene, outage, plans)
    if outage.plan_id is not None:
        return
    book = scene.book
    tolerance = int(scene.limits.plan_tolerance_s * 1000)
    in_time = [
        (plan, node)
        for plan, node in plans
        if node is not None
        and plan.from_ms - tolerance <= outage.start_ms <= plan.to_ms + tolerance
    ]
    for plan, node in in_time:
        if book.contains(node, outage.node):
            outage.plan_id, outage.wider_than = plan.plan_id, None
            outage.kind = OutageKind(plan.kind)
            outage.cause = plan.reason
            text = f"matches plan {plan.plan_id}: no alarm"
            book.note(outage, text, outage.members, code="planned", plan=plan.plan_id)
            return
    for plan, node in in_time:
        if book.contains(outage.node, node) and outage.wider_than is None:
            _wider(scene, outage, plan, node)
    position = scene.positions.get(outage.node)
    by_command = position is not None and position.closed is False and position.commanded
    if outage.kind is OutageKind.FAULT and by_command:
        outage.kind = OutageKind.UNKNOWN
        outage.cause = "opened by command"
        book.note(outage, "opened by command: no fault to look for", code="commanded")


def _keep_to_plan(scene: Scene, outage: Running, plans: Sequence[Planned]) -> None:
    """Whether the outage is still what the plan said: where, and until when."""
    for plan, node in plans:
        if plan.plan_id != outage.plan_id:
            continue
        if node is not None and not scene.book.contains(node, outage.node):
            outage.plan_id, outage.overrun = None, False
            outage.kind, outage.cause = OutageKind.FAULT, None
            return
        late_ms = scene.now_ms - plan.to_ms - int(scene.limits.plan_tolerance_s * 1000)
        if late_ms > 0 and not outage.overrun:
            _overrun(scene, outage, plan)
        elif late_ms <= 0 and outage.overrun:
            outage.overrun, outage.kind, outage.cause = False, OutageKind(plan.kind), plan.reason
            at = to_rfc3339(plan.to_ms)
            text = f"plan {plan.plan_id} goes on until {at}"
            scene.book.note(outage, text, code="extended", plan=plan.plan_id, at=at)


def _overrun(scene: Scene, outage: Running, plan: PlanEntered) -> None:
    """Nobody was told that it lasts so long."""
    if outage.state not in RUNNING or OutageKind(plan.kind) not in ANNOUNCED:
        return
    outage.overrun, outage.kind = True, OutageKind.TEMPORARY
    outage.cause = f"{plan.reason}: longer than planned"
    at = to_rfc3339(plan.to_ms)
    text = f"lasts longer than plan {plan.plan_id}, which was to end at {at}"
    out = outage.members[outage.out]
    scene.book.note(outage, text, out, code="overrun", plan=plan.plan_id, at=at)


def _wider(scene: Scene, outage: Running, plan: PlanEntered, node: int) -> None:
    """More is out than the plan covers: the whole is no planned outage."""
    book, end = scene.book, node + int(scene.book.tree.size[node])
    members = outage.members
    beyond = members[(members < node) | (members >= end)]
    if len(beyond) == 0:
        return
    outage.wider_than = plan.plan_id
    device, n, of = book.group.ids[node], len(beyond), len(members)
    are = form(n, "is", "are")
    text = f"wider than plan {plan.plan_id}: {n} of {meters(of)} {are} not behind {device}"
    book.note(outage, text, beyond, code="wider", plan=plan.plan_id, device=device, n=n, of=of)
