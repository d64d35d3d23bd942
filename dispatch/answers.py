"""The objects the API answers with, beside those of grid/public.py.  Every key is always there."""

from typing import Literal

import msgspec

from dispatch.desk import Component
from dispatch.mapdesk import Source
from dispatch.noticedesk import PhoneText
from dispatch.peopledesk import Preview
from grid.public import (
    PublicCall,
    PublicCrew,
    PublicDecision,
    PublicFinding,
    PublicNotice,
    PublicNoticeDecision,
    PublicOutage,
    PublicPlan,
)
from grid.told import PublicConsent, PublicStaff, PublicTask, PublicWishes


class Outages(msgspec.Struct, frozen=True):
    """Outages, newest first."""

    outages: tuple[PublicOutage, ...]


class Findings(msgspec.Struct, frozen=True):
    """What was noticed and is no outage, newest first."""

    findings: tuple[PublicFinding, ...]


class Planned(msgspec.Struct, frozen=True):
    """Plans, by their begin."""

    planned: tuple[PublicPlan, ...]


class Calls(msgspec.Struct, frozen=True):
    """Trouble calls, newest first."""

    calls: tuple[PublicCall, ...]


class Decisions(msgspec.Struct, frozen=True):
    """People's decisions about an outage, oldest first."""

    decisions: tuple[PublicDecision, ...]


class Crews(msgspec.Struct, frozen=True):
    """Crews, by id."""

    crews: tuple[PublicCrew, ...]


class Settled(msgspec.Struct, frozen=True):
    """A decision that the engine took, and the outage after it."""

    decision: PublicDecision
    outage: PublicOutage | None


RefusalCode = Literal[
    "unauthorized", "not_allowed", "not_found", "method_not_offered", "conflict", "stale_version",
    "stale_network", "not_taken", "crew_off_duty", "told_already", "task_closed",
    "phone_of_several", "too_large", "wrong_media_type", "invalid", "failed", "unavailable",
]  # fmt: skip
"""What a program may go by: these words stay, sentences may change.

``stale_version`` and ``stale_network``: look again and decide anew; ``not_taken``: the engine
refuses, and its decision says why; ``conflict``: another reason, in the sentence.
"""


class Conflict(msgspec.Struct, frozen=True):
    """Why it was not taken, and the outage as it is now; no decision: it did not get so far."""

    error: str
    code: RefusalCode
    decision: PublicDecision | None
    outage: PublicOutage | None


class Sources(msgspec.Struct, frozen=True):
    """What the service hears and depends on."""

    sources: tuple[Source, ...]


class Notices(msgspec.Struct, frozen=True):
    """What was told, newest first, and what was decided, in order."""

    notices: tuple[PublicNotice, ...]
    decisions: tuple[PublicNoticeDecision, ...]


class Phones(msgspec.Struct, frozen=True):
    """Texts on the phones of a simulated city, oldest first."""

    texts: tuple[PhoneText, ...]


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    alive: bool


class Readiness(msgspec.Struct, frozen=True):
    """Whether a message published now will be acted on, and each part by name."""

    ready: bool
    components: dict[str, Component]


class Problem(msgspec.Struct, frozen=True):
    """What is wrong, in a sentence for people and a word for programs."""

    error: str
    code: RefusalCode


class Session(msgspec.Struct, frozen=True):
    """Who is signed in until when, and what the pages need to know of their place."""

    role: str
    subject: str
    district: str | None
    expires_at: str
    server_time: str
    feeds_url: str
    site: str
    time_zone: str
    phone: str
    arrival_min: int


class FeedPage(msgspec.Struct, frozen=True):
    """What a channel told after a position: ``pubs``, as a websocket has them, up to ``offset``.

    Not ``recovered``: there is no way without a gap; ``snapshot`` is the state at ``offset``.
    Ask again with ``since`` EPOCH:OFFSET; at once while ``offset`` is below ``top``.
    """

    channel: str
    epoch: str
    offset: int
    top: int
    recovered: bool
    snapshot: msgspec.Raw
    pubs: tuple[msgspec.Raw, ...]


class FeedToken(msgspec.Struct, frozen=True):
    """A short-lived token for the feeds."""

    token: str
    expires_at: str


class Code(msgspec.Struct, frozen=True):
    """A one-time code for a link."""

    code: str
    expires_at: str


class Wishes(msgspec.Struct, frozen=True):
    """How a customer wants to be told, and what proves their opt-outs and opt-ins."""

    wishes: PublicWishes
    consents: tuple[PublicConsent, ...]


class Tasks(msgspec.Struct, frozen=True):
    """Whom the desk is to call, the most urgent first."""

    tasks: tuple[PublicTask, ...]


class Number(msgspec.Struct, frozen=True):
    """A telephone number, to be called now."""

    phone: str

    def __repr__(self) -> str:
        """Numbers stay out of logs and tracebacks."""
        return "Number(...)"


class Staff(msgspec.Struct, frozen=True):
    """Who is texted of which district, by id."""

    staff: tuple[PublicStaff, ...]


class Previews(msgspec.Struct, frozen=True):
    """A text in each language."""

    texts: tuple[Preview, ...]
