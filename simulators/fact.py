"""One thing that a device says, and when it gets through."""

from typing import NamedTuple

from grid.reading import Kind, Reading
from simulators.power import NEVER


class Fact(NamedTuple):
    """A reading on its way.  Boot and seq are given to it by whoever sends it.

    ``happened_ms`` in the reading is the device's own clock, right or wrong.
    """

    due_ms: int  # it gets to the broker, if that listens
    cls: str  # class and id of the topic that it is sent under
    id: str
    reading: Reading
    expires_ms: int = NEVER  # its device is dead by then and says no more
    again_ms: int = 0  # the way delivers it a second time; 0 for not

    @property
    def routine(self) -> bool:
        """A heartbeat: worth nothing once there is a newer one."""
        return self.reading.kind is Kind.HEARTBEAT
