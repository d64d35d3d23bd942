"""``lastgasp replay``: recorded device events through the engine in stream time, no server needed.

Lines in: ``{"received_at": ms, "topic": ..., "payload": {...}}`` in order of arrival, and
``{"tick": ms}`` to let time pass.  Lines out: changes, pings and, at the end, every outage
(docs/protocols.md, "Replay").  The decoding, clock repair, repeats and engine are those of the live
service.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec
import numpy as np

from detectors.engine import Engine
from detectors.settings import EngineSettings
from devices.mqtt_v1 import PREFIX, BadElement, decode, parse_topic
from grid.errors import BadPayload
from grid.frame import NO_ROWS, Command, Frame, PingSent, Rows, joined
from grid.network import Network
from grid.outage import Change, Outage, Outcome, Ping
from ingest.packing import Packer

LINES_A_FRAME = 5000
LINE_BYTES_MAX = 16 * 1024 * 1024  # a longer line is none
REASONS_MAX = 100  # distinct reasons of refusal; further ones are counted together

Hear = Callable[[Sequence[Change], Sequence[Ping]], None]


class Line(msgspec.Struct):
    """A line of a recorded day."""

    received_at: int | None = None
    topic: str | None = None
    payload: msgspec.Raw = msgspec.Raw()
    tick: int | None = None


class Replay:
    """Engines of all groups, fed line by line."""

    def __init__(self, network: Network, settings: EngineSettings, hear: Hear) -> None:
        self._network = network
        self._engines = [Engine(group, settings) for group in network.groups]
        self._packer = Packer(network)
        self._hear = hear
        self._waiting: list[Rows] = []
        self._commands: dict[int, list[Command]] = {}
        self._now_ms = 0
        self.refused: dict[str, int] = {}

    def event(self, received_ms: int, topic: str, payload: bytes) -> None:
        """Take in what a device said."""
        self._now_ms = max(self._now_ms, received_ms)
        try:
            spoken = parse_topic(topic, PREFIX)
            if spoken.leaf == "ping":
                self._asked(spoken.id, self._now_ms)
            if spoken.leaf in ("ping", "ack"):
                return
            bad: list[BadElement] = []
            readings = decode(spoken, payload, bad)
        except BadPayload as error:
            self._refuse(str(error))
            return
        for element in bad:
            self._refuse(element.reason)
        rows, unknown = self._packer.pack(readings, received_ms)
        for _, reason in unknown:
            self._refuse(reason)
        if len(rows):
            self.rows(rows.copy())

    def rows(self, rows: Rows) -> None:
        """Take in rows in the order they came."""
        rows["stream_ms"] = np.maximum(rows["received_ms"], self._now_ms)
        self._now_ms = int(rows["stream_ms"][-1])
        self._waiting.append(rows)
        if len(self._waiting) >= LINES_A_FRAME:
            self.advance(self._now_ms)

    def _asked(self, device_id: str, at_ms: int) -> None:
        place = self._network.places.get(device_id)
        if place is not None:
            self._commands.setdefault(place.group, []).append(PingSent(at_ms, device_id))

    def _refuse(self, reason: str) -> None:
        if reason not in self.refused and len(self.refused) >= REASONS_MAX:
            reason = "other reasons"
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def advance(self, until_ms: int) -> None:
        """Let stream time pass."""
        self._now_ms = max(self._now_ms, until_ms)
        rows = joined(self._waiting) if self._waiting else None
        self._waiting.clear()
        changes: list[Change] = []
        pings: list[Ping] = []
        for engine in self._engines:
            outcome = self._apply(engine, rows)
            changes += outcome.changes
            pings += outcome.pings
        changes.sort(key=lambda change: change.at_ms)
        self._hear(changes, pings)

    def _apply(self, engine: Engine, rows: Rows | None) -> Outcome:
        group = engine.group.no
        mine = NO_ROWS if rows is None else rows[rows["group"] == group]
        commands = tuple(self._commands.pop(group, ()))
        version, position = self._network.version, engine.position + 1
        return engine.apply(Frame(group, position, version, self._now_ms, mine, commands))


def change_line(change: Change) -> dict[str, object]:
    """A change, as a line."""
    outage = change.outage
    return {
        "type": "change",
        "at": change.at_ms,
        "outage": outage.id,
        "version": outage.version,
        "state": outage.state,
        "customers": change.customers,
        "reason": change.reason,
    }


def ping_line(ping: Ping) -> dict[str, object]:
    """A meter that is asked, as a line."""
    return {"type": "ping", "at": ping.at_ms, "meter": ping.device_id}


def outage_line(outage: Outage) -> dict[str, object]:
    """How an outage stands, as a line."""
    return {
        "type": "outage",
        "id": outage.id,
        "state": outage.state,
        "kind": outage.kind,
        "device_id": outage.device_id,
        "device_kind": outage.device_kind,
        "probability": round(outage.probability, 4),
        "started_at": outage.started_ms,
        "restored_at": outage.restored_ms,
        "steps": [
            {"off_at": step.off_ms, "on_at": step.on_ms, "customers": step.customers}
            for step in outage.steps
        ],
    }


def read_lines(lines: Iterable[bytes]) -> Iterator[Line]:
    """Lines of a recorded day.

    Raises:
        BadPayload: A line that is no JSON object of that form, with its number.
    """
    parse = msgspec.json.Decoder(Line).decode
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        if len(text) > LINE_BYTES_MAX:
            raise BadPayload(f"line {number}: longer than {LINE_BYTES_MAX >> 20} MiB")
        try:
            line = parse(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadPayload(f"line {number}: {error}") from error
        if line.tick is None and (line.received_at is None or line.topic is None):
            raise BadPayload(
                f"line {number}: neither an event (received_at, topic, payload) nor a tick"
            )
        yield line


def run(
    lines: Iterable[bytes],
    network: Network,
    settings: EngineSettings,
    *,
    write: Callable[[bytes], object],
    flush: Callable[[], object],
    lockstep: bool,
) -> dict[str, int]:
    """Replay a day and say what the engine says; returns what was refused, by reason."""
    encode = msgspec.json.Encoder().encode

    def say(line: dict[str, object]) -> None:
        write(encode(line) + b"\n")

    outages: dict[str, Outage] = {}

    def hear(changes: Sequence[Change], pings: Sequence[Ping]) -> None:
        for change in changes:
            outages[change.outage.id] = change.outage
            say(change_line(change))
        for ping in pings:
            say(ping_line(ping))

    if not lockstep:  # nobody would answer
        settings = msgspec.structs.replace(settings, pings_per_minute=0.0)
    replay = Replay(network, settings, hear)
    for line in read_lines(lines):
        if line.tick is not None:
            replay.advance(line.tick)
            if lockstep:
                say({"type": "tick", "at": line.tick})
                flush()
        else:
            assert line.received_at is not None
            assert line.topic is not None
            replay.event(line.received_at, line.topic, bytes(line.payload))
    replay.advance(0)
    for outage in outages.values():
        say(outage_line(outage))
    flush()
    return replay.refused
