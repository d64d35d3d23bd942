"""The specification of ``lastgasp scenario``: a day as lines, and the check of what was found."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from grid.errors import ConfigError
from grid.network import Network
from simulators.command import scenario_app

SCENARIO = """
duration_s = 200
[[event]]
kind = "fault"
name = "f"
at_s = 50
device = "T5"
restore_s = 100
"""
WRONG = 6

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(town: Network) -> Run:
    app = typer.Typer()
    app.add_typer(scenario_app(lambda source: town, WRONG))

    def invoke(*arguments: str, given: str = "") -> tuple[int, str]:
        result = CliRunner().invoke(app, ["scenario", *arguments], input=given)
        if isinstance(result.exception, ConfigError):
            raise result.exception
        return result.exit_code, result.stdout

    return invoke


def test_what_ships_with_us_has_names(run: Run) -> None:
    assert run("list") == (0, "demo\nstorm\n")


def test_a_day_is_written_with_its_truth_and_what_was_found_is_checked(
    run: Run, tmp_path: Path
) -> None:
    scenario, truth, found = (tmp_path / n for n in ("s.toml", "truth.jsonl", "found.json"))
    scenario.write_text(SCENARIO)
    code, text = run("day", str(scenario), "--network", "town", "--truth", str(truth))
    lines = [json.loads(line) for line in text.splitlines()]
    assert code == 0
    assert "tick" in lines[-1]
    assert any(line["topic"] == "lastgasp/v1/terminal/T5/event" for line in lines[:-1])

    outage = next(
        line for line in map(json.loads, truth.read_text().splitlines()) if line["type"] == "outage"
    )
    outage |= {"id": "S1-1", "state": "closed"}
    found.write_text(json.dumps({"outages": [outage]}))
    code, text = run("check", str(truth), str(found))
    assert (code, text.startswith("1 of 1 outages right")) == (0, True)

    outage["device_id"] = "T4"
    code, text = run("check", str(truth), "-", "--json", given=json.dumps(outage))
    assert code == WRONG
    assert json.loads(text)["device_right"] == 0


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("missing.json", None, "cannot be read"),
        ("half.json", '{"outages": [', "neither JSON nor lines"),
        ("bare.json", '{"outages": [{"id": "a"}]}', "no outages with steps"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    run: Run, tmp_path: Path, name: str, text: str | None, why: str
) -> None:
    truth, found = tmp_path / "truth.jsonl", tmp_path / name
    truth.write_text('{"type":"end","episode":1}\n')
    if text is not None:
        found.write_text(text)
    with pytest.raises(ConfigError, match=why):
        run("check", str(truth), str(found))
