"""The specification of the simulated breakers: any Modbus master reads what their datasheets say.

mbpoll shares no code with us; the register maps below are typed from the datasheets' tables.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.services

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
UNITS = {"B1": (1, "fr100"), "B2": (2, "rc20")}


@pytest.fixture(scope="module")
def unit_port(free_port: Callable[[], int]) -> int:
    """Where the breakers of the story answer."""
    return free_port()


@pytest.fixture(scope="module")
def story(
    lastgasp_up: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory, unit_port: int
) -> Iterator[Any]:
    """The village with simulated breakers where its breakers.csv says; one is about to trip."""
    network = tmp_path_factory.mktemp("story") / "village"
    shutil.copytree(EXAMPLES / "village", network)
    rows = (f"{b},127.0.0.1,{unit_port},{unit},{family}" for b, (unit, family) in UNITS.items())
    (network / "breakers.csv").write_text("\n".join(("branch_id,host,port,unit,family", *rows)))
    scenario = str(EXAMPLES / "trip.toml")
    service = lastgasp_up("--network", str(network), "--scenario", scenario).start()
    yield service
    assert service.stop() == 0


@pytest.fixture
def mbpoll(unit_port: int, tool: Callable[[str], str]) -> Callable[..., list[int]]:
    """What a unit answers: ``mbpoll(1, "3", 48)`` reads 48 input registers from address 0."""

    def read(unit: int, table: str, count: int) -> list[int]:
        ran = subprocess.run(
            [tool("mbpoll"), "-0", "-1", "-q", "-m", "tcp", "-p", str(unit_port),
             "-a", str(unit), "-t", table, "-r", "0", "-c", str(count), "127.0.0.1"],
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
        return [int(v) for v in re.findall(r"^\[\d+\]:\s+(\d+)", ran.stdout, re.MULTILINE)]

    return read


def test_a_master_of_another_house_sees_the_breaker_trip_that_we_report(story, mbpoll) -> None:
    locked_out = 0b101  # open, and it stays open
    story.wait(lambda: mbpoll(1, "3", 2)[1] & 0b111 == locked_out, 40, "the lockout of B1")
    identity, _, _, events, *rest = mbpoll(1, "3", 48)
    assert (identity, events) == (0x4652, 4)
    newest_first = rest[8 + 1 :: 6][:events]  # the code of each event of six registers
    assert newest_first == [4, 1, 3, 1]  # lockout, trip, the failed reclose, trip

    def told() -> list[tuple[str, int]]:
        listed = story.get("/api/outages")["outages"]
        return [(o["state"], o["customers_out"]) for o in listed if o["device_id"] == "B1"]

    story.wait(lambda: told() == [("confirmed", 6)], 60, "the outage of B1")


def test_its_neighbour_on_the_same_address_stays_closed(story, mbpoll) -> None:
    contact_52a, contact_52b, lockout, _ = mbpoll(2, "1", 4)
    assert (contact_52a, contact_52b, lockout) == (1, 0, 0)
    assert not [o for o in story.get("/api/outages")["outages"] if o["feeder_id"] == "B2"]
