"""Positions of breakers, switches and reclosers that are telemetered: trip, reclose, lockout,
unknown.

A position is a fact with its own time; only a newer fact replaces it.  Unknown is not closed: a
device never heard, that does not answer, or whose word is stale rules nothing out.
"""

from enum import StrEnum

import msgspec

from detectors.settings import EngineSettings
from grid.frame import Rows, SwitchThrown
from grid.network import Group, NodeKind
from grid.reading import Kind, Quality


class Position(msgspec.Struct, frozen=True):
    """The last known position of one device."""

    closed: bool | None  # None: unknown
    since_ms: int  # device clock: when it took this position, as far as known
    happened_ms: int  # device clock of the last fact
    heard_ms: int  # stream time of the last fact
    commanded: bool = False  # opened by command, not by protection
    locked_out: bool = False
    by: str | None = None  # the person whose word it is; None: its own
    contrary: bool = False  # it answers, and its two contacts disagree


class Moved(StrEnum):
    """What a fact changed."""

    NOTHING = "nothing"
    OPENED = "opened"
    CLOSED = "closed"
    UNKNOWN = "unknown"
    LOCKED_OUT = "locked_out"


class Switching(msgspec.Struct, frozen=True):
    """A change of position of a node."""

    node: int
    moved: Moved
    position: Position


def read_position(rows: Rows, i: int, before: Position | None) -> Switching | None:
    """What row ``i`` changes about its device's position; None where it is older than what is
    known.
    """
    row = rows[i]
    kind, happened = Kind(int(row["kind"])), int(row["happened_ms"])
    heard = int(row["stream_ms"])
    if before is not None and happened < before.happened_ms and kind is not Kind.NO_ANSWER:
        return None
    closed = _closed(kind, int(row["on"]), int(row["quality"]))
    node = int(row["node"])
    if kind is Kind.NO_ANSWER:
        contrary = bool(int(row["quality"]) & Quality.INVALID)
        since = happened if before is None else before.since_ms
        known = before.closed is not None if before is not None else contrary
        moved = Moved.UNKNOWN if known else Moved.NOTHING
        last = happened if before is None else max(happened, before.happened_ms)
        return Switching(node, moved, Position(None, since, last, heard, contrary=contrary))
    if closed is None:
        return None
    same = before is not None and before.closed == closed
    since = before.since_ms if same and before is not None else happened
    commanded = _commanded(kind, int(row["commanded"]), before if same else None)
    locked = kind is Kind.LOCKOUT or (same and before is not None and before.locked_out)
    position = Position(closed, since, happened, heard, commanded, locked)
    if not same:
        moved = Moved.CLOSED if closed else Moved.OPENED
    else:
        newly = kind is Kind.LOCKOUT and before is not None and not before.locked_out
        moved = Moved.LOCKED_OUT if newly else Moved.NOTHING
    return Switching(node, moved, position)


def by_hand(
    group: Group,
    node: int,
    thrown: SwitchThrown,
    before: Position | None,
    limits: EngineSettings,
) -> Switching | str:
    """What a person's word changes about a device; else why it is not believed."""
    name = group.ids[node]
    if not NodeKind.BREAKER <= group.kind[node] <= NodeKind.FUSE:
        return f"{name} is a {group.kind_word(node)}, and nothing that one opens or closes"
    if before is not None and before.closed is not None and before.by is None:
        fresh = thrown.at_ms - before.heard_ms <= limits.telemetry_stale_s * 1000
        if fresh:
            word = "closed" if before.closed else "open"
            return f"{name} is heard itself, and says that it is {word}"
    if before is not None and thrown.when_ms < before.since_ms:
        return f"{name} has changed its position since then"
    word = "closed" if thrown.closed else "open"
    if thrown.closed and (before is None or before.closed is not False):
        return f"{name} is {word} already, as far as is known"
    if before is not None and before.closed is False and not thrown.closed:
        return f"{name} is {word} already"
    position = Position(
        thrown.closed, thrown.when_ms, thrown.when_ms, thrown.at_ms, not thrown.closed, False,
        thrown.by,
    )  # fmt: skip
    return Switching(node, Moved.CLOSED if thrown.closed else Moved.OPENED, position)


def _closed(kind: Kind, on: int, quality: int) -> bool | None:
    """The position a fact tells; None where it tells none, or says itself that it is not valid."""
    if quality & Quality.INVALID:
        return None
    if kind in (Kind.TRIP, Kind.OPEN, Kind.LOCKOUT):
        return False
    if kind is Kind.CLOSE:
        return True
    return None if on < 0 else on == 1


def _commanded(kind: Kind, said: int, before: Position | None) -> bool:
    if said >= 0:
        return said == 1
    if kind is Kind.OPEN:
        return True
    return before is not None and before.commanded
