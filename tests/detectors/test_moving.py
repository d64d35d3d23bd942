"""The specification of a change of network: what was heard stays heard, by the devices' ids."""

import msgspec
import pytest

from detectors.moving import moved
from grid.drawing import draw
from grid.frame import Frame

BEFORE = draw("""
source S1
  breaker B1 telemetered
    transformer T1
      meter M1..M6 dcu=D1
    transformer T2
      meter M7..M12
  breaker B2 telemetered
    transformer T3
      meter M13..M18
""")
AFTER = draw("""
source S1
  breaker B0
    transformer T0
      meter M0
  breaker B1 telemetered
    transformer T1
      meter M1..M5 dcu=D1
      meter M19 dcu=D1
    transformer T3
      meter M13..M18
  breaker B2 telemetered
    transformer T2
      meter M7..M12
""")
WARM = "11:55 12:00 M1..M18 heartbeat\n"


@pytest.fixture
def on(stream, run):
    """How outages stand once a day has gone on over another network."""

    def go_on(first: str, then: str, after=AFTER) -> list[str]:
        told = run(stream(BEFORE, first).frames(), BEFORE)
        engine = moved(told.engine, after.groups[0])
        for frame in stream(after, then).frames():
            position = engine.position + 1
            outcome = engine.apply(
                Frame(0, position, after.version, frame.until_ms, frame.rows, frame.commands)
            )
            told.changes += outcome.changes
            told.repeats = outcome.repeat_rows
        told.engine = engine
        return told

    return go_on


def test_an_outage_goes_on_over_the_new_network(on) -> None:
    told = on(
        f"{WARM} 12:01:00 M7..M12 last_gasp\n12:01:10 end",
        "12:03:00 M7..M12 power_up\n12:03:10 end",
    )
    assert told.outages == ["transformer T2: restored fault", "  12:01:00 - 12:03:00: M7..M12"]


def test_a_breakers_position_and_its_plans_stay_known(on) -> None:
    told = on(
        f"11:58 plan P1 B2 12:00..12:30\n{WARM} 12:01:00 B1 heartbeat on=1 amps=80",
        "12:01:30 M1..M5,M13..M18 last_gasp\n12:02:00 B2 open\n12:02:10 end",
    )
    devices = {f"{o.device_id} {o.kind}" for o in told.latest()}
    assert devices == {"T1 fault", "T3 fault", "B2 planned"}


def test_who_was_heard_before_counts_and_who_is_new_does_not_yet(on) -> None:
    told = on(f"{WARM} 12:01:00 end", "12:01:30 M1..M5 last_gasp\n12:01:40 end")
    assert told.outages == ["transformer T1: confirmed fault", "  12:01:30 -: M1..M5 M19"]
    assert told.engine.book.running[1].mute.tolist() == [False] * 5 + [True]


def test_who_has_booted_says_nothing_twice_over_the_new_network(on) -> None:
    """Neither what it said before it booted, nor since; a concentrator neither."""
    told = on(
        f"""{WARM} 12:01:00 M13 heartbeat boot=a seq=4
        12:01:01 M13 heartbeat boot=b seq=1
        12:01:02 M1 heartbeat via=D1 boot=q seq=7
        12:01:03 M1 heartbeat via=D1 boot=r seq=1
        12:01:10 end""",
        """12:01:30 M13 heartbeat boot=a seq=4
        12:01:31 M13 heartbeat boot=b seq=1
        12:01:32 M1 heartbeat via=D1 boot=q seq=7
        12:01:33 M1 heartbeat via=D1 boot=r seq=1
        12:01:40 end""",
    )
    assert told.repeats == (0, 1, 2, 3)


def test_a_member_that_left_the_network_is_forgotten(on) -> None:
    told = on(
        f"{WARM} 12:01:00 M1..M6 last_gasp\n12:01:10 end",
        "12:03:00 M1..M5 power_up\n12:03:10 end",
    )
    everyone = {c for step in told.outage.steps for c in step.customers}
    assert everyone == {"C-M1", "C-M2", "C-M3", "C-M4", "C-M5", "C-M19"}


def test_an_outage_whose_device_left_is_closed_and_nobody_is_out_in_it(on) -> None:
    bare = draw("source S1\n  breaker B1 telemetered\n    transformer T1\n      meter M1..M6")
    told = on(f"{WARM} 12:01:00 M7..M12 last_gasp\n12:01:10 end", "12:03 end", bare)
    assert told.outage.state == "closed"
    assert told.outage.cause == "its device left the network"
    assert told.outage.customers_out == 0


def test_who_is_still_out_behind_a_device_that_was_replaced_is_in_a_new_outage(on) -> None:
    replaced = draw("""
source S1
  breaker B1 telemetered
    transformer T1
      meter M1..M6 dcu=D1
    transformer T9
      meter M7..M12
""")
    told = on(f"{WARM} 12:01:00 M7..M12 last_gasp\n12:01:10 end", "12:01:20 end", replaced)
    assert told.outages == [
        "substation S1: closed fault",
        "transformer T9: confirmed fault",
        "  12:01:00 -: M7..M12",
    ]


def test_repeats_stay_repeats(on) -> None:
    gasps = "M7..M12 last_gasp boot=a seq=5"
    told = on(f"{WARM} 12:01:00 {gasps}\n12:01:10 end", f"12:01:20 {gasps}\n12:01:30 end")
    assert len([c for c in told.changes if "detected" in c.reason]) == 1


def test_what_waits_to_be_gone_through_is_numbered_anew(on) -> None:
    told = on(
        f"{WARM} 12:00:05 deaf mqtt from=12:00:05 until=12:10\n"
        "12:02:00 M7..M12 last_gasp via=D1 received=12:10:00\n12:10:01 end",
        "12:10:02 caught_up mqtt\n12:10:05 end",
    )
    assert told.outages == ["transformer T2: confirmed fault", "  12:02:00 -: M7..M12"]


def test_to_the_same_network_it_changes_nothing(on, stream, run) -> None:
    first = f"{WARM} 12:01:00 M7..M12 last_gasp\n12:01:10 M1 voltage volts=230,0,230\n12:01:10 end"
    then = "12:03:00 M7..M11 power_up\n12:03:05 M1 phase_ok\n12:04:30 end"
    over = on(first, then, BEFORE)
    both = stream(BEFORE, "\n".join([first.replace("12:01:10 end", ""), then]))
    straight = run(both.frames(), BEFORE)
    assert msgspec.msgpack.encode([c.outage.steps for c in over.changes]) == msgspec.msgpack.encode(
        [c.outage.steps for c in straight.changes]
    )


BACK_FED = draw("""
source S1
  breaker B1 telemetered
    transformer T1
      meter M1..M6 dcu=D1
  breaker B2 telemetered
    transformer T3
      meter M13..M18
    transformer T2
      meter M7..M12
""")


def test_a_section_that_is_back_fed_comes_back_in_the_outage_it_was_dark_in(on) -> None:
    """The breaker of its old feeder is still open; its meters say that they have power."""
    first = (
        WARM
        + """
        12:00:10 B1 trip
        12:00:20 M1..M12 last_gasp
        12:01 end
    """
    )
    then = """
        12:10:00 M7..M12 power_up
        12:10:05 B1 heartbeat on=0
        12:14 M13..M18,M7..M12 heartbeat
        12:15 end
    """
    assert on(first, then, BACK_FED).outages == [
        "breaker B1: partially_restored fault",
        "  12:00:10 - 12:10:00: M7..M12",
        "  12:00:10 -: M1..M6",
    ]
