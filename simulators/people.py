"""People of a scenario: crews on duty, what they say of their work, and households that want to be
told everything.

All that they do goes through the service's public API (simulators/shift.py), as their phones would.
"""

from typing import Literal

from simulators.tables import Seconds, Table


class OnDuty(Table, frozen=True, kw_only=True):
    """A crew that can be sent: it is entered when the story begins."""

    id: str
    name: str
    district: str | None = None  # works in all of them where absent


class WorkStep(Table, frozen=True, kw_only=True):
    """What is said of a work order, at the earliest so long after the beginning of its event."""

    after_s: Seconds
    action: Literal["assign", "en_route", "on_site", "cause", "etr", "repaired", "reject"]
    cause: str = ""  # of cause
    back_s: Seconds = 0.0  # of etr: power is expected back so long after it is said
    reason: str = ""  # of etr and reject


class Work(Table, frozen=True, kw_only=True):
    """The work order of an event: the shift assigns it to a crew, and the crew moves it.

    A person at the board who decides about that outage wins: then nothing more is said of it.
    """

    of: str  # name of the event, or of a part that it leaves behind
    crew: str
    steps: tuple[WorkStep, ...]


class Household(Table, frozen=True, kw_only=True):
    """A customer behind the device of an event who wishes to be told every phase."""

    of: str
    language: Literal["zh", "en"]
