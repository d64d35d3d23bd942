"""The specification of the outage pool: what is planned, for how long, and how much of it."""

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
WARM = "11:30 11:45 12:00 M1..M12 heartbeat\n"
WORK = f"{WARM} 12:00:10 B1 open\n"


@pytest.mark.parametrize("kind", ["planned", "curtailment"])
def test_work_that_lasts_longer_than_planned_is_an_outage_people_are_told_of(day, kind) -> None:
    told = day(NETWORK, f"11:50 plan P1 B1 12:00..12:10 kind={kind}\n{WORK} 12:30 end")
    assert told.at("12:24")[0] == f"breaker B1: confirmed {kind}"
    assert told.outages == ["breaker B1: confirmed temporary", "  12:00:10 -: M1..M12"]
    assert told.outage.cause == "maintenance: longer than planned"
    late = next(c for c in told.changes if c.outage.kind == "temporary")
    assert late.reason == "lasts longer than plan P1, which was to end at 2026-11-21T12:10:00.000Z"
    assert len(late.customers) == 12


def test_what_was_restored_in_time_lasts_no_longer(day) -> None:
    told = day(NETWORK, f"""11:50 plan P1 B1 12:00..12:10
        {WORK} 12:09 B1 close
        12:09:10 M1..M12 power_up
        12:40 end
    """)  # fmt: skip
    assert told.outages[0] == "breaker B1: closed planned"


def test_only_who_is_still_out_is_told_of_it(day) -> None:
    """Before F1 is back, too, its customers are told that it takes longer; the others are not."""
    told = day(NETWORK, f"""11:50 plan P1 B1 12:00..12:10
        {WORK} 12:09 B1 close
        12:09:10 M1..M6 power_up
        12:30 end
    """)  # fmt: skip
    late = [c for c in told.changes if any(why.code == "overrun" for why in c.reasons)]
    assert all(not {"C-M1", "C-M6"} & set(c.customers) for c in late)


def test_a_plan_that_is_extended_in_time_goes_on(day) -> None:
    text = f"11:50 plan P1 B1 12:00..12:10\n{WORK} 12:20 plan P1 B1 12:00..13:00\n12:40 end"
    told = day(NETWORK, text)
    assert told.outages[0] == "breaker B1: confirmed planned"
    assert not any("longer" in line for line in told.log)


def test_a_plan_that_is_extended_late_is_a_plan_again(day) -> None:
    text = f"11:50 plan P1 B1 12:00..12:10\n{WORK} 12:30 plan P1 B1 12:00..13:00\n12:40 end"
    told = day(NETWORK, text)
    assert told.at("12:29")[0] == "breaker B1: confirmed temporary"
    assert told.outages[0] == "breaker B1: confirmed planned"
    assert told.outage.cause == "maintenance"
    assert any("plan P1 goes on until 2026-11-21T13:00:00.000Z" in line for line in told.log)


@pytest.mark.parametrize("kind", ["arrears", "temporary"])
def test_arrears_and_temporary_outages_have_no_promised_end(day, kind: str) -> None:
    told = day(NETWORK, f"11:50 plan P1 B1 12:00..12:10 kind={kind}\n{WORK} 12:40 end")
    assert told.outages[0] == f"breaker B1: confirmed {kind}"


def test_an_outage_wider_than_its_plan_is_no_planned_one_and_says_by_how_much(day) -> None:
    told = day(NETWORK, f"11:50 plan P1 F1 12:00..12:30\n{WARM} 12:00:10 B1 trip")
    assert told.outages[0] == "breaker B1: confirmed fault"
    assert "wider than plan P1: 6 of 12 meters are not behind F1" in told.log[0]


def test_a_planned_outage_that_grows_beyond_its_plan_becomes_a_fault(day) -> None:
    told = day(NETWORK, f"""11:50 plan P1 F1 12:00..12:30
        {WARM} 12:00:10 M7..M12 last_gasp
        12:01:30 M1..M6 last_gasp
        12:04 end
    """)  # fmt: skip
    assert told.at("12:01")[0] == "fuse F1: confirmed planned"
    first, *rest = [o for o in told.latest() if "C-M1" in {c for s in o.steps for c in s.customers}]
    assert (first.kind, rest) == ("fault", [])


def test_it_says_so_once(day) -> None:
    told = day(NETWORK, f"""11:50 plan P1 F1 12:00..12:30
        {WARM} 12:00:10 B1 trip
        12:05 M1 last_gasp
        12:10 end
    """)  # fmt: skip
    assert sum("wider than plan" in line for line in told.log) == 1


def test_a_gasp_of_who_is_out_already_is_one_more_word_for_that_outage(day) -> None:
    """It is explained: no outage of its own, however late it comes."""
    told = day(NETWORK, f"""{WARM} 12:00:10 B1 trip
        12:00:10 M1..M3 last_gasp received=12:04:00
        12:05 B1 close
    """)  # fmt: skip
    assert told.at("12:04:59") == ["breaker B1: confirmed fault", "  12:00:10 -: M1..M12"]
    assert len(told.latest()) == 1
    assert "3 of 12 meters sent a last gasp" in told.outage.evidence
