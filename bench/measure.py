"""Fair comparisons: ours and the other measured in turns in one process, medians of the rates."""

from collections.abc import Callable, Mapping
from statistics import median

Rate = Callable[[], float]


def alternate(ours: Rate, others: Mapping[str, Rate], *, runs: int) -> dict[str, object]:
    """Measure ``ours`` and the ``others`` in turns, ``runs`` times; each gives units a second.

    Returns ``runs``, ``ratios`` (ours / other by name) and ``raw`` ([ours, other], medians), as the
    harness prints them.
    """
    own: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in others}
    for _ in range(runs):
        own.append(ours())
        for name, other in others.items():
            theirs[name].append(other())
    raw = {name: [median(own), median(rates)] for name, rates in theirs.items()}
    ratios = {name: round(mine / other, 6) for name, (mine, other) in raw.items()}
    return {"runs": runs, "ratios": ratios, "raw": raw}
