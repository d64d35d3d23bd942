"""How two workers share the tests of this repository, how they wait, and peers of other houses."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = frozenset({"tests/integration"})
STORIES = "tests/acceptance/"
ROOT = Path(__file__).resolve().parent
NODE_PARTS = ROOT / "build" / "node" / "node_modules"
ALONE = "test_faults.py"  # of the stories: its cluster is its own
ENDS = pytest.StashKey[list[Callable[[], None]]]()
T = TypeVar("T")


class SideBySide(LoadScopeScheduling):
    """Two workers (``-n 2``): the tests of a file stay together, and all of a folder whose service
    is started once for it.  Stories are told all at once: in one process each by the one worker,
    on clusters by the other.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith(STORIES) and not file.endswith(ALONE):
            clustered = "on_a_cluster" in nodeid.replace(" ", "_")
            return f"{STORIES} on clusters" if clustered else STORIES
        folder = file.rpartition("/")[0]
        return folder if folder in TOGETHER else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SideBySide:
    """Who gets which test."""
    return SideBySide(config, log)


@pytest.fixture(scope="session")
def after_stories(pytestconfig: pytest.Config) -> Callable[[Callable[[], None]], None]:
    """Have something ended once no story is left to look at: a service that is left to itself
    takes a tenth of a core from the tests that follow.
    """
    return pytestconfig.stash.setdefault(ENDS, []).append


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """What was to end with the stories ends with the last of them."""
    if nextitem is None or not nextitem.nodeid.startswith(STORIES):
        ends = item.config.stash.get(ENDS, [])
        while ends:
            ends.pop()()


def wait_until(condition: Callable[[], T], within_s: float, what: Callable[[], str]) -> T:
    """The first true value of a condition."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {within_s} s for {what()}")


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """Wait for a condition: ``until(condition, within_s, lambda: "what")``; its true value."""
    return wait_until


def listens(port: int, process: "subprocess.Popen[bytes]") -> bool:
    """Whether a process that goes on has taken its loopback port."""
    assert process.poll() is None, f"ended with {process.returncode} before it listened"
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def wait_for_port() -> Callable[..., None]:
    """Wait until a process listens: ``wait_for_port(port, process, within_s)``."""

    def wait(port: int, process: "subprocess.Popen[bytes]", within_s: float) -> None:
        wait_until(lambda: listens(port, process), within_s, lambda: f"port {port}")

    return wait


@dataclass
class Broker:
    """A Mosquitto of a test's own on ``127.0.0.1:port``."""

    port: int
    command: list[str]
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it listens."""
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = self.process = subprocess.Popen(self.command, **silent)  # noqa: S603  a test's own
        wait_until(lambda: listens(self.port, process), 60, lambda: "Mosquitto")

    def stop(self, *, kill: bool = False) -> None:
        """Stop it with SIGTERM, or with SIGKILL."""
        if self.process is not None:
            self.process.kill() if kill else self.process.terminate()
            self.process.wait(10)
            self.process = None


@pytest.fixture(scope="session")
def lasting_mosquitto(
    tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory,
    free_port: Callable[[], int],
) -> Iterator[Callable[..., Broker]]:  # fmt: skip
    """Start real brokers that outlive a test: ``lasting_mosquitto("max_queued_messages 0")``."""
    started: list[Broker] = []

    def start(config: str = "") -> Broker:
        program, port = tool("mosquitto"), free_port()
        path = tmp_path_factory.mktemp("mosquitto") / "mosquitto.conf"
        user = "user root\n" if os.geteuid() == 0 else ""
        path.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n{user}{config}\n")
        broker = Broker(port, [program, "-c", str(path)])
        started.append(broker)
        broker.start()
        return broker

    yield start
    for broker in started:
        broker.stop(kill=True)


@pytest.fixture
def mosquitto(lasting_mosquitto: Callable[..., Broker]) -> Iterator[Callable[..., Broker]]:
    """Start brokers of one test: ``mosquitto()``, or ``mosquitto("max_queued_messages 0")``."""
    started: list[Broker] = []

    def start(config: str = "") -> Broker:
        started.append(lasting_mosquitto(config))
        return started[-1]

    yield start
    for broker in started:
        broker.stop(kill=True)


@pytest.fixture(scope="session")
def other_centre(
    tool: Callable[[str], str], left_out: Callable[[str, str], NoReturn],
    free_port: Callable[[], int],
) -> Iterator[Callable[[Path], int]]:  # fmt: skip
    """Start another house's SMS centre (npm smpp) that writes such a log; its port."""
    if not (NODE_PARTS / "smpp").is_dir():
        left_out("npm's smpp", "make services")
    started: list[subprocess.Popen[bytes]] = []

    def start(log: Path) -> int:
        port = free_port()
        program = str(ROOT / "tests" / "integration" / "smsc.cjs")
        command = [tool("node"), program, str(port), str(log), json.dumps({"silent": 0.02})]
        env = {**os.environ, "NODE_PATH": str(NODE_PARTS)}  # noqa: TID251
        started.append(subprocess.Popen(command, env=env))  # noqa: S603  our own words
        return port

    yield start
    for process in started:
        process.kill()
        process.wait(10)
