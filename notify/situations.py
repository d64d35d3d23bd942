"""How customers stand after a change, as the phases see it.  Pure."""

from grid.notice import Decide, Decision, Facts, Recipient, Situation, Window
from grid.outage import Change, Etr, Outage
from grid.public import CustomerStatus
from grid.times import from_rfc3339
from notify.phases import Rules, decide
from notify.settings import NoticeSettings

CREW = "crew"


def decider(rules: Rules) -> Decide:
    """What the store asks in the transaction of each change."""

    def decided(change: Change, status: CustomerStatus, who: Recipient) -> tuple[Decision, ...]:
        return decide(situation(change, status, rules.settings), who, rules)

    return decided


def situation(change: Change, status: CustomerStatus, settings: NoticeSettings) -> Situation:
    """What the change means to those who have that status after it."""
    outage = change.outage
    off, on = status.off_at, status.on_at
    return Situation(
        at_ms=change.at_ms,
        outage_id=outage.id,
        version=outage.version,
        theirs=status.outage_id == outage.id,
        kind=outage.kind.value,
        state=outage.state.value,
        power=status.power if status.verified or status.power == "off" else "unknown",
        facts=Facts(
            at_ms=change.at_ms,
            off_ms=from_rfc3339(off) if off else None,
            on_ms=from_rfc3339(on) if on else None,
            cause=outage.cause,
            homes=outage.customers_out or None,
            etr=window(outage, settings) if status.power == "off" else None,
        ),
    )


def window(outage: Outage, settings: NoticeSettings) -> Window | None:
    """From when to when power may be back (P20 to P80).

    The same estimate gives the same window, whenever it is asked for.
    """
    etr = outage.etr
    if etr is None:
        return None
    spread_ms = _spread_ms(etr, outage.started_ms, settings)
    return Window(etr.at_ms - spread_ms, etr.at_ms + spread_ms, etr.source == CREW)


def _spread_ms(etr: Etr, started_ms: int, settings: NoticeSettings) -> int:
    if etr.source == CREW:
        return round(settings.crew_spread_s * 1000)
    return round(settings.spread_share * max(0, etr.at_ms - started_ms))
