"""How entries become the numbered frames of their groups: stream time, stretches, cuts.

Pure, and the same for both ways to run: the in-process runner gives it entries as gateways hand
them over, a worker gives it the records of its partition.  Time is an argument.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import structlog

from detectors.engine import Engine
from detectors.moving import moved
from detectors.snapshot import take
from detectors.transfer import Heard, leaving, packed, to_bytes
from grid.frame import (
    NO_ROWS,
    NOT_YET,
    CaughtUp,
    Command,
    Deaf,
    FedElsewhere,
    Frame,
    NetworkChanged,
    PlanEntered,
    Rows,
    joined,
    placed,
)
from grid.network import Network
from grid.parcel import Applied
from stream.settings import StreamSettings

log = structlog.get_logger()

NEVER_MS = 1 << 40  # from now: an engine that wants no wake-up


@dataclass(slots=True, eq=False)
class _Stretch:
    """One group's part of what is gathered."""

    rows: list[Rows] = field(default_factory=list)
    stream_ms: list[int] = field(default_factory=list)  # of each of them
    commands: list[Command] = field(default_factory=list)

    def joined(self) -> Rows:
        """All rows, each with its moment of the stream."""
        if not self.rows:
            return NO_ROWS
        rows = joined(self.rows)
        rows["stream_ms"] = np.repeat(self.stream_ms, [len(part) for part in self.rows])
        return rows


class Sequencer:
    """The streams of some groups, under one stream time.  Entries in, frames that were applied out.

    ``behind`` has the sources whose backlog is coming in, and since when (0: not heard of yet).
    """

    def __init__(
        self,
        engines: dict[int, Engine],
        *,
        network: str,
        settings: StreamSettings,
        stream_ms: int = 0,
        behind: Mapping[str, int] | None = None,
    ) -> None:
        self._engines = engines
        self._network = network
        self._settings = settings
        self.stream_ms = max([stream_ms, *(e.clock_ms for e in engines.values())])
        self.behind = dict(behind or {})
        self._wake_ms = dict.fromkeys(engines, 0)
        self._framed_ms = dict.fromkeys(engines, 0)
        self._snapshot_ms = dict.fromkeys(engines, 0)
        self._stretches = {group: _Stretch() for group in engines}

    @property
    def engines(self) -> Mapping[int, Engine]:
        """By the number of their group."""
        return self._engines

    def move_to(self, now_ms: int) -> None:
        """Let stream time pass; it never falls.  A source that is behind too long is waited for no
        more.
        """
        self.stream_ms = max(self.stream_ms, now_ms)
        limit_ms = int(self._settings.catch_up_s_max * 1000)
        late = [
            s for s, since in self.behind.items() if since and self.stream_ms - since > limit_ms
        ]
        for source in late:
            log.warning("source_not_caught_up", source=source, waited_s=limit_ms // 1000)
            self.command(CaughtUp(NOT_YET, source))

    def rows(self, rows: Rows) -> None:
        """Readings of any of the groups, at this moment of the stream."""
        if len(rows) == 0:
            return
        groups = rows["group"]
        first = int(groups[0])
        if (groups == first).all():
            self._add(first, rows)
            return
        for group in sorted(set(groups.tolist())):
            mine = np.flatnonzero(groups == group)
            self._add(group, rows.take(mine))  # a mask copies rows far slower

    def _add(self, group: int, rows: Rows) -> None:
        stretch = self._stretches[group]
        stretch.rows.append(rows)
        stretch.stream_ms.append(self.stream_ms)

    def command(self, command: Command, group: int | None = None) -> None:
        """A command for one group or all, at a moment of its own."""
        self.stream_ms += 1
        match command:
            case Deaf():
                self.behind[command.source] = self.stream_ms
            case CaughtUp():
                self.behind.pop(command.source, None)
        for each in self._engines if group is None else (group,):
            self._stretches[each].commands.append(placed(command, self.stream_ms))

    def replace(self, network: Network) -> list[Applied]:
        """From this moment on the groups are those of another version of the network.

        What came until now is cut and applied by the old numbers, then the engines are carried
        over, with what was heard of devices that go from one of these groups to another.
        """
        done = self.cut()
        gone = {no: leaving(engine.group, network) for no, engine in self._engines.items()}
        for group, to in gone.items():
            if to:
                nodes = tuple(sorted(np.concatenate(list(to.values())).tolist()))
                self.command(FedElsewhere(NOT_YET, nodes), group)
        done += self.cut()
        parts: dict[int, list[Heard]] = {group: [] for group in self._engines}
        handed: list[tuple[int, PlanEntered]] = []
        for group, engine in self._engines.items():
            for other, leavers in gone[group].items():
                if other not in parts:
                    continue
                known = (engine.hearing, engine.memory, engine.watched)
                heard = packed(known, engine.group, leavers)
                parts[other].append(heard)
            handed += _plans_of(engine, network)
        for group, engine in self._engines.items():
            self._engines[group] = moved(engine, network.groups[group])
        self._network = network.version
        for group, came in parts.items():
            came_bytes = to_bytes(tuple(came))
            self.command(NetworkChanged(NOT_YET, network.version, came_bytes), group)
        for group, plan in handed:
            if group in self._engines:
                self.command(plan, group)
        return [*done, *self.cut()]

    def cut(self) -> list[Applied]:
        """Frames of what came since the last cut and of time itself where it is due, applied."""
        at = self.stream_ms
        stretches, self._stretches = self._stretches, {g: _Stretch() for g in self._engines}
        return [
            self._frame(group, stretch, at)
            for group, stretch in stretches.items()
            if stretch.rows or stretch.commands or at >= self._due_ms(group)
        ]

    def next_ms(self) -> int | None:
        """When time itself is due for some group; None where there are no groups."""
        return min(map(self._due_ms, self._engines), default=None)

    def _due_ms(self, group: int) -> int:
        idle_ms = int(self._settings.idle_frame_s * 1000)
        return min(self._wake_ms[group], self._framed_ms[group] + idle_ms)

    def _frame(self, group: int, stretch: _Stretch, until_ms: int) -> Applied:
        engine = self._engines[group]
        rows = stretch.joined()
        frame = Frame(
            group, engine.position + 1, self._network, until_ms, rows, tuple(stretch.commands)
        )
        outcome = engine.apply(frame)
        self._framed_ms[group] = until_ms
        never = until_ms + NEVER_MS
        self._wake_ms[group] = never if outcome.wake_ms is None else outcome.wake_ms
        snapshot = None
        if until_ms - self._snapshot_ms[group] >= self._settings.snapshot_s * 1000:
            self._snapshot_ms[group] = until_ms
            snapshot = take(engine)
        return Applied(frame, outcome, snapshot)


def _plans_of(engine: Engine, network: Network) -> Iterator[tuple[int, PlanEntered]]:
    """Plans whose devices go over to another group, and to which."""
    for plan in engine.plans.values():
        place = network.places.get(plan.device_id)
        if place is not None and place.group != engine.group.no:
            yield place.group, plan
