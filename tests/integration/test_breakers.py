"""The specification of the simulated breakers: any Modbus master reads what their datasheets say.

mbpoll shares no code with us; the register maps below are typed from the datasheets' tables.
"""

import csv
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.services

VILLAGE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "village"
STORY = """
name = "one breaker trips"
duration_s = 600
[field]
delivery = 1.0
hello_s = 2
holdoff_s = [1, 2]
[[event]]
kind = "fault"
name = "trip"
device = "B1"
at_s = 12
"""


@pytest.fixture(scope="module")
def story(lastgasp_up: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """The village with its simulated breakers, one of which is about to trip."""
    scenario = tmp_path_factory.mktemp("story") / "trip.toml"
    scenario.write_text(STORY)
    service = lastgasp_up("--network", str(VILLAGE), "--scenario", str(scenario)).start()
    yield service
    assert service.stop() == 0


@pytest.fixture
def position(story: Any, tool: Callable[[str], str]) -> Callable[[str], str]:
    """Whether a breaker is open or closed, as mbpoll reads it off the unit of breakers.csv."""
    with (story.data / "field" / "breakers.csv").open() as file:
        units = {row["branch_id"]: row for row in csv.DictReader(file)}

    def read(branch_id: str) -> str:
        unit = units[branch_id]
        kind, count = {"fr100": ("3", 2), "rc20": ("1", 4)}[unit["family"]]
        ran = subprocess.run(
            [tool("mbpoll"), "-0", "-1", "-q", "-m", "tcp", "-p", unit["port"], "-a", unit["unit"],
             "-t", kind, "-r", "0", "-c", str(count), unit["host"]],
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
        values = [int(v) for v in re.findall(r"^\[\d+\]:\s+(\d+)", ran.stdout, re.MULTILINE)]
        if unit["family"] == "fr100":
            assert values[0] == 0x4652
            return {1: "open", 2: "closed"}[values[1] & 3]
        return {(1, 0): "closed", (0, 1): "open"}[values[0], values[1]]

    return read


def test_a_master_of_another_house_sees_the_breaker_trip_that_we_report(story, position) -> None:
    assert [position("B1"), position("B2")] == ["closed", "closed"]
    told = story.wait(
        lambda: [o for o in story.get("/api/outages")["outages"] if o["device_id"] == "B1"],
        30, "the outage of B1",
    )  # fmt: skip
    assert [position("B1"), position("B2")] == ["open", "closed"]
    assert told[0]["state"] == "confirmed"
    assert told[0]["customers_out"] == 6
