"""The only clock of the house.  Everything else is given the time, or a callable that tells it."""

import time


def now_ms() -> int:
    """UTC, epoch milliseconds, as the machine's clock has it."""
    return time.time_ns() // 1_000_000
