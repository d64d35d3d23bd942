"""The scoreboard: the days of a cell added up, ours and the rule's side by side."""

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, median

import msgspec

from simulators.scoring import VOICES, DayScore, FaultScore

BINS = 10
BY_DEVICE = ("breaker", "recloser", "switch", "transformer")
"""The kinds that the promise of exactness names: feeder, section and transformer faults."""

Said = tuple[float, bool]
"""A probability, and whether it was so."""


class Bin(msgspec.Struct, frozen=True):
    """Of the outages declared with about this probability, how many were so."""

    said: float  # mean probability
    true: float  # share that was right
    count: int


class KindLine(msgspec.Struct, frozen=True):
    """The faults of one kind of device."""

    faults: int
    exact: float
    device: float
    rule_exact: float


class Wait(msgspec.Struct, frozen=True):
    """How long the first right verdict took, in seconds of stream time."""

    faults: int
    p50_s: float | None
    p95_s: float | None


class CellLine(msgspec.Struct, frozen=True, kw_only=True):
    """One row.  Shares from 0 to 1, times in seconds of stream time, None where nothing was."""

    network: str
    cell: str
    faults: int
    exact: float | None
    device: float | None
    f1: float | None
    exact_fst: float | None  # of feeder, section and transformer faults alone
    nested: int
    nested_exact: float | None
    rule_exact: float | None
    rule_f1: float | None
    false: int
    false_per_million_meter_days: float
    rule_false: int
    detect_p50_s: float | None
    detect_p95_s: float | None
    detect_by: dict[str, Wait]  # by who spoke first: breaker, terminal, meter
    after_p50_s: float | None
    pings: int
    pings_per_fault: float | None
    declared_per_fault: float | None  # 1 where each is declared once, at once and whole
    brier: float | None  # of the outages that stood at a verdict
    brier_first: float | None
    calibration: tuple[Bin, ...]
    wrong_restored: int
    twice: int
    etr_within_60_min: float | None
    readings: int
    kinds: dict[str, KindLine]


def line_of(network: str, cell: str, days: Sequence[DayScore]) -> CellLine:
    """Add up the days of a cell."""
    whole = [fault for day in days for fault in day.faults if not fault.nested]
    nested = [fault for day in days for fault in day.faults if fault.nested]
    large = [fault for fault in whole if fault.device_kind in BY_DEVICE]
    claims = [claim for day in days for claim in day.claims]
    stood = [(c.standing, c.standing_right) for c in claims if c.standing is not None]
    false = sum(len(day.false) for day in days)
    waits = sorted(f.detect_s for f in whole if f.detect_s is not None)
    afters = [f.after_s for f in whole if f.after_s is not None]
    errors = [f.etr_error_s for f in whole if f.etr_error_s is not None]
    pings = sum(day.pings for day in days)
    return CellLine(
        network=network,
        cell=cell,
        faults=len(whole),
        exact=_share(whole, lambda f: f.exact),
        device=_share(whole, lambda f: f.device_right),
        f1=_share(whole, lambda f: f.f1),
        exact_fst=_share(large, lambda f: f.exact),
        nested=len(nested),
        nested_exact=_share(nested, lambda f: f.exact),
        rule_exact=_share(whole, lambda f: f.rule_exact),
        rule_f1=_share(whole, lambda f: f.rule_f1),
        false=false,
        false_per_million_meter_days=round(1e6 * false / sum(day.meter_days for day in days), 3),
        rule_false=sum(day.rule_false for day in days),
        detect_p50_s=_quantile(waits, 0.5),
        detect_p95_s=_quantile(waits, 0.95),
        detect_by={voice: _wait(whole, voice) for voice in VOICES},
        after_p50_s=round(median(afters), 1) if afters else None,
        pings=pings,
        pings_per_fault=round(pings / len(whole), 1) if whole else None,
        declared_per_fault=round(len(claims) / len(whole), 2) if whole else None,
        brier=_brier(stood),
        brier_first=_brier([(c.first, c.first_right) for c in claims]),
        calibration=tuple(_calibration(stood)),
        wrong_restored=sum(day.wrong_restored for day in days),
        twice=sum(day.twice for day in days),
        etr_within_60_min=_rounded([float(abs(error) <= 3600) for error in errors]),
        readings=sum(day.readings for day in days),
        kinds={kind: _kind_line(whole, kind) for kind in sorted({f.device_kind for f in whole})},
    )


def _kind_line(faults: Sequence[FaultScore], kind: str) -> KindLine:
    mine = [fault for fault in faults if fault.device_kind == kind]
    shares = (_share(mine, lambda f: f.exact), _share(mine, lambda f: f.device_right),
              _share(mine, lambda f: f.rule_exact))  # fmt: skip
    return KindLine(len(mine), *(share or 0.0 for share in shares))


def _wait(faults: Sequence[FaultScore], voice: str) -> Wait:
    mine = [f.detect_s for f in faults if f.voice == voice and f.detect_s is not None]
    return Wait(len(mine), _quantile(sorted(mine), 0.5), _quantile(sorted(mine), 0.95))


def _share(faults: Sequence[FaultScore], of: Callable[[FaultScore], float]) -> float | None:
    return _rounded([float(of(fault)) for fault in faults])


def _rounded(values: Sequence[float]) -> float | None:
    return round(fmean(values), 4) if values else None


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else None


def _brier(said: Sequence[Said]) -> float | None:
    """Mean squared distance of probability and truth (Brier 1950)."""
    return _rounded([(probability - right) ** 2 for probability, right in said])


def _calibration(said: Sequence[Said]) -> Iterable[Bin]:
    for number in range(BINS):
        mine = [(p, right) for p, right in said if min(int(p * BINS), BINS - 1) == number]
        if mine:
            mean, true = fmean(p for p, _ in mine), fmean(float(right) for _, right in mine)
            yield Bin(round(mean, 3), round(true, 3), len(mine))
