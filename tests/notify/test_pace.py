"""The specification of how often somebody may do something."""

from notify.pace import Pace


def test_each_name_has_a_burst_and_then_its_rate() -> None:
    pace = Pace(2, 3, names_max=10)
    assert [pace.take("a", 0) for _ in range(4)] == [True, True, True, False]
    assert pace.take("b", 0)
    assert [pace.take("a", ms) for ms in (499, 500, 501, 1_000)] == [False, True, False, True]


def test_who_waits_long_has_a_burst_and_no_more() -> None:
    pace = Pace(2, 3, names_max=10)
    assert [pace.take("a", 3_600_000) for _ in range(4)] == [True, True, True, False]


def test_a_clock_that_goes_back_gives_nothing() -> None:
    pace = Pace(1, 1, names_max=10)
    assert pace.take("a", 10_000)
    assert not pace.take("a", 5_000)


def test_of_too_many_names_the_quietest_is_forgotten() -> None:
    pace = Pace(1, 1, names_max=2)
    assert pace.take("a", 0)
    assert pace.take("b", 1)
    assert not pace.take("a", 2)
    assert pace.take("c", 3)
    assert len(pace) == 2
    assert not pace.take("a", 4)
    assert pace.take("b", 5)
