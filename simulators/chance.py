"""Draws that depend on what is drawn, never on the order of asking: one seed, one world.

A draw is a digest of the seed and the names of what it is for, so that a world can be asked about
any device at any time, and be rebuilt after a kill in the middle, without carrying a generator's
state along.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")
_SCALE = 2.0**-32
_HALF = 2.0**-33  # draws lie in the middle of their cells, so a logarithm of one is always finite


@dataclass(frozen=True, slots=True)
class Chance:
    """The dice of one world."""

    seed: int

    def four(self, *names: object) -> tuple[float, float, float, float]:
        """Four independent draws, each above 0 and below 1, for one thing by its names."""
        text = f"{self.seed}\x1f" + "\x1f".join(map(str, names))
        word = int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "little")
        return (
            (word & 0xFFFFFFFF) * _SCALE + _HALF,
            (word >> 32 & 0xFFFFFFFF) * _SCALE + _HALF,
            (word >> 64 & 0xFFFFFFFF) * _SCALE + _HALF,
            (word >> 96) * _SCALE + _HALF,
        )

    def one(self, *names: object) -> float:
        """One draw above 0 and below 1."""
        return self.four(*names)[0]

    def between(self, span: tuple[float, float], *names: object) -> float:
        """Evenly between the two ends of ``span``."""
        return span[0] + (span[1] - span[0]) * self.one(*names)

    def choose(self, pool: Sequence[T], *names: object) -> T:
        """One of a pool that is not empty; the pool's order matters."""
        return pool[int(self.one(*names) * len(pool))]


def normal(one: float, other: float) -> float:
    """A standard normal value of two draws (Box and Muller 1958)."""
    return math.sqrt(-2.0 * math.log(one)) * math.cos(2.0 * math.pi * other)
