"""The specification of listening: which silence nobody listened to."""

import numpy as np

from detectors.listening import GAPS_MAX, STILL, Listening, due
from grid.frame import CaughtUp


def test_a_source_that_is_back_was_deaf_since_it_was_lost() -> None:
    ears = Listening()
    ears.lose("mqtt", 100)
    ears.lose("mqtt", 150)
    assert ears.gaps == ((100, STILL),)
    ears.find("mqtt", (180, 200))
    assert ears.gaps == ((100, 200),)


def test_a_gap_lasts_until_devices_are_answered() -> None:
    ears = Listening([(0, 50)])
    since = ears.find("mqtt", (100, 200))
    ears.answered(since, CaughtUp(280, "mqtt", 260))
    assert ears.gaps == ((0, 50), (100, 260))
    ears.answered(since, CaughtUp(290, "mqtt"))
    ears.answered(None, CaughtUp(310, "mqtt", 300))  # a word of a source that was never away
    assert ears.gaps == ((0, 50), (100, 260))


def test_one_that_says_it_was_deaf_longer_than_we_knew_is_believed() -> None:
    ears = Listening()
    ears.lose("mqtt", 100)
    ears.find("mqtt", (50, 200))
    assert ears.gaps == ((50, 200),)


def test_while_any_source_is_lost_we_are_deaf() -> None:
    ears = Listening()
    ears.lose("modbus", 100)
    ears.lose("mqtt", 120)
    ears.find("modbus", (100, 130))
    assert ears.gaps == ((100, 130), (120, STILL))


def test_of_too_many_gaps_the_oldest_become_one() -> None:
    ears = Listening()
    for n in range(GAPS_MAX + 3):
        ears.find("mqtt", (10 * n, 10 * n + 5))
    assert len(ears.gaps) == GAPS_MAX
    assert ears.gaps[0] == (0, 35), "with what was heard between them: rather patient than wrong"
    assert ears.gaps[-1] == (10 * (GAPS_MAX + 2), 10 * (GAPS_MAX + 2) + 5)


def test_a_gap_within_another_does_not_shorten_it() -> None:
    ears = Listening([(0, 100)])
    for n in range(GAPS_MAX):
        ears.find("mqtt", (50 + n, 51 + n))
    assert ears.gaps[0] == (0, 100)


def test_what_was_due_is_due_again_a_period_after_we_listen_again() -> None:
    expected, period = np.array([80, 95, 150, 400]), np.array([60, 60, 60, 60])
    assert due(expected, period, 10, ()).tolist() == [80, 95, 150, 400]
    assert due(expected, period, 10, ((100, 200),)).tolist() == [80, 260, 260, 400]
    assert due(expected, period, 10, ((100, 200), (255, 300))).tolist() == [80, 360, 360, 400]
