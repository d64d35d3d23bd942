"""Small numbers of devices, several in one byte."""

import numpy as np

from detectors.compiled import compiled
from grid.network import I64, U8, Bools

LOST, RESUMED, CALLED, AGREED = 0, 4, 5, 6  # where each begins in the byte
FEW = 3  # of what agrees, more are not counted


@compiled
def bits_of(flags: int, begin: int, mask: int) -> int:
    """One of the numbers."""
    return flags >> begin & mask


@compiled
def with_bits(flags: int, begin: int, mask: int, number: int) -> int:
    """The byte with another number in its place."""
    return flags & ~(mask << begin) & 255 | number << begin


class Bits:
    """One small number of each node, as a column that may be read and written."""

    __slots__ = ("begin", "flags", "mask")
    dtype = np.dtype(np.uint8)  # as it is read

    def __init__(self, flags: U8, begin: int, bits: int) -> None:
        self.flags, self.begin, self.mask = flags, begin, (1 << bits) - 1

    def __len__(self) -> int:
        return len(self.flags)

    def __getitem__(self, nodes: I64 | Bools | slice) -> U8:
        found: U8 = self.flags[nodes] >> np.uint8(self.begin)
        found &= np.uint8(self.mask)
        return found

    def __setitem__(self, nodes: I64 | Bools | slice, numbers: U8 | Bools) -> None:
        rest = self.flags[nodes] & np.uint8(~(self.mask << self.begin) & 255)
        few = np.minimum(numbers, np.uint8(self.mask)).astype(np.uint8)
        self.flags[nodes] = rest | few << np.uint8(self.begin)
