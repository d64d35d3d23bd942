"""Who is told what, when, and why not: the phases of an outage for one customer.  Pure.

``decide`` looks at how some customers stand and at what they were told before.  The rules:
what nobody texts for (planned work, own faults) is held; power that is back is told only on the
meter's own word, and only to those who were told it was gone; what was told and was wrong is
corrected; whoever is in the dark for longer than a moment is told once, then of what matters.
"""

from datetime import datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

import msgspec

from grid.errors import ConfigError
from grid.notice import (
    DARK,
    DESK,
    LIFE_SAFETY,
    SMS,
    Decision,
    Facts,
    Lane,
    Phase,
    Reason,
    Recipient,
    Situation,
    Window,
    after,
)
from notify import windows
from notify.routes import USUAL, ways
from notify.settings import NoticeSettings

TEXTED_KINDS = frozenset({"fault", "temporary", "unknown"})
ALWAYS = frozenset({Phase.RESTORED, Phase.CANCELLED})  # beyond the budget: an end is owed
RUNNING = frozenset({"confirmed", "partially_restored"})
OUTDATING = frozenset(Phase) - {Phase.ETR_CHANGED, Phase.UPDATE, Phase.CREW_ASSIGNED,
                               Phase.ON_SITE, Phase.PARTIALLY_RESTORED}  # fmt: skip
"""Phases which, held, leave nothing true of what is queued."""
KNOWN = frozenset(phase.value for phase in DARK - {Phase.DETECTED})


class Rules(msgspec.Struct, frozen=True):
    """The settings as they are asked for."""

    settings: NoticeSettings
    zone: tzinfo
    quiet_from: time
    quiet_to: time
    opened: frozenset[str] = frozenset({SMS, DESK})  # channels that are set up


def decide(now: Situation, who: Recipient, rules: Rules) -> tuple[Decision, ...]:
    """What some customers alike are told after a change; nothing where it is no news to them."""
    decided: tuple[Decision, ...] = ()
    for _ in range(2):  # that it is out, and how far the crew is
        phase = phase_of(now, who)
        if who.seen is not None and (now.outage_id, phase.value) == (
            who.seen.outage_id,
            who.seen.phase,
        ):
            break
        of_phase = _of_phase(phase, now, who, rules)
        if of_phase is None:
            break
        decided += (of_phase,)
        who = after(who, now.outage_id, of_phase)
    if phase.value in KNOWN and now.facts.etr is not None:
        of_etr = _of_etr(now, who, rules)
        decided += () if of_etr is None else (of_etr,)
    return decided


def phase_of(now: Situation, who: Recipient) -> Phase:
    """The phase that the situation is in, for somebody for whom that was decided before."""
    if not now.theirs:
        return Phase.CANCELLED
    if now.power != "off":
        return Phase.RESTORED if now.power == "on" else Phase.TO_VERIFY
    if now.state not in RUNNING:
        return Phase.DETECTED
    seen = who.seen
    if seen is None or seen.outage_id != now.outage_id or seen.phase not in KNOWN:
        return Phase.CONFIRMED  # first things first
    if now.partly:
        return Phase.PARTIALLY_RESTORED
    if now.on_site:
        return Phase.ON_SITE
    return Phase.CREW_ASSIGNED if now.assigned else Phase.CONFIRMED


def _of_phase(phase: Phase, now: Situation, who: Recipient, rules: Rules) -> Decision | None:
    if phase is Phase.TO_VERIFY:
        return _hold(phase, Reason.NOT_SURE, now)
    if phase in ALWAYS:
        return _ended(phase, now, who, rules)
    reason = _held(phase, now, who, rules)
    if reason is not None:
        return _hold(phase, reason, now)
    return _send(phase, Reason.DUE, now, who, rules)


def _ended(phase: Phase, now: Situation, who: Recipient, rules: Rules) -> Decision | None:
    """It is over for them, or never was theirs: whoever was told the one is told the other."""
    if who.seen is None and not who.past:
        return None  # nothing was ever decided for them
    if not who.believes_dark:
        momentary = now.state == "momentary"
        return _hold(phase, Reason.MOMENTARY if momentary else Reason.NEVER_TOLD, now)
    held = barred(phase, who, rules)
    if held is not None:
        return _hold(phase, held, now)
    reason = Reason.CORRECTION if phase is Phase.CANCELLED else Reason.DUE
    return _send(phase, reason, now, who, rules)


def _held(phase: Phase, now: Situation, who: Recipient, rules: Rules) -> Reason | None:
    """What keeps somebody in the dark from being told a phase; the first that applies."""
    if now.kind not in TEXTED_KINDS:
        return Reason.NOT_OURS
    held = barred(phase, who, rules)
    if held is not None:
        return held
    if _known(phase, who):
        return Reason.ALREADY_TOLD  # of the outage that this one was part of
    if who.count(now.outage_id) >= _budget(who, rules):
        return Reason.BUDGET
    return None


def _budget(who: Recipient, rules: Rules) -> int:
    """Texts of one outage: whoever wishes for more phases is told each of them once."""
    wished = (who.wishes or USUAL).phases or ()
    return max(rules.settings.texts_max, sum(1 for phase in DARK if phase.value in wished))


def _known(phase: Phase, who: Recipient) -> bool:
    """Whether they know as much: that it may be off, or that it is."""
    if phase is Phase.DETECTED:
        return who.believes_dark
    doubt = who.told is not None and who.told.phase is Phase.DETECTED
    return phase is Phase.CONFIRMED and who.believes_dark and not doubt


def barred(phase: Phase, who: Recipient, rules: Rules) -> Reason | None:
    """What keeps a phase from somebody whatever happens."""
    wishes = who.wishes or USUAL
    if not rules.opened - {DESK}:
        return Reason.SMS_OFF
    if wishes.phases is not None and phase.value not in wishes.phases:
        return Reason.NOT_WANTED
    if wishes.phases is None and phase.value not in rules.settings.phases:
        return Reason.NOT_TEXTED
    if ways(phase, who, rules.settings, rules.opened):
        return None
    return Reason.OPTED_OUT if wishes.opted_out else Reason.NO_PHONE


def _of_etr(now: Situation, who: Recipient, rules: Rules) -> Decision | None:
    """A new estimate: it takes the place of one that is still queued, else it is told if it
    matters.
    """
    etr = now.facts.etr
    waiting = next((p for p in reversed(who.past) if p.queued and p.phase in DARK), None)
    if waiting is not None:
        if waiting.etr == etr:
            return None
        decided = _send(waiting.phase, Reason.DUE, now, who, rules)
        return msgspec.structs.replace(decided, edition=waiting.edition, aside=True)
    told = who.told
    if told is None or told.phase not in DARK or told.etr == etr:
        return None  # they know of no outage, or they know this estimate
    facts = msgspec.structs.replace(now.facts, was=told.etr)
    now = msgspec.structs.replace(now, facts=facts)
    reason = _held(Phase.ETR_CHANGED, now, who, rules)
    if reason is None and not _material(told.etr, now, rules.settings):
        reason = Reason.IMMATERIAL_ETR
    if reason is None:
        decided = _send(Phase.ETR_CHANGED, Reason.MATERIAL_ETR, now, who, rules)
        return msgspec.structs.replace(decided, aside=True)
    if who.seen is not None and who.seen.etr == etr:
        return None  # this very estimate was held before
    return msgspec.structs.replace(_hold(Phase.ETR_CHANGED, reason, now), aside=True)


def _material(told: Window | None, now: Situation, settings: NoticeSettings) -> bool:
    """Whether an estimate differs enough to be told (hysteresis), or the old one has passed."""
    etr = now.facts.etr
    assert etr is not None
    if told is None or told.to_ms <= now.at_ms:
        return True
    left = max(0, told.to_ms - now.at_ms)
    step = max(settings.etr_step_s * 1000, settings.etr_step_share * left)
    return abs(etr.to_ms - told.to_ms) >= step


def _hold(phase: Phase, reason: Reason, now: Situation) -> Decision:
    return Decision(phase, send=False, reason=reason, facts=now.facts, withdraw=phase in OUTDATING)


def _send(phase: Phase, reason: Reason, now: Situation, who: Recipient, rules: Rules) -> Decision:
    settings, safety = rules.settings, who.priority in LIFE_SAFETY
    due_ms = now.at_ms
    if phase in DARK:  # younger, it may be a moment only
        due_ms = max(due_ms, (now.facts.off_ms or now.at_ms) + round(settings.hold_s * 1000))
    if phase is Phase.CANCELLED:  # it may be another outage's in a moment
        due_ms += round(settings.hold_s * 1000)
    if not safety:
        due_ms = after_quiet(due_ms, rules, who)
    late_s = settings.restored_late_s if phase in ALWAYS else settings.late_s
    facts = now.facts
    if phase in DARK:
        wait_s = settings.result_s if phase is Phase.DETECTED else settings.next_s
        facts = promise(facts, due_ms + round(wait_s * 1000), rules, who)
    return Decision(
        phase, send=True, reason=reason, facts=facts,
        edition=1 + who.count(now.outage_id, phase), due_ms=due_ms,
        expires_ms=due_ms + round(late_s * 1000),
        lane=Lane.SAFETY if safety else Lane.NORMAL,
        channel=ways(phase, who, rules.settings, rules.opened)[0], withdraw=True,
    )  # fmt: skip


def keep_promise(now: Situation, who: Recipient, rules: Rules) -> Decision | None:
    """The next word to somebody in the dark who was promised one by now, though nothing is new.

    It counts for no budget: it was promised.
    """
    if not who.believes_dark or any(p.queued for p in who.past):
        return None
    told = who.told
    suspected = told is not None and told.phase is Phase.DETECTED and now.state not in RUNNING
    phase = Phase.DETECTED if suspected else Phase.UPDATE
    held = barred(phase, who, rules)
    if held is not None:
        return msgspec.structs.replace(_hold(phase, held, now), aside=True)
    decided = _send(phase, Reason.PROMISED, now, who, rules)
    return msgspec.structs.replace(decided, aside=True)


def promise(facts: Facts, by_ms: int, rules: Rules, who: Recipient) -> Facts:
    """With the moment by which the next word comes: never one at which nobody is texted."""
    next_ms = windows.up(by_ms, windows.ROUGH_MIN, rules.zone)
    over_ms = next_ms if who.priority in LIFE_SAFETY else after_quiet(next_ms, rules, who)
    if over_ms != next_ms:
        next_ms = windows.up(over_ms + 1, windows.ROUGH_MIN, rules.zone)
    return msgspec.structs.replace(facts, next_ms=next_ms)


def after_quiet(ms: int, rules: Rules, who: Recipient) -> int:
    """The moment, or the end of the quiet hours that it is in: their own, or the site's."""
    wishes = who.wishes or USUAL
    start, end, zone = rules.quiet_from, rules.quiet_to, rules.zone
    if wishes.quiet is not None:
        start, end = (time.fromisoformat(clock) for clock in wishes.quiet)
    if wishes.zone is not None:
        zone = ZoneInfo(wishes.zone)
    if start == end:
        return ms
    at = windows.local(ms, zone)
    clock = at.time()
    inside = start <= clock < end if start < end else clock >= start or clock < end
    if not inside:
        return ms
    day = at.date() + timedelta(days=1 if start > end and clock >= start else 0)
    over = datetime.combine(day, end, tzinfo=zone)
    return ms + round((over - at).total_seconds() * 1000)


def hour(text: str, path: str) -> time:
    """A time of day like ``22:00``.

    Raises:
        ConfigError: It is none.
    """
    try:
        return time.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is no time of day - at {path}; write for instance 22:00"
        ) from error
