"""Who was there until when, as a partition's records tell: the cluster's hearing of its own ears.

Every gateway and desk says at least every ``beat_s``, in every partition, that it is there.  Stream
time is what the senders' clocks say in their records, so while nothing arrives no time passes: a
bus that pauses and a worker that was away look like nothing at all.  Time that goes on without a
sender is time in which we did not hear what it hears: the sender is lost from its last word on,
``Deaf`` when it speaks again, and given up when it stays away.

Pure: a function of the records in their order, so that every worker says the same.
"""

from collections.abc import Iterable, Iterator

import msgspec

from grid.frame import NOT_YET, CaughtUp, Command, Deaf, SourceLost
from stream.settings import BusSettings

NEVER_MS = -(1 << 60)
COMING_BACK = 12  # times ``lost_s``: so long a backlog may take
BUS = "bus/"  # the source that a sender's own absence is told under


class Marks(msgspec.Struct, array_like=True):
    """What is remembered of a partition's senders, in ms; kept beside its offset."""

    stream_ms: int = 0
    behind: dict[str, int] = {}  # sources whose backlog is coming in
    until: dict[str, int] = {}  # sender -> its clock in its last record
    lost: dict[str, int] = {}  # sender -> its clock when it was last there
    back: dict[str, int] = {}  # sender -> what its clock has to reach to have caught up
    away: dict[str, str] = {}  # source that a sender said is lost -> that sender


class Watermarks:
    """The senders of one partition."""

    def __init__(self, marks: Marks, settings: BusSettings) -> None:
        self.marks = marks
        self._lost_ms = int(settings.lost_s * 1000)
        self._gone_ms = int(settings.gone_s * 1000)
        self._there_ms = 0  # the sender of the record in hand, before it

    def noticed(self, sender: str, sent_ms: int, stream_ms: int) -> Iterator[Command]:
        """A record came that brings stream time to ``stream_ms``: what the engines must know
        before time passes, for it was not listened to.
        """
        marks = self.marks
        before = marks.until.get(sender)
        self._there_ms = stream_ms if before is None else min(before, stream_ms)
        marks.until[sender] = max(sent_ms, before or 0)
        since = marks.lost.pop(sender, None)
        if since is not None:
            marks.back[sender] = max(stream_ms, sent_ms)
            yield Deaf(NOT_YET, BUS + sender, since, stream_ms)
        elif before is not None and sent_ms - before > self._lost_ms:
            marks.back[sender] = sent_ms + self._lost_ms  # it stood still: what waited comes now
            yield Deaf(NOT_YET, BUS + sender, before, sent_ms)
        yield from self._absent(stream_ms)

    def heard(self, sender: str, sent_ms: int, commands: Iterable[Command]) -> Iterator[Command]:
        """What is in the record, once time has passed: it comes before its rows, in order."""
        for command in commands:
            yield self._completed(command, sender)
        if sent_ms >= self.marks.back.get(sender, sent_ms + 1):
            del self.marks.back[sender]
            yield CaughtUp(NOT_YET, BUS + sender)

    def _absent(self, stream_ms: int) -> Iterator[Command]:
        marks = self.marks
        for sender, until in tuple(marks.until.items()):
            # Whoever is coming back is behind because of its backlog: that is waited for.
            coming = stream_ms - marks.back.get(sender, NEVER_MS) <= COMING_BACK * self._lost_ms
            if sender in marks.back and coming:
                continue
            if sender not in marks.lost and stream_ms - until > self._lost_ms:
                marks.lost[sender] = until
                marks.back.pop(sender, None)
                yield SourceLost(NOT_YET, BUS + sender)
        for sender, until in tuple(marks.lost.items()):
            if stream_ms - until > self._gone_ms:
                yield from self._given_up(sender, stream_ms)

    def _completed(self, command: Command, sender: str) -> Command:
        """A gateway's word about its source; ``from_ms`` 0 is "since I was last there"."""
        match command:
            case SourceLost():
                self.marks.away[command.source] = sender
            case Deaf():
                self.marks.away.pop(command.source, None)
                if command.from_ms == 0:
                    return Deaf(NOT_YET, command.source, self._there_ms, command.until_ms)
        return command

    def listeners(self, kind: str) -> list[str]:
        """Senders of a kind that are there now, the one heard last first."""
        there = [s for s in self.marks.until if s.startswith(kind) and s not in self.marks.lost]
        return sorted(there, key=lambda s: -self.marks.until[s])

    def _given_up(self, sender: str, stream_ms: int) -> Iterator[Command]:
        """A sender that does not come back: we listen with those that are there."""
        marks = self.marks
        since = marks.lost.pop(sender)
        del marks.until[sender]
        sources = [source for source, whose in marks.away.items() if whose == sender]
        for source in [BUS + sender, *sources]:
            marks.away.pop(source, None)
            yield Deaf(NOT_YET, source, since, stream_ms)
            yield CaughtUp(NOT_YET, source)
