"""The specification of an outage's life: predicted, confirmed, restored; planned."""

import pytest

from grid.drawing import draw

NETWORK = draw("""
source S1
  breaker B1 telemetered
    transformer T1
      meter M1..M6
    fuse F1
      transformer T2
        meter M7..M9
      transformer T3
        meter M10..M12
""")
WARM = "11:55 12:00 M1..M12 heartbeat\n 12:00 T2 heartbeat\n"


# -- predicted and confirmed ---------------------------------------------------------------------


def test_meters_alone_predict_and_enough_of_them_confirm(day) -> None:
    told = day(
        NETWORK, f"{WARM} 12:00:30 M7,M10 last_gasp\n12:00:40 M8,M9,M11,M12 last_gasp\n12:01 end"
    )
    assert told.at("12:00:35")[0] == "fuse F1: predicted fault"
    assert told.outages == ["fuse F1: confirmed fault", "  12:00:40 -: M7..M12"]
    assert "confirmed by meters" in told.log[-1]


def test_a_terminal_confirms(day) -> None:
    told = day(NETWORK, f"{WARM} 12:00:30 T2 last_gasp\n12:00:31 M9 last_gasp\n12:00:40 end")
    assert told.outages[0].endswith(": confirmed fault")
    assert "confirmed by terminals" in told.log[0]
    assert told.outage.evidence[:2] == (
        "1 transformer terminal reports no voltage",
        "1 of 3 meters sent a last gasp",
    )


def test_its_breaker_confirms(day, at) -> None:
    told = day(NETWORK, f"{WARM} 12:00:20 M1..M9 last_gasp\n12:00:10 B1 trip received=12:00:30")
    assert told.at("12:00:25")[0] == "breaker B1: confirmed fault"
    assert told.outage.started_ms == at("12:00:10"), "its own word is better than its meters'"
    assert told.outage.evidence[0] == "B1 tripped at 2026-11-21T12:00:10.000Z"


def test_a_breaker_that_opens_later_does_not_shorten_an_outage_that_gasps_began(day, at) -> None:
    told = day(NETWORK, f"{WARM} 12:00:20 M1..M12 last_gasp\n12:01:30 B1 trip\n12:01:40 end")
    assert told.outage.started_ms == at("12:00:20")
    assert told.outage.evidence[0] == "B1 tripped at 2026-11-21T12:01:30.000Z"


def test_what_was_predicted_and_is_held_no_more_is_rejected(day) -> None:
    told = day(
        NETWORK, f"{WARM} 12:00:30 M7,M10 last_gasp\n12:00:50 M8,M9,M11,M12 heartbeat\n12:02:30 end"
    )
    assert told.at("12:00:40") == ["fuse F1: predicted fault", "  12:00:30 -: M7..M12"]
    assert told.outages == ["fuse F1: rejected fault"]


# -- restored and closed -------------------------------------------------------------------------


def test_a_restored_outage_closes_once_it_stayed_so(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:00:30 M1..M12 last_gasp
        12:02:00 M1..M12 power_up
        12:03 12:04 12:05 M1..M12 heartbeat
        12:06 end
    """, momentary_s=60.0, close_after_s=120.0)  # fmt: skip
    assert told.at("12:02:10")[0] == "breaker B1: restored fault"
    assert told.at("12:03:59")[0] == "breaker B1: restored fault"
    assert told.outages == ["breaker B1: closed fault", "  12:00:30 - 12:02:00: M1..M12"]


def test_one_that_meters_found_and_was_short_is_momentary(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:00:30 M1..M12 last_gasp
        12:01:20 M1..M12 power_up
        12:02:20 12:03:20 M1..M12 heartbeat
        12:03:30 end
    """, momentary_s=60.0, close_after_s=60.0)  # fmt: skip
    assert told.outages == ["breaker B1: momentary fault", "  12:00:30 - 12:01:20: M1..M12"]


def test_a_quick_reclose_is_momentary_with_complete_steps(day) -> None:
    told = day(NETWORK, f"{WARM} 12:00:10 B1 trip\n12:00:12.500 B1 close\n12:01:20 end")
    assert told.at("12:00:13") == [
        "breaker B1: restored fault",
        "  12:00:10 - 12:00:12.500: M1..M12",
    ]
    assert told.outages == ["breaker B1: momentary fault", "  12:00:10 - 12:00:12.500: M1..M12"]


def test_closed_again_within_a_minute_is_momentary_and_after_it_is_not(day) -> None:
    at_sixty = day(NETWORK, f"{WARM} 12:00:10 B1 trip\n12:01:10 B1 close\n12:02:20 end")
    assert at_sixty.outages[0] == "breaker B1: momentary fault"
    later = day(NETWORK, f"{WARM} 12:00:10 B1 trip\n12:01:11 B1 close\n12:02:20 end")
    assert later.outages[0] == "breaker B1: confirmed fault"


def test_gasps_of_a_momentary_that_come_late_do_not_open_it_again(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:00:10 B1 trip
        12:00:12 B1 close
        12:00:11 M1..M6 last_gasp received=12:00:40
        12:00:13 M1..M6 power_up received=12:00:41
        12:01 12:02 M1..M12 heartbeat
        12:02:10 end
    """)  # fmt: skip
    assert told.outages == ["breaker B1: momentary fault", "  12:00:10 - 12:00:12: M1..M12"]


def test_a_failed_reclose_is_one_outage_from_its_first_trip(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:00:10 B1 trip
        12:00:11 B1 close
        12:00:12 B1 trip
        12:00:13 B1 lockout
        12:00:45 M1..M12 last_gasp
        12:02 end
    """)  # fmt: skip
    assert told.outages == ["breaker B1: confirmed fault", "  12:00:10 -: M1..M12"]
    assert "B1 locked out" in told.log[-2]


@pytest.mark.parametrize(
    "tripped", ["12:00:10 B1 trip\n12:00:11 B1 lockout", "12:00:10 B1 lockout"]
)
def test_what_locked_out_was_closed_by_people_however_soon(day, tripped: str) -> None:
    """That is no reclosing: everybody stays out until they are heard."""
    told = day(NETWORK, f"""{WARM} {tripped}
        12:00:40 B1 close
        12:00:45 M1..M9 power_up
        12:00:50 end
    """)  # fmt: skip
    assert told.outages == [
        "breaker B1: partially_restored fault",
        "  12:00:10 - 12:00:40: M1..M9",
        "  12:00:10 -: M10..M12",
    ]


def test_after_a_failed_reclose_it_can_be_restored_like_any_other(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:00:10 B1 trip
        12:00:11 B1 close
        12:00:12 B1 trip
        12:02:00 B1 close
        12:02:05 M1..M12 power_up
        12:03 M1..M12 heartbeat
        12:03:30 end
    """)  # fmt: skip
    assert told.outages == ["breaker B1: restored fault", "  12:00:10 - 12:02:00: M1..M12"]


@pytest.mark.parametrize("word", ["12:00:11.500", "12:00:12.050", "12:00:15"])
def test_a_terminal_heard_while_it_reclosed_is_expected_back_with_the_others(day, word) -> None:
    """By the breaker's clock it spoke before the last trip, by its own shortly after: its regular
    report was due in the dark, and says nothing of what it feeds when the power is back.
    """
    told = day(NETWORK, f"""{WARM}
        12:00:10 B1 trip
        12:00:11 B1 close
        {word} T2 heartbeat
        12:00:12 B1 trip
        12:00:13 B1 lockout
        12:20:00 B1 close
        12:20:05 M1..M12 power_up
        12:20:06 T2 power_up
        12:20:10 end
    """)  # fmt: skip
    assert told.outages == ["breaker B1: restored fault", "  12:00:10 - 12:20:00: M1..M12"]


def test_a_trip_long_after_the_restoration_is_another_outage(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:00:10 B1 trip
        12:00:11 B1 close
        12:01 12:02 12:03 12:04 M1..M12 heartbeat
        12:04:10 B1 trip
        12:04:20 end
    """)  # fmt: skip
    assert told.outages == [
        "breaker B1: momentary fault",
        "  12:00:10 - 12:00:11: M1..M12",
        "breaker B1: confirmed fault",
        "  12:04:10 -: M1..M12",
    ]


# -- commands and plans --------------------------------------------------------------------------


def test_what_was_opened_by_command_has_no_fault_to_look_for(day) -> None:
    told = day(NETWORK, f"{WARM} 12:00:10 B1 open commanded=1")
    assert told.outages == ["breaker B1: confirmed unknown", "  12:00:10 -: M1..M12"]
    assert told.outage.cause == "opened by command"


@pytest.mark.parametrize("kind", ["planned", "temporary", "arrears", "curtailment"])
def test_an_outage_in_a_plans_time_is_of_the_plans_kind(day, kind: str) -> None:
    told = day(NETWORK, f"11:58 plan P1 B1 12:00..12:30 kind={kind}\n{WARM} 12:00:10 B1 open")
    assert told.outages[0] == f"breaker B1: confirmed {kind}"
    assert told.outage.cause == "maintenance"
    assert "matches plan P1: no alarm" in told.log[0]


def test_a_plan_above_the_device_matches_and_one_below_does_not(day) -> None:
    above = day(
        NETWORK, f"11:58 plan P1 B1 12:10..12:30\n{WARM} 12:00:30 M7..M12 last_gasp\n12:01 end"
    )
    assert above.outages[0] == "fuse F1: confirmed planned"
    below = day(NETWORK, f"11:58 plan P1 T1 12:00..12:30\n{WARM} 12:00:10 B1 trip")
    assert below.outages[0] == "breaker B1: confirmed fault"


@pytest.mark.parametrize(
    ("plan", "kind"),
    [
        ("12:10..12:30", "planned"),
        ("11:00..11:50", "planned"),
        ("12:16..12:30", "fault"),
        ("11:00..11:44", "fault"),
    ],
    ids=["it began a little early", "it lasts a little longer", "much too early", "long over"],
)
def test_a_plan_may_begin_early_and_end_late_by_a_tolerance(day, plan: str, kind: str) -> None:
    told = day(NETWORK, f"11:57 plan P1 B1 {plan}\n{WARM} 12:00:10 B1 trip")
    assert told.outages[0] == f"breaker B1: confirmed {kind}"


def test_a_cancelled_plan_matches_nothing(day) -> None:
    told = day(NETWORK, f"11:58 plan P1 B1 12:00..12:30\n11:59 cancel P1\n{WARM} 12:00:10 B1 trip")
    assert told.outages[0] == "breaker B1: confirmed fault"


def test_a_plan_for_a_device_of_another_group_is_kept_and_matches_nothing(day) -> None:
    told = day(NETWORK, f"11:58 plan P1 B77 12:00..12:30\n{WARM} 12:00:10 B1 trip")
    assert told.outages[0] == "breaker B1: confirmed fault"


def test_in_a_plans_time_less_evidence_is_enough(day) -> None:
    """The device was going to be opened: one gasp says that it was."""
    lone = f"{WARM} 12:00:30 M7 last_gasp\n12:00:40 end"
    planned = day(NETWORK, f"11:58 plan P1 F1 12:00..12:30\n{lone}")
    assert planned.outages[0].startswith("fuse F1")
    assert planned.outage.probability > 0.9


def test_settings_can_change_while_it_runs(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:00:10 B1 trip
        12:00:15 settings momentary_scada_s=2
        12:00:20 B1 close
        12:01:00 end
    """)  # fmt: skip
    assert told.outages[0] == "breaker B1: confirmed fault", "ten seconds are no moment any more"


def test_a_ping_that_was_sent_changes_nothing_until_it_is_answered(day) -> None:
    quiet = f"{WARM} 12:00:30 M7,M8 last_gasp"
    assert (
        day(NETWORK, f"{quiet}\n12:00:40 end").outages
        == day(NETWORK, f"{quiet}\n12:00:35 ping M9\n12:00:40 end").outages
    )
