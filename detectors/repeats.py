"""Which readings were heard before.  A repeat has no effect and is not stored again.

A fact has up to two identities: (sender, boot, seq), where its sender counts, and (device, kind,
happened_at), by which the same fact over two paths is one.  Remembered per device: a window of 64
sequence numbers and the last two facts; per concentrator: a window of 4,096; and of both the window
of the boot before, for who starts anew with a full store says its old facts beside its new ones.
What is older than its window is taken for new: rather stored twice than lost.

Of times and numbers the last 32 bits are kept: enough to tell facts apart that are not three days
(2^28 ms) apart to the millisecond, and numbers that are not two billion apart.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.saying import ReadRows
from detectors.tree import places
from grid.frame import Rows
from grid.network import I64, U32, U64, Bools

WINDOW = 64
CONCENTRATOR_WINDOW = 4096
BOOTS_BEFORE_MAX = 4096  # devices of which the boot before is remembered, about 300 bytes each
NO_FACT = np.uint32(0xFFFF_FFF7)  # a tamper in one millisecond of three days
ONE = np.uint64(1)
KINDS = 16  # more than there are
WHOLE, HALF = 1 << 32, 1 << 31  # of what 32 bits tell apart

FACTS = np.dtype(
    [("boot", "u4"), ("high", "u4"), ("window", "u8"), ("fact", "u4"), ("fact_before", "u4")],
    align=True,
)
"""What is remembered of a node.  It lies together: see ``detectors/moments.py``."""

Numbers = tuple[int, int, int]
"""Of one boot of a sender: its digest, the highest number, and the window."""

Facts = Annotated[NDArray[np.void], FACTS]
OneFacts = Annotated[np.void, FACTS]


@dataclass(slots=True, eq=False)
class Memory:
    """One entry a node, 24 bytes each, and one a concentrator.  Columns are views of the facts."""

    facts: Facts
    boot: U32  # digest of the sender's boot id, 0 where unknown
    high: U32  # highest sequence number of that boot
    window: U64  # bit i: high - i was heard; 0 where nothing was
    fact: U32  # kind and time of the last fact
    fact_before: U32
    boots_before: dict[int, Numbers]  # by node, of those that have booted; the latest ones
    concentrators: dict[int, Numbers]  # by place among the group's concentrators
    concentrators_before: dict[int, Numbers]  # of those that have booted


def columns() -> tuple[str, ...]:
    """The names of the columns, in the order of the snapshot."""
    return ("boot", "high", "window", "fact", "fact_before")


def blank(nodes: int) -> Memory:
    """Nothing heard yet."""
    facts = np.zeros(nodes, FACTS)
    facts["fact"] = facts["fact_before"] = NO_FACT
    return Memory(
        facts,
        boot=facts["boot"],
        high=facts["high"],
        window=facts["window"],
        fact=facts["fact"],
        fact_before=facts["fact_before"],
        boots_before={},
        concentrators={},
        concentrators_before={},
    )


def take(memory: Memory, rows: Rows) -> Bools:
    """Remember rows, in their order, and say which of them are new."""
    new = np.ones(len(rows), np.bool_)
    rows = np.ascontiguousarray(rows)
    if fetch(memory.facts, rows)[0]:
        relayed = places((rows["dcu"] >= 0) & (rows["seq"] >= 0))
        some = rows.take(relayed)
        new[relayed] = _take_relayed(memory, some["dcu"], some["boot"], some["seq"])
    place = 0
    while (place := take_facts(memory.facts, rows, new, place)) < len(rows):
        _take_boot(memory, int(rows["node"][place]), int(rows["boot"][place]))
    return new


@compiled
def take_number(known: OneFacts, boot: int, seq: int) -> bool:
    """Remember a number of a device's own, of the boot that is known, and say whether it is new."""
    heard = known["window"]
    ahead = (seq - known["high"] + HALF) % WHOLE - HALF
    if heard == 0:
        known["boot"] = boot
        ahead = WINDOW
    if ahead > 0:
        known["window"] = heard << np.uint64(ahead) | ONE if ahead < WINDOW else ONE
        known["high"] = seq % WHOLE
        return True
    if ahead <= -WINDOW:
        return True
    bit = ONE << np.uint64(-ahead)
    known["window"] = heard | bit
    return bool(heard & bit == 0)


@compiled
def fetch(facts: Facts, rows: ReadRows) -> tuple[bool, int]:
    """Whether any row came through a concentrator that counts what it says; and something read of
    all that rows are about: see ``detectors/hearing.py``.
    """
    relayed, read = False, 0
    for row in rows:
        one = facts[row["node"]]
        read += int(one["boot"]) + int(one["fact_before"])
        relayed |= row["dcu"] >= 0 and row["seq"] >= 0
    return relayed, read


@compiled
def take_facts(facts: Facts, rows: ReadRows, new: Bools, first: int) -> int:
    """Remember rows from the first on.  What is no news is put down in ``new``, where what came
    twice through a concentrator is none already.  Returns where a device speaks of another boot
    than is known, and goes no further: see ``_take_boot``.
    """
    for place in range(first, len(rows)):
        row = rows[place]
        known = facts[row["node"]]
        counted = row["dcu"] < 0 and row["seq"] >= 0
        if counted and known["window"] != 0 and known["boot"] != row["boot"]:
            return place
        said = (row["happened_ms"] * KINDS + row["kind"]) % WHOLE
        if said == known["fact"] or said == known["fact_before"]:
            new[place] = False
        if counted and not take_number(known, row["boot"], row["seq"]):
            new[place] = False
        if new[place]:
            known["fact_before"] = known["fact"]
            known["fact"] = said
    return len(rows)


def _take_boot(memory: Memory, node: int, boot: int) -> None:
    """Let a device's known numbers be those of another boot."""
    known = int(memory.boot[node]), int(memory.high[node]), int(memory.window[node])
    other = _other_boot(memory.boots_before, node, known, boot) or (boot, 0, 0)
    if len(memory.boots_before) > BOOTS_BEFORE_MAX:
        del memory.boots_before[next(iter(memory.boots_before))]
    memory.boot[node], memory.high[node], memory.window[node] = other


def _other_boot(
    before: dict[int, Numbers], sender: int, known: Numbers, boot: int
) -> Numbers | None:
    """Put away what is known of a sender's boot for what was known of another, None if nothing."""
    other = before.pop(sender, None)
    before[sender] = known
    return other if other is not None and other[0] == boot else None


def _take_relayed(memory: Memory, dcus: I64, boots: I64, seqs: I64) -> Bools:
    fresh = np.zeros(len(dcus), np.bool_)
    limit = (1 << CONCENTRATOR_WINDOW) - 1
    for i, (dcu, boot, seq) in enumerate(
        zip(dcus.tolist(), boots.tolist(), seqs.tolist(), strict=True)
    ):
        known = memory.concentrators.get(dcu)
        if known is not None and known[0] != boot:
            known = _other_boot(memory.concentrators_before, dcu, known, boot)
        _, high, window = known or (boot, -1, 0)
        if seq > high:
            step = min(seq - high, CONCENTRATOR_WINDOW)
            window, high = ((window << step) | 1) & limit, seq
            fresh[i] = True
        elif high - seq >= CONCENTRATOR_WINDOW:
            fresh[i] = True
        elif not window >> (high - seq) & 1:
            window |= 1 << (high - seq)
            fresh[i] = True
        memory.concentrators[dcu] = (boot, high, window)
    return fresh
