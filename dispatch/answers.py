"""The objects the API answers with, beside those of grid/public.py.  Every key is always there."""

import msgspec

from dispatch.desk import Component
from grid.public import PublicFinding, PublicOutage, PublicPlan


class Outages(msgspec.Struct, frozen=True):
    """Outages, newest first."""

    outages: tuple[PublicOutage, ...]


class Findings(msgspec.Struct, frozen=True):
    """What was noticed and is no outage, newest first."""

    findings: tuple[PublicFinding, ...]


class Planned(msgspec.Struct, frozen=True):
    """Plans, by their begin."""

    planned: tuple[PublicPlan, ...]


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    alive: bool


class Readiness(msgspec.Struct, frozen=True):
    """Whether a message published now will be acted on, and each part by name."""

    ready: bool
    components: dict[str, Component]


class Problem(msgspec.Struct, frozen=True):
    """What is wrong, in a sentence."""

    error: str
