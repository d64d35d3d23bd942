"""The specification of ``lastgasp evaluate``: worlds in, a scoreboard out, mistakes explained."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from detectors.settings import EngineSettings
from grid.drawing import draw
from grid.errors import ConfigError
from grid.reading import Kind
from service import evaluate
from service.evaluating import evaluated, played
from simulators.cells import cells_of
from simulators.quiet import DAY_MS, HOUR_MS, quiet_hours

LASTGASP = str(Path(sys.executable).with_name("lastgasp"))
CITY = "city:400:3"
SURE = "p0.9 r0 terminals scada"


def wanted(**other: object) -> evaluate.Wanted:
    given = {"networks": (CITY,), "cells": SURE, "faults": 4, "seed": 1, "jobs": 1}
    return evaluate.Wanted(**({"settings": EngineSettings()} | given | other))


def test_where_everything_is_heard_every_fault_is_exact_and_the_rule_is_beside_it() -> None:
    (line,) = evaluate.board(wanted())
    assert line.faults >= 4
    assert line.exact == 1.0
    assert line.rule_exact is not None
    assert line.rule_exact < 1.0
    assert (line.false, line.twice, line.wrong_restored) == (0, 0, 0)


def test_how_sure_a_device_is_does_not_fall_while_power_comes_back() -> None:
    """For a second, those whose power-ups are on their way may all have been left in the dark."""
    day, _ = played(CITY, cells_of("p0.3 r0")[0], 53_004, 3, EngineSettings())
    said = [c.outage for c in day.changes if c.outage.device_id == "S1-F01-SW1"]
    back = [outage for outage in said if outage.state == "partially_restored"]
    assert back
    assert min(outage.probability for outage in back) > 0.99


def test_the_loss_of_one_phase_is_one_outage_of_exactly_those_who_have_no_other() -> None:
    (line,) = evaluate.board(wanted(cells="one phase", faults=2, seed=2))
    assert line.faults >= 2
    assert (line.exact, line.device) == (1.0, 1.0)
    assert (line.false, line.twice, line.wrong_restored) == (0, 0, 0)


def test_the_same_seed_gives_the_same_day() -> None:
    (cell,) = cells_of("p0.3 r0.1")
    one, two = (evaluated(CITY, cell, 7, 4, EngineSettings()) for _ in range(2))
    assert one == two


def test_a_cell_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="wrong topology"):
        list(evaluate.board(wanted(cells="p0.7")))


def test_the_mistakes_of_a_seed_are_told_with_what_was_believed_and_when() -> None:
    told = list(evaluate.explain(wanted(cells="wrong topology"), 1))
    assert told[0].startswith(f"{CITY}, wrong topology, seed 1")
    assert any("believed" in line for line in told)
    assert any("detected" in line for line in told)


def test_a_false_outage_is_told_with_what_was_believed_and_when() -> None:
    rash = EngineSettings(prior_calm=1.0, prior_meter=0.2, pings_per_minute=0.0)
    told = list(evaluate.explain(wanted(cells="false gasps", faults=2, settings=rash), 3))
    after = told[told.index("  false: S1-3, all of whose customers had power") + 1 :]
    assert "S1-3 predicted at" in after[0]
    assert "1 heartbeat was due and did not come" in after[0]


def test_a_quiet_hour_has_the_heartbeats_of_all_who_speak_in_order() -> None:
    network = draw("source S1\n  breaker B1\n    transformer T1\n      meter M1..M100")
    hours = list(quiet_hours(network, 1, DAY_MS, seed=3))
    assert [end_ms for end_ms, _ in hours] == [DAY_MS + n * HOUR_MS for n in range(1, 25)]
    rows = np.concatenate([rows for _, rows in hours])
    assert (np.diff(rows["received_ms"]) >= 0).all()
    beats = rows[rows["kind"] == Kind.HEARTBEAT]
    speakers = len(np.unique(beats["node"]))
    assert 90 <= speakers <= 100
    assert abs(len(beats) - speakers * 96) <= speakers
    assert all((rows["received_ms"] <= end_ms).all() for end_ms, rows in hours)


def test_quiet_days_raise_nothing() -> None:
    (line,) = evaluate.calm(wanted(), 1)
    assert line.meter_days == pytest.approx(400, rel=0.05)
    assert (line.false, line.examples) == (0, ())


def test_the_command_prints_a_line_of_json_a_cell() -> None:
    command = [LASTGASP, "evaluate", CITY, "--cells", SURE, "--faults", "2", "--jobs", "1"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["cell"] == SURE
    table = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "rule exact" in table.stdout
