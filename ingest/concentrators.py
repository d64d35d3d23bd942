"""What a concentrator may forget: the highest number up to which everything is committed.

One acknowledgement ``{"boot", "seq"}`` covers all events of that boot up to ``seq``, so a number
may be acknowledged only when nothing below it is still on its way.  The rule (docs/protocols.md):

- the first array of a boot that we hear begins where it begins: what is below was acknowledged;
- numbers that an array leaves out between its own do not exist;
- a gap between arrays waits, until its numbers come, or until the concentrator repeats something
  from beyond the gap: it sends again oldest first, so then it has nothing older.  A repeat counts
  only on the connection on which we heard it before: after a new one the broker repeats, too.

Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field


class Concentrators:
    """Remembers what is committed beyond a gap, for the boots heard latest."""

    def __init__(self, concentrators_max: int, gap_arrays_max: int) -> None:
        self._concentrators_max = concentrators_max
        self._gap_arrays_max = gap_arrays_max
        self._stores: dict[tuple[str, str], _Store] = {}

    def __len__(self) -> int:
        return len(self._stores)

    def committed(self, dcu_id: str, boot: str, seqs: Sequence[int], connection: int) -> int:
        """Note an array's numbers as committed or quarantined; the number to acknowledge."""
        first, last = min(seqs), max(seqs)
        store = self._stores.pop((dcu_id, boot), None) or _Store(first - 1)
        self._stores[dcu_id, boot] = store  # now the one heard last
        if len(self._stores) > self._concentrators_max:
            del self._stores[next(iter(self._stores))]
        if first <= store.acked + 1 or _repeats(store, first, last, connection):
            store.acked = max(store.acked, last)
        elif len(store.beyond) < self._gap_arrays_max:
            store.beyond.append(_Stretch(first, last, connection))
        _close_gaps(store)
        return store.acked


@dataclass(slots=True)
class _Stretch:
    first: int
    last: int
    connection: int  # on which it was heard last


@dataclass(slots=True)
class _Store:
    """What we know of a concentrator's store: all up to ``acked``, and stretches beyond."""

    acked: int
    beyond: list[_Stretch] = field(default_factory=list)


def _repeats(store: _Store, first: int, last: int, connection: int) -> bool:
    """Whether the concentrator itself says again what lies beyond a gap."""
    again = [one for one in store.beyond if one.first <= last and first <= one.last]
    itself = any(one.connection == connection for one in again)
    for one in again:
        one.connection = connection
    return itself


def _close_gaps(store: _Store) -> None:
    """Move ``acked`` over all that touches it."""
    store.beyond.sort(key=lambda one: one.first)
    while store.beyond and store.beyond[0].first <= store.acked + 1:
        store.acked = max(store.acked, store.beyond.pop(0).last)
