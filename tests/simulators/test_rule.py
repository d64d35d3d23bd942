"""The specification of the peer: the count-and-percentage rule."""

import numpy as np
import pytest

from grid.drawing import draw
from grid.reading import Kind, Reading
from ingest.packing import Packer
from simulators.rule import Rule

NETWORK = draw("""
source S1
  breaker B1
    transformer T1
      meter M1..M4
    transformer T2
      meter M5..M8
""")


@pytest.fixture
def said():
    """The rule after ``said("last_gasp", 1, 2)``: words of meters by their numbers, in turn."""
    rule, packer = Rule(NETWORK), Packer(NETWORK)
    clock = iter(range(1_000_000, 2_000_000, 1000))

    def say(kind: str, *meters: int) -> set[tuple[str, int]]:
        for meter in meters:
            at_ms = next(clock)
            reading = Reading(f"M{meter}", Kind[kind.upper()], at_ms)
            rule.take(np.array(packer.pack([reading], at_ms)[0]))
        return {(device, len(customers)) for device, customers in rule.declared()}

    return say


def test_two_reports_are_not_enough(said) -> None:
    assert said("last_gasp", 1, 2) == set()


def test_three_of_four_meters_declare_their_transformer(said) -> None:
    assert said("last_gasp", 1, 2, 3) == {("T1", 4)}


def test_three_of_eight_meters_declare_no_feeder(said) -> None:
    assert said("last_gasp", 1, 2, 5) == set()


def test_half_of_a_feeder_is_the_feeder_whoever_it_is(said) -> None:
    assert said("last_gasp", 1, 2, 3, 4) == {("B1", 8)}  # one transformer: the rule over-rolls


def test_a_meter_that_has_power_again_is_no_report(said) -> None:
    said("last_gasp", 1, 2, 3)
    assert said("power_up", 1) == set()


def test_calls_count_as_reports(said) -> None:
    assert said("call_no_power", 1, 2, 3) == {("T1", 4)}
