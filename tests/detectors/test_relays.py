"""The specification of concentrators that were mute, and of those that only seemed to be."""

from grid.drawing import draw

NETWORK = draw("""
source S1
  breaker B1
    fuse F1
      transformer T1
        meter M1..M4 dcu=D1
    fuse F2
      transformer T2
        meter M5..M30 dcu=D1
""")
APART = draw("""
source S1
  breaker B1
    fuse F1
      transformer T1
        meter M1..M4 dcu=D1
    fuse F2
      transformer T2
        meter M5..M29 dcu=D1
    fuse F3
      transformer T3
        meter M30 dcu=D1
""")
WARM = """
    11:32:10 11:47:10 M1..M4 heartbeat
    11:45 12:00 M5,M7..M30 heartbeat
    12:02:02 ping M1
    12:02:02 ping M2
    12:02:02 ping M3
"""


def test_who_does_not_answer_through_a_concentrator_that_works_is_in_the_dark(day) -> None:
    """Nothing came through it for two minutes, and nothing else had been due."""
    words = "12:02:30 M5 heartbeat\n 12:02:50 M6 heartbeat\n 12:03:10 M7 heartbeat\n"
    told = day(NETWORK, f"{WARM} {words} 12:03:30 end")
    assert told.outages[-2:] == ["transformer T1: predicted fault", "  11:47:10 -: M1..M4"]


def test_one_that_swallowed_a_report_of_others_was_mute_and_nobody_behind_it_missed_one(
    day,
) -> None:
    late = "11:32:20 11:47:20 M6 heartbeat\n"  # its next one was swallowed, and nobody asked it
    told = day(NETWORK, f"{late} {WARM} 12:02:55 M5 heartbeat\n 12:03:30 end")
    assert told.outages == []


QUIET = """
    11:32:10 11:47:10 M1..M4 heartbeat
    11:45 12:00 M5..M29 heartbeat
"""


def test_of_whom_alone_reports_are_missing_when_it_is_back_is_in_the_dark(day) -> None:
    """It was mute just between the words of all the others, or their transformer has failed."""
    told = day(NETWORK, f"{QUIET} 11:45 12:00 M30 heartbeat\n 12:04 M5 heartbeat\n 12:05 end")
    assert told.outages[-2:] == ["transformer T1: predicted fault", "  11:47:10 -: M1..M4"]


def test_with_a_report_of_another_device_missing_it_was_mute(day) -> None:
    late = "11:32:20 11:47:20 M30 heartbeat\n"  # and nobody beside it was heard since
    told = day(APART, f"{QUIET} {late} 12:04 M5 heartbeat\n 12:05 end")
    assert told.outages == []


def test_with_somebody_heard_beside_the_silent_it_was_mute(day) -> None:
    told = day(
        NETWORK,
        "11:32:10 11:47:10 M1..M3 heartbeat\n 11:45 12:00 M5..M30 heartbeat\n"
        "11:49 M4 heartbeat\n 12:04 M4 heartbeat\n 12:05 end",
    )
    assert told.outages == []
