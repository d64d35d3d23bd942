"""The specification of restoration: who is back, how it is known, and since when."""

import pytest

from grid.drawing import draw

NETWORK = draw("""
source S1
  breaker B1
    switch W1
      transformer T1
        meter M1..M6
      transformer T2
        meter M7..M12
    switch W2
      transformer T3
        meter M13..M15
      transformer T4
        meter M16..M18
""")
WARM = "11:55 12:00 M1..M18 heartbeat\n"


@pytest.mark.parametrize("word", ["power_up", "heartbeat", "ping_reply on=1", "voltage volts=230"])
def test_who_gasped_is_back_with_any_word_of_power(day, word: str) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M18 last_gasp
        12:03:00 M1..M18 {word}
        12:03:10 end
    """)  # fmt: skip
    assert told.outages == ["breaker B1: restored fault", "  12:01:00 - 12:03:00: M1..M18"]


def test_a_gasp_is_not_a_word_of_power_however_late(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M17 last_gasp
        12:01:05 M18 last_gasp received=12:03:00
        12:03:10 end
    """)  # fmt: skip
    assert told.outage.customers_out == 18


def test_a_word_from_before_the_outage_that_comes_late_restores_nobody(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M18 last_gasp
        12:00:40 M1..M18 heartbeat received=12:01:20
        12:01:40 end
    """)  # fmt: skip
    assert told.outage.customers_out == 18


def test_who_had_only_been_silent_and_speaks_with_those_who_are_back_is_back_with_them(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M4,M7..M10,M13..M15 last_gasp
        12:02:40 M1..M3,M17 ping_reply on=1
        12:02:50 end
    """)  # fmt: skip
    assert told.outages[0] == "breaker B1: partially_restored fault"
    assert "not part of it" not in "".join(told.log)
    assert "  12:01:00 - 12:02:40: M1..M3 M17" in told.outages


def test_who_had_only_been_silent_and_reports_power_was_never_part_of_it(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M4,M7..M10,M13..M15 last_gasp
        12:01:40 M17 heartbeat
        12:01:50 end
    """)  # fmt: skip
    assert "C-M17" not in {c for o in told.latest() for step in o.steps for c in step.customers}
    assert "1 meter reports power: not part of it" in "".join(told.log)


def test_an_answer_to_a_false_gasp_is_no_restoration_of_what_it_was_taken_for(day) -> None:
    """Two gasps at once, before the others' could be here, look like the section above both."""
    told = day(NETWORK, f"""{WARM}
        12:01:31 M1,M7 last_gasp
        12:01:39 M1 ping_reply on=1
        12:01:59 end
    """, delivery=0.3)  # fmt: skip
    assert "outage behind switch W1 detected" in "".join(told.log)
    assert "heard with power again" not in "".join(told.log)
    assert "C-M12" not in {c for o in told.latest() for step in o.steps for c in step.customers}


@pytest.mark.parametrize("gasp", ["12:01:31", "12:01:33", "12:01:40"])
def test_what_is_confirmed_by_others_says_nothing_of_who_moved_it_up(day, gasp: str) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:31 M1..M4 last_gasp
        {gasp} M7 last_gasp
        12:01:44 M7 ping_reply on=1
        12:02:09 end
    """, delivery=0.3)  # fmt: skip
    assert told.at("12:01:43")[0] == "switch W1: confirmed fault"
    assert told.outages == ["transformer T1: confirmed fault", "  12:01:31 -: M1..M6"]


def test_who_gasped_with_others_of_a_confirmed_outage_is_back_with_any_word(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:31 M1..M3,M7 last_gasp
        12:01:44 M2 ping_reply on=1
        12:02:09 end
    """, delivery=0.3)  # fmt: skip
    assert told.at("12:01:43")[0] == "switch W1: confirmed fault"
    assert told.outages[0] == "switch W1: partially_restored fault"


def test_meters_that_report_at_the_same_second_are_not_taken_for_restored(day) -> None:
    """Nobody beside them had missed a heartbeat: they were silent because none was due."""
    told = day(NETWORK, """
        11:57 11:58 11:59 12:00 M1..M18 heartbeat
        12:00:10 M1..M3 last_gasp
        12:01:00 M4..M18 heartbeat
        12:01:05 end
    """)  # fmt: skip
    assert told.at("12:00:30")[1] == "  12:00:10 -: M1..M6"
    assert "C-M4" not in {c for o in told.latest() for step in o.steps for c in step.customers}


def test_the_times_of_those_who_came_back_together_are_one(day) -> None:
    """Power-ups trickle in over half a minute; it was one restoration: their median."""
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M18 last_gasp
        12:03:01 M1..M6 power_up
        12:03:05 M7..M12 power_up
        12:03:20 M13..M18 power_up
        12:03:30 end
    """)  # fmt: skip
    assert told.outages == ["breaker B1: restored fault", "  12:01:00 - 12:03:05: M1..M18"]


def test_more_than_a_minute_apart_they_are_steps(day, at) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M18 last_gasp
        12:03:00 M1..M12 power_up
        12:05:00 M13..M18 power_up
        12:05:10 end
    """)  # fmt: skip
    assert told.at("12:04") == [
        "breaker B1: partially_restored fault",
        "  12:01:00 - 12:03:00: M1..M12",
        "  12:01:00 -: M13..M18",
    ]
    assert told.outages == [
        "breaker B1: restored fault",
        "  12:01:00 - 12:03:00: M1..M12",
        "  12:01:00 - 12:05:00: M13..M18",
    ]
    assert told.outage.restored_ms == at("12:05:00")


def test_who_was_never_heard_follows_their_transformer_and_it_says_inferred(day) -> None:
    told = day(NETWORK, """
        11:55 12:00 M2..M18 heartbeat
        12:01:00 M2..M18 last_gasp
        12:03:00 M2..M18 power_up
        12:05:00 end
    """)  # fmt: skip
    assert told.at("12:03:30")[0] == "breaker B1: partially_restored fault"
    assert told.outages == [
        "breaker B1: restored fault",
        "  12:01:00 - 12:03:00: M2..M18",
        "  12:01:00 - 12:03:00: M1 (inferred)",
    ]


def test_so_does_who_was_silent_before_it_began(day) -> None:
    told = day(NETWORK, """
        11:40 M1 heartbeat
        11:55 12:00 M2..M18 heartbeat
        12:01:00 M2..M18 last_gasp
        12:03:00 M2..M18 power_up
        12:05:00 end
    """)  # fmt: skip
    assert "  12:01:00 - 12:03:00: M1 (inferred)" in told.outages


def test_the_mute_wait_for_their_own_transformer(day) -> None:
    told = day(NETWORK, """
        11:55 12:00 M2..M18 heartbeat
        12:01:00 M2..M18 last_gasp
        12:03:00 M7..M18 power_up
        12:04:50 end
    """)  # fmt: skip
    (nested,) = (o for o in told.latest() if o.device_id == "T1")
    assert nested.customers_out == 6, "M1 never spoke, and its transformer is dark"


def test_they_follow_it_while_others_are_still_out_elsewhere(day) -> None:
    told = day(NETWORK, """
        11:55 12:00 M2..M18 heartbeat
        12:01:00 M2..M18 last_gasp
        12:03:00 M2..M12 power_up
        12:04:20 end
    """)  # fmt: skip
    assert told.outages == [
        "breaker B1: partially_restored fault",
        "  12:01:00 - 12:03:00: M2..M12",
        "  12:01:00 - 12:03:00: M1 (inferred)",
        "  12:01:00 -: M13..M18",
    ]


def test_a_member_who_can_speak_stays_out_until_it_does(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M18 last_gasp
        12:03:00 M1..M17 power_up
        12:06:00 M1..M17 heartbeat
        12:06:10 end
    """)  # fmt: skip
    assert [c for o in told.latest() for s in o.steps if s.on_ms is None for c in s.customers] == [
        "C-M18"
    ]


def test_a_lost_power_up_is_made_good_by_the_next_heartbeat(day) -> None:
    """It had gasped, so its word ends its step: at the time of those beside it."""
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M18 last_gasp
        12:03:00 M1..M5,M7..M18 power_up
        12:03:40 M6 heartbeat
        12:03:50 end
    """)  # fmt: skip
    assert told.outages == ["breaker B1: restored fault", "  12:01:00 - 12:03:00: M1..M18"]


def test_a_power_up_that_tells_of_a_lost_gasp_is_a_restoration(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M17 last_gasp
        12:03:00 M1..M17 power_up
        12:03:02 M18 power_up off_at=12:01:00
        12:03:10 end
    """)  # fmt: skip
    assert told.outages == ["breaker B1: restored fault", "  12:01:00 - 12:03:00: M1..M18"]


def test_a_terminal_that_is_back_makes_its_meters_expected(day) -> None:
    told = day(NETWORK, f"""12:00 T1,T2,T3,T4 heartbeat
        {WARM}
        12:01:00 T1,T2,T3,T4 last_gasp
        12:03:00 T1,T2,T3,T4 power_up
        12:03:10 M1..M15 power_up
        12:05:00 end
    """)  # fmt: skip
    assert [f"{o.device_id} {o.state}" for o in told.latest()] == ["B1 restored", "T4 predicted"]


def test_dark_again_within_three_minutes_is_the_same_outage(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M18 last_gasp
        12:03:00 M1..M18 power_up
        12:04:00 M1..M18 last_gasp
        12:04:10 end
    """)  # fmt: skip
    assert told.outages == ["breaker B1: confirmed fault", "  12:01:00 -: M1..M18"]
    assert "open again before it was over: the same outage" in told.log[-1]


def test_dark_again_later_is_another_one(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M18 last_gasp
        12:03:00 M1..M18 power_up
        12:06:10 M1..M18 last_gasp
        12:06:20 end
    """)  # fmt: skip
    assert told.outages == [
        "breaker B1: restored fault",
        "  12:01:00 - 12:03:00: M1..M18",
        "breaker B1: confirmed fault",
        "  12:06:10 -: M1..M18",
    ]


def test_nobody_is_told_twice_that_they_are_back(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M18 last_gasp
        12:03:00 M1..M18 power_up
        12:03:30 12:04:30 12:05:30 M1..M18 heartbeat
        12:06:00 end
    """)  # fmt: skip
    back = [c for change in told.changes if "again" in change.reason for c in change.customers]
    assert len(back) == len(set(back)) == 18


BOXES = draw("""
source S1
  breaker B1
    transformer T1
      fuse F1
        meter M1..M4
      fuse F2
        meter M5..M10
    transformer T2
      meter M11..M20
""")


def test_a_first_report_behind_a_terminal_that_was_dead_is_restoration(day) -> None:
    """Heartbeats are not learned yet, and its power-up was lost: its terminal says where it was."""
    told = day(BOXES, """
        12:00 T1,T2,M1..M20 heartbeat
        12:02:00 T1 last_gasp
        12:02:05 M1..M4 last_gasp
        12:04 M11..M20 heartbeat
        12:08:00 M9 heartbeat
        12:08:01 M1..M8,M10 power_up
        12:08:30 end
    """)  # fmt: skip
    assert [o.device_id for o in told.latest()] == ["T1"]
    assert told.outage.state == "restored"
    assert told.outage.customers_affected == 10
