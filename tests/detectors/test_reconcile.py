"""The specification of identity: an outage keeps its name while the verdict on it sharpens.

It follows its device up and down the tree, the oldest of several that turn out to be one keeps its
name, and nobody is in two.
"""

from grid.drawing import draw

NETWORK = draw("""
source S1
  breaker B1 telemetered
    switch W1
      transformer T1
        meter M1..M6
      transformer T2
        meter M7..M12
    switch W2
      transformer T3
        meter M13..M18
      transformer T4
        meter M19..M24
""")
WARM = "11:55 12:00 M1..M24 heartbeat\n"


def where(told) -> list[tuple[str, str]]:
    """The devices of each outage in the course of the day: (id, device) as it changes."""
    seen: list[tuple[str, str]] = []
    for change in told.changes:
        step = (change.outage.id, change.outage.device_id)
        if step not in seen:
            seen.append(step)
    return seen


def test_it_moves_up_as_more_gasps_come_and_keeps_its_name(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M5 last_gasp
        12:01:10 M7..M11 last_gasp
        12:01:20 M13..M17,M19..M23 last_gasp
        12:01:30 end
    """)  # fmt: skip
    assert where(told) == [("S1-1", "T1"), ("S1-1", "W1"), ("S1-1", "B1")]
    assert told.outages == ["breaker B1: confirmed fault", "  12:01:20 -: M1..M24"]


def test_it_moves_down_when_others_report_power_and_keeps_its_name(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M3,M7 last_gasp
        12:01:30 M8..M12 heartbeat
        12:01:40 end
    """)  # fmt: skip
    assert where(told) == [("S1-1", "W1"), ("S1-1", "T1")]
    assert told.outages[:2] == ["transformer T1: confirmed fault", "  12:01:00 -: M1..M6"]


def test_who_was_told_and_is_not_part_of_it_is_named_in_the_change(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M4 last_gasp
        12:01:00 M7 last_gasp
        12:01:30 M8..M12 heartbeat
        12:01:40 end
    """)  # fmt: skip
    first, *_, last = told.changes
    assert len(first.customers) == 12
    assert {"C-M8", "C-M12"} <= set(last.customers)
    assert "not" in last.reason


def test_of_several_that_are_one_the_oldest_keeps_its_name(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M6,M13..M18 last_gasp
        12:01:55 M7..M12,M19..M24 last_gasp
        12:02:00 end
    """)  # fmt: skip
    assert len(told.at("12:01:50")) == 4, "two outages with a step each"
    assert told.outages[0] == "breaker B1: confirmed fault"
    assert "takes in S1-2" in "".join(told.log)
    merged = told.latest()[1]
    assert (merged.state, merged.steps) == ("closed", ())
    assert merged.cause == "merged into S1-1"


def test_what_was_one_can_turn_out_to_be_two(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M4,M13..M16 last_gasp
        12:01:20 M7..M12,M19..M24 heartbeat
        12:01:30 end
    """)  # fmt: skip
    assert told.at("12:01:05")[0].startswith("breaker B1")
    assert told.outages == [
        "transformer T1: confirmed fault",
        "  12:01:00 -: M1..M6",
        "transformer T3: confirmed fault",
        "  12:01:00 -: M13..M18",
    ]


def test_a_trip_above_two_running_outages_takes_them_in(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M6 last_gasp
        12:01:20 M7..M12,M13..M18,M19..M24 heartbeat
        12:01:30 M13..M18 last_gasp
        12:02:00 B1 trip
        12:02:05 end
    """)  # fmt: skip
    assert told.outages[0] == "breaker B1: confirmed fault"
    assert [o.state for o in told.latest()] == ["confirmed", "closed"]
    assert told.latest()[0].customers_out == 24


def test_a_trip_above_what_is_being_restored_is_an_outage_of_its_own(day) -> None:
    """Who is still dark from before keeps the beginning of their step."""
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M6 last_gasp
        12:02:00 M1..M5 power_up
        12:02:30 B1 trip
        12:02:40 end
    """)  # fmt: skip
    assert told.outages == [
        "transformer T1: restored fault",
        "  12:01:00 - 12:02:00: M1..M5",
        "breaker B1: confirmed fault",
        "  12:01:00 -: M6",
        "  12:02:30 -: M1..M5 M7..M24",
    ]


def test_no_step_begins_before_the_last_one_ended(day) -> None:
    """The gasps of the second outage are dated, by worse clocks, into the first one."""
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M6 last_gasp
        12:03:00 M1..M6 power_up
        12:03:10 M1..M6 last_gasp
        12:02:30 M7..M12 last_gasp received=12:03:12
        12:03:20 end
    """)  # fmt: skip
    off = {step.customers: (step.off_ms, step.on_ms) for o in told.latest() for step in o.steps}
    assert all(on is None or begin <= on for begin, on in off.values())


# -- left behind ---------------------------------------------------------------------------------


def test_what_stays_dark_behind_a_transformer_is_a_nested_outage_with_the_old_beginning(
    day,
) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 B1 trip
        12:01:30 M1..M24 last_gasp
        12:03:00 B1 close
        12:03:05 M1..M18 power_up
        12:04:30 end
    """)  # fmt: skip
    assert told.outages == [
        "breaker B1: restored fault",
        "  12:01:00 - 12:03:00: M1..M18",
        "transformer T4: predicted fault left by S1-1",
        "  12:01:00 -: M19..M24",
    ]
    assert "left in the dark behind transformer T4 by S1-1" in "".join(told.log)


def test_a_nested_outage_ends_when_its_meters_are_heard(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 B1 trip
        12:03:00 B1 close
        12:03:05 M1..M18 power_up
        12:06:00 M19..M24 power_up
        12:06:10 end
    """)  # fmt: skip
    assert told.outages == [
        "breaker B1: restored fault",
        "  12:01:00 - 12:03:00: M1..M18",
        "transformer T4: restored fault left by S1-1",
        "  12:01:00 - 12:06:00: M19..M24",
    ]


def test_who_was_left_in_the_dark_and_reports_power_had_none_before(day) -> None:
    """Nobody gasped, and the first to be heard again only answers: the breaker was open all the
    same, and so it was without power.
    """
    told = day(NETWORK, f"""{WARM}
        12:01:00 B1 trip
        12:03:00 B1 close
        12:03:05 M1..M18 power_up
        12:06:01 M19 ping_reply on=1
        12:06:00 M20..M24 power_up received=12:06:04
        12:06:10 end
    """)  # fmt: skip
    assert "not part of it" not in "".join(told.log)
    assert told.outages[2:] == [
        "transformer T4: restored fault left by S1-1",
        "  12:01:00 - 12:06:00: M19..M24",
    ]


def test_a_section_behind_a_switch_is_a_later_step_of_the_same_outage(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M24 last_gasp
        12:03:00 M1..M12 power_up
        12:06:00 M13..M24 power_up
        12:06:10 end
    """)  # fmt: skip
    assert told.outages == [
        "breaker B1: restored fault",
        "  12:01:00 - 12:03:00: M1..M12",
        "  12:01:00 - 12:06:00: M13..M24",
    ]


def test_in_a_planned_outage_what_is_left_behind_is_a_fault(day) -> None:
    told = day(NETWORK, f"""11:58 plan P1 B1 12:00..12:30
        {WARM}
        12:01:00 B1 open
        12:03:00 B1 close
        12:03:05 M1..M18 power_up
        12:04:30 end
    """)  # fmt: skip
    assert [f"{o.device_id} {o.kind}" for o in told.latest()] == ["B1 planned", "T4 fault"]


def test_nothing_is_left_behind_above_what_is_being_restored(day) -> None:
    """Most of a feeder is awaited behind its fuses, and two who were never out do not answer."""
    feeder = draw("""
source S1
  breaker B1
    fuse F1
      meter M1..M10
    fuse F2
      meter M11..M20
    fuse F3
      meter M21..M30
    transformer T4
      meter M31..M34
    transformer T5
      meter M35..M38
""")
    told = day(feeder, """11:50 settings pings_per_minute=0
        11:55 12:00 M1..M38 heartbeat
        12:01:00 M1..M8 last_gasp
        12:01:30 12:02:30 12:03:30 12:05 12:07 12:09 M31..M38 heartbeat
        12:02:00 M11..M18 last_gasp
        12:03:00 M21..M28 last_gasp
        12:09:51 ping M31
        12:09:51 ping M35
        12:09:55 M1,M11 power_up
        12:09:59 M21 power_up
        12:10:10 M31..M38 heartbeat
        12:10:20 M2..M10,M12..M20,M22..M30 power_up
        12:12 end
    """)  # fmt: skip
    assert where(told) == [("S1-1", "F1"), ("S1-2", "F2"), ("S1-3", "F3")]


# -- a breaker and its meters disagree -----------------------------------------------------------


def test_who_reports_power_behind_an_open_breaker_is_not_in_its_outage(day) -> None:
    """Fed from elsewhere, or drawn in the wrong place."""
    told = day(NETWORK, f"""{WARM}
        12:01:00 B1 trip
        12:01:30 M1..M6 heartbeat
        12:01:40 end
    """)  # fmt: skip
    assert told.outage.customers_out == 18


def test_power_ups_before_the_breakers_own_word_are_one_restoration(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 B1 trip
        12:03:01 M1..M24 power_up
        12:03:00 B1 close received=12:03:20
        12:03:40 end
    """)  # fmt: skip
    assert told.outages == ["breaker B1: restored fault", "  12:01:00 - 12:03:00: M1..M24"]


def test_a_closing_that_was_lost_does_not_open_the_outage_again(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 B1 trip
        12:03:00 M1..M24 power_up
        12:05:00 M1..M24 heartbeat
        12:05:30 end
    """)  # fmt: skip
    assert told.outages == ["breaker B1: restored fault", "  12:01:00 - 12:03:00: M1..M24"]


def test_a_closing_is_laid_to_the_outage_that_runs_and_not_to_one_before(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:00 M1..M24 last_gasp
        12:02:00 M1..M24 power_up
        12:05:30 B1 trip
        12:07:00 B1 close
        12:07:05 M1..M24 power_up
        12:07:10 end
    """)  # fmt: skip
    assert told.outages == [
        "breaker B1: momentary fault",
        "  12:01:00 - 12:02:00: M1..M24",
        "breaker B1: restored fault",
        "  12:05:30 - 12:07:00: M1..M24",
    ]


# -- networks at their limits --------------------------------------------------------------------


def test_a_network_without_meters_has_no_outages(day) -> None:
    bare = draw("source S1\n  breaker B1 telemetered\n    transformer T1")
    told = day(bare, "12:00 T1 heartbeat\n12:01 B1 trip\n12:01:30 T1 last_gasp\n12:02 end")
    assert told.outages == []


def test_a_feeder_with_one_customer_can_go_dark(day) -> None:
    small = draw("source S1\n  breaker B1 telemetered\n    meter M1")
    told = day(small, "12:00 M1 heartbeat\n12:01 B1 trip\n12:02 B1 close\n12:02:05 M1 power_up")
    assert told.outages == ["breaker B1: restored fault", "  12:01:00 - 12:02:00: M1"]


def test_an_open_device_without_customers_is_no_outage(day) -> None:
    bare = draw(
        "source S1\n  breaker B1 telemetered\n    transformer T1\n  breaker B2\n    meter M1"
    )
    told = day(bare, "12:00 M1 heartbeat\n12:01 B1 trip\n12:02 end")
    assert told.outages == []


def test_all_customers_of_a_meter_share_its_fate(day) -> None:
    block = draw("source S1\n  breaker B1 telemetered\n    meter M1 customers=3\n    meter M2")
    told = day(block, "12:00 M1,M2 heartbeat\n12:01 B1 trip\n12:01:10 end")
    assert told.outage.customers_affected == told.outage.customers_out == 4
