"""What happens in a story: the pieces that events are told in.  Times are epoch milliseconds."""

from dataclasses import dataclass

from grid.network import Place
from grid.reading import Kind
from simulators.power import Opening


@dataclass(frozen=True, slots=True)
class Operation:
    """A switching operation of an isolating device: TRIP, OPEN, CLOSE or LOCKOUT."""

    at_ms: int
    kind: Kind
    commanded: bool
    fault_a: float = 0.0  # what flowed when it tripped


@dataclass(frozen=True, slots=True)
class Happening:
    """An outage as it really is."""

    id: str
    place: Place
    kind: str  # of the outage pool
    cause: str
    off_ms: int
    stages: tuple[tuple[int, Place], ...] = ()  # from when on which device keeps the rest dark
    momentary: bool = False
    nested_in: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedWork:
    """A plan as it is entered: the device, and the window that was announced."""

    plan_id: str
    device_id: str
    from_ms: int
    to_ms: int
    kind: str
    reason: str
    announced_ms: int


@dataclass(frozen=True, slots=True)
class Silence:
    """A concentrator or breaker unit that cannot be heard.  ``keeps``: what it knew comes late."""

    device_id: str
    from_ms: int
    until_ms: int
    keeps: bool


@dataclass(frozen=True, slots=True)
class FalseOne:
    """Meters behind a device with power that say it failed, and are then not heard for a while."""

    id: str
    place: Place
    at_ms: int
    until_ms: int
    gasps: tuple[Place, ...]  # who says so


@dataclass(frozen=True, slots=True)
class PhaseGone:
    """One phase of a device without voltage."""

    id: str
    place: Place
    phase: str
    off_ms: int
    on_ms: int


@dataclass(frozen=True, slots=True)
class Jump:
    """A meter's clock jumps by ``by_ms``."""

    place: Place
    at_ms: int
    by_ms: int


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that happens, and nothing of who says what about it."""

    openings: tuple[Opening, ...]
    operations: dict[Place, tuple[Operation, ...]]  # by time
    happenings: tuple[Happening, ...]
    plans: tuple[PlannedWork, ...]
    dcu_silences: tuple[Silence, ...]
    breaker_silences: tuple[Silence, ...]
    phases_gone: tuple[PhaseGone, ...]
    false_gasps: tuple[tuple[int, Place], ...]
    false_alarms: tuple[FalseOne, ...]
    jumps: tuple[Jump, ...]
