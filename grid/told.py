"""How people are told, as the API shows it: wishes, consents, staff, tasks of the desk.  Pure."""

import msgspec


class PublicTask(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the desk is to call, since nothing else reached them; the number is masked.

    ``state`` open, delivered (told), undelivered, held (nothing to tell any more) or expired.
    """

    id: str
    outage_id: str  # or the plan's
    customer_id: str
    phase: str
    state: str
    reason: str
    lane: int
    priority: str
    language: str
    at: str
    due_at: str
    expires_at: str
    off_at: str | None
    etr_at: str | None
    ended_at: str | None
    ended_by: str | None
    note: str | None
    phone: str
    address: str


class PublicWishes(msgspec.Struct, frozen=True, kw_only=True):
    """How a customer wants to be told; null where they want the usual.  Numbers are masked."""

    customer_id: str
    priority: str
    language: str
    channels: tuple[str, ...] | None
    phases: tuple[str, ...] | None
    quiet: tuple[str, str] | None  # from, to: 22:00, 07:00; the same: no quiet hours
    time_zone: str | None  # of their quiet hours
    opted_out_at: str | None
    phone: str
    contacts: dict[str, str]
    changed_at: str | None
    changed_by: str | None


class PublicConsent(msgspec.Struct, frozen=True):
    """That a customer wants to be told no more, or again, and what proves it."""

    at: str
    wanted: bool
    source: str  # reply, api, command
    by: str
    words: str


class PublicStaff(msgspec.Struct, frozen=True):
    """Who is told of a district's outages; the number is masked."""

    staff_id: str
    duty: str  # cell_lead, dispatcher
    district: str
    language: str
    name: str
    phone: str
