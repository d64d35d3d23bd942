"""The network as the engine needs it: one radial tree of isolating devices, transformers and meters
a feeder group.

Nodes are numbered in preorder, so that the subtree of ``v`` is the slice ``v : v + size[v]`` of
every column, and a parent always comes before its children.  Node 0 is the substation itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from grid.graph import BreakerAddress

U8 = NDArray[np.uint8]
I16 = NDArray[np.int16]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]

PHASE_BITS: Mapping[str, int] = {"A": 1, "B": 2, "C": 4}
ALL_PHASES = 7


def phase_letters(bits: int) -> str:
    """``AC`` of the bits of A and C."""
    return "".join(letter for letter, bit in PHASE_BITS.items() if bits & bit)


class NodeKind(IntEnum):
    """What a node of the tree is."""

    SUBSTATION = 0
    BREAKER = 1
    SWITCH = 2
    RECLOSER = 3
    FUSE = 4
    TRANSFORMER = 5
    METER = 6

    @property
    def word(self) -> str:
        """The word of the CSV folder and the API, like ``transformer``."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """What one substation feeds: the unit of a partition, a snapshot and a replay.  N nodes, C
    customers.
    """

    no: int  # its place in Network.groups
    name: str  # id of the substation node
    slug: str  # the same, URL-safe and unique; outage ids begin with it
    ids: tuple[str, ...]  # device ids: branch ids, or node ids of transformers and meters
    kind: U8  # NodeKind
    parent: I32  # -1 at node 0
    size: I32  # nodes of the subtree, itself included
    depth: I16  # 0 at node 0
    phases: U8  # bits of PHASE_BITS
    telemetered: Bools
    feeder: I32  # the topmost device below the substation that feeds it; -1 at node 0
    district: tuple[str, ...]
    x: F64  # NaN where unknown
    y: F64
    dcu: I32  # index into ``dcus``, -1 for none
    dcus: tuple[str, ...]
    customer_ids: tuple[str, ...]  # in order of their meter's node
    # N + 1: customers of the subtree of v are customer_from[v] : customer_from[v + size[v]]
    customer_from: I32

    def kind_word(self, node: int) -> str:
        """The kind of a node in the API's words, like ``transformer``."""
        return NodeKind(int(self.kind[node])).word

    def below(self, node: int) -> slice:
        """The nodes of a subtree, itself included."""
        return slice(node, node + int(self.size[node]))

    def customers_below(self, node: int) -> tuple[str, ...]:
        """Ids of all customers in a subtree."""
        end = node + int(self.size[node])
        return self.customer_ids[int(self.customer_from[node]) : int(self.customer_from[end])]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device is: its group's number and its node there."""

    group: int
    node: int


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """The radial network as it stands now, all groups of it."""

    version: str  # digest of what it was built from
    groups: tuple[Group, ...]
    places: Mapping[str, Place]  # device id -> where; substations' ids too
    dcu_places: Mapping[
        str, Mapping[int, int]
    ]  # concentrator id -> group number -> index in its dcus
    customer_meters: Mapping[str, str]  # customer id -> meter id
    breakers: tuple[BreakerAddress, ...]

    @property
    def customer_count(self) -> int:
        """Customers served."""
        return sum(len(group.customer_ids) for group in self.groups)
