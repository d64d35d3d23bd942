"""Planned outages, told ahead and taken back.  Pure."""

import msgspec

from grid.notice import LIFE_SAFETY, Decision, Facts, Lane, Phase, Reason, Recipient
from notify.phases import Rules, after_quiet, barred
from notify.routes import ways

TOLD = frozenset({Phase.PLANNED, Phase.DAY_BEFORE})


def announce(
    from_ms: int, to_ms: int, now_ms: int, who: Recipient, rules: Rules
) -> tuple[Decision, ...]:
    """The two texts of planned work to some customers: a week ahead, and the day before.

    Work that is nearer than that is told at once; the second text is left out where the first one
    comes within its time.
    """
    settings = rules.settings
    first_ms = max(now_ms, from_ms - round(settings.ahead_s * 1000))
    again_ms = from_ms - round(settings.again_s * 1000)
    decided = [_one(Phase.PLANNED, first_ms, from_ms, to_ms, now_ms, who, rules)]
    if again_ms - first_ms >= round(settings.again_s * 1000) // 2:
        decided.append(_one(Phase.DAY_BEFORE, again_ms, from_ms, to_ms, now_ms, who, rules))
    return tuple(decided)


def call_off(
    plan_id: str, from_ms: int, to_ms: int, now_ms: int, who: Recipient, rules: Rules
) -> Decision:
    """The plan is cancelled: whoever was told of it is told so."""
    told = any(p.outage_id == plan_id and p.phase in TOLD and not p.queued for p in who.past)
    facts = Facts(now_ms, from_ms=from_ms, to_ms=to_ms)
    if not told:
        return Decision(Phase.PLAN_CANCELLED, False, Reason.NEVER_TOLD, facts, withdraw=True)
    off = _one(Phase.PLAN_CANCELLED, now_ms, from_ms, to_ms, now_ms, who, rules)
    return msgspec.structs.replace(off, facts=facts, withdraw=True)


def _one(
    phase: Phase,
    due_ms: int,
    from_ms: int,
    to_ms: int,
    now_ms: int,
    who: Recipient,
    rules: Rules,
) -> Decision:
    facts = Facts(now_ms, from_ms=from_ms, to_ms=to_ms)
    held = barred(phase, who, rules)
    safety = who.priority in LIFE_SAFETY
    due_ms = due_ms if safety else after_quiet(due_ms, rules, who)
    if held is None and due_ms >= from_ms:
        held = Reason.TOO_LATE
    if held is not None:
        return Decision(phase, False, held, facts)
    lane = Lane.SAFETY if safety else Lane.AHEAD
    return Decision(
        phase, True, Reason.AHEAD, facts, due_ms=due_ms, expires_ms=from_ms, lane=lane,
        channel=ways(phase, who, rules.settings, rules.opened)[0],
    )  # fmt: skip
