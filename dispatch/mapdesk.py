"""What the pages ask beside outages: the network to draw, who is dark in it, how old all is.

``service/maps.py`` answers.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from grid.public import CustomerStatus, PublicEtr, PublicPlan


class Power(msgspec.Struct, frozen=True):
    """Who is dark, by the numbers of the nodes in the drawing of the same ``version``.

    ``silent``: meters without data, none of them in ``dark``: nobody knows whether they have power.
    """

    version: str
    at: str
    dark: Mapping[str, Sequence[int]]  # outage id -> meters' nodes
    silent: Sequence[int]
    customers: int
    calls: Mapping[str, int]  # outage id -> trouble calls of its customers
    told: Mapping[str, int]  # outage id -> customers who were texted of it


class Source(msgspec.Struct, frozen=True):
    """Something that we hear or depend on; ``age_s`` since its last word, null for no word yet."""

    name: str
    ready: bool
    age_s: float | None
    reason: str | None


class PremisesCall(msgspec.Struct, frozen=True):
    """A customer's own call."""

    at: str
    kind: str


class Premises(msgspec.Struct, frozen=True):
    """Everything that a customer's page tells of their own premises.

    ``etr_before``: what was expected before the estimate of ``status``.  ``heard_at``: when their
    meter last said anything.  ``plan``: the work under way or next, or one called off today.
    """

    status: CustomerStatus
    etr_before: PublicEtr | None
    heard_at: str | None
    silent: bool
    plan: PublicPlan | None
    calls: tuple[PremisesCall, ...]


class Spot(msgspec.Struct, frozen=True):
    """Where a device stands, degrees as the network has them; null where nobody knows."""

    device_id: str
    latitude: float | None
    longitude: float | None


class MapDesk(Protocol):
    """The network and what is known of it."""

    def drawing(self, district: str | None) -> bytes:
        """The drawing of the network, or of a district's part, as JSON under gzip."""

    async def power(self, district: str | None) -> Power:
        """Who is dark and who is silent now."""

    async def sources(self) -> Sequence[Source]:
        """What we hear and depend on, and how old its last word is."""

    def spot(self, device_id: str) -> Spot:
        """Where a device stands."""

    async def premises(self, customer_id: str) -> Premises | None:
        """What a customer's page tells; None where there is no such customer."""
