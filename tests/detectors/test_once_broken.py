"""The specification of days on which a rule was once broken, cut down to what it took.

Random days found them.  The rules are checked on every page (see conftest.py): nobody is out twice,
steps do not overlap, versions are contiguous; and cut anywhere the day is the same day.
"""

import pytest

from grid.drawing import draw

NETWORK = draw("""
source S1
  breaker B1 telemetered
    transformer T1
      meter M1..M3 dcu=D1
    fuse F1
      transformer T2
        meter M4..M6 dcu=D2
    recloser R1 telemetered
      transformer T3
        meter M7..M8
  breaker B2 telemetered
    transformer T4
      meter M9..M10 customers=2
""")
WARM = """
    11:57 11:58 11:59 12:00 M1..M5 heartbeat
    11:57:20 11:58:20 11:59:20 M6..M10 heartbeat
"""
HASTY = {
    "heartbeat_s": 60.0,
    "heartbeat_slack_s": 10.0,
    "momentary_s": 60.0,
    "momentary_scada_s": 10.0,
    "close_after_s": 60.0,
    "telemetry_stale_s": 90.0,
}


@pytest.mark.parametrize(
    "text",
    [
        """
        12:00:34.355 R1 heartbeat on=1 amps=80
        12:04:48.165 M3 power_up
        12:04:34.297 M7..M10 last_gasp received=12:04:47.074
        """,
        """
        12:05:22.897 M5 power_up
        12:02:18.158 M5 power_up
        """,
        """
        12:01:05.217 T2 heartbeat volts=230 received=12:01:24.088
        12:05:33.462 M7 power_up off_at=12:04:53.462 boot=b seq=0 received=12:05:36.680
        12:00:36.894 M1..M3 last_gasp received=12:00:50.114
        12:00:21.247 M10 power_up
        12:03:54.308 M1..M3 heartbeat
        12:01:17.116 M10 voltage volts=230,0,230
        12:04:43.497 M6 heartbeat
        """,
        """
        12:01:22.395 M3 ping_reply on=1
        12:00:28.725 M4 heartbeat
        12:00:28.402 M1..M10 last_gasp received=12:00:37.249
        12:02:04.144 M4..M6 power_up received=12:02:09.443
        """,
    ],
    ids=[
        "who was back and is taken in again is out since then",
        "a beginning that moves does not move into an earlier step",
        "who goes to another outage is no longer in the one before",
        "the end of a step stays when a later outage ends",
    ],
)
def test_no_rule_is_broken(stream, run, text: str) -> None:
    told = run(stream(NETWORK, f"{WARM}{text} 12:11 end").frames(), NETWORK, **HASTY)
    assert len(told.changes) > 3


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        (
            """
            12:00:22.225 M7 last_gasp
            12:00:21.247 M10 power_up
            12:04:43.497 M6 heartbeat
            """,
            "12:02:19.555",
        ),
        (
            """
            12:06:14.272 M7..M10 voltage volts=150
            12:01:25.477 M5 voltage volts=230,0,230
            12:06:15.096 B1 open commanded=1 received=12:06:22.401
            12:04:58.372 lost mqtt
            12:05:25.045 deaf mqtt from=12:04:58.372
            12:05:44.931 caught_up mqtt
            """,
            "12:06:20.766",
        ),
        (
            """
            12:01:27.689 M9 voltage volts=230,0,230
            12:00:30.197 M1..M10 power_up
            12:00:55.346 M5 voltage volts=230,0,230 received=12:01:01.416
            """,
            "12:01:04.546",
        ),
        (
            """
            12:05:01.448 M8 power_up
            12:03:09.252 R1 heartbeat on=0
            12:04:04.838 M1..M10 power_up received=12:04:18.868
            """,
            "12:07:02.896",
        ),
    ],
    ids=[
        "the last row of a frame, over the boundary of a second",
        "a position in a calm stretch",
        "the time of a phase loss",
        "between two verdicts while the pace slows down",
    ],
)
def test_cut_there_it_is_the_same_day(stream, run, at, text: str, cut: str) -> None:
    day = stream(NETWORK, f"{WARM}{text} 12:11 end")
    whole = run(day.frames(), NETWORK, **HASTY)
    assert run(day.frames([at(cut)]), NETWORK, **HASTY).bytes == whole.bytes
    assert whole.changes
