"""What devices have said and nobody has committed yet: kept, numbered, sent, sent again, forgotten.

Each device and concentrator keeps its facts until the application-level acknowledgement.  Boot and
seq are given to a fact when it first leaves, so that a heartbeat which a newer one has overtaken
before it could leave makes no gap.  A sender speaks in order, and repeats itself oldest first: one
acknowledgement of a concentrator covers everything below it.

Pure: the caller writes ``changes`` to disk before it sends what ``take`` gave it.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count, groupby

import msgspec

from grid.reading import Kind, Reading
from simulators.fact import Fact

Sender = tuple[str, str]  # class and id of the topic


class OutboxSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The devices' patience and the limits of their stores, all of them together."""

    window_facts_max: int = 20_000  # sent and not acknowledged; above: other senders wait
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


@dataclass(slots=True, eq=False)
class _Lane:
    """One sender's store, oldest first."""

    sender: Sender
    sent: dict[tuple[str, int], Entry] = field(default_factory=dict)
    unsent: list[Entry] = field(default_factory=list)
    flying: int = 0  # sent and within their time; those that are not wait with ``overdue``
    overdue: bool = False
    queued: bool = False
    progress: bool = False  # something was acknowledged since the deadline was set
    tries: int = 0
    deadline_ms: int = 0


class Outbox:
    """The stores of all devices, and what is to be sent next."""

    def __init__(self, boot: str, settings: OutboxSettings, kept: Iterable[Entry] = ()) -> None:
        self._boot = boot
        self._settings = settings
        self._next_no = 1
        self._count = 0
        self._seqs: dict[Sender, int] = {}
        self._lanes: dict[Sender, _Lane] = {}
        self._unsent_beats: dict[str, Entry] = {}
        self._ties = count()
        self._urgent: list[tuple[int, _Lane]] = []
        self._routine: list[tuple[int, _Lane]] = []
        self._deadlines: list[tuple[int, int, _Lane]] = []
        self._again: list[tuple[int, int, Entry]] = []
        self._flying = 0
        self._changes = Changes()
        self.dropped = 0  # heartbeats that found no room
        for entry in kept:
            self._take_over(entry)

    def __len__(self) -> int:
        """Facts kept."""
        return self._count

    def add(self, facts: Iterable[Fact]) -> None:
        """Facts that are due now."""
        for fact in facts:
            if fact.routine and not self._room_for_beat(fact):
                continue
            entry = Entry(self._next_no, (fact.cls, fact.id), fact.reading, fact.expires_ms)
            self._changes.added.append(entry)
            self._put_unsent(entry)
            if fact.again_ms:
                heapq.heappush(self._again, (fact.again_ms, next(self._ties), entry))

    def acked(self, sender: Sender, boot: str, seq: int) -> int:
        """Forget what is committed: one fact, or of a concentrator all up to ``seq``."""
        lane = self._lanes.get(sender)
        if lane is None:
            return 0
        if sender[0] != "dcu":
            done = [lane.sent[boot, seq]] if (boot, seq) in lane.sent else []
        else:
            done = [e for (b, number), e in lane.sent.items() if b == boot and number <= seq]
        for entry in done:
            self._forget(entry)
        if done:
            lane.tries, lane.progress = 0, True
        return len(done)

    def lost_connection(self) -> None:
        """Nothing that is under way will be acknowledged: all of it is to be sent again."""
        for lane in self._lanes.values():
            self._repeat(lane)
        self._again.clear()

    def take(self, now_ms: int) -> list[Message]:
        """What is to be sent now, numbered; facts of devices that have died are forgotten."""
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            when_ms, _, lane = heapq.heappop(self._deadlines)
            if lane.deadline_ms != when_ms:
                continue
            if lane.progress and lane.flying:
                self._set_deadline(lane, now_ms)
            else:
                self._repeat(lane)
        repeats = list(self._repeats(now_ms))
        messages: list[Message] = []
        for heap in (self._urgent, self._routine):
            while heap and self._flying < self._settings.window_facts_max:
                lane = heapq.heappop(heap)[1]
                if lane.queued:
                    messages += self._send(lane, now_ms)
        return messages + repeats

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

    def _take_over(self, entry: Entry) -> None:
        """Keep a fact that the disk has from before."""
        if entry.reading.boot is None:
            self._next_no = entry.no
            self._put_unsent(entry)
            return
        self._next_no = entry.no + 1
        self._count += 1
        lane = self._lane(entry.sender)
        lane.sent[entry.reading.boot, entry.reading.seq] = entry
        lane.overdue = True
        self._queue(lane, urgent=not entry.routine)

    def _put_unsent(self, entry: Entry) -> None:
        self._next_no += 1
        self._count += 1
        lane = self._lane(entry.sender)
        lane.unsent.append(entry)
        if entry.routine:
            self._unsent_beats[entry.reading.device_id] = entry
        self._queue(lane, urgent=not entry.routine)

    def _room_for_beat(self, fact: Fact) -> bool:
        """Make room for a heartbeat by forgetting the one before it, if that has not left yet."""
        older = self._unsent_beats.pop(fact.reading.device_id, None)
        if older is not None:
            self._lanes[older.sender].unsent.remove(older)
            self._forget(older)
        if self._count < self._settings.facts_max:
            return True
        self.dropped += 1
        return False

    def _repeats(self, now_ms: int) -> Iterator[Message]:
        """What the way delivers twice.  Of a concentrator, it repeats all that it still has."""
        while self._again and self._again[0][0] <= now_ms:
            entry = heapq.heappop(self._again)[2]
            if entry.sender[0] == "dcu":
                self._repeat(self._lane(entry.sender))
            elif entry.reading.boot is not None:  # also one that is committed by now
                yield Message(entry.sender, (entry.reading,))

    def _repeat(self, lane: _Lane) -> None:
        """Let a sender say again whatever is not acknowledged."""
        if lane.sent and not lane.overdue:
            self._flying -= lane.flying
            lane.flying = 0
            lane.overdue = True
            self._queue(lane, urgent=any(not e.routine for e in lane.sent.values()))

    def _send(self, lane: _Lane, now_ms: int) -> list[Message]:
        """A sender's turn: what it repeats, and then what it has not said yet."""
        lane.queued = False
        for entry in [*lane.sent.values(), *lane.unsent]:
            if entry.expires_ms <= now_ms:
                self._forget(entry)
        fresh = [entry for entry in lane.unsent if not entry.gone]
        lane.unsent.clear()
        entries = [*lane.sent.values(), *fresh] if lane.overdue else fresh
        in_time = lane.flying > 0  # what flies already keeps its deadline
        lane.overdue = False
        if not entries:
            return []
        for entry in fresh:
            self._number(lane, entry)
        self._flying += len(entries)
        lane.flying += len(entries)
        if not in_time:
            self._set_deadline(lane, now_ms)
        return list(self._messages(lane.sender, entries))

    def _set_deadline(self, lane: _Lane, now_ms: int) -> None:
        backoff_s = min(self._settings.resend_s * 2**lane.tries, self._settings.resend_s_max)
        tie = next(self._ties)
        # each at its own time: a fifth of the pause is spread
        spread = 0.9 + 0.2 * (tie * 2654435761 % 1024) / 1024
        lane.tries += 1
        lane.progress = False
        lane.deadline_ms = now_ms + round(1000 * backoff_s * spread)
        heapq.heappush(self._deadlines, (lane.deadline_ms, tie, lane))

    def _number(self, lane: _Lane, entry: Entry) -> None:
        """Give a fact that leaves for the first time its boot and seq."""
        if self._unsent_beats.get(entry.reading.device_id) is entry:
            del self._unsent_beats[entry.reading.device_id]
        seq = self._seqs[lane.sender] = self._seqs.get(lane.sender, 0) + 1
        entry.reading = msgspec.structs.replace(entry.reading, boot=self._boot, seq=seq)
        lane.sent[self._boot, seq] = entry
        self._changes.numbered.append(entry)

    def _messages(self, sender: Sender, entries: list[Entry]) -> Iterator[Message]:
        """Each fact its own message, but those of a concentrator together, by boot."""
        if sender[0] != "dcu":
            for entry in entries:
                yield Message(sender, (entry.reading,))
            return
        size = self._settings.array_facts_max
        for _, same in groupby(entries, key=lambda e: e.reading.boot):
            readings = [entry.reading for entry in same]
            for first in range(0, len(readings), size):
                yield Message(sender, tuple(readings[first : first + size]))

    def _lane(self, sender: Sender) -> _Lane:
        lane = self._lanes.get(sender)
        if lane is None:
            lane = self._lanes[sender] = _Lane(sender)
        return lane

    def _queue(self, lane: _Lane, *, urgent: bool) -> None:
        """Let a sender wait for its turn; one with news also in the shorter queue."""
        if urgent or not lane.queued:
            heap = self._urgent if urgent else self._routine
            heapq.heappush(heap, (next(self._ties), lane))
        lane.queued = True

    def _forget(self, entry: Entry) -> None:
        """Delete a fact: it is committed, overtaken, or its device is dead."""
        if entry.gone:
            return
        entry.gone = True
        self._count -= 1
        self._changes.gone.append(entry)
        reading = entry.reading
        if reading.boot is not None:
            lane = self._lanes[entry.sender]
            del lane.sent[reading.boot, reading.seq]
            if not lane.overdue:
                lane.flying -= 1
                self._flying -= 1
