"""Days on drawn networks, and what the engine says to them.

    told = day(NETWORK, '''
        11:30 11:45 12:00 M1..M4 heartbeat
        12:07:10 B1 trip
        12:07:45 M1,M2 last_gasp received=12:07:50
        12:20 end
    ''')
    assert told.outages == ["breaker B1: confirmed fault", "  12:07:10 -: M1..M4"]

A line: one or more times (device clock, UTC), devices, a word of the wire, fields of its payload.
Received is when it happened, unless ``received=`` says otherwise.  Commands of the stream:
``12:00 lost mqtt``, ``12:20 deaf mqtt from=12:00``, ``12:21 caught_up mqtt``,
``11:00 plan P1 T1 13:00..15:00 kind=planned``, ``11:05 cancel P1``, ``11:00 ping M1``,
``11:00 settings close_after_s=60``, ``12:09 ann relocate S1-1 v? device=T1 reason=seen``,
``12:11 ann open F1``.  What no day may break is checked after each page of the change log.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from typing import Any

import msgspec
import numpy as np
import pytest

from detectors.engine import Engine
from detectors.settings import EngineSettings
from detectors.snapshot import opened, restore, take
from grid.frame import (
    NO_ROWS,
    CaughtUp,
    Command,
    Deaf,
    Decided,
    Frame,
    PingSent,
    PlanCancelled,
    PlanEntered,
    Rows,
    SettingsChanged,
    SourceLost,
    SwitchThrown,
)  # fmt: skip
from grid.network import Network
from grid.outage import RUNNING, Change, Finding, Outage
from grid.reading import Kind, Reading
from grid.times import from_rfc3339, to_rfc3339
from grid.work import Action, Decision
from ingest.packing import Packer

TIME = re.compile(r"\d\d:\d\d(:\d\d(\.\d\d\d)?)?")
SPAN = re.compile(r"(.*?)(\d+)\.\.\1(\d+)")
AS_SEEN = -1  # of a decision's version
PHASES = {"A": 1, "B": 2, "C": 4}


def ms(text: str) -> int:
    """Epoch milliseconds of a time of the day, ``12:00`` or ``12:00:00.250``."""
    return from_rfc3339(f"2026-11-21T{text}{':00' if len(text) == 5 else ''}Z")


def clock(at_ms: int) -> str:
    """The time of the day; the milliseconds where there are any."""
    return to_rfc3339(at_ms)[11:-1].removesuffix(".000")


def names(text: str) -> list[str]:
    """``M1..M3,M7`` one by one."""
    found: list[str] = []
    for part in text.split(","):
        span = SPAN.fullmatch(part)
        numbers = range(int(span[2]), int(span[3]) + 1) if span else ()
        found += [f"{span[1]}{i}" for i in numbers] if span else [part]
    return found


def spans(customers: Iterable[str]) -> str:
    """``M1..M3 M7`` of C-M1, C-M2, C-M3, C-M7."""
    split = [re.fullmatch(r"C-(.*?)(\d*)", c).groups() for c in customers]  # type: ignore[union-attr]
    runs: list[list[tuple[str, str]]] = []
    for word, number in sorted(split, key=lambda x: (x[0], int(x[1] or 0))):
        last = runs[-1][-1] if runs else ("", "")
        follows = last[0] == word and last[1] and number and int(number) == int(last[1]) + 1
        runs[-1].append((word, number)) if follows else runs.append([(word, number)])
    ends = [("".join(run[0]), "".join(run[-1])) for run in runs]
    return " ".join(a if a == b else f"{a}..{b}" for a, b in ends)


# -- days in -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Stream:
    """One group's recorded stream: rows by stream time, and commands."""

    network: Network
    rows: Rows
    commands: list[Command]
    until_ms: int

    def frames(self, cuts: Iterable[int] = ()) -> list[Frame]:
        """Cut after each of these stream times."""
        ends = [*sorted({c for c in cuts if c < self.until_ms}), self.until_ms]
        stream, begin, first, made = self.rows["stream_ms"], 0, 0, []
        for position, end in enumerate(ends, 1):
            upto = int(np.searchsorted(stream, end, "right"))
            commands = tuple(c for c in self.commands if first < c.at_ms <= end)
            rows = self.rows[begin:upto]
            made.append(Frame(0, position, self.network.version, end, rows, commands))
            begin, first = upto, end
        return made


def read_day(network: Network, text: str) -> Stream:
    """The stream that a day's lines draw; without ``end`` it ends with its last line."""
    readings: list[tuple[int, Reading]] = []
    commands: list[Command] = []
    last = end = 0
    for line in text.splitlines():
        words = line.split()
        times = [ms(w) for w in words if TIME.fullmatch(w)]
        rest = [w for w in words if not TIME.fullmatch(w)]
        if not times:
            assert not words, line
            continue
        if rest == ["end"]:
            end = times[0]
            continue
        command = read_command(times[0], rest)
        if command is not None:
            commands.append(command)
            last = max(last, times[0])
        else:
            readings += read_readings(times, rest)
    readings.sort(key=lambda item: item[0])
    packer = Packer(network)
    parts = []
    for received, reading in readings:
        rows, refused = packer.pack([reading], received)
        assert not refused, refused
        parts.append(rows)
    packed = np.concatenate(parts) if parts else NO_ROWS
    packed = packed.copy()
    packed["stream_ms"] = packed["received_ms"]
    last = max([last, *(r for r, _ in readings)])
    assert not end or end >= last, "the day goes on after its end"
    return Stream(network, packed, sorted(commands, key=lambda c: c.at_ms), max(last, end))


def read_command(at_ms: int, words: list[str]) -> Command | None:
    """The command that a line's words after its time draw; None for a reading."""
    plain = [w for w in words if "=" not in w]
    fields = dict(w.split("=", 1) for w in words if "=" in w)
    match plain:
        case ["lost", source]:
            return SourceLost(at_ms, source)
        case ["deaf", source]:
            return Deaf(at_ms, source, ms(fields["from"]), ms(fields.get("until", clock(at_ms))))
        case ["caught_up", source]:
            return CaughtUp(at_ms, source, ms(fields.get("answered", clock(0))))
        case ["plan", plan, device, span]:
            begin, end = span.split("..")
            kind = fields.get("kind", "planned")
            return PlanEntered(at_ms, plan, device, ms(begin), ms(end), kind, "maintenance")
        case ["cancel", plan]:
            return PlanCancelled(at_ms, plan)
        case ["ping", device]:
            return PingSent(at_ms, device)
        case [who, action, about, version] if action in list(Action):
            return read_decision(at_ms, (who, action, about, version), fields)
        case [who, ("open" | "close") as how, device] if not device.startswith("M"):
            about = {"device_id": device, "closed": how == "close", "when_ms": at_ms}
            return SwitchThrown(at_ms=at_ms, decision_id=f"d{at_ms}", by=who, reason="", **about)
        case ["settings"]:
            changed = {name: float(value) for name, value in fields.items()}
            whole = msgspec.to_builtins(msgspec.structs.replace(EngineSettings(), **changed))
            return SettingsChanged(at_ms, whole)
    return None


def read_decision(at_ms: int, said: tuple[str, str, str, int], fields: dict[str, str]) -> Decided:
    """A decision; ``crew:7`` is crew 7 itself, who and version make its id: ann3."""
    who, action, about, version = said
    role, _, name = who.rpartition(":")
    words = {word: word for word in ("cause", "kind", "crew", "reason", "undoes")}
    words |= {"device": "device_id", "other": "other_id"}
    times = {"etr": "etr_ms", "earliest": "earliest_ms", "when": "when_ms"}
    given: dict[str, Any] = {words[k]: v for k, v in fields.items() if k in words}
    given |= {times[k]: ms(v) for k, v in fields.items() if k in times}
    known = AS_SEEN if version == "v?" else int(version[1:])
    return Decided(
        at_ms=at_ms, decision_id=f"{name}-{action}", outage_id=about, version=known, action=action,
        by=name, role=role or "dispatcher", **given,
    )  # fmt: skip


def read_readings(times: list[int], words: list[str]) -> list[tuple[int, Reading]]:
    """(received, reading) of each device at each time."""
    devices, kind = names(words[0]), Kind[words[1].upper()]
    fields = dict((w.split("=", 1) if "=" in w else (w, "")) for w in words[2:])
    numbers = {f: tuple(map(float, fields[f].split(","))) for f in ("volts", "amps") if f in fields}
    on = {"1": True, "0": False, "": None}[fields.get("on", "")]
    known = {"received", "boot", "seq", "via", "volts", "amps", "on", "commanded", "phases"}
    assert fields.keys() <= known | {"off_at", "invalid"}, words
    return [
        (
            ms(fields["received"]) if "received" in fields else at,
            Reading(
                device, kind, at,
                boot=fields.get("boot", "b" if "seq" in fields else None),
                seq=int(fields.get("seq", -1)),
                via=fields.get("via"),
                phases=sum(PHASES[p] for p in fields.get("phases", "")),
                on=on,
                commanded=bool(int(fields["commanded"])) if "commanded" in fields else None,
                valid="invalid" not in fields,
                off_at_ms=ms(fields["off_at"]) if "off_at" in fields else 0,
                **numbers,
            ),
        )
        for at in times
        for device in devices
    ]  # fmt: skip


# -- what is told --------------------------------------------------------------------------------


@dataclass(slots=True)
class Told:
    """All that an engine said to a day."""

    changes: list[Change] = field(default_factory=list)
    noticed: list[Finding] = field(default_factory=list)
    words: list[Decision] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)  # with the versions that people saw
    repeats: int = 0
    wake_ms: int | None = None
    engine: Engine | None = None

    @property
    def outages(self) -> list[str]:
        """Every outage as it stands at the end, in words: device, state, kind; its steps."""
        return drawn(self.latest())

    def at(self, time: str) -> list[str]:
        """As ``outages``, at a moment of the day."""
        return drawn(self.latest(ms(time)))

    def latest(self, at_ms: int | None = None) -> list[Outage]:
        """The last version of each outage, up to a moment."""
        known: dict[str, Outage] = {}
        for change in self.changes:
            if at_ms is None or change.at_ms <= at_ms:
                known[change.outage.id] = change.outage
        return list(known.values())

    @property
    def outage(self) -> Outage:
        """The only outage of the day."""
        (only,) = self.latest()
        return only

    @property
    def log(self) -> list[str]:
        """The change log: when, which, what it was then, why."""
        return [
            f"{clock(c.at_ms)} {c.outage.id} {c.outage.state}: {c.reason}" for c in self.changes
        ]

    @property
    def decided(self) -> list[str]:
        """What became of each decision."""
        became = [f"v{d.version}" if d.accepted else d.why for d in self.words]
        whats = [f"{d.by} {d.action} {d.outage_id}: " for d in self.words]
        return [what + word for what, word in zip(whats, became, strict=True)]

    @property
    def findings(self) -> list[str]:
        """What was noticed, each as it was last said."""
        known = {finding.id: finding for finding in self.noticed}
        return [
            f"{f.kind} {f.device_id} {clock(f.since_ms)} -"
            + (f" {clock(f.until_ms)}" if f.until_ms is not None else "")
            for f in known.values()
        ]

    @property
    def bytes(self) -> bytes:
        """Everything said, as it would be stored."""
        return msgspec.msgpack.encode((self.changes, self.noticed, self.words))


def drawn(outages: Sequence[Outage]) -> list[str]:
    """Outages in words, each with its steps."""
    lines = []
    for o in outages:
        part = f" left by {o.parent_id}" if o.parent_id is not None else ""
        lines.append(f"{o.device_kind} {o.device_id}: {o.state} {o.kind}{part}")
        for step in o.steps:
            ends = "" if step.on_ms is None else f" {clock(step.on_ms)}"
            how = " (inferred)" if step.inferred else ""
            lines.append(f"  {clock(step.off_ms)} -{ends}: {spans(step.customers)}{how}")
    return lines


def check(changes: Sequence[Change], known: dict[str, Outage]) -> None:
    """What no day may break, after each page of the change log; ``known`` goes along."""
    for at_ms, page in groupby(changes, lambda c: c.at_ms):
        for change in page:
            new, old = change.outage, known.get(change.outage.id)
            assert new.version == (old.version if old else 0) + 1, "versions are contiguous"
            known[new.id] = new
        times: dict[str, list[tuple[int, int, str]]] = {}
        running: dict[str, str] = {}
        for outage in known.values():
            out = [c for step in outage.steps if step.on_ms is None for c in step.customers]
            everyone = [c for step in outage.steps for c in step.customers]
            assert outage.customers_out == len(out), "customers_out are those of the open steps"
            assert outage.customers_affected == len(everyone) == len(set(everyone))
            assert outage.state in RUNNING or not out, f"{outage.state} with customers out"
            for step in outage.steps:
                for customer in step.customers:
                    span = (step.off_ms, step.on_ms if step.on_ms is not None else 1 << 60)
                    times.setdefault(customer, []).append((*span, outage.id))
            for customer in out:
                other = running.setdefault(customer, outage.id)
                assert other == outage.id, f"{clock(at_ms)}: {customer} out in {other}, {outage.id}"
        for customer, steps in times.items():
            for one, next_one in pairwise(sorted(steps)):
                assert one[1] <= next_one[0], f"{clock(at_ms)}: {customer} {one} {next_one}"


def play(
    frames: Sequence[Frame],
    network: Network,
    *,
    crash_after: int = 0,
    **settings: Any,
) -> Told:
    """Let a new engine have the frames; after ``crash_after`` of them it is restored from bytes."""
    limits = EngineSettings(**({"pings_per_minute": 0.0} | settings))  # nobody would answer
    engine, told, known = Engine(network.groups[0], limits), Told(), {}
    for frame in frames:
        seen = _seen(frame, known)
        told.commands += seen.commands
        outcome = engine.apply(seen)
        check(outcome.changes, known)
        told.changes += outcome.changes
        told.noticed += outcome.findings
        told.words += outcome.decisions
        told.repeats += len(outcome.repeat_rows)
        told.wake_ms = outcome.wake_ms
        if frame.position == crash_after:
            engine = restore(network.groups[0], opened(take(engine)))
    told.engine = engine
    return told


def _seen(frame: Frame, known: dict[str, Outage]) -> Frame:
    """With the versions that people see who decide at its beginning."""
    commands = list(frame.commands)
    for i, c in enumerate(commands):
        if isinstance(c, Decided) and c.version == AS_SEEN and c.outage_id in known:
            commands[i] = msgspec.structs.replace(c, version=known[c.outage_id].version)
    return replace(frame, commands=tuple(commands))


@pytest.fixture(scope="session")
def day() -> Callable[..., Told]:
    """What the engine says to a drawn day."""

    def tell(network: Network, text: str, **settings: Any) -> Told:
        stream = read_day(network, text)
        decided = [c.at_ms for c in stream.commands if isinstance(c, Decided)]
        cuts = [at_ms + after for at_ms in decided for after in (-1, 0)]
        return play(stream.frames(cuts), network, **settings)

    return tell


@pytest.fixture(scope="session")
def stream() -> Callable[[Network, str], Stream]:
    """The stream that a drawn day is: ``.rows``, ``.commands``, ``.frames(cuts)``."""
    return read_day


@pytest.fixture(scope="session")
def at() -> Callable[[str], int]:
    """Epoch milliseconds of a time of the day: ``at("12:00:00")``."""
    return ms


@pytest.fixture(scope="session")
def run() -> Callable[..., Told]:
    """What an engine says to frames: ``run(frames, network, crash_after=3, heartbeat_s=60.0)``."""
    return play
