"""Decisions from a body to what the desk takes: who may, and what each action needs.  Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from dispatch import access
from dispatch.asked import ActionBody, SwitchBody, moment
from dispatch.settings import ApiSettings
from dispatch.workdesk import NewDecision, NewSwitching
from grid.errors import BadPayload, Refused
from grid.people import Principal, Role
from grid.public import PublicCrew, PublicOutage, PublicOutageDetail
from grid.work import CREWS, REASONED, Action

NEEDED: Mapping[Action, tuple[str, ...]] = {
    Action.RELOCATE: ("device_id",),
    Action.SPLIT: ("device_id",),
    Action.MERGE: ("other_id",),
    Action.CAUSE: ("cause",),
    Action.ETR: ("at",),
    Action.ASSIGN: ("crew",),
}
ALLOWED: Mapping[Action, tuple[str, ...]] = {
    Action.CONFIRM: ("cause", "kind"),
    Action.MERGE: ("other_version", "device_id"),
    Action.CAUSE: ("kind", "at"),
    Action.ETR: ("earliest", "confidence"),
    Action.EN_ROUTE: ("at",),
    Action.ON_SITE: ("at",),
    Action.REPAIRED: ("at", "cause"),
    Action.UNDO: ("decision",),
}
OPTIONAL = (
    "at", "earliest", "confidence", "device_id", "other_id", "other_version", "cause", "kind",
    "crew", "decision",
)  # fmt: skip
WHOLE = frozenset({Action.REJECT, Action.RELOCATE, Action.MERGE, Action.SPLIT, Action.CLOSE})
"""Actions on what is whole: an outage of several districts is not one district's to end or move."""


def require_outage(who: Principal, outage: PublicOutage | None, outage_id: str) -> PublicOutage:
    """The outage, if it is a dispatcher's by district or a crew's by work order.

    Raises:
        Denied: 404 for everybody else.
    """
    if outage is not None:
        if who.role is Role.DISPATCHER and access.touches(who, outage.districts):
            return outage
        if who.role is Role.CREW and outage.crew == who.subject:
            return outage
    raise access.Denied(f"no outage of yours has the id {outage_id!r}", status=404)


def new_decision(
    body: ActionBody, outage: PublicOutage, who: Principal, settings: ApiSettings, now_ms: int
) -> NewDecision:
    """A decision that makes sense, by somebody who may make it.

    Raises:
        BadPayload: A field is missing, or not one of the action's, or no sensible time.
        Denied: Not this bearer's to decide.
    """
    action = Action(body.action)
    _require(who, action, outage)
    _require_fields(body, action)
    at_ms = None if body.at is None else moment(body.at, "at")
    earliest_ms = None if body.earliest is None else moment(body.earliest, "earliest")
    if at_ms is not None:
        if action is Action.ETR:
            _require_ahead(at_ms, earliest_ms, settings, now_ms)
        else:
            _require_past(at_ms, settings, now_ms)
    etr = action is Action.ETR
    return NewDecision(
        id=body.id,
        outage_id=outage.id,
        version=body.version,
        action=body.action,
        by=who.subject,
        role=who.role.value,
        reason=body.reason.strip(),
        when_ms=None if etr or at_ms is None else min(at_ms, now_ms),
        device_id=body.device_id,
        other_id=body.other_id,
        other_version=body.other_version,
        cause=body.cause,
        kind=body.kind,
        crew=body.crew,
        etr_ms=at_ms if etr else None,
        earliest_ms=earliest_ms,
        confidence=body.confidence,
        undoes=body.decision,
    )


def new_switching(
    device_id: str, body: SwitchBody, who: Principal, settings: ApiSettings, now_ms: int
) -> NewSwitching:
    """A switching that makes sense.

    Raises:
        BadPayload: No sensible time.
    """
    when_ms = now_ms if body.at is None else moment(body.at, "at")
    _require_past(when_ms, settings, now_ms)
    return NewSwitching(
        device_id=device_id,
        closed=body.position == "closed",
        when_ms=min(when_ms, now_ms),
        by=who.subject,
        reason=body.reason.strip(),
    )


def theirs(who: Principal, crew: PublicCrew) -> bool:
    """Whether a crew is a dispatcher's to send: of their district, or of none."""
    return crew.district is None or access.touches(who, (crew.district,))


def require_crew(who: Principal, crew_id: str, crews: Sequence[PublicCrew]) -> None:
    """Let a crew be sent that there is, and that is on duty.

    Raises:
        BadPayload: There is none with that id.
        Refused: It is not on duty.
    """
    for crew in crews:
        if crew.id == crew_id and theirs(who, crew):
            if not crew.active:
                raise Refused(f"crew {crew.name} is not on duty", code="crew_off_duty")
            return
    raise BadPayload(f"no crew of yours has the id {crew_id!r}; POST /api/crews enters one")


def for_crew(found: PublicOutageDetail) -> PublicOutageDetail:
    """What a crew needs of its outage: the work, not who is in the dark, nor who said what."""
    steps = tuple(msgspec.structs.replace(step, customers=()) for step in found.steps)
    return msgspec.structs.replace(found, steps=steps, changes=())


def _require(who: Principal, action: Action, outage: PublicOutage) -> None:
    if who.role is Role.CREW and action not in CREWS:
        raise access.Denied(f"{action} is for dispatchers; a crew may {', '.join(sorted(CREWS))}")
    if action in WHOLE and who.district is not None and set(outage.districts) != {who.district}:
        raise access.Denied(
            f"outage {outage.id} is in {', '.join(outage.districts)}; "
            f"whoever has a token for all of them may {action} it"
        )


def _require_fields(body: ActionBody, action: Action) -> None:
    needed = NEEDED.get(action, ())
    known = (*needed, *ALLOWED.get(action, ()))
    for name in OPTIONAL:
        given = getattr(body, name) is not None
        if name in needed and not given:
            raise BadPayload(f"{action} needs {name}")
        if given and name not in known:
            raise BadPayload(f"{name} is no field of {action}")
    if action in REASONED and not body.reason.strip():
        raise BadPayload(f"{action} needs a reason")
    if action is Action.NOTE and not body.reason.strip():
        raise BadPayload("note needs a reason: it is the note")


def _require_ahead(at_ms: int, earliest_ms: int | None, settings: ApiSettings, now_ms: int) -> None:
    if at_ms <= now_ms:
        raise BadPayload("at has to be in the future: it is when power will be back")
    if at_ms > now_ms + settings.etr_s_max * 1000:
        raise BadPayload(f"at is more than {settings.etr_s_max // 86_400} days ahead")
    if earliest_ms is not None and earliest_ms > at_ms:
        raise BadPayload("earliest has to be before at")


def _require_past(at_ms: int, settings: ApiSettings, now_ms: int) -> None:
    if at_ms > now_ms + settings.call_ahead_s * 1000:
        raise BadPayload("at is in the future")
    if at_ms < now_ms - settings.done_age_s * 1000:
        raise BadPayload(f"at is more than {settings.done_age_s // 3600} hours ago")
