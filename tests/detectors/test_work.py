"""The specification of the work on an outage: the crew's ladder, and what the meters say last."""

from itertools import pairwise

from grid.drawing import draw
from grid.work import Stage

NETWORK = draw("""
source S1
  breaker B1
    transformer T1
      meter M1..M4
    transformer T2
      meter M5..M8
""")
OUT = "11:15 11:30 11:45 12:00 M1..M8 heartbeat\n12:00:30 M1..M4 last_gasp\n"


def test_a_work_order_climbs_its_ladder_and_the_meters_take_the_last_step(day, at) -> None:
    told = day(NETWORK, f"""{OUT}
        12:01:10 ann assign S1-1 v? crew=7
        12:01:20 crew:7 en_route S1-1 v?
        12:01:28 crew:7 on_site S1-1 v? when=12:01:25
        12:01:29 crew:7 cause S1-1 v? cause=cable_fault
        12:01:30 crew:7 etr S1-1 v? etr=14:00 reason=joint
        12:01:40 crew:7 repaired S1-1 v?
        12:15 12:30 M5..M8 heartbeat
        12:40:00 M1..M4 power_up
        12:42 end
    """)  # fmt: skip
    assert all(word.accepted for word in told.words), told.decided
    assert told.outage.stage is Stage.VERIFIED
    assert [(p.stage, p.by) for p in told.outage.progress] == [
        ("assigned", "ann"), ("en_route", "7"), ("on_site", "7"), ("cause_found", "7"),
        ("repaired", "7"), ("verified", "meters"),
    ]  # fmt: skip
    assert told.outage.progress[2].at_ms == at("12:01:25")
    assert told.outage.cause == "cable_fault"
    assert "verified by 4 meters" in told.log[-1]


def test_steps_may_be_left_out_and_are_not_gone_back(day) -> None:
    told = day(NETWORK, f"""{OUT}
        12:01:10 ann assign S1-1 v? crew=7
        12:01:20 ann on_site S1-1 v?
        12:01:28 ann en_route S1-1 v?
        12:01:29 ann assign S1-1 v? crew=7
        12:01:30 ann assign S1-1 v? crew=8
        12:01:40 end
    """)  # fmt: skip
    assert told.decided[2:4] == [
        "ann en_route S1-1: crew 7 is on site already",
        "ann assign S1-1: crew 7 has it already",
    ]
    assert (told.outage.crew, told.outage.stage) == ("8", "assigned")
    assert len(told.outage.progress) == 1, "another crew begins anew"


def test_a_crew_moves_its_own_work_order_only(day) -> None:
    told = day(NETWORK, f"""{OUT}
        12:01:10 ann assign S1-1 v? crew=7
        12:01:20 crew:8 on_site S1-1 v?
        12:01:21 crew:8 etr S1-1 v? etr=14:00 reason=x
        12:01:30 end
    """)  # fmt: skip
    mine = "it is not crew 8's work order"
    assert told.decided[1:] == [f"8 on_site S1-1: {mine}", f"8 etr S1-1: {mine}"]


def test_a_repair_that_brings_nobody_back_is_not_verified(day) -> None:
    told = day(NETWORK, f"""{OUT}
        12:01:10 ann assign S1-1 v? crew=7
        12:01:20 crew:7 repaired S1-1 v?
        12:15:10 M5..M8 heartbeat
        12:20 end
    """)  # fmt: skip
    assert told.outage.stage is Stage.REPAIRED
    assert told.outage.customers_out == 4


def test_no_machine_overwrites_a_crews_estimate(day, at) -> None:
    told = day(NETWORK, f"""{OUT}
        12:01:00 ann etr S1-1 v? etr=12:30 reason=joint
        12:15:10 12:30:10 12:45:10 M5..M8 heartbeat
        12:55 end
    """)  # fmt: skip
    assert (told.outage.etr.at_ms, told.outage.etr.source) == (at("12:30"), "crew")
    assert told.outage.etr.reason == "joint"


def test_history_estimates_what_no_crew_has_and_says_it_again_only_when_it_matters(day, at) -> None:
    told = day(NETWORK, f"""{OUT}
        12:15:10 12:30:10 12:45:10 13:00:10 13:15:10 13:30:10 13:45:10 14:00:10 M5..M8 heartbeat
        14:10 end
    """)  # fmt: skip
    said = [c for c in told.changes if any(why.code == "etr" for why in c.reasons)]
    assert said[0].outage.etr.source == "history"
    assert said[0].outage.etr.earliest_ms < said[0].outage.etr.at_ms
    assert 2 <= len(said) <= 5
    for one, after in pairwise(said):
        moved = after.outage.etr.at_ms - one.outage.etr.at_ms
        assert abs(moved) > 30 * 60_000 or one.outage.etr.at_ms <= after.at_ms


def test_outages_that_are_over_teach_how_long_their_like_last(day) -> None:
    back = f"{OUT} 12:15 M5..M8 heartbeat\n 12:20 M1..M4 power_up\n"
    running = day(NETWORK, f"{back} 12:21 end")
    assert running.engine.history.cells == {}
    waited = day(NETWORK, f"{back} 12:29 end")
    closed = day(NETWORK, f"{back} 12:21 ann close S1-1 v?\n12:22 end")
    assert closed.outage.state == "closed"
    for told in (waited, closed):
        assert told.engine.history.cells["transformer/unknown"].n == 1


def test_a_person_verifies_what_is_restored_and_nothing_else(day) -> None:
    told = day(NETWORK, f"""{OUT}
        12:02:00 ann verify S1-1 v?
        12:10:00 M1..M4 power_up
        12:10:30 ann verify S1-1 v? reason=rang
        12:10:31 bob verify S1-1 v?
        12:10:40 ann undo S1-1 v?
        12:10:50 end
    """)  # fmt: skip
    assert [line.partition(": ")[2] for line in told.decided[:1]] == [
        "power is not back yet; only what is restored can be verified"
    ]
    assert "verified already" in told.decided[2]
    by_ann = next(c for c in told.changes if c.decision == "ann-verify")
    assert (by_ann.outage.stage, by_ann.outage.progress[-1].by) == ("verified", "ann")
    assert told.outage.stage == "none"
