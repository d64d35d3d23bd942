"""The specification of our own deafness: silence that nobody listened to is no evidence.

A quiet city beats its hearts while the service is away for more than two of their periods: stopped
in order once, killed once (on a cluster it is killed only).  Nobody was in the dark, and nobody is
said to have been.
"""

from collections.abc import Callable
from typing import Any

import pytest


def nothing_was_said(day: Any) -> None:
    assert day.devices_heard > 2000
    assert day.outages == []
    assert day.texts == []


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "way",
    [
        pytest.param("tales", id="in process", marks=pytest.mark.services),
        pytest.param("cluster_tales", id="on a cluster", marks=pytest.mark.soak),
    ],
)
def test_time_that_we_were_away_raises_no_outage(request: pytest.FixtureRequest, way: str) -> None:
    nothing_was_said(request.getfixturevalue(way)["quiet"].result())


@pytest.mark.soak
@pytest.mark.timeout(5000)
def test_twenty_minutes_that_we_were_away_raise_no_outage(
    play: Callable[..., Any], quiet_city: Callable[..., Any]
) -> None:
    nothing_was_said(quiet_city(play, heartbeat_s=300.0, slack_s=30.0, away_s=1200.0))
