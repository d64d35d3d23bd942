"""The specification of inference: which device it is that explains what was heard of a day."""

import pytest

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
  breaker B2
    transformer T5
      meter M25..M44
""")

WARM = "11:55 12:00 M1..M44 heartbeat\n"


@pytest.mark.parametrize(
    ("gasps", "device", "out"),
    [
        ("M1,M3,M5", "transformer T1", "M1..M6"),
        ("M1,M4,M8,M9,M12", "switch W1", "M1..M12"),
        ("M1,M4,M8,M11,M13,M16,M20,M23", "breaker B1", "M1..M24"),
    ],
)
def test_the_device_is_the_one_that_explains_all_that_gasped(day, gasps, device, out) -> None:
    told = day(NETWORK, f"{WARM} 12:02:00 {gasps} last_gasp\n 12:03 end")
    assert told.outages[0].startswith(f"{device}:")
    assert told.outages[1:] == [f"  12:02:00 -: {out}"]


def test_several_faults_at_once_are_several_outages(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:02:00 M1..M6 last_gasp
        12:02:01 M19..M24 last_gasp
        12:02:02 M25..M38 last_gasp
        12:05 M7..M12,M13..M18 heartbeat
        12:05:02 end
    """)  # fmt: skip
    assert [line for line in told.outages if not line.startswith(" ")] == [
        "transformer T1: confirmed fault",
        "transformer T5: confirmed fault",
        "transformer T4: confirmed fault",
    ]


def test_a_lone_gasp_is_not_an_outage(day) -> None:
    told = day(NETWORK, f"{WARM} 12:02 M30 last_gasp\n 12:05 end")
    assert told.outages == []


def test_a_breaker_heard_closed_and_live_is_never_the_answer(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01:50 B1 heartbeat on=1 amps=80
        12:02:00 M1..M24 last_gasp
        12:02:40 end
    """)  # fmt: skip
    assert [line for line in told.outages if not line.startswith(" ")] == [
        "switch W1: confirmed fault",
        "switch W2: confirmed fault",
    ]


@pytest.mark.parametrize(
    "unknown",
    ["", "11:50 B1 heartbeat on=1 amps=80", "12:01:50 B1 heartbeat on=1\n 12:01:55 B1 no_answer"],
    ids=["never heard", "its word is stale", "it does not answer"],
)
def test_a_breaker_that_is_unknown_is_not_closed(day, unknown: str) -> None:
    told = day(NETWORK, f"{WARM} {unknown}\n 12:02:00 M1..M24 last_gasp\n 12:02:40 end")
    assert told.outages == ["breaker B1: confirmed fault", "  12:02:00 -: M1..M24"]


def test_silence_alone_is_enough_once_it_is_overdue(day) -> None:
    told = day(NETWORK, """
        11:57:00 11:58:00 11:59:00 12:00:00 12:01:00 12:02:00 12:03:00 M1..M12,M19..M44 heartbeat
        11:57:20 11:58:20 11:59:20 12:00:20 M13..M18 heartbeat
        12:03:10 end
    """)  # fmt: skip
    assert told.outages == ["transformer T3: predicted fault", "  12:00:20 -: M13..M18"]


def test_a_telemetered_open_device_is_certain_whatever_else_there_is(day) -> None:
    """Many missed heartbeats below it argue for faults below; M1 is fed from elsewhere."""
    told = day(NETWORK, """
        11:57:20 11:58:20 11:59:20 M1..M24 heartbeat
        12:00:00 B1 trip
        12:00:50 12:01:30 M1 heartbeat
        12:02 end
    """)  # fmt: skip
    assert told.outage.device_id == "B1"
    assert told.outage.probability == pytest.approx(1.0)


def test_what_is_equally_probable_is_decided_the_same_way_each_time(day) -> None:
    text = f"{WARM} 12:02:00 M1..M3,M13..M15 last_gasp\n 12:02:30 end"
    assert day(NETWORK, text).bytes == day(NETWORK, text).bytes
