"""The specification of phase faults: one phase of a device gone, the others live."""

import pytest

from grid.drawing import draw

NETWORK = draw("""
source S1
  breaker B1 telemetered
    fuse F1
      transformer T1
        meter M1..M4 phases=A
        meter M5..M8 phases=B
        meter M9..M12 phases=C
        meter M13
      transformer T2
        meter M14..M16 phases=A
        meter M17..M19 phases=B
        meter M20..M21
    transformer T3
      meter M22..M25 phases=B
      meter M26..M29 phases=A
""")
BEATS = "11:30 11:45 12:00 M1..M29 heartbeat volts=230\n11:30 11:45 12:00 B1 heartbeat on=1\n"
DARK = "12:07:10 M5,M6,M17 last_gasp received=12:07:50\n"
SINGLE = "12:09 M1..M4,M9..M12,M14..M16,M22..M29 voltage volts=230\n"
LIVE = f"{SINGLE}12:09:01 M13,M20,M21 voltage volts=230,0,230\n"
ON = SINGLE.replace("12:09", "12:15 12:30").replace("voltage", "heartbeat")
ON += "12:15 12:30 M13,M20,M21 heartbeat volts=230,0,230\n"
BEAT15 = "12:15 M1..M4,M9..M12,M14..M16,M22..M29 heartbeat volts=230\n"
OUT = "12:07:10 -: M5..M8 M17..M19"


def test_a_blown_fuse_of_one_phase_is_one_outage_of_those_on_that_phase(day) -> None:
    told = day(NETWORK, f"{BEATS}{DARK}{LIVE}12:12 end")
    assert told.outages == ["fuse F1: confirmed fault", f"  {OUT}"]
    assert told.outage.phases == "B"
    assert told.outage.probability > 0.9


def test_it_says_why(day) -> None:
    said = "12:07:12 M13,M20,M21 phase_loss phases=B received=12:07:40\n"
    early = SINGLE.replace("12:09", "12:07:30")
    told = day(NETWORK, f"{BEATS}{DARK}{said}{early}12:12 end")
    why = told.outage.evidence
    assert "3 devices of three phases have lost phase B and keep another" in why
    assert "3 of 7 meters sent a last gasp" in why
    assert any(line.code == "phase_live" and line.for_ is None for line in told.outage.reasons)


def test_three_phase_devices_alone_can_show_which_device_lost_the_phase(day) -> None:
    said = "12:07:12 M13,M20,M21 voltage volts=230,0,230 received=12:07:40\n"
    told = day(NETWORK, f"{BEATS}{said}{SINGLE}12:12 end")
    assert [line.split(":")[0] for line in told.outages[:1]] == ["fuse F1"]
    assert told.outage.phases == "B"
    assert told.outage.customers_out == 7


def test_customers_of_three_phases_are_no_part_of_it_and_have_a_finding(day) -> None:
    said = "12:07:12 M13 phase_loss phases=B received=12:07:40\n"
    told = day(NETWORK, f"{BEATS}{DARK}{said}{LIVE}12:12 end")
    assert told.outages == ["fuse F1: confirmed fault", f"  {OUT}"]
    assert told.findings[0] == "phase_loss M13 12:07:12 -"


def test_all_phases_gone_is_no_phase_fault(day) -> None:
    gasps = "12:07:10 M1,M5,M6,M9,M13,M14,M17 last_gasp received=12:07:50\n"
    told = day(NETWORK, f"{BEATS}{gasps}12:09 M22..M29 voltage volts=230\n12:12 end")
    assert told.outages == ["fuse F1: confirmed fault", "  12:07:10 -: M1..M21"]
    assert told.outage.phases == "ABC"


def test_one_word_is_no_phase_fault(day) -> None:
    told = day(NETWORK, f"{BEATS}12:07:10 M5 last_gasp received=12:07:50\n{SINGLE}12:12 end")
    assert told.outages == []


@pytest.mark.loops
def test_it_widens_when_the_other_phases_go_too(day) -> None:
    late = "12:20:00 M1,M2,M9,M10,M13,M14,M15,M20 last_gasp received=12:20:40\n"
    told = day(
        NETWORK, f"{BEATS}{DARK}{LIVE}{BEAT15}{late}12:21 M22..M29 voltage volts=230\n12:24 end"
    )
    assert told.outage.phases == "ABC"
    assert told.outage.customers_out == 21
    assert told.outage.id == "S1-1"
    assert any("all phases" in line for line in told.log)


def test_who_is_back_is_back_and_the_rest_follow(day) -> None:
    back = "12:40:00 M5..M8,M17,M18 power_up received=12:40:10\n"
    back += "12:40:02 M13,M20,M21 phase_ok\n12:45 M1..M4,M9..M16,M20..M29 heartbeat volts=230\n"
    told = day(NETWORK, f"{BEATS}{DARK}{ON}{LIVE}{back}12:41 M19 heartbeat\n12:50 end")
    assert told.outages[0] == "fuse F1: closed fault"
    assert told.outage.customers_out == 0
    assert {step.on_ms for step in told.outage.steps if step.on_ms is None} == set()


def test_a_word_that_the_phase_is_back_makes_the_silent_expected(day) -> None:
    said = "12:07:12 M13,M20 phase_loss phases=B received=12:07:40\n"
    back = "12:40:00 M13,M20,M21 phase_ok\n12:40:00 M5,M6 power_up\n"
    told = day(NETWORK, f"{BEATS}{DARK}{said}{LIVE}{ON}{back}12:42 end")
    assert told.outages == [
        "fuse F1: partially_restored fault",
        "  12:07:10 - 12:40:00: M5..M6",
        "  12:07:10 -: M7..M8 M17..M19",
    ]
    assert told.findings[0] == "phase_loss M13 12:07:12 - 12:40:00"


def test_two_phases_of_one_device_are_one_outage(day) -> None:
    dark = "12:07:10 M1,M2,M5,M6,M14,M17 last_gasp received=12:07:50\n"
    live = "12:09 M9..M12,M22..M29 voltage volts=230\n12:09 M13 voltage volts=0,0,230\n"
    told = day(NETWORK, f"{BEATS}{dark}{live}12:12 end")
    assert told.outages[0] == "fuse F1: confirmed fault"
    assert told.outage.phases == "AB"
    assert told.outage.customers_out == 14


def test_a_heartbeat_without_volts_does_not_end_a_phase_loss(day) -> None:
    said = "12:07:12 M13 phase_loss phases=B\n12:10 M13 heartbeat on=1\n"
    told = day(NETWORK, f"{BEATS}{said}12:12 end")
    assert told.findings == ["phase_loss M13 12:07:12 -"]


@pytest.mark.parametrize("cut", ["12:09:30", "12:40:05"])
def test_a_restart_in_the_middle_changes_nothing(stream, run, at, cut: str) -> None:
    said = "12:07:12 M13,M20 phase_loss phases=B received=12:07:40\n"
    back = "12:40:00 M5..M8,M17,M18 power_up received=12:40:10\n12:40:01 M13 phase_ok\n"
    day = stream(NETWORK, f"{BEATS}{DARK}{said}{LIVE}{ON}{back}12:41 end")
    frames = day.frames([at(cut)])
    assert run(frames, NETWORK).bytes == run(frames, NETWORK, crash_after=1).bytes
