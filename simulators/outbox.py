"""What devices have said and nobody has committed yet: kept, numbered, sent, sent again, forgotten.

Each device and concentrator keeps its facts until the application-level acknowledgement.  Boot and
seq are given to a fact when it first leaves, so that a heartbeat which a newer one has overtaken
before it could leave makes no gap.  Pure: the caller writes ``changes`` to disk before it sends
what ``take`` gave it.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count

import msgspec

from grid.reading import Kind, Reading
from simulators.fact import Fact

Sender = tuple[str, str]  # class and id of the topic


class OutboxSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The devices' patience and the limits of their stores, all of them together."""

    window_facts_max: int = 4000  # sent and not acknowledged; above: the rest waits
    facts_max: int = 400_000  # kept; above: new heartbeats are dropped and counted
    array_facts_max: int = 200  # of a concentrator in one message
    resend_s: float = 5.0  # without an acknowledgement; doubled each time
    resend_s_max: float = 60.0


@dataclass(slots=True, eq=False)
class Entry:
    """A fact in its device's store.  ``reading`` has boot and seq once it has left."""

    no: int
    sender: Sender
    reading: Reading
    expires_ms: int
    tries: int = 0
    waiting: bool = True  # to be sent; else for an acknowledgement
    next_ms: int = 0  # until when
    on_disk: bool = False
    gone: bool = False

    @property
    def routine(self) -> bool:
        """A heartbeat, that the next one overtakes."""
        return self.reading.kind is Kind.HEARTBEAT


@dataclass(frozen=True, slots=True)
class Message:
    """One message: of a concentrator an array, else one reading."""

    sender: Sender
    readings: tuple[Reading, ...]


@dataclass(slots=True)
class Changes:
    """What the disk does not know yet."""

    added: list[Entry] = field(default_factory=list)
    numbered: list[Entry] = field(default_factory=list)
    gone: list[Entry] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.added or self.numbered or self.gone)


class Outbox:
    """The stores of all devices, and what is to be sent next."""

    def __init__(self, boot: str, settings: OutboxSettings, kept: Iterable[Entry] = ()) -> None:
        self._boot = boot
        self._settings = settings
        self._nos = count(1)
        self._seqs: dict[Sender, int] = {}
        self._entries: dict[int, Entry] = {}
        self._sent: dict[tuple[Sender, str], dict[int, Entry]] = {}
        self._unsent_beats: dict[str, Entry] = {}
        self._urgent: list[tuple[int, int, Entry]] = []
        self._routine: list[tuple[int, int, Entry]] = []
        self._flights: list[tuple[int, int, Entry]] = []  # until when they may be acknowledged
        self._again: list[tuple[int, int, Entry]] = []
        self._flying = 0
        self._ties = count()
        self._changes = Changes()
        self.dropped = 0  # heartbeats that found no room
        for entry in kept:
            self._keep(entry)

    def __len__(self) -> int:
        """Facts kept."""
        return len(self._entries)

    def _keep(self, entry: Entry) -> None:
        """Take over a fact from the disk."""
        self._nos = count(max(entry.no + 1, next(self._nos)))
        self._entries[entry.no] = entry
        if entry.reading.boot is not None:
            self._mine(entry)[entry.reading.seq] = entry
        elif entry.routine:
            self._unsent_beats[entry.reading.device_id] = entry
        self._line_up(entry, 0)

    def add(self, facts: Iterable[Fact]) -> None:
        """Facts that are due now."""
        for fact in facts:
            if fact.routine and not self._room_for_beat(fact):
                continue
            reading = fact.reading
            entry = Entry(next(self._nos), (fact.cls, fact.id), reading, fact.expires_ms)
            self._entries[entry.no] = entry
            self._changes.added.append(entry)
            if entry.routine:
                self._unsent_beats[reading.device_id] = entry
            self._line_up(entry, fact.due_ms)
            if fact.again_ms:
                heapq.heappush(self._again, (fact.again_ms, next(self._ties), entry))

    def _room_for_beat(self, fact: Fact) -> bool:
        """Make room for a heartbeat by forgetting the one before it, if that has not left yet."""
        older = self._unsent_beats.pop(fact.reading.device_id, None)
        if older is not None:
            self._forget(older)
        if len(self._entries) < self._settings.facts_max:
            return True
        self.dropped += 1
        return False

    def acked(self, sender: Sender, boot: str, seq: int) -> int:
        """Forget what is committed: one fact, or of a concentrator all up to ``seq``."""
        mine = self._sent.get((sender, boot))
        if mine is None:
            return 0
        if sender[0] != "dcu":
            done = [mine[seq]] if seq in mine else []
        else:
            done = [entry for number, entry in mine.items() if number <= seq]
        for entry in done:
            self._forget(entry)
        return len(done)

    def lost_connection(self) -> None:
        """Nothing that is under way will be acknowledged: all of it is to be sent again."""
        for entry in self._entries.values():
            if not entry.waiting:
                self._line_up(entry, 0)
        self._again.clear()

    def take(self, now_ms: int) -> list[Message]:
        """What is to be sent now, numbered; facts of devices that have died are forgotten."""
        self._land(now_ms)
        ready = self._ready(self._urgent, now_ms) + self._ready(self._routine, now_ms)
        for entry in ready:
            self._number(entry)
        repeats: list[Entry] = []
        while self._again and self._again[0][0] <= now_ms:
            entry = heapq.heappop(self._again)[2]
            if entry.reading.boot is not None:  # also one that is committed by now
                repeats.append(entry)
        return self._messages(ready) + self._messages(repeats)

    def changes(self) -> Changes:
        """What has changed since this was last asked; to be on disk before anything is sent."""
        said, self._changes = self._changes, Changes()
        changes = Changes(
            added=[e for e in said.added if not e.gone],
            numbered=[e for e in said.numbered if e.on_disk and not e.gone],
            gone=[e for e in said.gone if e.on_disk],
        )
        for entry in changes.added:
            entry.on_disk = True
        return changes

    def _land(self, now_ms: int) -> None:
        """What was not acknowledged in its time waits to be sent again."""
        while self._flights and self._flights[0][0] <= now_ms:
            when_ms, _, entry = heapq.heappop(self._flights)
            if not entry.gone and not entry.waiting and entry.next_ms == when_ms:
                self._line_up(entry, when_ms)

    def _ready(self, heap: list[tuple[int, int, Entry]], now_ms: int) -> list[Entry]:
        """What may be sent of a heap; it counts as under way from here on."""
        ready: list[Entry] = []
        while heap and heap[0][0] <= now_ms and self._flying < self._settings.window_facts_max:
            when_ms, _, entry = heapq.heappop(heap)
            if entry.gone or not entry.waiting or entry.next_ms != when_ms:
                continue
            if entry.expires_ms <= now_ms:
                self._forget(entry)
                continue
            self._fly(entry, now_ms)
            ready.append(entry)
        return ready

    def _fly(self, entry: Entry, now_ms: int) -> None:
        settings = self._settings
        backoff_s = min(settings.resend_s * 2**entry.tries, settings.resend_s_max)
        # each at its own time: a fifth of the pause is spread by the entry's number
        spread = 0.9 + 0.2 * (entry.no * 2654435761 % 1024) / 1024
        entry.tries += 1
        entry.waiting = False
        entry.next_ms = now_ms + round(1000 * backoff_s * spread)
        self._flying += 1
        heapq.heappush(self._flights, (entry.next_ms, next(self._ties), entry))

    def _number(self, entry: Entry) -> None:
        """Give a fact that leaves for the first time its boot and seq."""
        if entry.reading.boot is not None:
            return
        if entry.routine and self._unsent_beats.get(entry.reading.device_id) is entry:
            del self._unsent_beats[entry.reading.device_id]
        seq = self._seqs[entry.sender] = self._seqs.get(entry.sender, 0) + 1
        entry.reading = msgspec.structs.replace(entry.reading, boot=self._boot, seq=seq)
        self._mine(entry)[seq] = entry
        self._changes.numbered.append(entry)

    def _messages(self, entries: list[Entry]) -> list[Message]:
        """Messages for facts: each its own, but those of a concentrator together."""
        messages: list[Message] = []
        arrays: dict[Sender, list[Reading]] = {}
        for entry in entries:
            if entry.sender[0] == "dcu":
                arrays.setdefault(entry.sender, []).append(entry.reading)
            else:
                messages.append(Message(entry.sender, (entry.reading,)))
        size = self._settings.array_facts_max
        for sender, readings in arrays.items():
            readings.sort(key=lambda r: (r.boot or "", r.seq))
            messages += [
                Message(sender, tuple(readings[i : i + size]))
                for i in range(0, len(readings), size)
            ]
        return messages

    def _mine(self, entry: Entry) -> dict[int, Entry]:
        """What one sender has sent in one boot and keeps, by ascending seq."""
        return self._sent.setdefault((entry.sender, entry.reading.boot or ""), {})

    def _line_up(self, entry: Entry, when_ms: int) -> None:
        """Let a fact wait for its turn."""
        if not entry.waiting:
            self._flying -= 1
            entry.waiting = True
        entry.next_ms = when_ms
        heap = self._routine if entry.routine else self._urgent
        heapq.heappush(heap, (when_ms, next(self._ties), entry))

    def _forget(self, entry: Entry) -> None:
        """Delete a fact: it is committed, overtaken, or its device is dead."""
        if self._entries.pop(entry.no, None) is None:
            return
        entry.gone = True
        self._changes.gone.append(entry)
        if not entry.waiting:
            self._flying -= 1
        if entry.reading.boot is not None:
            key = (entry.sender, entry.reading.boot)
            mine = self._sent[key]
            del mine[entry.reading.seq]
            if not mine:
                del self._sent[key]
