"""How two workers share the tests of this repository, and a peer that some of them have."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = frozenset({"tests/integration"})
STORIES = "tests/acceptance/"
ROOT = Path(__file__).resolve().parent
NODE_PARTS = ROOT / "build" / "node" / "node_modules"
ALONE = "test_faults.py"  # of the stories: its cluster is its own


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
