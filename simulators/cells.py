"""The cells of the scoreboard: what the field is like in each, and the story that is played in it.

A cell changes as little as it can from the one before, so that a figure that falls says why.  Times
are seconds of stream time; shares are probabilities (``simulators.scenario.Field`` has the rest).
"""

from collections.abc import Iterator, Mapping
from itertools import product

import msgspec

from simulators.scenario import Field, Scenario, Storm
from simulators.tables import Share

WARM_S = 2000.0  # quiet at first: every meter is heard twice, and its rhythm is known
SPREAD_S = 120.0  # the faults strike within this time
WATCH_S = 600.0  # from a fault to its verdict, and then to its repair
AFTER_S = 1800.0  # after the repairs: heartbeats show who is still dark
KINDS = ("breaker", "switch", "transformer", "recloser", "fuse")
PHASE_KINDS = ("transformer", "fuse", "switch", "recloser")
DELIVERIES = (0.1, 0.3, 0.5, 0.9)
DCU_LOSSES = (0.0, 0.1, 0.3)
_METERS_ALONE: Mapping[str, float] = {"terminals": 0.0, "breakers": 0.0}


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the scoreboard."""

    name: str
    field: Field
    wrong_topology: Share = 0.0  # meters that the records hang under another transformer
    calls: Share = 0.0  # customers in the dark who call
    recloses: int = 0
    single_phase: Share = 0.0  # meters of one phase; where there are, the faults are of a phase

    def scenario(self, seed: int, faults: int) -> Scenario:
        """The story of one seed: a quiet spell, faults, repairs in steps, parts left behind."""
        if self.single_phase:
            return self._of_phases(seed, faults)
        first = seed % len(KINDS)  # a small network has room for one or two faults a story
        storm = Storm(
            kinds=KINDS[first:] + KINDS[:first],
            faults=faults,
            at_s=WARM_S,
            spread_s=SPREAD_S,
            recloses=self.recloses,
            restore_s=(WATCH_S, WATCH_S + SPREAD_S),
            nested=0.1,
            customers_min=2,
        )
        return self._story(seed, storm)

    def _of_phases(self, seed: int, faults: int) -> Scenario:
        """The same of one phase each, none of a feeder's breaker: that one is telemetered."""
        first = seed % len(PHASE_KINDS)
        storm = Storm(
            faults=0,
            at_s=WARM_S,
            spread_s=SPREAD_S,
            customers_min=12,
            phase_losses=faults,
            phase_kinds=PHASE_KINDS[first:] + PHASE_KINDS[:first],
            phase_loss_s=WATCH_S,
        )
        return self._story(seed, storm)

    def _story(self, seed: int, storm: Storm) -> Scenario:
        duration_s = WARM_S + 2 * SPREAD_S + WATCH_S + AFTER_S
        return Scenario(
            name=self.name, seed=seed, duration_s=duration_s, field=self.field, storm=storm
        )


def cells_of(names: str) -> tuple[Cell, ...]:
    """The cells of a set (``quick``, ``grid``, ``full``), or single ones by their names, with
    commas.

    Raises:
        KeyError: There is none of that name.
    """
    sets = {"quick": _QUICK, "grid": _GRID, "full": _GRID + _KNOBS}
    if names in sets:
        return sets[names]
    by_name = {cell.name: cell for cell in _GRID + _KNOBS}
    return tuple(by_name[name.strip()] for name in names.split(","))


def _grid() -> Iterator[Cell]:
    for equipped, delivery, loss in product((True, False), DELIVERIES, DCU_LOSSES):
        bare = {} if equipped else _METERS_ALONE
        name = f"p{delivery:g} r{loss:g}" + (" terminals scada" if equipped else "")
        yield Cell(name=name, field=_field(delivery=delivery, dcu_loss=loss, **bare))


def _field(**knobs: float | tuple[float, float]) -> Field:
    return msgspec.convert({"dcu_loss_s": 2 * WATCH_S, **knobs}, Field)


def _bare(name: str, *, wrong_topology: float = 0.0, calls: float = 0.0, **knobs: float) -> Cell:
    """Meters alone at half delivery, with one thing worse."""
    field = _field(**{**_METERS_ALONE, "delivery": 0.5, **knobs})
    return Cell(name=name, field=field, wrong_topology=wrong_topology, calls=calls)


_GRID = tuple(_grid())
_KNOBS = (
    _bare("false gasps", false_gasp=1e-3),
    _bare("slow", latency_s=15.0),
    _bare("repeats", repeats=0.5),
    _bare("skewed clocks", skew_s=60.0),
    _bare("reordered", reorder=0.2),
    _bare("stale", stale=0.1),
    _bare("solar", solar=0.05),
    _bare("wrong topology", wrong_topology=0.02),
    _bare("calls", calls=0.1, delivery=0.1),
    Cell(name="reclosing", field=_field(delivery=0.3), recloses=2),
    Cell(name="one phase", field=_field(delivery=0.5), single_phase=0.9),
    Cell(
        name="one phase meters alone",
        field=_field(delivery=0.5, **_METERS_ALONE),
        single_phase=0.9,
    ),
)
_QUICK = tuple(
    cell for cell in _GRID if cell.name in ("p0.3 r0.1 terminals scada", "p0.3 r0", "p0.9 r0")
)
