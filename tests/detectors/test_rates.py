"""The specification of what history teaches: delivery, false gasps, and that faults come
together.
"""

import pytest

from detectors.engine import Engine
from detectors.rates import teaches
from detectors.settings import EngineSettings
from grid.drawing import draw

NETWORK = draw("""
source S1
  breaker B1
    transformer T1
      meter M1..M40
    transformer T2
      meter M41..M42
    transformer T3
      meter M43..M44
    transformer T4
      meter M45..M48
""")
TWO_FEEDERS = draw("""
source S1
  breaker B1
    transformer T1
      meter M1..M40
  breaker B2
    transformer T2
      meter M41..M42
    transformer T3
      meter M43..M44
    transformer T4
      meter M45..M48
""")
SMALL = draw("""
source S1
  breaker B1
    transformer T1
      meter M1..M40
    transformer T2
      meter M41..M42
    transformer T3
      meter M43..M44
    transformer T4
      meter M45..M46
""")
WARM = "11:55 12:00 M1..M48 heartbeat\n"
LIVE = "12:02:20 M43..M48 heartbeat\n"
LIMITS = EngineSettings(pings_per_minute=0.0)  # nobody would answer


@pytest.fixture
def engine(stream):
    """The engine after a drawn day."""

    def after(text: str) -> Engine:
        made = Engine(NETWORK.groups[0], LIMITS)
        for frame in stream(NETWORK, text).frames():
            made.apply(frame)
        return made

    return after


def test_one_gasp_in_a_small_set_on_a_calm_day_is_no_outage(day) -> None:
    told = day(NETWORK, f"{WARM} 12:02:00 M41 last_gasp\n 12:03 end")
    assert told.outages == []


def test_a_second_reason_makes_it_one(day) -> None:
    gasps = day(NETWORK, f"{WARM} 12:02:00 M41,M42 last_gasp\n 12:03 end")
    assert gasps.outages == ["transformer T2: predicted fault", "  12:02:00 -: M41..M42"]
    silence = day(
        NETWORK,
        f"{WARM} 12:02:00 M41 last_gasp\n 12:05 12:10 12:15 M1..M40,M43..M48 heartbeat\n 12:17 end",
    )
    assert "transformer T2: predicted fault" in silence.outages


def test_near_a_sure_fault_one_gasp_is_enough(day) -> None:
    told = day(
        NETWORK, f"{WARM} 12:02:00 M1..M30 last_gasp\n 12:02:10 M41 last_gasp\n {LIVE} 12:03 end"
    )
    assert "transformer T2: predicted fault" in told.outages


def test_well_after_a_sure_fault_it_is_not(day) -> None:
    told = day(
        NETWORK, f"{WARM} 12:02:00 M1..M30 last_gasp\n 12:04:10 M41 last_gasp\n 12:04:30 end"
    )
    assert "transformer T2: predicted fault" not in told.outages


def test_while_a_storm_goes_on_it_is_between_its_faults(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:02:00 M1..M30 last_gasp
        12:03:30 M41 last_gasp
        12:05:00 M45..M48 last_gasp
        12:05:20 M43..M44 heartbeat
        12:06:30 end
    """)  # fmt: skip
    assert "transformer T2: predicted fault" in told.outages


def test_a_late_heartbeat_that_comes_at_last_ends_at_once_what_it_had_opened(day) -> None:
    told = day(NETWORK, """
        11:50 11:55 12:00 M1..M41,M43..M48 heartbeat
        11:52 11:57 12:02 M42 heartbeat
        12:04:30 M1..M30 last_gasp
        12:05:00 M43..M48 heartbeat
        12:05:00 M41 heartbeat received=12:06:08
        12:06:12 end
    """)  # fmt: skip
    opened, ended = (line for line in told.log if "S1-2" in line)
    assert "transformer T2 detected" in opened
    assert ended.startswith("12:06:09 S1-2 rejected")


def test_a_fault_that_silence_alone_tells_may_have_begun_whenever_it_was_last_heard(day) -> None:
    told = day(NETWORK, """
        11:50 11:55 12:00 12:05 M1..M40,M43..M44 heartbeat
        11:50 11:55 12:00 M45..M48 heartbeat
        11:51 11:56 12:01 M41 heartbeat
        11:54 11:59 12:04 M42 heartbeat
        12:08 end
    """)  # fmt: skip
    assert "transformer T4: predicted fault" in told.outages
    assert "transformer T2: predicted fault" in told.outages  # one of two is overdue


def test_several_small_faults_of_two_words_each_make_a_storm(day) -> None:
    gasps = "12:02:00 M41,M42 last_gasp\n 12:02:20 M45 last_gasp\n"
    living = "12:02:20 M1..M40 heartbeat\n 12:03:30 end"
    warm = "11:55 12:00 M1..M46 heartbeat\n"
    one = day(SMALL, f"{warm} {gasps} {living}")
    two = day(SMALL, f"{warm} {gasps} 12:02:10 M43,M44 last_gasp\n {living}")
    assert "transformer T4: predicted fault" not in one.outages
    assert "transformer T4: predicted fault" in two.outages


def test_at_one_blow_it_is_not_long_after(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:02:00 M1..M30 last_gasp
        12:02:20 M45..M48 last_gasp
        12:03:50 M41 last_gasp
        12:04:20 M43..M44 heartbeat
        12:05:20 end
    """)  # fmt: skip
    assert "transformer T2: predicted fault" not in told.outages


def test_silence_that_may_have_begun_with_a_fault_whose_time_is_known_makes_no_longer_storm(
    day,
) -> None:
    told = day(NETWORK, f"""{WARM}
        12:02:00 M1..M30 last_gasp
        12:07:00 M42..M44 heartbeat
        12:08:00 M41 last_gasp
        12:16:30 end
    """)  # fmt: skip
    assert "transformer T4: predicted fault" in told.outages
    assert "transformer T2: predicted fault" not in told.outages


def test_a_fault_that_somebody_told_of_began_then_and_not_when_it_was_last_heard(day) -> None:
    told = day(TWO_FEEDERS, """
        11:50 11:55 12:00 M1..M48 heartbeat
        12:05:00 M1..M30 last_gasp
        12:05:20 M41..M44 heartbeat
        12:05:40 M45 last_gasp
        12:06:40 M42 heartbeat
        12:06:50 M41 last_gasp
        12:07:20 end
    """)  # fmt: skip
    assert told.at("12:05:35")[-1] == "  12:00:00 -: M45..M48"
    assert "transformer T2: predicted fault" not in told.outages


def test_no_gasp_testifies_against_itself(engine) -> None:
    living = "12:02:20 M3..M40,M46..M48 heartbeat"
    one = engine(f"{WARM} 12:02:00 M1 last_gasp\n {living}\n 12:04 end")
    two = engine(f"{WARM} 12:02:00 M1,M45 last_gasp\n {living}\n 12:04 end")
    assert one.rates.unexplained == 0
    assert two.rates.unexplained == pytest.approx(1.0, abs=0.01)


def test_a_gasp_that_may_be_an_outage_is_no_whole_false_one(engine) -> None:
    living = "12:02:20 M1..M40,M45..M48 heartbeat"
    likely = engine(f"{WARM} 12:02:00 M41,M43 last_gasp\n {living}\n 12:04 end")
    assert 0.3 < likely.rates.unexplained < 0.99


def test_a_gasp_that_the_usual_report_answers_was_false(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:02:00 M1..M30 last_gasp
        12:02:10 M41 last_gasp
        12:02:20 M43..M48 heartbeat
        12:02:40 M41 heartbeat
        12:05 end
    """)  # fmt: skip
    assert "transformer T2: rejected fault" in told.outages


def test_false_gasps_are_counted_and_believed_less(engine) -> None:
    calm = engine(f"{WARM} 12:10 end")
    noisy = engine(f"{WARM} 12:02 M45,M1 last_gasp\n 12:04 M45,M1 heartbeat\n 12:10 end")
    meters = calm.meters
    assert calm.rates.false_gasp(meters, LIMITS) == LIMITS.false_gasp
    assert noisy.rates.false == pytest.approx(2.0, rel=0.2)
    assert noisy.rates.false_gasp(meters, LIMITS) > 10 * LIMITS.false_gasp


def test_a_power_up_after_a_gasp_is_no_false_gasp(engine) -> None:
    told = engine(f"{WARM} 12:02 M45 last_gasp\n 12:04 M45 power_up\n 12:10 end")
    assert told.rates.false == 0.0


def test_what_was_false_is_forgotten(engine) -> None:
    told = engine(
        f"{WARM} 12:02 M45 last_gasp\n 12:04 M45 heartbeat\n 13:30 M1 last_gasp\n 13:40 end"
    )
    assert told.rates.false < 0.3


def test_delivery_is_learned_from_sure_outages(engine) -> None:
    text = f"{WARM} 12:02:00 M1..M4,M41..M48 last_gasp\n 12:02:00 B1 trip\n"
    told = engine(text + "12:04:00 B1 close\n 12:04:10 M1..M48 power_up\n 12:10 end")
    assert told.rates.delivery([], LIMITS) == pytest.approx((4 * 0.5 + 12) / (4 + 48), abs=0.02)


RELAYED = draw("""
source S1
  breaker B1
    transformer T1
      meter M1..M10 dcu=D1
      meter M11..M20 dcu=D2
      meter M21..M30 dcu=D3
    transformer T2
      meter M31..M35 dcu=D4
""")
ALL = "11:30 11:45 12:00 M1..M35 heartbeat\n"


@pytest.fixture
def loss(stream):
    """What is believed of concentrators after a drawn day: mute in an outage, and without."""

    def after(text: str) -> tuple[float, float]:
        made = Engine(RELAYED.groups[0], LIMITS)
        for frame in stream(RELAYED, text).frames():
            made.apply(frame)
        running = list(made.book.running.values())
        return made.rates.comms_loss(running, made.relays, made.group, LIMITS)

    return after


def test_concentrators_that_let_nothing_through_in_a_sure_outage_are_believed_less(loss) -> None:
    live = "12:03 M31..M35 voltage volts=230\n12:15 M31..M35 heartbeat\n"
    back = "12:30 M1..M30 power_up\n12:30 M31..M35 heartbeat\n12:40 end"
    heard = loss(f"{ALL}12:02 M1..M8,M11..M18,M21..M28 last_gasp\n{live}{back}")
    mute = loss(f"{ALL}12:02 M1..M8 last_gasp\n{live}{back}")
    assert heard[0] < LIMITS.comms_loss < mute[0]
    assert mute[0] < 0.3, "one outage proves little"


ONE_MORE = draw("""
source S1
  breaker B1
    fuse F1
      transformer T1
        meter M1..M10 dcu=D1
        meter M11..M20 dcu=D2
        meter M21..M30 dcu=D3
      transformer T2
        meter M36
    transformer T3
      meter M31..M35 dcu=D4
""")


def test_who_is_dark_for_sure_teaches_though_their_device_is_not(stream) -> None:
    """Whether the fuse failed or the transformer, by one meter that had nothing to say, thirty are
    dark: eight of their gasps came, and nothing came through two of their concentrators.
    """
    made = Engine(ONE_MORE.groups[0], LIMITS)
    text = f"{ALL}11:45 12:00 M36 heartbeat\n12:02 M1..M8 last_gasp\n12:03 M31 voltage volts=230"
    for frame in stream(ONE_MORE, f"{text}\n12:06 end").frames():
        made.apply(frame)
    (outage,) = made.book.running.values()
    assert outage.probability < 0.9
    assert teaches(outage, made.clock_ms)
    assert made.rates.delivery([outage], LIMITS) < 0.35
    assert made.rates.comms_loss([outage], made.relays, made.group, LIMITS)[0] > LIMITS.comms_loss


@pytest.mark.loops
def test_a_concentrator_that_was_mute_without_an_outage_is_counted_when_it_is_back(loss) -> None:
    quiet = "12:15 M1..M10,M21..M35 heartbeat\n12:30 M1..M10,M21..M35 heartbeat\n"
    still = loss(f"{ALL}{quiet}12:31 end")
    back = loss(f"{ALL}{quiet}12:40 M11..M20 heartbeat\n12:45 M1..M35 heartbeat\n12:50 end")
    assert still[1] > LIMITS.comms_loss_quiet
    assert back[1] > LIMITS.comms_loss_quiet
    assert loss(f"{ALL}12:10 end")[1] < LIMITS.comms_loss_quiet
