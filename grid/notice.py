"""What one person is told on one channel: the words that decide, keep and send share.  Pure.

A *situation* is how some customers stand alike after a change; a *recipient* is what is known of
them and what they were told before; a *decision* says what they are told now, or why nothing.
"""

from collections.abc import Callable
from enum import IntEnum, StrEnum

import msgspec

from grid.outage import Change
from grid.public import CustomerStatus

SMS = "sms"
DESK = "desk"
"""A person of the desk calls: the last channel of key and vulnerable customers."""
STAFF = "staff:"
"""What the ids of staff begin with, where customers' ids stand else."""
LIFE_SAFETY = frozenset({"key", "vulnerable"})


class Phase(StrEnum):
    """What a notice is about."""

    DETECTED = "detected"
    CONFIRMED = "confirmed"
    CREW_ASSIGNED = "crew_assigned"
    ON_SITE = "on_site"
    ETR_CHANGED = "etr_changed"
    PARTIALLY_RESTORED = "partially_restored"
    TO_VERIFY = "to_verify"  # should be back; their meter has not said so
    RESTORED = "restored"
    CANCELLED = "cancelled"  # an earlier notice was wrong
    UPDATE = "update"  # the next word was promised by now, and there is nothing new
    PLANNED = "planned"
    DAY_BEFORE = "day_before"
    PLAN_CANCELLED = "plan_cancelled"


DARK = frozenset(
    {
        Phase.DETECTED, Phase.CONFIRMED, Phase.CREW_ASSIGNED, Phase.ON_SITE, Phase.ETR_CHANGED,
        Phase.PARTIALLY_RESTORED, Phase.UPDATE,
    }
)  # fmt: skip
"""Whoever was last told one of these believes to be in the dark."""


class Reason(StrEnum):
    """Why a notice is sent or held; the store keeps it with every decision."""

    # sent
    DUE = "due"  # a phase that is texted
    MATERIAL_ETR = "material_etr"
    CORRECTION = "correction"  # what they were told before was wrong
    PROMISED = "promised"  # the next word was promised by now
    AHEAD = "ahead"  # planned work, told before it begins
    # held
    SMS_OFF = "sms_off"  # no gateway is set up
    NO_PHONE = "no_phone"  # on no channel that is open is anything known of them
    OPTED_OUT = "opted_out"  # they want to be told on no channel
    NOT_WANTED = "not_wanted"  # they do not want to be told of this phase
    NOT_TEXTED = "not_texted"  # the page and the feed tell it; texts are for what matters
    NOT_OURS = "not_ours"  # told by other means: planned work, arrears, curtailment, own fault
    NOT_SURE = "not_sure"  # restored by inference only; the meter has not said so
    NEVER_TOLD = "never_told"  # nothing was said of it, so nothing is to be ended
    ALREADY_TOLD = "already_told"
    IMMATERIAL_ETR = "immaterial_etr"
    BUDGET = "budget"  # this outage has had its texts
    MOMENTARY = "momentary"
    TOO_LATE = "too_late"  # planned work that begins before anybody could read it
    # what becomes of one that was queued
    SUPERSEDED = "superseded"
    FELL_BACK = "fell_back"  # another channel did not reach them in time


class Lane(IntEnum):
    """Who goes first when there are more texts than the gateway takes."""

    SAFETY = 0  # key and vulnerable customers
    NORMAL = 1
    AHEAD = 2  # planned work, days before


class Window(msgspec.Struct, frozen=True):
    """When power is expected back: not before ``from_ms`` (P20), by ``to_ms`` (P80)."""

    from_ms: int
    to_ms: int
    crew: bool = False  # a crew says so; else it is a first estimate


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a text may say.  None where unknown: the wording then says less, never half of it."""

    at_ms: int  # of the decision
    off_ms: int | None = None
    on_ms: int | None = None
    cause: str | None = None  # as the outage has it
    homes: int | None = None  # in the dark with them, themselves included
    etr: Window | None = None
    was: Window | None = None  # what they were told before
    next_ms: int | None = None  # the next word comes by then
    arrive_ms: int | None = None  # the crew is there by then
    site_ms: int | None = None  # the crew is there since
    from_ms: int | None = None  # planned work
    to_ms: int | None = None
    device: str | None = None  # for staff: what failed, and on which feeder
    feeder: str | None = None


class Situation(msgspec.Struct, frozen=True):
    """How some customers stand alike after a change of an outage (None: it was not theirs)."""

    at_ms: int
    outage_id: str
    version: int
    theirs: bool
    kind: str
    state: str
    power: str  # on, off; unknown: should be back, and no meter says so
    facts: Facts
    assigned: bool = False
    on_site: bool = False
    partly: bool = False  # some have power again, and since then the crew reached nothing new


class Past(msgspec.Struct, frozen=True, array_like=True):
    """A notice before: told (handed to a gateway, arrived or not), or still queued."""

    phase: Phase
    outage_id: str
    edition: int
    queued: bool
    etr: Window | None = None
    next_ms: int | None = None


class Seen(msgspec.Struct, frozen=True):
    """What was decided for somebody last: of which outage, the phase, and the estimate then."""

    outage_id: str
    phase: str
    etr: Window | None = None


class Wishes(msgspec.Struct, frozen=True, array_like=True):
    """How a customer wants to be told.  None: as usual at the site."""

    channels: tuple[str, ...] | None = None
    phases: tuple[str, ...] | None = None
    quiet: tuple[str, str] | None = None  # from, to: 22:00, 07:00
    zone: str | None = None  # of their quiet hours
    opted_out: bool = False
    contacts: tuple[str, ...] = ()  # channels beside texts on which an address is known


class Recipient(msgspec.Struct, frozen=True):
    """What is known of some customers alike, and what they were told, oldest first."""

    language: str
    priority: str
    reachable: bool  # a telephone number is known
    seen: Seen | None = None
    past: tuple[Past, ...] = ()
    wishes: "Wishes | None" = None

    @property
    def told(self) -> Past | None:
        """The last they were told."""
        return next((p for p in reversed(self.past) if not p.queued), None)

    @property
    def believes_dark(self) -> bool:
        """Whether what they were told last says that they have no power."""
        return self.told is not None and self.told.phase in DARK

    def count(self, outage_id: str, phase: Phase | None = None) -> int:
        """How many notices of an outage they had: of one phase, or of all but promised words."""
        mine = {(p.phase, p.edition) for p in self.past if p.outage_id == outage_id}
        if phase is None:
            return sum(1 for told, _ in mine if told is not Phase.UPDATE)
        return sum(1 for told, _ in mine if told is phase)


class Decision(msgspec.Struct, frozen=True):
    """What a group of customers is told, or not, and why."""

    phase: Phase
    send: bool
    reason: Reason
    facts: Facts
    edition: int = 1
    due_ms: int = 0
    expires_ms: int = 0
    lane: Lane = Lane.NORMAL
    channel: str = SMS
    withdraw: bool = False  # what is queued for them is out of date
    aside: bool = False  # of an estimate: told within a phase, not a phase of its own


def after(who: Recipient, outage_id: str, decided: Decision) -> Recipient:
    """The recipient after a decision."""
    past = tuple(p for p in who.past if not (p.queued and (decided.withdraw or _same(p, decided))))
    facts = decided.facts
    if decided.send:
        past = (*past, Past(decided.phase, outage_id, decided.edition, True, facts.etr,
                            facts.next_ms))  # fmt: skip
    phase = decided.phase.value
    if decided.aside and who.seen is not None:
        phase = who.seen.phase
    seen = Seen(outage_id, phase, facts.etr)
    return msgspec.structs.replace(who, seen=seen, past=past)


def _same(past: Past, decided: Decision) -> bool:
    return (past.phase, past.edition) == (decided.phase, decided.edition)


Decide = Callable[[Change, CustomerStatus | None, Recipient], tuple[Decision, ...]]
"""What customers are told who stand alike after a change and were told the same before; without a
status, what somebody of staff is told of it."""
