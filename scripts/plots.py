"""Draw the scoreboard: lines of ``lastgasp evaluate --json`` in, three pictures and a table out.

    python scripts/plots.py build/scoreboard.jsonl docs/pictures

``exact.svg`` has the share of faults found with exactly their customers over the share of last
gasps that arrive, the rule beside it; ``calibration.svg`` how often an outage of a stated
probability is at the right device; ``detect.svg`` how long the first right verdict takes.  The
table is printed as docs/detection.md has it.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "lastgasp"  # the same picture is the same file
from matplotlib import pyplot as plt  # noqa: E402  after its backend is chosen

CELL = re.compile(r"p([\d.]+) r([\d.]+)( terminals scada)?$")
Line = dict[str, Any]


def main(source: Path, folder: Path) -> None:
    """Draw the pictures of a scoreboard."""
    lines = [json.loads(text) for text in source.read_text().splitlines()]
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in (("exact", exact), ("calibration", calibration), ("detect", detect)):
        figure, axes = plt.subplots(figsize=(6.8, 4.6), layout="constrained")
        draw(axes, lines)
        axes.grid(alpha=0.3)
        figure.legend(loc="outside lower center", ncols=2, fontsize=7)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        plt.close(figure)
    sys.stdout.write("\n".join(table(lines)) + "\n")


def table(lines: list[Line]) -> list[str]:
    """A row a network and cell, in Markdown."""
    titles = ("network", "cell", "faults", "exact", "of feeder, section, transformer", "the rule",
              "false", "p95 s by breaker / terminal / meter", "declared a fault", "Brier", "nested",
              "wrong restored")  # fmt: skip
    rows = [titles, tuple("---" for _ in titles)]
    for line in lines:
        waits = [line["detect_by"][voice]["p95_s"] for voice in ("breaker", "terminal", "meter")]
        cells = [_short(line["network"]), line["cell"]]
        cells += [line[name] for name in ("faults", "exact", "exact_fst", "rule_exact", "false")]
        cells.append(" / ".join(_said(wait) for wait in waits))
        cells += [line[name] for name in ("declared_per_fault", "brier", "nested_exact")]
        rows.append(tuple(_said(cell) for cell in (*cells, line["wrong_restored"])))
    return [f"| {' | '.join(row)} |" for row in rows]


def _said(cell: object) -> str:
    return "-" if cell is None else f"{cell:.3g}" if isinstance(cell, float) else str(cell)


def _short(network: str) -> str:
    return Path(network.removeprefix("simbench:")).stem


def series(lines: list[Line]) -> dict[str, list[tuple[float, Line]]]:
    """The lines of the grid by network and equipment, ascending by delivery."""
    found: dict[str, list[tuple[float, Line]]] = {}
    for line in lines:
        cell = CELL.match(line["cell"])
        if cell:
            meters = "with terminals and SCADA" if cell[3] else "meters alone"
            found.setdefault(f"{_short(line['network'])}, {meters}, r={cell[2]}", []).append(
                (float(cell[1]), line)
            )
    return {name: sorted(rows, key=lambda row: row[0]) for name, rows in sorted(found.items())}


def exact(axes: Any, lines: list[Line]) -> None:
    """Exactly right customer sets over delivery; dashed: three reports and half of the meters."""
    for name, rows in series(lines).items():
        over = [delivery for delivery, _ in rows]
        (ours,) = axes.plot(over, [row["exact"] for _, row in rows], "o-", label=name)
        rule = [row["rule_exact"] for _, row in rows]
        axes.plot(over, rule, "x--", color=ours.get_color(), label="the rule", alpha=0.6)
    axes.set(xlabel="share of last gasps that arrive", ylabel="customer sets exactly right",
             xlim=(0, 1), ylim=(-0.03, 1.03))  # fmt: skip


def calibration(axes: Any, lines: list[Line]) -> None:
    """Of the outages that stood with a probability, how many were at the right device."""
    axes.plot((0, 1), (0, 1), color="grey", lw=0.8, label="as said")
    for name, rows in series(lines).items():
        bins = [one for _, row in rows for one in row["calibration"]]
        axes.scatter([one["said"] for one in bins], [one["true"] for one in bins],
                     s=[6 + 3 * one["count"] ** 0.5 for one in bins], label=name,
                     alpha=0.6)  # fmt: skip
    axes.set(xlabel="probability said at the verdict", ylabel="share at the right device",
             xlim=(0, 1.03), ylim=(-0.03, 1.03))  # fmt: skip


def detect(axes: Any, lines: list[Line]) -> None:
    """From the first word of no power to the first right verdict: half of the faults, and 95 %."""
    for name, rows in series(lines).items():
        over = [delivery for delivery, _ in rows]
        (half,) = axes.plot(over, [row["detect_p50_s"] for _, row in rows], "o-", label=name)
        late = [row["detect_p95_s"] for _, row in rows]
        axes.plot(over, late, "^:", color=half.get_color(), label="95 %")
    axes.set(xlabel="share of last gasps that arrive", ylabel="seconds of stream time",
             xlim=(0, 1), ylim=(0, None), yscale="symlog")  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
