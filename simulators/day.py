"""A world's day as it is heard, with no broker in between: for a replay, and for the scoreboard.

``heard`` gives it as readings; ``day_lines`` as what ``lastgasp replay`` reads, one object a line
by ``received_at``: ``{"received_at": ms, "topic": ..., "payload": ...}``, and a last
``{"tick": ms}``.  A concentrator's payload is an array.
"""

import heapq
from collections.abc import Iterable, Iterator
from itertools import count, groupby
from typing import Any, NamedTuple

import msgspec

from devices.mqtt_v1 import PREFIX, encode, encode_array, topic_of
from grid.reading import Kind, Reading
from simulators.fact import Fact
from simulators.world import World

BOOT = "d1"
_STRIDE_MS = 1000
_FIRST_BEAT_MS = 1000
_WAY_MS = (50, 400)  # of a breaker's word

Line = dict[str, Any]


class Heard(NamedTuple):
    """One message: when it got through, whose topic it came under, and what it tells."""

    received_ms: int
    cls: str
    id: str
    readings: tuple[Reading, ...]


def heard(world: World) -> Iterator[Heard]:
    """Everything that is heard of the world from its beginning to its end, in order.

    Pings are not answered: that is for whoever lets them be asked.
    """
    seqs: dict[str, int] = {}
    spoken, relayed = _spoken(world, seqs), _relayed(world, seqs)
    yield from heapq.merge(spoken, relayed, key=lambda message: message.received_ms)


def day_lines(world: World, *, prefix: str = PREFIX) -> Iterator[Line]:
    """The same as lines.  Calls are left out: no device makes them."""
    for message in heard(world):
        if message.cls == "dcu":
            payload = msgspec.json.decode(encode_array(list(message.readings)))
        else:
            payload = msgspec.json.decode(encode(message.readings[0]))
        topic = topic_of(message.cls, message.id, prefix=prefix)
        yield {"received_at": message.received_ms, "topic": topic, "payload": payload}
    yield {"tick": world.end_ms}


def _spoken(world: World, seqs: dict[str, int]) -> Iterator[Heard]:
    """The messages of meters, terminals and concentrators, repeats included."""
    feed = world.facts(world.start_ms - 1)
    later: list[tuple[int, int, Heard]] = []
    ties = count()
    for now_ms in _strides(world):
        for message in _messages(feed.until(now_ms), seqs):
            heapq.heappush(later, (message.received_ms, next(ties), message))
        while later and later[0][0] <= now_ms:
            yield heapq.heappop(later)[2]


def _strides(world: World) -> Iterator[int]:
    yield from range(world.start_ms, world.end_ms, _STRIDE_MS)
    yield world.end_ms


def _messages(facts: Iterable[Fact], seqs: dict[str, int]) -> Iterator[Heard]:
    """One message a fact, or of a concentrator one for all that it sends at once; then repeats."""
    for (due_ms, cls, name), together in groupby(facts, key=lambda f: (f.due_ms, f.cls, f.id)):
        said = [(_numbered(f.reading, f"{cls}/{name}", seqs), f.again_ms) for f in together]
        again = [(reading, again_ms) for reading, again_ms in said if again_ms]
        if cls == "dcu":
            yield Heard(due_ms, cls, name, tuple(reading for reading, _ in said))
            if again:
                last_ms = max(again_ms for _, again_ms in said)
                yield Heard(last_ms, cls, name, tuple(reading for reading, _ in again))
            continue
        yield from (Heard(due_ms, cls, name, (reading,)) for reading, _ in said)
        yield from (Heard(again_ms, cls, name, (reading,)) for reading, again_ms in again)


def _relayed(world: World, seqs: dict[str, int]) -> Iterator[Heard]:
    """The messages of breakers: positions now and then, and every operation."""
    said: list[tuple[int, int, str, Reading]] = []
    ties = count()
    every_ms = max(1, round(world.scenario.field.breaker_heartbeat_s * 1000))
    for branch_id in world.relays:
        for at_ms in range(world.start_ms + _FIRST_BEAT_MS, world.end_ms, every_ms):
            state = world.breaker(branch_id, at_ms)
            reading = Reading(branch_id, Kind.HEARTBEAT, at_ms, amps=state.amps, on=state.closed)
            said.append((at_ms, next(ties), branch_id, reading))
        for op in world.gear.done(branch_id, world.end_ms):
            reading = Reading(
                branch_id,
                op.kind,
                op.at_ms,
                amps=(op.fault_a,) if op.fault_a else (),
                on=op.kind is Kind.CLOSE,
                commanded=op.commanded,
            )
            said.append((op.at_ms, next(ties), branch_id, reading))
    said.sort(key=lambda item: item[:2])
    messages: list[Heard] = []
    for at_ms, tie, branch_id, reading in said:
        received_ms = at_ms + _WAY_MS[0] + tie * 7919 % (_WAY_MS[1] - _WAY_MS[0])
        if world.gear.silent(branch_id, at_ms) or received_ms > world.end_ms:
            continue
        numbered = _numbered(reading, f"breaker/{branch_id}", seqs)
        messages.append(Heard(received_ms, "breaker", branch_id, (numbered,)))
    messages.sort(key=lambda message: message.received_ms)
    yield from messages


def _numbered(reading: Reading, sender: str, seqs: dict[str, int]) -> Reading:
    seqs[sender] = seq = seqs.get(sender, 0) + 1
    return msgspec.structs.replace(reading, boot=BOOT, seq=seq)
