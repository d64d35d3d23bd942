"""What was found, laid beside what really happened: outage by outage, customer by customer.

Takes the truth log and outages as the API or a replay gives them, with their steps.  A customer
set is exact when it is that of the truth; customers of a part left behind may be counted to the
outage that they lost power by, or to the nested one alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from grid.errors import ConfigError
from grid.outage import ENDED, State
from grid.times import from_rfc3339
from simulators.timelines import OPEN_END, Interval, Timelines, overlap
from simulators.truth import OutageTruth, PhaseLossTruth, Truth

_OVER = frozenset({State.RESTORED, *ENDED})
_DENIED = frozenset({State.REJECTED, State.VERIFY})


class Tolerances(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How far a time may be off: the devices' clocks are, and some meters cannot say at all."""

    heard_s: float = 10.0
    inferred_s: float = 120.0  # steps that a meter could not tell of itself


class FoundStep(msgspec.Struct, frozen=True):
    """A step of an outage as others see it."""

    off_at: str | int
    on_at: str | int | None
    customers: tuple[str, ...]
    inferred: bool = False


class Found(msgspec.Struct, frozen=True):
    """An outage as the API or a replay gives it; what else it says is of no matter here."""

    id: str
    state: str
    kind: str
    device_id: str
    steps: tuple[FoundStep, ...]

    @property
    def customers(self) -> frozenset[str]:
        """Everybody who was ever part of it."""
        return frozenset(c for step in self.steps for c in step.customers)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One true outage, and what became of it."""

    id: str
    kind: str
    device_id: str
    customers: int
    found_id: str | None
    found_device_id: str | None
    found_state: str | None
    device_right: bool
    exact: bool  # the customer set
    missing: int
    extra: int
    times_wrong: int  # customers whose off or on time is off by more than the tolerance
    off_error_s: float  # the largest
    on_error_s: float
    state_right: bool  # over when it is over, open while it is open
    right: bool


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The whole comparison."""

    outages: int
    exact: int
    device_right: int
    right: int
    false: tuple[str, ...]  # found, and nobody in it was in the dark
    twice: int  # customers in two open outages at one moment
    rows: tuple[Row, ...]

    @property
    def perfect(self) -> bool:
        """Whether everything is as it was, and nothing more."""
        return self.right == self.outages and not self.false and not self.twice


def found_of(payload: Any) -> list[Found]:
    """Outages of ``{"outages": [...]}``, of a list, of a replay's lines, or a single one.

    Raises:
        ConfigError: None of these, or outages without their steps.
    """
    items = payload.get("outages", [payload]) if isinstance(payload, dict) else payload
    try:
        lines = msgspec.convert(items, list[dict[str, Any]])
        mine = [line for line in lines if line.get("type", "outage") == "outage"]
        return msgspec.convert(mine, list[Found])
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"these are no outages with steps, as of /api/outages/ID: {error}"
        ) from None


def compare(
    truth: Iterable[Truth],
    found: Sequence[Found],
    *,
    at_ms: int | None = None,
    tolerances: Tolerances | None = None,
) -> Verdict:
    """Lay what was found beside the truth as of ``at_ms``, else as of its end.

    Planned outages need not be found; if they are, then as what they are.  Momentary ones need
    not be found either.
    """
    until_ms = OPEN_END if at_ms is None else at_ms
    lines = list(truth)
    real = [t for t in lines if isinstance(t, OutageTruth) and _ms(t.off_at) <= until_ms]
    # one that was merged into another has nobody left
    told = [f for f in found if f.state not in _DENIED and f.customers]
    accounts = _Accounts(
        real,
        Timelines.of_truth(real, until_ms),
        Timelines.of_found(((f.id, f.steps) for f in told), until_ms),
        until_ms,
        tolerances or Tolerances(),
    )
    pairs = _paired(real, told, until_ms)
    rows = tuple(_row(t, pairs.get(t.id), accounts) for t in real if _must(t) or t.id in pairs)
    dark = Timelines.of_truth(real, until_ms)
    for line in lines:
        if isinstance(line, PhaseLossTruth):
            dark.add(line.customers, line.id, Interval(_ms(line.from_at), _ms(line.until_at)))
    return Verdict(
        outages=len(rows),
        exact=sum(row.exact for row in rows),
        device_right=sum(row.device_right for row in rows),
        right=sum(row.right for row in rows),
        false=tuple(f.id for f in told if not _touches_dark(f, dark)),
        twice=accounts.said.twice(),
        rows=rows,
    )


def spoken(verdict: Verdict) -> str:
    """The verdict for a person: a line an outage that is not right, and a sum."""
    lines = [
        f"{row.id}: {row.kind} of {row.device_id}, {row.customers} customers: "
        + (
            f"found as {row.found_id} of {row.found_device_id}, {row.found_state}; "
            f"{row.missing} missing, {row.extra} too many, {row.times_wrong} with wrong times "
            f"(off by {row.off_error_s:.1f} s, on by {row.on_error_s:.1f} s)"
            if row.found_id
            else "not found"
        )
        for row in verdict.rows
        if not row.right
    ]
    lines += [f"{outage_id}: nobody in it was in the dark" for outage_id in verdict.false]
    lines.append(
        f"{verdict.right} of {verdict.outages} outages right, {verdict.exact} with exact "
        f"customers, {verdict.device_right} with the right device; {len(verdict.false)} false, "
        f"{verdict.twice} customers in two at once"
    )
    return "\n".join(lines)


def _must(truth: OutageTruth) -> bool:
    """Whether it is a fault that has to be found."""
    return truth.kind == "fault" and not truth.momentary and bool(truth.customers)


def _paired(
    real: Sequence[OutageTruth], told: Sequence[Found], until_ms: int
) -> Mapping[str, Found]:
    """Each true outage and the one that is most like it; no found one serves two."""
    sets = {f.id: f.customers for f in told}
    spans = {f.id: _span(f.steps, until_ms) for f in told}
    scored: list[tuple[float, int, int]] = []
    for i, t in enumerate(real):
        customers = frozenset(t.customers)
        span = Interval(_ms(t.off_at), min(_end(t.on_at), until_ms))
        for j, f in enumerate(told):
            shared = len(customers & sets[f.id])
            if shared and overlap(span, spans[f.id]) > 0:
                score = shared / len(customers | sets[f.id]) + (f.device_id == t.device_id)
                scored.append((-score, i, j))
    pairs: dict[str, Found] = {}
    used: set[int] = set()
    for _, i, j in sorted(scored):
        if real[i].id not in pairs and j not in used:
            pairs[real[i].id] = told[j]
            used.add(j)
    return pairs


@dataclass(frozen=True, slots=True)
class _Accounts:
    """Both sides' accounts of the same time."""

    real: Sequence[OutageTruth]
    was: Timelines
    said: Timelines
    until_ms: int
    tolerances: Tolerances


def _row(truth: OutageTruth, found: Found | None, accounts: _Accounts) -> Row:
    whole = frozenset(truth.customers)
    parts = (t.customers for t in accounts.real if t.nested_in == truth.id)
    apart = whole.difference(*parts)
    mine = found.customers if found else frozenset()
    exact = mine in (whole, apart)
    device_right = found is not None and found.device_id in _devices(truth)
    off_s, on_s, wrong = _time_errors(truth, accounts)
    over = truth.on_at is not None and _ms(truth.on_at) <= accounts.until_ms
    state_right = found is not None and (found.state in _OVER) == over
    kind_right = found is None or truth.kind == "fault" or found.kind == truth.kind
    return Row(
        id=truth.id,
        kind=truth.kind,
        device_id=truth.device_id,
        customers=len(whole),
        found_id=found.id if found else None,
        found_device_id=found.device_id if found else None,
        found_state=found.state if found else None,
        device_right=device_right,
        exact=exact,
        missing=len(apart - mine),
        extra=len(mine - whole),
        times_wrong=wrong,
        off_error_s=off_s,
        on_error_s=on_s,
        state_right=state_right,
        right=exact and device_right and state_right and kind_right and not wrong,
    )


def _time_errors(truth: OutageTruth, accounts: _Accounts) -> tuple[float, float, int]:
    """The largest errors of off and on times in seconds, and how many customers' are too large."""
    was, said, tolerances = accounts.was, accounts.said, accounts.tolerances
    off_max = on_max = 0.0
    wrong = 0
    for customer in truth.customers:
        real = was.at(customer, _ms(truth.off_at))
        heard = said.nearest(customer, real) if real else None
        if real is None or heard is None:
            continue  # a customer who is missing is counted as missing
        limit_s = tolerances.inferred_s if heard.inferred else tolerances.heard_s
        off_s = abs(heard.off_ms - real.off_ms) / 1000
        ends = (heard.on_ms, real.on_ms)
        on_s = 0.0 if OPEN_END in ends else abs(ends[0] - ends[1]) / 1000
        wrong += max(off_s, on_s) > limit_s or (ends[0] == OPEN_END) != (ends[1] == OPEN_END)
        off_max, on_max = max(off_max, off_s), max(on_max, on_s)
    return off_max, on_max, wrong


def _touches_dark(found: Found, dark: Timelines) -> bool:
    return any(
        dark.nearest(customer, Interval(_ms(step.off_at), _end(step.on_at))) is not None
        for step in found.steps
        for customer in step.customers
    )


def _devices(truth: OutageTruth) -> set[str]:
    return {truth.device_id, *(stage.device_id for stage in truth.stages)}


def _span(steps: Sequence[FoundStep], until_ms: int) -> Interval:
    begins = [_ms(step.off_at) for step in steps]
    ends = [min(_end(step.on_at), until_ms) for step in steps]
    return Interval(min(begins, default=0), max(ends, default=0))


def _ms(moment: str | int) -> int:
    return moment if isinstance(moment, int) else from_rfc3339(moment)


def _end(moment: str | int | None) -> int:
    return OPEN_END if moment is None else _ms(moment)
