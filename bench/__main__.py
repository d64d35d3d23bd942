"""Run named benchmarks: ``python -m bench NAME...`` or ``python -m bench all``.

Each prints one line of JSON: the machine, what the bench itself measured (``runs``, ``seconds``,
``ratios``, ``raw``, and figures without a ratio), and how long it took.  Exit code 1 if one failed.
"""

import importlib
import json
import pkgutil
import sys
import time
import traceback

import bench
from bench.machine import describe

NO_BENCH = frozenset(
    {
        "__main__",
        "kafka",
        "naive_faust",
        "per_event",
        "scaling",
        "solving",
        "machine",
        "measure",
        "peers",
        "pipes",
        "feed_server",
        "feed_crowd",
    }
)


def names() -> list[str]:
    """The benchmarks there are: each module of this folder with a ``run``."""
    return sorted(m.name for m in pkgutil.iter_modules(bench.__path__) if m.name not in NO_BENCH)


def line(name: str) -> dict[str, object]:
    """Run one benchmark and give its line."""
    machine = describe()
    began = time.monotonic()
    result = importlib.import_module(f"bench.{name}").run()
    seconds = round(time.monotonic() - began, 1)
    return {"bench": name, "machine": machine, "seconds": seconds, **result}


def main(arguments: list[str]) -> int:
    """Run what is asked for; a benchmark that fails does not stop the others."""
    wanted = names() if arguments == ["all"] else arguments
    unknown = sorted(set(wanted) - set(names()))
    if not wanted or unknown:
        what = f"no bench named {', '.join(unknown)}" if unknown else "which bench?"
        print(f"{what}; there are: {' '.join(names())}, or all", file=sys.stderr)
        return 2
    failed = 0
    for name in wanted:
        try:
            print(json.dumps(line(name)), flush=True)
        except Exception:  # noqa: BLE001 - the others still run, and the exit code tells
            failed = 1
            print(f"bench {name} failed:", file=sys.stderr)
            traceback.print_exc()
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
