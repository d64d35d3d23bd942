"""The engine as bytes, and back: after ``restore`` it says the same bytes to the same frames.

A snapshot carries its format.  One that cannot be read is rebuilt from the recorded stream.
"""

import zlib

import msgspec
import numpy as np

from detectors import repeats
from detectors.asking import Asking
from detectors.decisions import Taken
from detectors.engine import Engine
from detectors.etr import Cell
from detectors.hearing import kept
from detectors.listening import Listening
from detectors.loads import Load
from detectors.packed import PackedOutage, pack, unpack
from detectors.positions import Position
from detectors.rates import Rates
from detectors.relays import Relays
from detectors.settings import EngineSettings
from detectors.watched import Watched
from grid.errors import BadPayload
from grid.frame import READING, PlanEntered
from grid.network import Group
from grid.outage import Finding

FORMAT = 21


class Body(msgspec.Struct, frozen=True, array_like=True):
    """What a snapshot has in it."""

    format: int
    network: str  # version
    settings: EngineSettings
    position: int
    clock_ms: int
    columns: tuple[bytes, ...]
    boots_before: dict[int, repeats.Numbers]
    concentrators: dict[int, tuple[int, int, bytes]]
    concentrators_before: dict[int, tuple[int, int, bytes]]
    positions: dict[int, Position]
    loads: dict[int, Load]
    plans: dict[str, PlanEntered]
    running: tuple[PackedOutage, ...]
    owner: bytes
    dismissed_ms: bytes | None
    spoke: tuple[int, ...]
    sequence: int
    findings: dict[str, Finding]
    waking: tuple[int, int, bool, int, bool, int, int]
    mute: dict[int, int]
    relays: dict[int, tuple[int, int]]
    gaps: list[tuple[int, int]]
    lost: dict[str, int]
    catching_up: dict[str, int]
    backlog_from_ms: int
    kept: bytes
    rates: tuple[float, float, float, int, tuple[int, ...], float, tuple[int, int]]
    silent: tuple[float, float, float, int]
    asks: dict[int, list[int]]
    sent_ms: list[int]
    taken: list[Taken]
    history: dict[str, Cell]
    failed: dict[str, float]
    watched: Watched


_decode = msgspec.msgpack.Decoder(Body).decode
_encode = msgspec.msgpack.Encoder().encode


def take(engine: Engine) -> bytes:
    """All that an engine is, between two frames."""
    hearing, memory, waking = engine.hearing, engine.memory, engine.waking
    columns = [*kept(hearing), *(getattr(memory, name) for name in repeats.columns())]
    dismissed = engine.book.dismissed_ms
    body = Body(
        format=FORMAT,
        network=engine.network,
        settings=engine.limits,
        position=engine.position,
        clock_ms=engine.clock_ms,
        columns=tuple(column.tobytes() for column in columns),
        boots_before=memory.boots_before,  # in the order in which they are forgotten
        concentrators=_long(memory.concentrators),
        concentrators_before=_long(memory.concentrators_before),
        positions=dict(sorted(engine.positions.items())),
        loads=dict(sorted(engine.loads.items())),
        plans=engine.plans,
        running=tuple(pack(outage) for outage in engine.book.running.values()),
        owner=engine.book.owner.tobytes(),
        dismissed_ms=None if dismissed is None else dismissed.tobytes(),
        spoke=tuple(sorted(engine.book.spoke)),
        sequence=engine.book.sequence,
        findings=dict(sorted(engine.findings.open.items())),
        waking=(
            waking.urgent_ms,
            waking.decided_ms,
            waking.dirty,
            waking.quiet_until_ms,
            waking.idle,
            waking.soon_ms,
            waking.answer_ms,
        ),
        mute=dict(sorted(engine.relays.mute.items())),
        relays=dict(sorted(engine.relays.past.items())),
        gaps=engine.listening.past,
        lost=dict(sorted(engine.listening.lost.items())),
        catching_up=dict(sorted(engine.catching_up.items())),
        backlog_from_ms=engine.backlog_from_ms,
        kept=b"".join(rows.tobytes() for rows in engine.kept),
        rates=(
            engine.rates.gasped,
            engine.rates.dark,
            engine.rates.false,
            engine.rates.at_ms,
            tuple(sorted(engine.rates.lonely)),
            engine.rates.unexplained,
            engine.rates.stamps,
        ),
        silent=(
            engine.rates.silent,
            engine.rates.relays,
            engine.rates.spells,
            engine.rates.spells_ms,
        ),
        asks=engine.asking.asks,
        sent_ms=engine.asking.sent_ms,
        taken=engine.decisions.taken,
        history=dict(sorted(engine.history.cells.items())),
        failed=dict(sorted(engine.history.failed.items())),
        watched=engine.watched,
    )
    return zlib.compress(_encode(body), 1)


def _long(known: dict[int, repeats.Numbers]) -> dict[int, tuple[int, int, bytes]]:
    """What is known of concentrators; a window of theirs is longer than the numbers of msgpack."""
    size = repeats.CONCENTRATOR_WINDOW // 8
    return {
        dcu: (boot, high, window.to_bytes(size, "little"))
        for dcu, (boot, high, window) in sorted(known.items())
    }


def _windows(known: dict[int, tuple[int, int, bytes]]) -> dict[int, repeats.Numbers]:
    """The inverse of ``_long``."""
    return {
        dcu: (boot, high, int.from_bytes(window, "little"))
        for dcu, (boot, high, window) in known.items()
    }


def opened(snapshot: bytes) -> Body:
    """What is in a snapshot.

    Raises:
        BadPayload: Another format, or no snapshot at all.
    """
    try:
        body = _decode(zlib.decompress(snapshot))
    except (zlib.error, msgspec.DecodeError) as error:
        raise BadPayload(f"the snapshot cannot be read: {error}") from error
    if body.format != FORMAT:
        raise BadPayload(f"the snapshot has format {body.format}, not {FORMAT}")
    return body


def restore(group: Group, body: Body) -> Engine:
    """The engine that ``take`` saw; ``group`` is of the snapshot's version of the network.

    Raises:
        BadPayload: It is of another network.
    """
    if len(body.owner) != 4 * len(group.ids):
        raise BadPayload("the snapshot is of another network")
    engine = Engine(group, body.settings)
    engine.network = body.network
    engine.position, engine.clock_ms = body.position, body.clock_ms
    columns = [*kept(engine.hearing), *(getattr(engine.memory, n) for n in repeats.columns())]
    for column, packed in zip(columns, body.columns, strict=True):
        column[:] = np.frombuffer(packed, column.dtype)
    engine.memory.boots_before = body.boots_before
    engine.memory.concentrators = _windows(body.concentrators)
    engine.memory.concentrators_before = _windows(body.concentrators_before)
    engine.positions, engine.plans, engine.loads = body.positions, body.plans, body.loads
    book = engine.book
    book.running = {packed.sequence: unpack(packed) for packed in body.running}
    book.owner = np.frombuffer(body.owner, np.int32).copy()
    if body.dismissed_ms is not None:
        book.dismissed_ms = np.frombuffer(body.dismissed_ms, np.int64).copy()
    book.spoke = set(body.spoke)
    book.sequence = body.sequence
    engine.findings.open = body.findings
    waking = engine.waking
    waking.urgent_ms, waking.decided_ms, waking.dirty = body.waking[:3]
    waking.quiet_until_ms, waking.idle, waking.soon_ms, waking.answer_ms = body.waking[3:]
    engine.listening = Listening(body.gaps, body.lost)
    engine.relays = Relays(body.mute, body.relays)
    engine.catching_up, engine.backlog_from_ms = body.catching_up, body.backlog_from_ms
    engine.kept = [np.frombuffer(body.kept, READING)] if body.kept else []
    engine.asking = Asking(body.asks, body.sent_ms)
    gasped, dark, false, at_ms, lonely, unexplained, stamps = body.rates
    engine.rates = Rates(gasped, dark, false, at_ms, set(lonely), unexplained, stamps, *body.silent)
    engine.decisions.taken = body.taken
    engine.history.cells, engine.history.failed = body.history, body.failed
    engine.watched = body.watched
    return engine
