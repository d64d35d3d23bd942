"""The network as the utility records it: nodes, branches, customers, before it is made a tree.

The columns are those of the CSV folder (docs/protocols.md).  ``grid/build.py`` makes a ``Network``
of it.
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

ISOLATING = frozenset({"breaker", "switch", "recloser", "fuse"})
NODE_KINDS = frozenset({"substation", "bus", "transformer", "meter"})
BRANCH_KINDS = ISOLATING | {"line", "service"}
PRIORITIES = frozenset({"key", "vulnerable", "normal"})


class Node(msgspec.Struct, frozen=True):
    """A row of nodes.csv.  ``x`` and ``y`` are map coordinates, None where unknown."""

    id: str
    kind: str
    x: float | None = None
    y: float | None = None
    district: str = ""


class Branch(msgspec.Struct, frozen=True):
    """A row of branches.csv.  ``phases`` is text like ``ABC``; ``telemetered`` has a position we
    hear.
    """

    id: str
    from_id: str
    to_id: str
    kind: str
    normally_open: bool = False
    phases: str = "ABC"
    telemetered: bool = False


class Customer(msgspec.Struct, frozen=True):
    """A row of customers.csv.  ``phone`` is as the utility writes it, blank where unknown;
    ``address`` as a text to the customer says it: 12 Willow Lane.
    """

    customer_id: str
    meter_id: str
    name: str = ""
    phone: str = ""
    language: str = "zh"
    priority: str = "normal"
    address: str = ""

    def __repr__(self) -> str:
        """Names, phones and addresses stay out of logs and tracebacks."""
        return f"Customer({self.customer_id!r}, meter {self.meter_id!r})"


class BreakerAddress(msgspec.Struct, frozen=True):
    """A row of breakers.csv: where the Modbus TCP unit of a branch answers, and its device
    family.
    """

    branch_id: str
    host: str
    port: int
    unit: int
    family: str


class Graph(msgspec.Struct, frozen=True):
    """Everything a source says of a network.  ``where`` names the file and line of an id, for
    messages.
    """

    nodes: tuple[Node, ...]
    branches: tuple[Branch, ...]
    customers: tuple[Customer, ...] = ()
    comms: Mapping[str, str] = {}  # meter id -> concentrator id
    breakers: tuple[BreakerAddress, ...] = ()
    where: Mapping[str, str] = {}  # id -> "nodes.csv:12"


class Severity(StrEnum):
    """An error refuses the network whole; a notice is told and lived with."""

    ERROR = "error"
    NOTICE = "notice"


class Problem(msgspec.Struct, frozen=True):
    """A finding about a network: where it is, what is wrong, and what mends it."""

    severity: Severity
    where: str  # "branches.csv:17", or the id where the source has no lines
    message: str
    fix: str
