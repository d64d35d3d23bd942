"""What was heard of devices that go over to another substation's feeder, from one engine to the
next.

It travels in the recorded stream of the group that they come to (``NetworkChanged``), so that a
replay of that group alone has it, too.
"""

from collections.abc import Mapping

import msgspec
import numpy as np

from detectors import hearing as hearing_columns
from detectors import repeats
from detectors.hearing import Hearing
from detectors.repeats import Memory
from detectors.watched import Watched, take_over
from grid.network import I64, Group, Network


class Heard(msgspec.Struct, frozen=True, array_like=True):
    """Columns of some devices, and what was watched of them by their place in ``ids``."""

    ids: tuple[str, ...]
    columns: dict[str, bytes]
    watched: Watched = msgspec.field(default_factory=Watched)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[Heard, ...]).decode


def leaving(old: Group, network: Network) -> Mapping[int, I64]:
    """The nodes of a group that are of another group in a new network, by that group."""
    gone: dict[int, list[int]] = {}
    for node, name in enumerate(old.ids):
        place = network.places.get(name)
        if place is not None and place.group != old.no:
            gone.setdefault(place.group, []).append(node)
    return {group: np.array(nodes, np.int64) for group, nodes in gone.items()}


def packed(known: tuple[Hearing, Memory, Watched], group: Group, nodes: I64) -> Heard:
    """What was heard of some nodes."""
    hearing, memory, watched = known
    to = np.full(len(group.ids), -1, np.int64)
    to[nodes] = np.arange(len(nodes))
    parts = ((hearing, hearing_columns.columns()), (memory, repeats.columns()))
    columns = {
        name: getattr(part, name)[nodes].tobytes() for part, names in parts for name in names
    }
    ids = tuple(group.ids[node] for node in nodes.tolist())
    return Heard(ids, columns, watched.moved(to))


def to_bytes(parts: tuple[Heard, ...]) -> bytes:
    """All that comes to a group."""
    return _encode(parts) if parts else b""


def arrive(known: tuple[Hearing, Memory, Watched], group: Group, came: bytes) -> None:
    """Take over what was heard of devices that come from other groups."""
    if not came:
        return
    hearing, memory, watched = known
    place = {name: node for node, name in enumerate(group.ids)}
    for part in _decode(came):
        to = np.array([place.get(name, -1) for name in part.ids], np.int64)
        which = np.flatnonzero(to >= 0)
        for name, body in part.columns.items():
            column = getattr(hearing if hasattr(hearing, name) else memory, name)
            if isinstance(column, np.ndarray):
                # some columns were wider once, and what is recorded stays as it was
                wide = len(body) > len(to) * column.itemsize
                heard = np.frombuffer(body, np.int64 if wide else column.dtype)
                column[to[which]] = heard[which].astype(column.dtype)
            else:
                column[to[which]] = np.frombuffer(body, column.dtype)[which]
        take_over(watched, part.watched.moved(to))
