"""What there is at all among rows, seen in one pass: most frames have none of what is rare, and
whoever looks for that need not.
"""

from typing import NamedTuple

import numpy as np

from detectors.compiled import compiled
from detectors.saying import LAST_GASP, PING_REPLY, ReadRows
from detectors.tree import TRANSFORMER
from grid.network import U8, NodeKind
from grid.reading import Quality

SWITCHGEAR = np.array([NodeKind.BREAKER <= kind <= NodeKind.FUSE for kind in NodeKind])
CLOCKS = int(Quality.CLOCK | Quality.FUTURE)


class Glance(NamedTuple):
    """Whether there is any: true also where it is among other rows of the same frame."""

    switchgear: bool  # of a device that has a position
    terminals: bool
    gasps: bool
    answers: bool  # to a ping
    volts: bool
    amps: bool
    clocks: bool  # whose clock is odd


@compiled
def glance(rows: ReadRows, kinds: U8) -> Glance:
    """What there is among rows; ``kinds`` has the kind of each node."""
    switchgear, terminals, gasps, answers = False, False, False, False
    volts, amps, clocks = False, False, False
    for place in range(len(rows)):
        row = rows[place]
        of, said = kinds[row["node"]], row["kind"]
        switchgear |= SWITCHGEAR[of]
        terminals |= of == TRANSFORMER
        gasps |= said == LAST_GASP
        answers |= said == PING_REPLY
        clocks |= (row["quality"] & CLOCKS) != 0
        for phase in range(3):
            volts |= row["volts"][phase] == row["volts"][phase]  # NaN is not itself
            amps |= row["amps"][phase] == row["amps"][phase]
    return Glance(switchgear, terminals, gasps, answers, volts, amps, clocks)
