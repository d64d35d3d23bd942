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
