"""Repair work and people's decisions: stages, crews' estimates, and what became of each decision.

The ladder is that of a work order: assigned, en route, on site, cause found, repaired, verified by
the meters; State Grid's 95598 flow wants departure, arrival, cause and restoration back.
"""

from enum import StrEnum

import msgspec


class Stage(StrEnum):
    """How far the repair of an outage is.  ``verified``: its meters say so, after the crew did."""

    NONE = "none"
    ASSIGNED = "assigned"
    EN_ROUTE = "en_route"
    ON_SITE = "on_site"
    CAUSE_FOUND = "cause_found"
    REPAIRED = "repaired"
    VERIFIED = "verified"


LADDER = tuple(Stage)
"""The stages in their order."""


class Action(StrEnum):
    """What a person may decide about an outage."""

    ACKNOWLEDGE = "acknowledge"
    CONFIRM = "confirm"
    REJECT = "reject"
    RELOCATE = "relocate"
    MERGE = "merge"
    SPLIT = "split"
    CAUSE = "cause"
    ETR = "etr"
    ASSIGN = "assign"
    EN_ROUTE = "en_route"
    ON_SITE = "on_site"
    REPAIRED = "repaired"
    VERIFY = "verify"
    PING = "ping"
    CLOSE = "close"
    NOTE = "note"
    UNDO = "undo"


SAID = frozenset({Action.NOTE, Action.PING})
"""Actions that change nothing of an outage but its log: there is nothing to take back."""

REASONED = frozenset(
    {Action.CONFIRM, Action.REJECT, Action.RELOCATE, Action.MERGE, Action.SPLIT, Action.ETR}
)
"""Actions that ask for a reason in words."""

CREWS = frozenset({Action.EN_ROUTE, Action.ON_SITE, Action.CAUSE, Action.ETR, Action.REPAIRED})
"""Actions that a crew may take on its own work orders."""

CAUSES = (
    "cable_fault", "line_fault", "transformer_fault", "switchgear_fault", "fuse_blown", "overload",
    "third_party", "vehicle", "tree", "animal", "lightning", "wind", "flood", "customer_side",
    "upstream", "unknown",
)  # fmt: skip
"""Codes of causes that everybody has words for; any other text is shown as it is."""


class Acknowledged(msgspec.Struct, frozen=True):
    """Somebody has seen the outage and takes care of it."""

    at_ms: int
    by: str


class Progress(msgspec.Struct, frozen=True):
    """A stage of the work, when it was reached, and who says so ("meters" of verified)."""

    stage: Stage
    at_ms: int
    by: str


class Decision(msgspec.Struct, frozen=True):
    """What became of a person's decision.  ``version``: the outage's after it; 0 of a switch.

    Not accepted: ``why`` is a sentence, and ``outage_id`` may be of an outage there never was.
    """

    id: str
    outage_id: str  # of the outage, or the device's id where a switch was thrown
    group: int
    at_ms: int  # stream time
    by: str
    role: str
    action: str
    reason: str  # the person's words
    accepted: bool
    why: str
    version: int
    undoes: str | None = None  # the decision that this one takes back
