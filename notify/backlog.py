"""What waits for one slow client: bounded, and thinned before it is given up.  Pure.

While there is room every message waits in order.  When it is full, messages that a later one of
the same key supersedes are left out: the last state of everything still arrives.  When that is not
enough either, the client is too slow and has to resume.
"""

from collections import OrderedDict

from notify.messages import Item


class Backlog:
    """A queue of at most ``messages_max`` messages and ``bytes_max`` bytes."""

    __slots__ = (
        "_before",
        "_bytes",
        "_bytes_max",
        "_items",
        "_latest",
        "_messages_max",
        "_next",
        "_superseded",
        "coalesced",
    )  # fmt: skip

    def __init__(self, messages_max: int, bytes_max: int) -> None:
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._items: OrderedDict[int, Item] = OrderedDict()  # by number of arrival
        self._latest: dict[tuple[str, str], int] = {}  # channel and key -> number
        self._superseded: set[int] = set()
        self._before: dict[
            str, int
        ] = {}  # channel -> offset the client has, left-out ones included
        self._next = 0
        self._bytes = 0
        self.coalesced = 0  # messages left out so far

    def __len__(self) -> int:
        return len(self._items)

    @property
    def size(self) -> int:
        """Bytes waiting."""
        return self._bytes

    def push(self, item: Item) -> bool:
        """Let a message wait.  False: it does not fit even after thinning; give the client up."""
        name = (item.channel, item.key)
        older = self._latest.get(name)
        if older is not None:
            self._superseded.add(older)
        self._before.setdefault(item.channel, item.offset - 1)
        self._latest[name] = self._next
        self._items[self._next] = item
        self._next += 1
        self._bytes += len(item.text)
        if self._full:
            self._thin()
        return not self._full

    def pop(self) -> bytes | None:
        """The next message's JSON, saying what was left out before it; None when nothing waits."""
        if not self._items:
            return None
        number, item = self._items.popitem(last=False)
        self._bytes -= len(item.text)
        self._superseded.discard(number)
        if self._latest.get((item.channel, item.key)) == number:
            del self._latest[(item.channel, item.key)]
        skipped = item.offset - self._before[item.channel] - 1
        self._before[item.channel] = item.offset
        return item.text_after(skipped)

    def drop(self, channel: str) -> None:
        """Forget what waits of a channel that the client no longer wants."""
        for number in [n for n, item in self._items.items() if item.channel == channel]:
            self._remove(number)
        for name in [name for name in self._latest if name[0] == channel]:
            del self._latest[name]
        self._before.pop(channel, None)

    @property
    def _full(self) -> bool:
        return len(self._items) > self._messages_max or self._bytes > self._bytes_max

    def _thin(self) -> None:
        self.coalesced += len(self._superseded)
        for number in tuple(self._superseded):
            self._remove(number)

    def _remove(self, number: int) -> None:
        self._bytes -= len(self._items.pop(number).text)
        self._superseded.discard(number)
