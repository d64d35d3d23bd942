"""The specification of ``lastgasp network``."""

import asyncio
import json
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
import typer
from typer.testing import CliRunner, Result

from grid.csvfolder import write
from grid.errors import ConfigError
from service import exits
from service.network_commands import network_app
from service.network_report import TOLD_MAX
from simulators.city import city
from store.postgres import Keys, Store, open_store
from store.settings import StoreSettings

T = TypeVar("T")
Run = Callable[..., Result]


def runner(app: typer.Typer) -> Run:
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def run() -> Run:
    """Commands that have no database to go to."""

    def no_store(work: object, **options: object) -> T:
        raise ConfigError(f"no database at {options['data']}")

    return runner(network_app(no_store))


@pytest.fixture
def run_with_database(postgres_url: str) -> Run:
    """Commands on a database of their own."""
    keys = Keys(os.urandom(32), os.urandom(32))

    def with_store(
        work: Callable[[Store], Awaitable[T]],
        *,
        data: Path,
        config: Path | None,
        database: str | None,
        make: bool = False,
    ) -> T:
        async def open_and_work() -> T:
            async with open_store(database or postgres_url, keys, StoreSettings()) as store:
                return await work(store)

        return asyncio.run(open_and_work())

    return runner(network_app(with_store))


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A folder with one customer too many and a loop."""
    folder = tmp_path / "broken"
    folder.mkdir()
    for name, text in write(city(60, 1), contacts=False).items():
        (folder / name).write_text(text, encoding="utf-8")
    with (folder / "customers.csv").open("a", encoding="utf-8") as file:
        file.write("C999,M999,,,zh,normal\n")
    return folder


def refused(result: Result) -> str:
    assert isinstance(result.exception, ConfigError)
    return result.exception.message


def test_check_says_what_a_good_network_holds(run: Run) -> None:
    result = run("check", "city:60:1")
    assert result.exit_code == 0
    assert result.stdout.startswith(
        "city:60:1: substations 1, feeders 1, transformers 1, meters 60, customers 60; version "
    )


def test_check_names_what_is_wrong_with_line_and_fix(run: Run, broken: Path) -> None:
    result = run("check", broken)
    assert result.exit_code == exits.FOUND
    assert result.stdout.splitlines() == [
        "customers.csv:62: error: customer C999 hangs on the meter M999, which is not in "
        "nodes.csv; correct meter_id, or add the meter to nodes.csv",
        f"{broken} would be refused",
    ]


def test_check_as_json_has_every_problem(run: Run, broken: Path) -> None:
    result = run("check", broken, "--json")
    assert result.exit_code == exits.FOUND
    verdict = json.loads(result.stdout)
    assert (verdict["accepted"], verdict["version"]) == (False, None)
    assert verdict["problems"] == [
        {
            "severity": "error",
            "where": "customers.csv:62",
            "message": "customer C999 hangs on the meter M999, which is not in nodes.csv",
            "fix": "correct meter_id, or add the meter to nodes.csv",
        }
    ]


def test_a_long_list_of_problems_is_cut_on_the_terminal(run: Run, broken: Path) -> None:
    with (broken / "customers.csv").open("a", encoding="utf-8") as file:
        file.writelines(f"X{i},M999,,,zh,normal\n" for i in range(TOLD_MAX + 9))
    lines = run("check", broken).stdout.splitlines()
    assert len(lines) == TOLD_MAX + 2
    assert lines[-2] == "and 10 more: --json lists them all"


@pytest.mark.parametrize("command", ["import", "show", "export"])
@pytest.mark.parametrize("json_too", [False, True])
def test_a_network_with_errors_is_refused_whole(
    run: Run, broken: Path, tmp_path: Path, command: str, json_too: bool
) -> None:
    words = [command, broken, *([tmp_path / "out"] if command == "export" else [])]
    result = run(*words, *(["--json"] if json_too else []))
    assert refused(result) == (
        f"{broken} is refused for one error; first at customers.csv:62: customer C999 hangs on "
        "the meter M999, which is not in nodes.csv; correct meter_id, or add the meter to nodes.csv"
    )
    assert not (tmp_path / "out").exists()
    if json_too:
        assert json.loads(result.stdout)["accepted"] is False
    else:
        assert result.stdout == ""
        assert "customers.csv:62: error:" in result.stderr


def test_export_writes_a_folder_that_is_the_same_network(run: Run, tmp_path: Path) -> None:
    assert run("export", "city:60:1", tmp_path / "a" / "b").exit_code == 0
    theirs, ours = (
        json.loads(run("check", source, "--json").stdout)["version"]
        for source in ("city:60:1", tmp_path / "a" / "b")
    )
    assert theirs == ours


def test_export_keeps_names_and_phones_to_itself_unless_told(run: Run, tmp_path: Path) -> None:
    run("export", "city:60:1", tmp_path)
    customers = tmp_path / "customers.csv"
    assert "+86" not in customers.read_text(encoding="utf-8")
    run("export", "city:60:1", tmp_path, "--with-contacts")
    assert "+8610000000001" in customers.read_text(encoding="utf-8")
    assert stat.S_IMODE(customers.stat().st_mode) == 0o600


def test_export_leaves_nothing_of_an_earlier_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "breakers.csv").write_text("branch_id,host,port,unit,family\nB9,h,1,1,f\n")
    run("export", "city:60:1", tmp_path)
    assert (tmp_path / "breakers.csv").read_text() == "branch_id,host,port,unit,family\n"
    assert run("check", tmp_path).exit_code == 0


def test_export_gives_simulated_relays_their_addresses(run: Run, tmp_path: Path) -> None:
    run("export", "city:60:1", tmp_path, "--breakers", "simulators:5020")
    lines = (tmp_path / "breakers.csv").read_text().splitlines()
    assert lines[1].split(",")[1:] == ["simulators", "5020", "1", "fr100"]
    assert run("check", tmp_path).exit_code == 0
    again = run("export", tmp_path, tmp_path / "copy", "--breakers", "127.0.0.1:5020")
    assert "real devices answer there" in refused(again)


def test_export_to_a_place_that_cannot_be_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert refused(run("export", "city:60:1", tmp_path / "file")).startswith("cannot write ")


def test_show_lists_the_feeders_of_each_substation(run: Run) -> None:
    result = run("show", "city:4000:7")
    lines = result.stdout.splitlines()
    assert lines[0] == "S1: 4000 customers"
    assert lines[1].startswith("  breaker S1-F01: ")
    assert lines[-1].endswith(", 4000 customers in all")
    shown = json.loads(run("show", "city:4000:7", "--json").stdout)
    assert shown["substations"] == ["S1"]
    assert sum(feeder["customers"] for feeder in shown["feeders"]) == shown["customers"] == 4000
    assert shown["feeders"][0].keys() == {
        *("id", "kind", "substation", "devices", "transformers", "meters", "customers"),
        "districts",
    }


def test_a_wrong_time_is_refused_with_an_example(run: Run) -> None:
    assert refused(run("import", "city:60:1", "--from", "tomorrow")).endswith(
        "; write 2026-11-21T03:04:05Z"
    )


def test_without_a_source_the_database_is_asked(run: Run) -> None:
    assert refused(run("show", "--data", "/nowhere")) == "no database at /nowhere"


@pytest.mark.services
def test_what_was_imported_is_shown_from_the_database(run_with_database: Run) -> None:
    assert refused(run_with_database("show")).startswith("there is no network in the database")
    first = run_with_database("import", "city:60:1", "--from", "2026-11-01T00:00:00Z")
    assert first.stdout.splitlines()[-1] == "saved"
    again = run_with_database("import", "city:60:1")
    assert again.stdout.splitlines()[-1] == "unchanged: it is what the database has"
    stored, drawn = (
        run_with_database("show", *source, "--json").stdout for source in ([], ["city:60:1"])
    )
    assert stored == drawn


@pytest.mark.services
def test_a_section_is_back_fed_as_a_version_of_its_own(run_with_database) -> None:
    village = Path(__file__).parents[2] / "docs" / "examples" / "village"
    run_with_database("import", village)
    alone = run_with_database("switch", "--close", "TIE1")
    assert "closed loop of 4 branches" in str(alone.exception)
    assert "saved" in run_with_database("switch", "--close", "TIE1", "--open", "SW1").output
    again = run_with_database("switch", "--close", "TIE1", "--open", "SW1")
    assert isinstance(again.exception, ConfigError)
    assert "TIE1 is closed already" in str(again.exception)
    nothing = run_with_database("switch")
    assert "nothing is switched" in str(nothing.exception)
    assert "NODE:NODE" in str(run_with_database("switch", "--jumper", "N1").exception)
