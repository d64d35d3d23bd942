"""A frame: a stretch of one feeder group's recorded stream, as columns.

The stream of a group is everything that changes its engine, in order: readings (rows) and commands.
Every entry has a stream time (``stream_ms``): the engine's clock when it was applied, never
falling.  A command comes before the rows of its own millisecond and after all earlier ones, so a
frame may be cut anywhere between two stream times and the engine does not notice.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

READING = np.dtype(
    [
        ("group", "<i4"),
        ("node", "<i4"),  # place in the group's tree
        ("dcu", "<i4"),  # concentrator it came through, index in the group's dcus; -1 for none
        ("kind", "u1"),  # grid.reading.Kind
        ("quality", "u1"),  # grid.reading.Quality
        ("phases", "u1"),
        ("on", "i1"),  # 1, 0, or -1 where it does not say; of a breaker: closed
        ("commanded", "i1"),
        ("boot", "<u4"),  # digest of the sender's boot id; 0 where it gave none
        ("seq", "<i8"),  # -1 where it gave none
        ("happened_ms", "<i8"),  # device clock, repaired
        ("received_ms", "<i8"),  # ours
        ("stream_ms", "<i8"),  # the engine's
        ("off_at_ms", "<i8"),  # 0 where it does not say
        ("volts", "<f4", (3,)),  # NaN where not measured
        ("amps", "<f4", (3,)),
        ("power_kw", "<f4"),
    ]
)

Rows = NDArray[np.void]
"""An array of READING."""

NO_ROWS: Rows = np.zeros(0, READING)

_PIECE = np.dtype((np.void, READING.itemsize))


def joined(parts: Sequence[Rows]) -> Rows:
    """A copy of rows, one after the other; each as one piece, for numpy goes by field else."""
    if not parts:
        return NO_ROWS
    rows: Rows = np.concatenate([part.view(_PIECE) for part in parts]).view(READING)
    return rows


class SourceLost(msgspec.Struct, frozen=True, tag=True):
    """A source hears nothing from here on: no silence counts until its ``Deaf`` says that it is
    back.
    """

    at_ms: int
    source: str


class Deaf(msgspec.Struct, frozen=True, tag=True):
    """A source is back after we heard nothing from it: silence in between is no evidence.

    Its backlog comes now; the engine keeps what follows and decides nothing until ``CaughtUp``.
    """

    at_ms: int  # stream time of the entry
    source: str  # "mqtt", "modbus"
    from_ms: int
    until_ms: int  # when it was there again


class CaughtUp(msgspec.Struct, frozen=True, tag=True):
    """A source's backlog is in: what was kept since its ``Deaf`` is now gone through in the
    devices' own order.

    ``answered_ms`` is since when its devices are answered again (0: since it was there again).
    Before, they may hold back what they have to say and forget heartbeats: silence is no evidence.
    """

    at_ms: int
    source: str
    answered_ms: int = 0


class PlanEntered(msgspec.Struct, frozen=True, tag=True):
    """A planned, temporary, arrears or curtailment outage of a device's subtree (the outage
    pool).
    """

    at_ms: int
    plan_id: str
    device_id: str
    from_ms: int
    to_ms: int
    kind: str  # a value of grid.outage.OutageKind
    reason: str


class PlanCancelled(msgspec.Struct, frozen=True, tag=True):
    """A plan that will not happen."""

    at_ms: int
    plan_id: str


class PingSent(msgspec.Struct, frozen=True, tag=True):
    """A meter was asked whether it has power; its answer is a reading."""

    at_ms: int
    device_id: str


class SettingsChanged(msgspec.Struct, frozen=True, tag=True):
    """The engine's settings from here on: detectors.settings.EngineSettings as builtins."""

    at_ms: int
    settings: dict[str, float]


class FedElsewhere(msgspec.Struct, frozen=True, tag=True):
    """Some nodes are about to be of another group: the last word of them in their old numbers."""

    at_ms: int
    nodes: tuple[int, ...]


class NetworkChanged(msgspec.Struct, frozen=True, tag=True):
    """From here on the rows' nodes are those of another version of the network.

    ``came`` is what was heard of devices that another group fed until then (detectors/transfer.py).
    """

    at_ms: int
    version: str
    came: bytes = b""


class Decided(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """A person's decision about an outage: the engine takes it if the outage still has
    ``version``.

    Only the fields that the action needs are given.
    """

    at_ms: int
    decision_id: str
    outage_id: str
    version: int
    action: str  # a value of grid.work.Action
    by: str
    role: str  # dispatcher or crew
    reason: str = ""
    when_ms: int | None = None  # en_route, on_site, repaired: when it was; None for now
    device_id: str | None = None  # relocate: to; split: from here down; merge: behind this
    other_id: str | None = None  # merge: the other outage
    other_version: int | None = None
    cause: str | None = None
    kind: str | None = None  # confirm, cause: a value of grid.outage.OutageKind
    crew: str | None = None  # assign
    etr_ms: int | None = None
    earliest_ms: int | None = None
    confidence: float | None = None
    undoes: str | None = None  # undo: the decision; None for the last one


class SwitchThrown(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """A person's word that a device that nobody hears was opened or closed."""

    at_ms: int
    decision_id: str
    device_id: str
    closed: bool
    when_ms: int
    by: str
    reason: str


Command = (
    SourceLost
    | Deaf
    | CaughtUp
    | PlanEntered
    | PlanCancelled
    | PingSent
    | SettingsChanged
    | FedElsewhere
    | NetworkChanged
    | Decided
    | SwitchThrown
)

NOT_YET = 0
"""``at_ms`` of a command that has no place in a stream yet; it is given one when its turn comes."""


def placed(command: Command, at_ms: int) -> Command:
    """The command at its place in the stream."""
    return msgspec.structs.replace(command, at_ms=at_ms)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A stretch of one group's stream.  ``rows`` by ascending stream time; time has come to
    ``until_ms`` after it.
    """

    group: int
    position: int  # counts the group's frames from 1
    network: str  # version that ``node`` and ``dcu`` are numbered by
    until_ms: int
    rows: Rows = field(default_factory=lambda: NO_ROWS)  # an array has no hash
    commands: tuple[Command, ...] = ()


def first_ms(frame: Frame) -> int:
    """Stream time of the first thing in a frame; of its end where there is none."""
    times = [c.at_ms for c in frame.commands] + [frame.until_ms]
    if len(frame.rows):
        times.append(int(frame.rows["stream_ms"][0]))
    return min(times)


BY_ROW, BY_BYTE = 0, 1
"""How recorded rows lie: one after the other, or all first bytes of them, all second bytes ..."""


class _Wire(msgspec.Struct, frozen=True, array_like=True):
    group: int
    position: int
    network: str
    until_ms: int
    rows: bytes  # deflated
    commands: tuple[Command, ...]
    layout: int = BY_ROW  # as what was recorded before there was another


_decode = msgspec.msgpack.Decoder(_Wire).decode
_encode = msgspec.msgpack.Encoder().encode


def to_bytes(frame: Frame) -> bytes:
    """The frame as it is recorded.

    Rows of a frame are alike, so their first bytes are, and their second ones: laid side by side
    they are runs, which deflate in half the time to two thirds of the size.
    """
    bytewise = np.ascontiguousarray(frame.rows).view("u1").reshape(-1, READING.itemsize).T
    deflate = zlib.compressobj(1, strategy=zlib.Z_RLE)
    packed = deflate.compress(bytewise.tobytes()) + deflate.flush()
    wire = _Wire(
        frame.group, frame.position, frame.network, frame.until_ms, packed, frame.commands, BY_BYTE
    )
    return _encode(wire)


def from_bytes(body: bytes) -> Frame:
    """The frame that ``to_bytes`` recorded."""
    wire = _decode(body)
    raw = np.frombuffer(zlib.decompress(wire.rows), "u1")
    if wire.layout == BY_BYTE:
        raw = raw.reshape(READING.itemsize, -1).T.ravel()
    rows = raw.view(READING)
    return Frame(wire.group, wire.position, wire.network, wire.until_ms, rows, wire.commands)
