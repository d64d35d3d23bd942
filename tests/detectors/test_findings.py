"""The specification of findings: what is noticed and is no outage, from beginning to end."""

from grid.drawing import draw

NETWORK = draw("""
source S1
  breaker B1 telemetered
    transformer T1 district=East
      meter M1..M6 dcu=D1 district=East
    transformer T2
      meter M7..M12
""")
BEATS = "11:57 11:58 11:59 12:00 M1..M12 heartbeat\n"
OTHERS = "12:01 12:02 12:03 M7..M12 heartbeat\n"
LATER = "12:04 12:05 12:06 12:07 12:08 M7..M12 heartbeat\n"


def test_a_concentrator_that_goes_silent_is_comms_loss_and_no_outage(day) -> None:
    told = day(NETWORK, f"{BEATS}{OTHERS} 12:03:10 end")
    assert told.outages == []
    assert told.findings == ["comms_loss D1 12:00:00 -"]
    assert told.noticed[0].district == "East"
    assert told.noticed[0].reason.startswith("6 of 6 meters behind the concentrator are overdue")


def test_it_ends_when_anything_comes_through_it_again(day) -> None:
    told = day(
        NETWORK, f"{BEATS}{OTHERS}{LATER} 12:05:10 12:06:10 12:07:10 M1..M6 heartbeat\n12:08 end"
    )
    (finding,) = told.findings
    begun, ended = finding.split(" - ")
    assert begun == "comms_loss D1 12:00:00"
    assert "12:05:10" < ended < "12:05:20"


def test_a_second_loss_is_a_finding_of_its_own(day) -> None:
    told = day(NETWORK, f"""{BEATS}{OTHERS}{LATER}
        12:03:00 12:04:00 M1..M6 heartbeat
        12:08 end
    """)  # fmt: skip
    assert [line.split()[2] for line in told.findings] == ["12:00:00", "12:04:00"]


def test_a_concentrator_that_is_back_owes_nothing_yet(day) -> None:
    """What it swallowed is missing still when its first meters are heard: that is no outage."""
    told = day(
        NETWORK, f"{BEATS}{OTHERS}{LATER} 12:05:10 M1,M2 heartbeat\n12:06:05 M3..M6 heartbeat"
    )
    assert told.outages == []
    assert "12:05:10" < told.findings[0].split(" - ")[1] < "12:05:20"


def test_one_overdue_meter_does_not_make_its_concentrator_mute(day) -> None:
    told = day(NETWORK, f"{BEATS}{OTHERS} 12:01 12:02 12:03 M2..M6 heartbeat\n12:03:05 end")
    assert told.findings == []


def test_a_concentrator_in_the_dark_is_no_comms_loss(day) -> None:
    """Its feeder has tripped: that explains its silence."""
    told = day(NETWORK, f"{BEATS} 12:00:30 B1 trip\n12:03 end")
    assert told.findings == []
    assert told.outage.customers_out == 12


def test_while_we_are_deaf_nobody_is_accused_of_silence(day) -> None:
    told = day(NETWORK, f"{BEATS} 12:00:30 lost mqtt\n12:10 end")
    assert (told.findings, told.outages) == ([], [])


def test_a_loss_known_before_we_went_deaf_does_not_end_with_it(day) -> None:
    told = day(NETWORK, f"{BEATS} 12:01 12:02 M7..M12 heartbeat\n12:02:30 lost mqtt\n12:10 end")
    assert told.findings == ["comms_loss D1 12:00:00 -"]


def test_a_phase_loss_begins_and_ends(day) -> None:
    told = day(NETWORK, f"""{BEATS}
        12:00:10 M3 voltage volts=230,0,230
        12:00:20 M3 voltage volts=230,0,230
        12:00:30 M3 voltage volts=230,229,230
        12:00:40 end
    """)  # fmt: skip
    assert told.outages == []
    assert told.findings == ["phase_loss M3 12:00:10 - 12:00:30"]
    assert told.noticed[0].reason == "phase B below the limit while another is live: phase loss"


def test_an_event_of_the_meter_tells_of_it_as_well(day) -> None:
    told = day(NETWORK, f"{BEATS} 12:00:10 M3 phase_loss phases=C\n12:00:30 M3 phase_ok")
    assert told.findings == ["phase_loss M3 12:00:10 - 12:00:30"]


def test_each_finding_has_one_name_from_beginning_to_end(day) -> None:
    told = day(NETWORK, f"{BEATS} 12:00:10 M3 phase_loss phases=C\n12:00:30 M3 phase_ok")
    assert {finding.id for finding in told.noticed} == {"S1/phase_loss/M3/1795262410000"}


def test_findings_come_in_the_order_of_their_names(day) -> None:
    """Not in that of a set, which differs from process to process."""
    meters = "\n".join(f"      meter M{i}..M{i + 1} dcu=D{i}" for i in range(1, 16, 2))
    network = draw(f"source S1\n  breaker B1\n    transformer T1\n{meters}\n      meter M17..M40")
    told = day(network, """
        11:57:00 11:58:00 11:59:00 12:00:00 M1..M16 heartbeat
        11:57:20 11:58:20 11:59:20 12:00:20 12:01:20 12:02:20 M17..M40 heartbeat
        12:02:30 M1..M16 heartbeat
        12:03 end
    """)  # fmt: skip
    ended = [finding.device_id for finding in told.noticed if finding.until_ms is not None]
    assert ended == ["D1", "D11", "D13", "D15", "D3", "D5", "D7", "D9"]
