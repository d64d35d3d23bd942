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

from simulators.verdict import spoken

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3000)]


def test_every_fault_of_the_storm_is_found_with_exactly_its_customers(
    play: Callable[..., Any],
) -> None:
    storm = (resources.files("simulators") / "scenarios" / "storm.toml").read_text()
    story = play("simbench:1-MVLV-urban-all-0-sw", storm, config="").begin()
    story.wait_until_over(2000)
    verdict = story.verdict()
    assert verdict.outages >= 50
    assert verdict.exact == verdict.outages, spoken(verdict)
    assert verdict.device_right >= verdict.outages - 2, spoken(verdict)
    assert verdict.false == (), spoken(verdict)
