"""What the API may ask about how people are told.  ``service/peopledesk.py`` answers.

Every method may raise ``Unreachable``.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from grid.told import PublicConsent, PublicStaff, PublicTask, PublicWishes


class Wished(msgspec.Struct, frozen=True, kw_only=True):
    """All of a customer's wishes, checked for their form; None: as usual.

    ``contacts`` None: as they are.  ``opted_out`` None: as it is.
    """

    customer_id: str
    language: str | None
    channels: tuple[str, ...] | None
    phases: tuple[str, ...] | None
    quiet: tuple[str, str] | None
    time_zone: str | None
    contacts: Mapping[str, str] | None
    opted_out: bool | None
    by: str

    def __repr__(self) -> str:
        """Addresses stay out of logs and tracebacks."""
        return f"Wished({self.customer_id!r})"


class Preview(msgspec.Struct, frozen=True):
    """A text as it would be sent.  ``bare``: a value was missing, and this is the short form."""

    language: str
    text: str
    characters: int
    segments: int
    encoding: str  # GSM 03.38, UCS-2
    bare: bool


class PeopleDesk(Protocol):
    """Wishes, tasks of the desk, staff, and texts before they are sent."""

    async def wishes(self, customer_id: str) -> PublicWishes | None:
        """How a customer wants to be told; None for one nobody knows."""

    async def consents(self, customer_id: str) -> Sequence[PublicConsent]:
        """What proves their opt-outs and opt-ins, oldest first."""

    async def wish(self, wished: Wished) -> None:
        """Keep how a customer wants to be told.

        Raises:
            Refused: A channel, phase or zone that there is none of.
        """

    async def tasks(self, *, open_only: bool) -> Sequence[PublicTask]:
        """Whom the desk is to call, the most urgent first."""

    async def task(self, number: int) -> PublicTask | None:
        """One of them."""

    async def number_of(self, customer_id: str) -> str:
        """A customer's number, for whoever is to call it."""

    async def close_task(self, number: int, outcome: str, note: str, by: str) -> bool:
        """Close a task; false where there is none that is open."""

    async def staff(self) -> Sequence[PublicStaff]:
        """Who is told of which district, by id."""

    async def keep_staff(self, staff_id: str, duty: str, district: str, language: str, *,
                         name: str, phone: str) -> None:  # fmt: skip
        """Somebody of staff, new or changed.

        Raises:
            Refused: The number is none.
        """

    async def remove_staff(self, staff_id: str) -> bool:
        """Somebody is told no more; false where nobody has that id."""

    async def preview(
        self, phase: str, outage_id: str | None, customer_id: str | None
    ) -> Sequence[Preview] | None:
        """A phase's text in each language, of an outage and to a customer; None where there is no
        such outage.

        Raises:
            Refused: There is no such phase.
        """
