"""Fail when fewer than 95 % of the pure core's branches, or of its lines, were covered.

Reads the last coverage run.  coverage's own floor counts lines and branches together, so that many
lines would hide a branch that nobody took.
"""

import io
import json
import sys
import tempfile
from pathlib import Path

from coverage import Coverage

FLOOR_PCT = 95.0


def main() -> int:
    """Print both figures; 1 below the floor."""
    coverage = Coverage()
    coverage.load()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coverage.json"
        coverage.json_report(outfile=str(path))
        totals = json.loads(path.read_text())["totals"]
    branches_pct = 100.0 * totals["covered_branches"] / max(1, totals["num_branches"])
    lines_pct = 100.0 * totals["covered_lines"] / max(1, totals["num_statements"])
    report = io.StringIO()
    print(f"pure core: {branches_pct:.1f} % of branches, {lines_pct:.1f} % of lines covered")  # noqa: T201
    if min(branches_pct, lines_pct) >= FLOOR_PCT:
        return 0
    coverage.report(file=report, show_missing=True, skip_covered=True)
    sys.stderr.write(f"{report.getvalue()}the floor is {FLOOR_PCT:.0f} %\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
