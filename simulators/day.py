"""A world's day as lines for a replay: what ``lastgasp replay`` reads, with no broker in between.

One object a line by ``received_at``: ``{"received_at": ms, "topic": ..., "payload": ...}``,
and a last ``{"tick": ms}``.  A concentrator's payload is an array.
"""

import heapq
from collections.abc import Iterable, Iterator
from itertools import count, groupby
from typing import Any

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


def day_lines(world: World, *, prefix: str = PREFIX) -> Iterator[Line]:
    """Everything that is heard of the world from its beginning to its end, in order.

    Pings are not answered: nobody asks while a file is written.
    """
    seqs: dict[str, int] = {}
    spoken = _spoken(world, prefix, seqs)
    relayed = _relayed(world, prefix, seqs)
    yield from heapq.merge(spoken, relayed, key=lambda line: line["received_at"])
    yield {"tick": world.end_ms}


def _spoken(world: World, prefix: str, seqs: dict[str, int]) -> Iterator[Line]:
    """The lines of meters, terminals and concentrators, repeats included."""
    feed = world.facts(world.start_ms - 1)
    later: list[tuple[int, int, Line]] = []
    ties = count()
    for now_ms in _strides(world):
        for line, again_ms in _messages(feed.until(now_ms), prefix, seqs):
            heapq.heappush(later, (line["received_at"], next(ties), line))
            if again_ms:
                repeat = line | {"received_at": again_ms}
                heapq.heappush(later, (again_ms, next(ties), repeat))
        while later and later[0][0] <= now_ms:
            yield heapq.heappop(later)[2]


def _strides(world: World) -> Iterator[int]:
    yield from range(world.start_ms, world.end_ms, _STRIDE_MS)
    yield world.end_ms


def _messages(
    facts: Iterable[Fact], prefix: str, seqs: dict[str, int]
) -> Iterator[tuple[Line, int]]:
    """One message a fact, or of a concentrator one for all that it sends at once."""
    for (due_ms, cls, name), together in groupby(facts, key=lambda f: (f.due_ms, f.cls, f.id)):
        topic = topic_of(cls, name, prefix=prefix)
        readings, agains = [], []
        for fact in together:
            readings.append(_numbered(fact.reading, f"{cls}/{name}", seqs))
            agains.append(fact.again_ms)
        if cls == "dcu":
            array = msgspec.json.decode(encode_array(readings))
            yield {"received_at": due_ms, "topic": topic, "payload": array}, 0
            repeats = [event for event, again in zip(array, agains, strict=True) if again]
            if repeats:
                yield {"received_at": max(agains), "topic": topic, "payload": repeats}, 0
            continue
        for reading, again_ms in zip(readings, agains, strict=True):
            payload = msgspec.json.decode(encode(reading))
            yield {"received_at": due_ms, "topic": topic, "payload": payload}, again_ms


def _relayed(world: World, prefix: str, seqs: dict[str, int]) -> Iterator[Line]:
    """The lines of breakers: positions now and then, and every operation."""
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
    lines: list[Line] = []
    for at_ms, tie, branch_id, reading in said:
        if world.gear.silent(branch_id, at_ms):
            continue
        received_ms = at_ms + _WAY_MS[0] + tie * 7919 % (_WAY_MS[1] - _WAY_MS[0])
        if received_ms > world.end_ms:
            continue
        payload = msgspec.json.decode(encode(_numbered(reading, f"breaker/{branch_id}", seqs)))
        topic = topic_of("breaker", branch_id, prefix=prefix)
        lines.append({"received_at": received_ms, "topic": topic, "payload": payload})
    lines.sort(key=lambda line: line["received_at"])
    yield from lines


def _numbered(reading: Reading, sender: str, seqs: dict[str, int]) -> Reading:
    seqs[sender] = seq = seqs.get(sender, 0) + 1
    return msgspec.structs.replace(reading, boot=BOOT, seq=seq)
