"""The specification of moments: one fault is one moment, two moments are two faults.

As long as meters' own times are those of the failure and their clocks can be brought to ours.
"""

from grid.drawing import draw

NETWORK = draw("""
source S1
  breaker B1
    fuse F1
      transformer T1
        meter M1..M8
      transformer T2
        meter M9..M16
    fuse F2
      transformer T3
        meter M17..M40
""")
WARM = "11:45 12:00 M1..M40 heartbeat\n"


def gasps(at: str, devices: str) -> str:
    """They lost power at a second of 12:03, and say so half a minute later."""
    return f"12:03:{at} {devices} last_gasp received=12:03:50\n"


def test_both_halves_at_different_moments_are_two_faults(day) -> None:
    told = day(NETWORK, f"{WARM} {gasps('00', 'M1..M4')} {gasps('20', 'M9..M12')} 12:05 end")
    assert told.outages == [
        "transformer T1: confirmed fault", "  12:03:00 -: M1..M8",
        "transformer T2: confirmed fault", "  12:03:20 -: M9..M16",
    ]  # fmt: skip


def test_both_halves_at_one_moment_are_one(day) -> None:
    told = day(NETWORK, f"{WARM} {gasps('00', 'M1..M4')} {gasps('04', 'M9..M12')} 12:05 end")
    assert told.outages == ["fuse F1: confirmed fault", "  12:03:04 -: M1..M16"]


def test_one_clock_that_is_wrong_does_not_make_two(day) -> None:
    told = day(
        NETWORK,
        f"{WARM} {gasps('00', 'M1..M4')} {gasps('01', 'M9..M11')} {gasps('25', 'M12')} 12:05 end",
    )
    assert told.outages == ["fuse F1: confirmed fault", "  12:03:01 -: M1..M16"]


def test_meters_that_tell_the_time_of_their_word_say_nothing_of_moments(day) -> None:
    """The word comes 30 to 45 s after the failure, so such times differ of themselves."""
    text = "12:03:30 M1..M4 last_gasp\n 12:03:45 M9..M12 last_gasp\n 12:05 end"
    told = day(NETWORK, f"{WARM} {text}")
    assert told.outages[:1] == ["fuse F1: confirmed fault"]
