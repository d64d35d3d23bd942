"""The specification of people's decisions: taken for the version they saw, kept to, taken back."""

import pytest

from grid.drawing import draw

NETWORK = draw("""
source S1
  breaker B1 telemetered
    fuse F1
      transformer T1
        meter M1..M4
      transformer T2
        meter M5..M8
    fuse F2
      transformer T3
        meter M9..M12
      transformer T5
        meter M17..M32
  breaker B2
    transformer T4
      meter M13..M16
""")
WARM = "11:15 11:30 11:45 12:00 M1..M32 heartbeat\n"
T1_OUT = WARM + "12:00:30 M1..M4 last_gasp\n"
F1_OUT = WARM + "12:00:30 M1..M8 last_gasp\n"


# -- one yes -------------------------------------------------------------------------------------


def test_of_two_on_one_version_the_second_is_told_what_it_is_now(day) -> None:
    told = day(NETWORK, f"""{T1_OUT}
        12:01:10 ann acknowledge S1-1 v4
        12:01:11 bob acknowledge S1-1 v4
        12:01:20 end
    """)  # fmt: skip
    assert told.decided == [
        "ann acknowledge S1-1: v5",
        "bob acknowledge S1-1: outage S1-1 is at version 5 by now",
    ]
    assert told.outage.acknowledged.by == "ann"
    change = told.changes[-1]
    assert (change.by, change.decision) == ("ann", "ann-acknowledge")
    assert [(why.code, why.fields) for why in change.reasons] == [("acknowledged", {"by": "ann"})]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("ann acknowledge S1-7 v3", "no outage S1-7 is running in S1"),
        ("ann on_site S1-1 v?", "no crew is assigned; assign one first"),
        ("ann relocate S1-1 v? device=T9 reason=x", "T9 is no device behind S1"),
        ("ann relocate S1-1 v? device=T1 reason=x", "S1-1 is at T1 already"),
        (
            "ann relocate S1-1 v? device=T3 reason=x",
            "T3 is neither above nor below T1; reject this outage instead",
        ),
        ("ann split S1-1 v? device=F1 reason=x", "F1 is not below T1"),
        ("ann merge S1-1 v? other=S1-1 reason=x", "S1-1 is itself; give another outage's id"),
        ("ann close S1-1 v?", "4 meters of it are still out; closing it needs a reason"),
        ("ann undo S1-1 v3", "there is no decision on it that can be taken back"),
        ("ann etr S1-1 v? etr=12:01 reason=x", "that time has passed already"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(day, line: str, why: str) -> None:
    told = day(NETWORK, f"{T1_OUT} 12:01:10 {line}\n12:01:20 end")
    assert told.decided == [f"{' '.join(line.split()[:3])}: {why}"]
    assert told.outage.version == 4


# -- confirm and reject --------------------------------------------------------------------------


def test_a_confirmed_outage_is_not_withdrawn_for_want_of_evidence(day) -> None:
    few = f"{WARM} 12:00:30 M1,M5 last_gasp\n"
    later = "12:00:50 M2..M4,M6..M8 heartbeat\n12:02:30 end"
    assert day(NETWORK, few + later).latest()[0].state == "rejected"
    kept = day(NETWORK, f"{few} 12:00:40 ann confirm S1-1 v? reason=smoke\n{later}")
    assert kept.latest()[0].state == "confirmed"
    assert kept.latest()[0].customers_out == 2


def test_a_rejected_outage_is_not_declared_again_from_the_same_evidence(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:00:30 M1..M4 last_gasp
        12:01:10 ann reject S1-1 v? reason=test
        12:15 12:30 12:45 13:00 M5..M32 heartbeat
        13:10 end
    """)  # fmt: skip
    assert [d.accepted for d in told.words] == [True]
    assert told.outages == ["transformer T1: rejected fault"]
    assert told.changes[-1].customers == ("C-M1", "C-M2", "C-M3", "C-M4")


def test_new_gasps_of_a_rejected_outage_are_new_evidence(day) -> None:
    told = day(NETWORK, f"""{T1_OUT}
        12:01:10 ann reject S1-1 v? reason=test
        12:05:00 M1..M4 heartbeat
        12:09:00 M1..M4 last_gasp
        12:10 end
    """)  # fmt: skip
    assert told.outages == [
        "transformer T1: rejected fault",
        "transformer T1: confirmed fault",
        "  12:09 -: M1..M4".replace("12:09", "12:09:00"),
    ]


def test_what_the_breaker_itself_says_is_no_matter_of_opinion(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:00:10 B1 trip
        12:01:10 ann reject S1-1 v? reason=test
        12:01:12 ann relocate S1-1 v? device=F1 reason=test
        12:01:20 end
    """)  # fmt: skip
    says = "B1 says itself that it is open; that is no matter of opinion"
    assert told.decided == [f"ann reject S1-1: {says}", f"ann relocate S1-1: {says}"]


# -- relocate, merge, split ----------------------------------------------------------------------


def test_a_relocated_outage_stays_where_it_was_put(day) -> None:
    told = day(NETWORK, f"""{T1_OUT}
        12:01:10 ann relocate S1-1 v? device=F1 reason=seen
        12:01:30 M5..M7 last_gasp
        12:15:30 M9..M32 heartbeat
        12:17 end
    """)  # fmt: skip
    assert [d.accepted for d in told.words] == [True]
    assert told.outages[0] == "fuse F1: confirmed fault"
    assert told.outage.customers_out == 8


def test_a_relocated_outage_does_not_come_back_to_where_the_evidence_points(day) -> None:
    moved = "12:01:10 ann relocate S1-1 v? device=F1 reason=seen\n"
    told = day(NETWORK, f"{T1_OUT} {moved} 12:05 end")
    assert told.outage.device_id == "F1"
    assert told.outage.reasons[0].code == "placed"


def test_an_outage_put_lower_lets_the_others_go_to_be_judged_anew(day) -> None:
    told = day(NETWORK, f"""{F1_OUT}
        12:01:10 ann relocate S1-1 v? device=T1 reason=seen
        12:01:30 end
    """)  # fmt: skip
    assert told.outages == [
        "transformer T1: confirmed fault",
        "  12:00:30 -: M1..M4",
        "transformer T2: confirmed fault",
        "  12:00:30 -: M5..M8",
    ]


def test_a_breaker_that_opens_above_contradicts_and_it_is_said(day) -> None:
    told = day(NETWORK, f"""{F1_OUT}
        12:01:10 ann relocate S1-1 v? device=T1 reason=seen
        12:01:20 B1 trip
        12:01:30 end
    """)  # fmt: skip
    assert told.latest()[0].device_id == "B1"
    why = "no longer held at T1, where ann put it: B1 says itself that it is open"
    assert any(why in line for line in told.log)


def test_two_outages_are_one_under_the_older_name_at_the_device_above(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:00:30 M1..M4 last_gasp
        12:00:40 M9..M12 last_gasp
        12:01:10 ann merge S1-2 v? other=S1-1 reason=line
        12:06 end
    """)  # fmt: skip
    assert [d.accepted for d in told.words] == [True]
    (one, other) = told.latest()
    assert (one.id, one.device_id, one.customers_out) == ("S1-1", "B1", 28)
    assert (other.id, other.state, other.cause) == ("S1-2", "closed", "merged into S1-1")


def test_nothing_but_a_substation_above_is_no_one_outage(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:00:30 M1..M4 last_gasp
        12:00:40 M13..M16 last_gasp
        12:01:10 ann merge S1-1 v? other=S1-2 reason=line
        12:02 end
    """)  # fmt: skip
    assert told.decided[0].endswith("nothing but the substation feeds both outages; they are two")


def test_a_split_off_part_is_an_outage_of_its_own_with_its_beginning(day) -> None:
    told = day(NETWORK, f"""{F1_OUT}
        12:01:10 ann split S1-1 v? device=T2 reason=two
        12:15 M9..M32 heartbeat
        12:20:00 M1..M4 power_up
        12:22 end
    """)  # fmt: skip
    assert told.outages == [
        "fuse F1: restored fault",
        "  12:00:30 - 12:20:00: M1..M4",
        "transformer T2: confirmed fault",
        "  12:00:30 -: M5..M8",
    ]


# -- close ---------------------------------------------------------------------------------------


def test_who_is_still_out_when_it_is_closed_is_to_be_verified(day) -> None:
    told = day(NETWORK, f"""{T1_OUT}
        12:15 12:30 M5..M32 heartbeat
        12:30:00 M1,M2 power_up
        12:31:10 ann close S1-1 v? reason=called
        12:45 13:00 M1,M2,M5..M32 heartbeat
        13:10 end
    """)  # fmt: skip
    assert [d.accepted for d in told.words] == [True], told.log
    assert told.outages == [
        "transformer T1: closed fault",
        "  12:00:30 - 12:30:00: M1..M2",
        "  12:00:30 - 12:31:10: M3..M4 (inferred)",
    ]


# -- undo ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "ann acknowledge S1-1 v?",
        "ann cause S1-1 v? cause=tree",
        "ann assign S1-1 v? crew=7",
        "ann etr S1-1 v? etr=14:00 reason=x",
        "ann reject S1-1 v? reason=x",
        "ann relocate S1-1 v? device=T1 reason=x",
        "ann split S1-1 v? device=T2 reason=x",
        "ann close S1-1 v? reason=x",
    ],
)
def test_a_decision_taken_back_leaves_the_outage_as_it_was(day, line: str) -> None:
    quiet = day(NETWORK, f"{F1_OUT} 12:01:00.500 end").outage
    told = day(NETWORK, f"""{F1_OUT}
        12:01:00.100 {line}
        12:01:00.200 bob undo S1-1 v?
        12:01:00.500 end
    """)  # fmt: skip
    assert told.words[-1].accepted, told.decided
    now = next(outage for outage in told.latest() if outage.id == "S1-1")
    for name in ("state", "device_id", "steps", "acknowledged", "crew", "stage", "etr", "cause"):
        assert getattr(now, name) == getattr(quiet, name), name
    assert [o.state for o in told.latest()[1:]] in ([], ["closed"])


def test_a_merge_taken_back_gives_both_their_members_again(day) -> None:
    two = f"{WARM} 12:00:30 M1..M4 last_gasp\n12:00:40 M9..M12 last_gasp\n"
    told = day(NETWORK, f"""{two}
        12:01:00.100 ann merge S1-1 v? other=S1-2 reason=x
        12:01:00.200 ann undo S1-1 v?
        12:01:05 end
    """)  # fmt: skip
    assert told.words[-1].accepted, told.decided
    assert told.outages == day(NETWORK, f"{two} 12:01:05 end").outages


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (
            "12:01 ann acknowledge S1-1 v?\n12:06:30 ann undo S1-1 v4",
            "acknowledge was decided more than 300 s ago; decide anew",
        ),
        (
            "12:01 ann relocate S1-1 v? device=T1 reason=x\n12:01:00.500 M5 power_up\n"
            "12:01:20 ann undo S1-1 v9",
            "outage S1-1 is at version",
        ),
        (
            "12:01 ann acknowledge S1-1 v?\n12:01:00.100 ann assign S1-1 v? crew=7\n"
            "12:01:00.200 ann undo S1-1 v? undoes=ann-acknowledge",
            "take back assign of S1-1 first",
        ),
    ],
)
def test_what_cannot_be_taken_back_is_said(day, lines: str, why: str) -> None:
    told = day(NETWORK, f"{F1_OUT} {lines}\n12:07 end")
    assert why in told.decided[-1]


# -- by hand -------------------------------------------------------------------------------------


def test_a_switch_opened_by_hand_is_an_outage_without_a_fault(day) -> None:
    told = day(NETWORK, f"{WARM} 12:02 ann open F2\n12:03 end")
    assert told.decided == ["ann open F2: v0"]
    assert told.outages == ["fuse F2: confirmed unknown", "  12:02:00 -: M9..M12 M17..M32"]
    assert told.outage.cause == "opened by command"


def test_closed_by_hand_it_is_restored_as_its_meters_say(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:02 ann open F2
        12:15 M1..M8,M13..M16 heartbeat
        12:20 ann close F2
        12:20:30 M9..M12,M17..M32 power_up
        12:21:30 end
    """)  # fmt: skip
    assert told.decided == ["ann open F2: v0", "ann close F2: v0"]
    assert told.outages[0] == "fuse F2: restored unknown"


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("12:02 ann open T1", "T1 is a transformer, and nothing that one opens or closes"),
        ("12:02 ann close F1", "F1 is closed already, as far as is known"),
        ("12:01 ann open F1\n12:02 ann open F1", "F1 is open already"),
        (
            "12:01:30 B1 voltage on=1 amps=40,40,40\n12:02 ann open B1",
            "B1 is heard itself, and says that it is closed",
        ),
        ("12:02 ann open X1", "X1 is no device of S1"),
    ],
)
def test_a_word_about_a_switch_that_cannot_be_is_refused(day, lines: str, why: str) -> None:
    told = day(NETWORK, f"{WARM} {lines}\n12:03 end")
    assert told.decided[-1].endswith(f": {why}")
