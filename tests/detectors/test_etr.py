"""The specification of estimates from history: what is left of an outage, learned from its like."""

from math import exp, log
from random import Random

from detectors.etr import CELLS_MAX, MEDIAN_MIN, MINUTE_MS, SIGMA, History, keys_of

KEYS = keys_of("transformer", "tree", 0)


def test_the_prior_is_what_the_note_says() -> None:
    left = History().estimate(KEYS, 0)
    assert exp(log(MEDIAN_MIN) - 0.8416 * SIGMA * 1.1) < left.early_ms / MINUTE_MS + 1
    assert left.early_ms / MINUTE_MS < MEDIAN_MIN < left.late_ms / MINUTE_MS
    assert 0.79 <= left.sure <= 0.82


def test_the_longer_it_has_lasted_the_more_is_left_of_it() -> None:
    """The hazard of a log-normal falls: whoever is past the median is with the long ones."""
    history = History()
    lates = [history.estimate(KEYS, hours * 3_600_000).late_ms for hours in (0, 2, 5, 10, 30)]
    assert lates == sorted(lates)
    assert history.estimate(KEYS, 30 * 86_400_000).late_ms > 0


def test_cells_keep_causes_kinds_and_hours_apart_and_lend_to_those_with_few() -> None:
    history = History()
    for minutes in (28, 30, 31, 29, 32, 30, 28, 31) * 4:
        history.learn(keys_of("fuse", "tree", 0), minutes)
    short = history.estimate(keys_of("fuse", "tree", 0), 0)
    other = history.estimate(keys_of("fuse", "cable_fault", 0), 0)
    never = History().estimate(keys_of("fuse", "cable_fault", 0), 0)
    assert short.late_ms < 60 * MINUTE_MS
    assert short.late_ms <= other.late_ms < never.late_ms


def test_words_that_are_no_cause_of_the_list_are_one_cell() -> None:
    assert keys_of("fuse", "a hedgehog", 0)[2] == keys_of("fuse", "two hedgehogs", 0)[2]
    history = History()
    for n in range(2 * CELLS_MAX):
        history.learn((f"kind {n}",), 10.0)
    assert len(history.cells) == CELLS_MAX


def test_old_outages_fade() -> None:
    history = History()
    for minutes in [300.0] * 300 + [30.0] * 600:
        history.learn(("all",), minutes)
    assert history.estimate(("all",), 0).late_ms < 90 * MINUTE_MS


def test_a_back_test_finds_the_window_as_wide_as_it_says() -> None:
    """Estimates while it lasts, each against how it ended; three causes that differ, learned as
    they close.
    """
    chance, history = Random(7), History()
    law = {"tree": (60.0, 0.7), "cable_fault": (240.0, 0.6), "fuse_blown": (35.0, 0.5)}
    by, after, count = 0, 0, 0
    errors: list[float] = []
    for n in range(900):
        cause = chance.choice(list(law))
        minutes = law[cause][0] * exp(chance.gauss(0, law[cause][1]))
        keys = keys_of("transformer", cause, n * 3_600_000)
        for elapsed in (5.0, 30.0, 90.0) if n >= 300 else ():
            if elapsed >= minutes:
                continue
            left = history.estimate(keys, int(elapsed * MINUTE_MS))
            really = minutes - elapsed
            by += really <= left.late_ms / MINUTE_MS
            after += really >= left.early_ms / MINUTE_MS
            count += 1
            errors.append(abs(really - left.late_ms / MINUTE_MS))
        history.learn(keys, minutes)
    assert count > 1000
    assert 0.76 <= by / count <= 0.86, by / count
    assert 0.76 <= after / count <= 0.86, after / count
    within = sum(error <= 60 for error in errors) / count
    assert within > 0.4, "a utility's own first estimates are within an hour in 13 %"
