"""How customers stand after a change, as the phases see it.  Pure."""

from grid.notice import Decide, Decision, Facts, Recipient, Situation
from grid.outage import Change, Etr, Outage, State
from grid.public import CustomerStatus, PublicOutage
from grid.times import from_rfc3339
from grid.work import Stage
from notify import leads
from notify.estimates import window
from notify.phases import Rules, decide
from notify.settings import NoticeSettings

AWAY = frozenset({Stage.ASSIGNED, Stage.EN_ROUTE})
THERE = frozenset({Stage.ON_SITE, Stage.CAUSE_FOUND, Stage.REPAIRED, Stage.VERIFIED})


def decider(rules: Rules) -> Decide:
    """What the store asks in the transaction of each change."""

    def decided(
        change: Change, status: CustomerStatus | None, who: Recipient
    ) -> tuple[Decision, ...]:
        if status is None:
            return leads.decide(change, who, rules)
        return decide(situation(change, status, rules.settings), who, rules)

    return decided


def situation(change: Change, status: CustomerStatus, settings: NoticeSettings) -> Situation:
    """What the change means to those who have that status after it."""
    outage = change.outage
    off, on = status.off_at, status.on_at
    assigned, site = reached(outage, AWAY), reached(outage, THERE)
    stage_ms = site if site is not None else assigned
    arrive_ms = None if assigned is None else assigned + round(settings.arrive_s * 1000)
    return Situation(
        at_ms=change.at_ms,
        outage_id=outage.id,
        version=outage.version,
        theirs=status.outage_id == outage.id,
        kind=outage.kind.value,
        state=outage.state.value,
        power=status.power,
        assigned=outage.stage in AWAY | THERE,
        on_site=outage.stage in THERE,
        partly=_partly(outage, stage_ms),
        facts=Facts(
            at_ms=change.at_ms,
            off_ms=from_rfc3339(off) if off else None,
            on_ms=from_rfc3339(on) if on else None,
            cause=outage.cause,
            homes=outage.customers_out or None,
            etr=window(outage.etr, settings) if status.power == "off" else None,
            arrive_ms=arrive_ms,
            site_ms=site,
        ),
    )


def _partly(outage: Outage, stage_ms: int | None) -> bool:
    """Whether that some have power again is newer than how far the crew is."""
    if outage.state is not State.PARTIALLY_RESTORED:
        return False
    back_ms = min((s.on_ms for s in outage.steps if s.on_ms is not None), default=None)
    return stage_ms is None or (back_ms is not None and back_ms > stage_ms)


def still_dark(
    outage: PublicOutage, off_ms: int, at_ms: int, settings: NoticeSettings
) -> Situation:
    """How customers stand who have been out since then and of whom nothing is new."""
    etr = outage.etr
    until = None
    if etr is not None:
        earliest = from_rfc3339(etr.earliest) if etr.earliest else None
        until = Etr(from_rfc3339(etr.at), etr.source, etr.confidence, earliest)
    facts = Facts(
        at_ms, off_ms=off_ms, cause=outage.cause, homes=outage.customers_out or None,
        etr=window(until, settings),
    )  # fmt: skip
    return Situation(
        at_ms, outage.id, outage.version, theirs=True, kind=outage.kind, state=outage.state,
        power="off", facts=facts,
    )  # fmt: skip


def reached(outage: Outage, stages: frozenset[Stage]) -> int | None:
    """When the repair first came to one of some stages, if it is there or beyond."""
    if outage.stage not in stages | THERE:
        return None
    return next((p.at_ms for p in outage.progress if p.stage in stages), None)
