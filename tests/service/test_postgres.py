"""The specification of the embedded PostgreSQL: it outlives a kill and is taken over at once."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from grid.errors import ConfigError
from service import postgres, postmaster
from service.postgres import PostgresSettings

pytestmark = pytest.mark.services

SETTINGS = PostgresSettings(shared_buffers_mb=32)
STARTER = """
import sys, time
from pathlib import Path
from service.postgres import PostgresSettings, embedded
import psycopg
with embedded(Path(sys.argv[1]), PostgresSettings(shared_buffers_mb=32)) as database:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("create table if not exists kept (n int)")
        connection.execute("insert into kept values (1)")
        connection.execute("begin")
        connection.execute("insert into kept values (2)")
        print("ready", flush=True)
        time.sleep(600)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder with a server that was made once, not running."""
    folder = tmp_path_factory.mktemp("embedded") / "data"
    with postgres.embedded(folder, SETTINGS) as made:
        assert made.how == "started"
    yield folder
    if running := postmaster.running(postgres.folder_of(folder)):
        os.kill(running.pid, signal.SIGINT)


def kept(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("select count(*) from kept").fetchone()
        assert row is not None
        return int(row[0])


def start_and_kill(data: Path) -> None:
    """Let another process use it, and kill its whole group in the middle of a transaction."""
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(data)], stdout=subprocess.PIPE, start_new_session=True
    )
    assert starter.stdout is not None
    assert starter.stdout.readline() == b"ready\n"
    os.killpg(starter.pid, signal.SIGKILL)
    starter.wait(10)
    starter.stdout.close()


def test_it_stops_with_its_last_user(data: Path) -> None:
    with postgres.embedded(data, SETTINGS):
        with postgres.embedded(data, SETTINGS) as second:
            assert second.how == "taken over"
        assert postmaster.running(postgres.folder_of(data)) is not None
    assert postmaster.running(postgres.folder_of(data)) is None


def test_it_listens_on_a_unix_socket_of_its_own_and_nowhere_else(data: Path) -> None:
    with postgres.embedded(data, SETTINGS) as database, psycopg.connect(database.url) as connection:
        row = connection.execute("show listen_addresses").fetchone()
        assert row == ("",)
        socket_folder = Path(connection.info.host)
        assert socket_folder.stat().st_mode & 0o077 == 0


def test_the_services_role_is_no_superuser_and_owns_its_database(data: Path) -> None:
    with postgres.embedded(data, SETTINGS) as database, psycopg.connect(database.url) as connection:
        row = connection.execute(
            "select rolname, rolsuper, pg_get_userbyid(datdba) from pg_roles, pg_database"
            " where rolname = current_user and datname = current_database()"
        ).fetchone()
        assert row == ("lastgasp", False, "lastgasp")


def test_after_a_kill_of_its_starter_it_is_taken_over_and_what_was_committed_is_there(
    data: Path,
) -> None:
    start_and_kill(data)
    with postgres.embedded(data, SETTINGS) as database:
        assert database.how == "taken over"
        assert kept(database.url) >= 1
        with psycopg.connect(database.admin_url) as admin:
            leftovers = admin.execute(
                "select count(*) from pg_stat_activity where usename = 'lastgasp'"
            ).fetchone()
        assert leftovers == (0,)


def test_after_a_kill_of_the_server_too_it_recovers(data: Path) -> None:
    start_and_kill(data)
    running = postmaster.running(postgres.folder_of(data))
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    with postgres.embedded(data, SETTINGS) as database:  # at once: it may still look alive
        assert database.how in ("recovered", "taken over")
        assert kept(database.url) >= 1


def test_a_server_that_dies_under_its_user_is_started_again(data: Path) -> None:
    with postgres.embedded(data, SETTINGS) as database:
        assert not postgres.revive(data, SETTINGS)
        running = postmaster.running(postgres.folder_of(data))
        assert running is not None
        process = psutil.Process(running.pid)
        process.kill()
        psutil.wait_procs([process], 10)
        assert postgres.revive(data, SETTINGS)
        assert kept(database.url) >= 1


def test_a_stale_file_with_the_process_id_of_somebody_else_does_not_keep_it_from_starting(
    data: Path,
) -> None:
    folder = postgres.folder_of(data)
    stale = folder / "postmaster.pid"
    lines = [str(os.getpid()), str(folder), "1", "5432", str(data / "postgres.sock"), "", "0 0"]
    stale.write_text("\n".join([*lines, "ready"]) + "\n")
    assert postmaster.running(folder) is None
    with postgres.embedded(data, SETTINGS) as database:
        assert database.how == "recovered"


def test_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    data = tmp_path / ("deep" * 20) / "data"
    with postgres.embedded(data, SETTINGS) as database, psycopg.connect(database.url) as connection:
        assert len(connection.info.host) < 100
        assert not connection.info.host.startswith(str(data))


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "mine").write_text("keep")
    with (
        pytest.raises(ConfigError, match="is no PostgreSQL folder"),
        postgres.embedded(tmp_path, SETTINGS),
    ):
        pass


def test_a_server_that_does_not_start_says_why(data: Path, tmp_path: Path) -> None:
    broken = postgres.folder_of(data) / "global" / "pg_control"
    body = broken.read_bytes()
    broken.write_bytes(b"")
    try:
        with (
            pytest.raises(ConfigError, match=r"does not start: .*pg_control"),
            postgres.embedded(data, PostgresSettings(start_s=1.0)),
        ):
            pass
    finally:
        broken.write_bytes(body)
