"""The specification of our own deafness: silence that nobody listened to is no evidence.

A quiet city beats its hearts while the service is away for more than two of their periods: stopped
in order once, killed once.  Nobody was in the dark, and nobody is said to have been.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest

CITY = "city:2000:7"
QUIET = """
name = "quiet"
duration_s = 1
[field]
silent = 0.0
hello_s = 2
heartbeat_s = {heartbeat_s}
terminal_heartbeat_s = {heartbeat_s}
latency_s = 0.2
false_gasp = 0.0
"""
SETTINGS = """
[engine]
heartbeat_s = {heartbeat_s}
heartbeat_slack_s = {slack_s}
"""


def let_pass(story: Any, seconds: float) -> None:
    """Time goes by; nothing is waited for but that."""
    until = time.monotonic() + seconds
    story.service.wait(lambda: time.monotonic() >= until, seconds + 5, "time to pass")


@pytest.mark.parametrize(
    ("heartbeat_s", "slack_s", "away_s"),
    [
        pytest.param(5.0, 4.0, 11.0, marks=pytest.mark.services, id="in a hurry"),
        pytest.param(300.0, 30.0, 1200.0, marks=pytest.mark.soak, id="twenty minutes"),
    ],
)
def test_time_that_we_were_away_raises_no_outage(
    play: Callable[..., Any], heartbeat_s: float, slack_s: float, away_s: float
) -> None:
    story = play(
        CITY,
        QUIET.format(heartbeat_s=heartbeat_s),
        SETTINGS.format(heartbeat_s=heartbeat_s, slack_s=slack_s),
    )
    service = story.begin().service
    let_pass(story, 2.5 * heartbeat_s)  # long enough to learn when who is due
    for leave in (service.stop, service.kill):
        leave()
        let_pass(story, away_s)
        service.start()
        let_pass(story, 1.5 * heartbeat_s + slack_s)
    heard = story.sql("SELECT count(DISTINCT device_no) FROM readings")[0][0]
    assert heard > 2000
    assert story.sql("SELECT id, device_id, evidence FROM outages") == []
