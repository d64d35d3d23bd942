"""The specification of moments: 32 bits each, exact beside the latest whatever the year."""

from datetime import timedelta
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.moments import BACK, BLOCK_BITS, NEVER, Moments, no_times

pytestmark = pytest.mark.loops

DAY_MS = int(timedelta(days=1) / timedelta(milliseconds=1))
NOW_MS = 1_793_491_200_000
TOLD_MS = BACK << BLOCK_BITS  # at least so far back from the latest
NAMES = ("on", "off", "beat", "back", "void", "ended")


def columns(nodes: int = 2) -> dict[str, Moments]:
    """The moments of a few nodes."""
    times = no_times(nodes)
    return {name: Moments(times, name) for name in NAMES}


def test_nothing_is_known_at_first() -> None:
    for moments in columns().values():
        assert moments[:].tolist() == [NEVER, NEVER]
        assert not moments.known.any()


def test_what_is_put_down_is_read_to_the_millisecond() -> None:
    on = columns()["on"]
    on[np.array([1])] = NOW_MS + 7
    assert on[:].tolist() == [NEVER, NOW_MS + 7]
    assert on.of(1) == NOW_MS + 7
    on.put(1, NEVER)
    assert on.of(1) == NEVER


@given(st.lists(st.integers(0, TOLD_MS), min_size=6, max_size=6), st.permutations(NAMES))
def test_all_of_six_weeks_are_exact_in_whatever_order_they_come(ago_ms, order) -> None:
    known = columns()
    wanted = dict(zip(NAMES, ago_ms, strict=True))
    for name in order:
        known[name].put(0, NOW_MS - wanted[name])
    assert {name: NOW_MS - known[name].of(0) for name in NAMES} == wanted
    assert known["on"].of(1) == NEVER, "of its neighbour nothing is known"


@pytest.mark.parametrize("years", [0, 1, 30, 200])
def test_an_outage_may_last_as_long_as_it_likes(years: int) -> None:
    """Nothing is heard meanwhile, so nothing is moved."""
    known = columns()
    at_ms = NOW_MS + 365 * years * DAY_MS
    known["on"].put(0, at_ms)
    known["off"].put(0, at_ms + 1)
    assert (known["on"].of(0), known["off"].of(0)) == (at_ms, at_ms + 1)


@pytest.mark.parametrize("order", [*permutations(("on", "off", "back"))])
def test_what_is_older_by_months_is_long_ago_and_stays_known(order) -> None:
    at_ms = {"on": NOW_MS - 400 * DAY_MS, "off": NOW_MS - 500 * DAY_MS, "back": NOW_MS}
    known = columns()
    for name in order:
        known[name].put(0, at_ms[name])
    for name in ("on", "off"):
        assert NEVER < known[name].of(0) <= NOW_MS - TOLD_MS
    assert known["on"].of(0) >= known["off"].of(0), "the later is not the earlier now"
    assert known["back"].of(0) == NOW_MS


def test_who_gasped_last_did_so_years_later() -> None:
    known = columns()
    known["on"].put(0, NOW_MS)
    known["off"].put(0, NOW_MS + 1)
    for years in (1, 2, 3):
        known["void"].put(0, NOW_MS + years * 365 * DAY_MS)
        assert known["off"].of(0) > known["on"].of(0)
        assert known["beat"].of(0) == NEVER


def test_a_clock_that_is_centuries_ahead_or_behind_breaks_nothing() -> None:
    known = columns()
    known["on"].put(0, 1 << 50)
    known["off"].put(0, -(1 << 50))
    assert NEVER < known["off"].of(0) < known["on"].of(0)
