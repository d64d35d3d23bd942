"""The specification of our own deafness: silence that nobody listened to is no evidence.

What comes in afterwards is gone through by the devices' own clocks, as if it had been heard then.
After a restart the runner puts ``deaf`` at the stream time where the last process ended.
"""

import pytest

from detectors import engine as engine_module
from grid.drawing import draw

pytestmark = pytest.mark.loops

NETWORK = draw("""
source S1
  breaker B1 telemetered
    transformer T1
      meter M1..M6 dcu=D1
    transformer T2
      meter M7..M12
    transformer T3
      meter M13..M18
""")
BEATS = """
    11:57 11:58 11:59 12:00 M1..M12 heartbeat
    11:57:20 11:58:20 11:59:20 M13..M18 heartbeat
"""
TWENTY_MINUTES_DOWN = f"""{BEATS}
    12:00:05 deaf mqtt from=12:00:05 until=12:20:00
    12:20:02 caught_up mqtt
"""


def test_twenty_minutes_down_raise_nothing(day) -> None:
    told = day(
        NETWORK, f"{TWENTY_MINUTES_DOWN} 12:20:30 12:21:30 12:22:30 M1..M18 heartbeat\n12:23 end"
    )
    assert (told.outages, told.findings) == ([], [])


def test_after_it_everyone_has_a_period_to_be_heard_in(day) -> None:
    told = day(NETWORK, f"{TWENTY_MINUTES_DOWN} 12:20:50 M1..M12 heartbeat\n12:21:50 end")
    assert told.at("12:21:29") == []
    assert told.outages == ["transformer T3: predicted fault", "  11:59:20 -: M13..M18"]


def test_a_lost_connection_raises_nothing_before_it_is_back_either(day) -> None:
    told = day(NETWORK, f"{BEATS} 12:00:05 lost mqtt\n12:20 end")
    assert (told.outages, told.findings) == ([], [])
    assert told.wake_ms is None


def test_what_was_out_before_stays_out_while_we_are_deaf(day) -> None:
    told = day(NETWORK, f"""{BEATS}
        12:01:00 12:02:00 12:03:00 M1..M12 heartbeat
        12:03:10 lost mqtt
        12:10:00 deaf mqtt from=12:03:10
        12:10:02 caught_up mqtt
        12:10:30 M1..M12 heartbeat
        12:11 end
    """)  # fmt: skip
    assert told.outages == ["transformer T3: predicted fault", "  11:59:20 -: M13..M18"]


def test_an_outage_that_began_and_ended_meanwhile_is_found_with_the_devices_times(day, at) -> None:
    """The process was down: what devices and broker kept comes in at once."""
    told = day(NETWORK, f"""{BEATS}
        12:00:05 deaf mqtt from=12:00:05 until=12:20:00
        12:05:30 M7..M12 last_gasp received=12:20:01
        12:13:30 M7..M12 power_up received=12:20:01
        12:20:02 caught_up mqtt
        12:20:30 M1..M18 heartbeat
        12:20:40 end
    """)  # fmt: skip
    assert told.outages == ["transformer T2: closed fault", "  12:05:30 - 12:13:30: M7..M12"]
    assert {line.split()[0] for line in told.log} == {"12:20:02"}, "told when it was known"
    assert told.outage.detected_ms == told.outage.confirmed_ms == at("12:20:02")


def test_so_it_is_when_only_the_connection_was_lost_and_time_went_on(day) -> None:
    told = day(NETWORK, f"""{BEATS}
        12:00:05 lost mqtt
        12:12:00 B1 heartbeat on=1
        12:20:00 deaf mqtt from=12:00:05
        12:05:30 M7..M12 last_gasp received=12:20:01
        12:13:30 M7..M12 power_up received=12:20:01
        12:20:02 caught_up mqtt
        12:20:30 M1..M18 heartbeat
        12:20:40 end
    """)  # fmt: skip
    assert told.outages == ["transformer T2: closed fault", "  12:05:30 - 12:13:30: M7..M12"]


def test_one_that_goes_on_is_found_too(day) -> None:
    told = day(NETWORK, f"""{BEATS}
        12:00:05 deaf mqtt from=12:00:05 until=12:20:00
        12:05:30 M7..M12 last_gasp received=12:20:01
        12:20:02 caught_up mqtt
        12:20:30 M1..M6,M13..M18 heartbeat
        12:20:40 end
    """)  # fmt: skip
    assert told.outages == ["transformer T2: confirmed fault", "  12:05:30 -: M7..M12"]


def test_the_backlog_may_come_in_any_order(day) -> None:
    told = day(NETWORK, f"""{BEATS}
        12:00:05 deaf mqtt from=12:00:05 until=12:20:00
        12:13:30 M7..M12 power_up received=12:20:00.500
        12:05:30 M7..M12 last_gasp received=12:20:01
        12:20:02 caught_up mqtt
        12:20:30 M1..M18 heartbeat
        12:20:40 end
    """)  # fmt: skip
    assert told.outages == ["transformer T2: closed fault", "  12:05:30 - 12:13:30: M7..M12"]


def test_nothing_is_decided_until_the_backlog_is_in(day) -> None:
    told = day(NETWORK, f"""{BEATS}
        12:00:05 deaf mqtt from=12:00:05 until=12:20:00
        12:05:30 M7..M12 last_gasp received=12:20:01
        12:20:10 end
    """)  # fmt: skip
    assert told.outages == []
    assert told.wake_ms is None, "nor does it ask to be woken"


def test_what_was_due_while_nobody_answered_may_be_missing(day) -> None:
    """A device that waits for an answer forgets a heartbeat that a newer one overtakes."""
    told = day(NETWORK, f"""{BEATS}
        12:00:05 deaf mqtt from=12:00:05 until=12:20:00
        12:20:50 M1..M12 heartbeat
        12:23:10 caught_up mqtt answered=12:23
        12:23:20 M13..M18 heartbeat
        12:23:50 M1..M12 heartbeat
        12:24 end
    """)  # fmt: skip
    assert (told.outages, told.findings) == ([], [])


def test_a_switching_event_of_the_backlog_keeps_its_place(day) -> None:
    told = day(NETWORK, f"""{BEATS}
        12:00:05 deaf mqtt from=12:00:05 until=12:20:00
        12:05:30 B1 trip received=12:20:01
        12:06:05 M1..M18 last_gasp received=12:20:01
        12:13:30 B1 close received=12:20:01
        12:13:40 M1..M18 power_up received=12:20:01
        12:20:02 caught_up mqtt
        12:20:10 end
    """)  # fmt: skip
    assert told.outages == ["breaker B1: closed fault", "  12:05:30 - 12:13:30: M1..M18"]


def test_two_sources_are_waited_for(day) -> None:
    told = day(NETWORK, f"""{BEATS}
        12:00:05 deaf mqtt from=12:00:05 until=12:20:00
        12:00:05 deaf modbus from=12:00:05 until=12:20:00
        12:05:30 M7..M12 last_gasp received=12:20:01
        12:20:02 caught_up mqtt
        12:20:05 caught_up modbus
        12:20:10 end
    """)  # fmt: skip
    assert {line.split()[0] for line in told.log} == {"12:20:05"}


def test_a_source_that_is_lost_again_is_still_lost_after_the_other_is_back(day) -> None:
    told = day(NETWORK, f"""{BEATS}
        12:00:05 lost mqtt
        12:00:06 lost modbus
        12:05:00 deaf modbus from=12:00:06
        12:05:01 caught_up modbus
        12:20 end
    """)  # fmt: skip
    assert (told.outages, told.findings) == ([], [])


def test_a_backlog_beyond_the_limit_is_gone_through_as_far_as_it_is_in(day, monkeypatch) -> None:
    monkeypatch.setattr(engine_module, "KEPT_ROWS_MAX", 6)
    told = day(NETWORK, f"""{BEATS}
        12:00:05 deaf mqtt from=12:00:05 until=12:20:00
        12:05:30 M7..M12 last_gasp received=12:20:01
        12:20:10 end
    """)  # fmt: skip
    assert told.outages == ["transformer T2: confirmed fault", "  12:05:30 -: M7..M12"]


@pytest.mark.parametrize("gaps", [2, 40], ids=["a few", "more than are kept"])
def test_an_unsteady_connection_raises_nothing(day, gaps: int) -> None:
    flaps = "\n".join(
        f"12:{10 + i}:00 lost mqtt\n12:{10 + i}:30 deaf mqtt from=12:{10 + i}:00\n"
        f"12:{10 + i}:31 caught_up mqtt"
        for i in range(gaps)
    )
    beats = "11:57 11:58 11:59 12:00 12:09:50 M1..M18 heartbeat"
    told = day(NETWORK, f"{beats}\n12:00:05 lost mqtt\n12:09:30 deaf mqtt from=12:00:05\n"
                        f"12:09:31 caught_up mqtt\n{flaps}")  # fmt: skip
    assert (told.outages, told.findings) == ([], [])
