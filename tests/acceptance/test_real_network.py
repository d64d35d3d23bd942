"""The specification of a storm on a real network, live: SimBench's urban one at 10 kV.

Fifty faults, none inside another, three of ten last gasps heard, with terminals: every fault of a
feeder, a section or a transformer is found with exactly its customers.  A section with a single
transformer and that transformer have the same customers, and nothing that is heard tells which of
the two it was: there are such pairs in this network.
"""

from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest

from simulators.verdict import Verdict, spoken

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3000)]

NETWORK = "simbench:1-MVLV-urban-all-0-sw"
SOONER = """
[engine]
momentary_scada_s = 6.0
momentary_s = 12.0
close_after_s = 60.0
"""
STORM = resources.files("simulators") / "scenarios" / "storm.toml"


def test_every_fault_of_the_storm_is_found_with_exactly_its_customers(
    play: Callable[..., Any],
) -> None:
    story = play(NETWORK, STORM.read_text(), config="").begin()
    story.wait_until_over(2000)
    everything_was_found(story.verdict())


def test_killed_in_the_middle_of_it_the_service_ends_with_the_same(
    play: Callable[..., Any], told: Callable[..., Any]
) -> None:
    """The same storm with repairs that come sooner: kill -9 of all its processes, and a start."""
    storm = STORM.read_text().replace("[420, 540]", "[120, 180]").replace("= 900", "= 540")
    story = told(play(NETWORK, storm, config=SOONER), 900, kill_after_s=170.0)
    everything_was_found(story.verdict())
    story.replays_as_committed()


def everything_was_found(verdict: Verdict) -> None:
    """Exactly the customers of each fault, their steps by the devices' clocks, nothing false."""
    assert verdict.outages >= 50
    assert verdict.exact == verdict.outages, spoken(verdict)
    assert verdict.device_right >= verdict.outages - 2, spoken(verdict)
    assert verdict.false == (), spoken(verdict)
