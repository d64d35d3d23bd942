"""What staff are told: the lead of a grid cell and the dispatcher of a district.  Pure.

They get one text when an outage of their district is confirmed, and one when it is over or was
none; at any hour, and with device and feeder instead of an address.  What is seen in parts at
first is one fault: texts wait for ``staff_hold_s``, and a part that moved to another outage is
neither told nor ended.
"""

import msgspec

from grid.notice import SMS, Decision, Facts, Lane, Phase, Reason, Recipient
from grid.outage import Change, State
from notify.estimates import window
from notify.phases import RUNNING, TEXTED_KINDS, Rules

OVER = frozenset({State.RESTORED, State.CLOSED})
WRONG = frozenset({State.REJECTED, State.MOMENTARY})


def decide(change: Change, who: Recipient, rules: Rules) -> tuple[Decision, ...]:
    """What somebody of staff is told of a change; nothing where it is no news to them."""
    outage = change.outage
    mine = [p for p in who.past if p.outage_id == outage.id]
    if outage.state in RUNNING and not mine:
        return (_confirmed(change, who, rules),)
    if not mine or any(p.phase in (Phase.RESTORED, Phase.CANCELLED) for p in mine):
        return ()
    if outage.state not in OVER | WRONG:
        return ()
    if any(why.code == "merged" for why in change.reasons):
        return _merged(change, rules) if any(p.queued for p in mine) else ()
    phase = Phase.RESTORED if outage.state in OVER else Phase.CANCELLED
    if all(p.queued for p in mine):
        reason = Reason.MOMENTARY if outage.state is State.MOMENTARY else Reason.NEVER_TOLD
        return (Decision(phase, False, reason, facts_of(change, rules), withdraw=True),)
    return (_send(phase, Reason.DUE, change, change.at_ms, rules),)


def _merged(change: Change, rules: Rules) -> tuple[Decision, ...]:
    """What waits is told with the outage that it is part of now."""
    facts = facts_of(change, rules)
    return (Decision(Phase.CONFIRMED, False, Reason.SUPERSEDED, facts, withdraw=True),)


def _confirmed(change: Change, who: Recipient, rules: Rules) -> Decision:
    outage = change.outage
    barred = None
    if outage.kind.value not in TEXTED_KINDS:
        barred = Reason.NOT_OURS
    elif SMS not in rules.opened:
        barred = Reason.SMS_OFF
    elif not who.reachable:
        barred = Reason.NO_PHONE
    if barred is not None:
        return Decision(Phase.CONFIRMED, False, barred, facts_of(change, rules))
    settings = rules.settings
    settled_ms = outage.detected_ms + round(settings.staff_hold_s * 1000)
    due_ms = max(change.at_ms, settled_ms, outage.started_ms + round(settings.hold_s * 1000))
    return _send(Phase.CONFIRMED, Reason.DUE, change, due_ms, rules)


def _send(phase: Phase, reason: Reason, change: Change, due_ms: int, rules: Rules) -> Decision:
    return Decision(
        phase, send=True, reason=reason, facts=facts_of(change, rules), due_ms=due_ms,
        expires_ms=due_ms + round(rules.settings.late_s * 1000), lane=Lane.NORMAL, withdraw=True,
    )  # fmt: skip


def facts_of(change: Change, rules: Rules) -> Facts:
    """What a text to staff may say."""
    outage = change.outage
    on_ms = outage.restored_ms
    facts = Facts(
        change.at_ms, off_ms=outage.started_ms, on_ms=on_ms, cause=outage.cause,
        homes=outage.customers_out or outage.customers_affected or None,
        etr=window(outage.etr, rules.settings), device=outage.device_id, feeder=outage.feeder_id,
    )  # fmt: skip
    return facts if on_ms is None else msgspec.structs.replace(facts, etr=None)
