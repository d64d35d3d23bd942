"""The specification of the doctor: plain words, a fix for each, and nothing changed."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from service import doctor, keys
from service.clock import now_ms
from service.doctor import Check


def look(tmp_path: Path, *, config: str = "", clock: Callable[[], int] = now_ms,
         database: str | None = None) -> dict[str, Check]:  # fmt: skip
    path = tmp_path / "lastgasp.toml"
    path.write_text(config)
    found = doctor.examine(tmp_path / "data", path, database, clock)
    return {check.name: check for check in found}


def test_a_new_machine_has_nothing_wrong_and_nothing_is_made(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    ports = "".join(
        f"[{part}]\nlisten = '127.0.0.1:{free_port()}'\n" for part in ("http", "feeds", "broker")
    )
    checks = look(tmp_path, config=ports)
    assert [check for check in checks.values() if check.state == "wrong"] == []
    assert checks["database"].says == "none yet"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lastgasp.toml"]


def test_everything_that_is_not_right_has_a_fix(tmp_path: Path) -> None:
    assert all(check.fix for check in look(tmp_path).values() if check.state != "ok")


def test_a_setting_that_is_wrong_is_named_with_its_path(tmp_path: Path) -> None:
    check = look(tmp_path, config="[mqtt]\nprot = 1\n")["settings"]
    assert check.state == "wrong"
    assert "$.mqtt.prot" in check.says


def test_a_taken_port_is_found_with_the_flag_that_changes_it(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        check = look(tmp_path, config=f"[http]\nlisten = '127.0.0.1:{port}'\n")["port --http"]
    assert check.state == "wrong"
    assert f"port {port}" in check.says


def test_keys_that_others_may_read_are_found(tmp_path: Path) -> None:
    keys.open_keys(tmp_path / "data")
    (tmp_path / "data.keys" / "token.key").chmod(0o644)
    check = look(tmp_path)["keys"]
    assert check.state == "wrong"
    assert "chmod" in check.fix


def test_keys_that_are_gone_are_missed(tmp_path: Path) -> None:
    (tmp_path / "data" / "postgres").mkdir(parents=True)
    (tmp_path / "data" / "postgres" / "PG_VERSION").write_text("18\n")
    (tmp_path / "data" / "postgres" / "unusable").touch()
    check = look(tmp_path, database="postgresql://127.0.0.1:1/x")["keys"]
    assert (check.state, check.fix) == ("wrong", "put it back from its backup")


def test_a_clock_that_is_years_behind_is_found(tmp_path: Path) -> None:
    assert look(tmp_path, clock=lambda: 86_400_000)["time"].state == "wrong"


def test_a_database_that_does_not_answer_is_found(tmp_path: Path) -> None:
    check = look(tmp_path, database="postgresql://nobody@127.0.0.1:1/none")["database"]
    assert check.state == "wrong"
    assert "LASTGASP_DATABASE_URL" in check.fix


def test_a_broker_that_does_not_answer_is_found(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    check = look(tmp_path, config=f"[mqtt]\nurl = 'mqtt://127.0.0.1:{free_port()}'\n")["broker"]
    assert check.state == "wrong"


def test_what_a_killed_run_left_is_found(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "service.json").write_text(
        '{"pid":1,"http":"","feeds":"","mqtt":"","psql":""}'
    )
    (tmp_path / "data" / "service.lock").touch()
    check = look(tmp_path)["leftovers"]
    assert check.state == "notice"
    assert "lastgasp up" in check.fix


@pytest.mark.services
def test_a_database_is_looked_into(tmp_path: Path, postgres_url: str) -> None:
    checks = look(tmp_path, database=postgres_url)
    assert checks["database"].state == "ok"
    assert "as lastgasp" in checks["database"].says
    assert checks["schema"].says == "the database is empty"
    assert "agrees" in checks["time"].says


@pytest.mark.services
def test_a_server_that_forgets_what_it_committed_is_found(
    tmp_path: Path, postgres_url: str
) -> None:
    check = look(tmp_path, database=postgres_url)["durability"]  # the tests' own is in a hurry
    assert check.state == "notice"
    assert check.says.startswith("fsync and full_page_writes off")
    assert "postgresql.conf" in check.fix
