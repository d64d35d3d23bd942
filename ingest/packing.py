"""Readings become rows of a frame: where their device is, when it happened by a repaired clock.

Decides whose word is taken (a device that the network knows) and what a broken clock is worth
(design.md 2, step 1).  Repeats are the engine's to find: it alone remembers what it has heard.
"""

import struct
import zlib
from collections.abc import Iterable

import numpy as np

from grid.frame import NO_ROWS, READING, Rows
from grid.network import Network, NodeKind
from grid.reading import Kind, Quality, Reading

CLOCK_OFF_MS_MAX = 86_400_000  # a device clock off by more than a day tells nothing
OFF_FOR_MS_MAX = 31 * 86_400_000  # a power failure that a power-up may tell of

_ROW = struct.Struct("<iiiBBBbbIqqqqq7f")
assert _ROW.size == READING.itemsize, "the columns of grid.frame.READING have changed"
_CLOCK, _INVALID, _FUTURE = int(Quality.CLOCK), int(Quality.INVALID), int(Quality.FUTURE)
_NAN = float("nan")
_NOTHING = (_NAN, _NAN, _NAN)
_SAID = {None: -1, False: 0, True: 1}

Refused = list[tuple[Reading, str]]
"""Readings of nobody's device, each with a sentence."""


class Packer:
    """Packs readings for one version of the network."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._places = network.places
        self._dcu_places = network.dcu_places

    @property
    def version(self) -> str:
        """The version that the rows are numbered by."""
        return self._network.version

    def pack(self, readings: Iterable[Reading], received_ms: int) -> tuple[Rows, Refused]:
        """Rows of what was received at a moment, in its order, and what was refused."""
        packed = bytearray()
        refused: Refused = []
        places = self._places
        for reading in readings:
            place = places.get(reading.device_id)
            if place is None:
                refused.append((reading, f"nobody registered device {reading.device_id[:64]!r}"))
                continue
            kind = reading.kind
            if Kind.TRIP <= kind <= Kind.LOCKOUT and not self._switches(place.group, place.node):
                refused.append((reading, f"{reading.device_id[:64]!r} is no switching device"))
                continue
            quality = 0 if reading.valid else _INVALID
            happened_ms = reading.happened_ms
            ahead_ms = happened_ms - received_ms
            if not -CLOCK_OFF_MS_MAX <= ahead_ms <= CLOCK_OFF_MS_MAX:
                happened_ms = received_ms
                quality |= _CLOCK
            elif ahead_ms > 0:
                quality |= _FUTURE
            off_at_ms = reading.off_at_ms
            if off_at_ms and not 0 < happened_ms - off_at_ms <= OFF_FOR_MS_MAX:
                off_at_ms = 0
            dcu = -1
            if reading.via is not None:
                dcu = self._dcu_places.get(reading.via, {}).get(place.group, -1)
            packed += _ROW.pack(
                place.group,
                place.node,
                dcu,
                kind,
                quality,
                reading.phases,
                _SAID[reading.on],
                _SAID[reading.commanded],
                0 if reading.boot is None else _digest(reading, dcu),
                reading.seq,
                happened_ms,
                received_ms,
                0,
                off_at_ms,
                *(_three(reading.volts) if reading.volts else _NOTHING),
                *(_three(reading.amps) if reading.amps else _NOTHING),
                reading.power_kw,
            )
        return (np.frombuffer(packed, READING) if packed else NO_ROWS), refused

    def _switches(self, group: int, node: int) -> bool:
        kind = int(self._network.groups[group].kind[node])
        return NodeKind.BREAKER <= kind <= NodeKind.FUSE


def _digest(reading: Reading, dcu: int) -> int:
    """Of the sender's boot; of a concentrator that the network does not know, of its id too.

    Without that its (boot, seq) would pass for the meter's own.
    """
    boot = reading.boot or ""
    if reading.via is not None and dcu < 0:
        boot = f"{reading.via}/{boot}"
    return zlib.crc32(boot.encode(errors="surrogatepass")) or 1


def _three(numbers: tuple[float, ...]) -> tuple[float, ...]:
    """Of three phases: one number stands for all, a missing third is not measured."""
    if len(numbers) == 1:
        return numbers * 3
    return numbers if len(numbers) == 3 else (*numbers, _NAN)
