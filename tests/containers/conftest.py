"""docker-compose.yml in podman: containers by their service's name, asked from inside."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = str(ROOT / "scripts/containers.sh")
FILES = ("-f", "docker-compose.yml", "-f", "tests/containers/stand-ins.yml")
HEALTHY_S = 300.0
CHANNELS = "hook json://127.0.0.1:9/{address}"  # beside texts; nobody wishes for it
CITY = "city:6000:1"  # the demo's, smaller: two cores have all of the servers to run beside it
T = TypeVar("T")
ASK = """
import json, os, ssl, sys, urllib.error, urllib.request
context = ssl.create_default_context(cafile="/secrets/lastgasp/ca.crt")
headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
for path in sys.argv[1:]:
    request = urllib.request.Request("https://dispatch:8470" + path, headers=headers)
    try:
        print(urllib.request.urlopen(request, context=context).read().decode())
    except urllib.error.HTTPError as refused:
        print(refused)
"""
TARGETS = """
import json, ssl, urllib.request
context = ssl.create_default_context(cafile="/secrets/ca.crt")
context.load_cert_chain("/secrets/server.crt", "/secrets/server.key")
print(urllib.request.urlopen("https://localhost:9090/api/v1/%s", context=context).read().decode())
"""


class Cluster:
    """A project of podman-compose."""

    def __init__(self, ports: Callable[[], int]) -> None:
        names = ("DEVICES", "HTTP", "FEEDS", "GRAFANA")
        told = {f"LASTGASP_{name}": f"127.0.0.1:{ports()}" for name in names}
        told |= {"LASTGASP_CITY": CITY, "LASTGASP_CHANNELS": CHANNELS}
        self._env = {**told, **os.environ}  # noqa: TID251
        self.channels = CHANNELS
        self.said: list[str] = []
        self.last_token = ""  # whom the API was last asked by

    def say(self, sentence: str) -> None:
        """A line of the report, with the time since the test began."""
        self.said.append(sentence)
        print(sentence, flush=True)  # noqa: T201  shown by -s, and kept for the page

    def podman(self, *words: str, check: bool = True, timeout_s: float = 120) -> str:
        """What podman prints."""
        ran = subprocess.run(
            [SCRIPT, "podman", *words], cwd=ROOT, env=self._env, text=True,
            capture_output=True, timeout=timeout_s, check=False,
        )  # fmt: skip
        assert ran.returncode == 0 or not check, f"podman {words}: {ran.stderr[-2000:]}"
        return ran.stdout

    def compose(self, *words: str) -> None:
        """podman-compose with the profiles of simulators and texts."""
        ran = subprocess.run(
            [SCRIPT, "compose", *FILES, "--profile", "simulators", "--profile", "texts",
             *words], cwd=ROOT,
            env=self._env, text=True, capture_output=True, timeout=300, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, f"compose {words}: {ran.stderr[-3000:]}"

    def start(self, *services: str) -> None:
        """Start services and wait: for the health of those that stay, for the end of the others.

        One after the other: without systemd podman itself waits for no health.
        """
        for service in services:
            self.compose("up", "-d", "--no-deps", service)

    def ended(self, service: str) -> None:
        """Wait until a one-shot service has done its work."""
        name = self.name(service)
        self.wait(lambda: self.status(name) in ("exited", "stopped"), 240, f"{service} to end")
        code = self.podman("inspect", name, "--format", "{{.State.ExitCode}}").strip()
        assert code == "0", f"{service} ended with {code}: {self.logs(service)}"

    def healthy(self, *services: str, within_s: float = HEALTHY_S) -> None:
        """Wait until each service's own health check is content."""
        for service in services:
            name = self.name(service)
            self.wait(lambda name=name: self._checks(name), within_s, f"{service} to be healthy")

    def stop(self, service: str) -> None:
        """Stop one of them for good."""
        self.podman("stop", "--time", "10", self.name(service))

    def _checks(self, name: str) -> bool:
        ran = subprocess.run(
            [SCRIPT, "podman", "healthcheck", "run", name], cwd=ROOT, env=self._env,
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        return ran.returncode == 0

    def wait(self, condition: Callable[[], T], within_s: float, what: str) -> T:
        """The first true value of a condition."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            if value := condition():
                return value
            time.sleep(1)
        logs = self.logs(what.split(" ", 1)[0].rstrip(":"))
        raise AssertionError(f"waited {within_s} s for {what}: {logs}")

    def name(self, service: str, number: int = 1) -> str:
        return f"lastgasp_{service}_{number}"

    def status(self, name: str) -> str:
        return self.podman("inspect", name, "--format", "{{.State.Status}}", check=False).strip()

    def logs(self, service: str) -> str:
        ran = subprocess.run(
            [SCRIPT, "podman", "logs", "--tail", "40", self.name(service)], cwd=ROOT,
            env=self._env, text=True, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        return (ran.stdout + ran.stderr)[-4000:]

    def kill(self, service: str) -> None:
        """``kill -9``, and start again: a supervisor's part."""
        name = self.name(service)
        self.podman("kill", "--signal", "KILL", name, check=False)
        self.wait(lambda: self.status(name) != "running", 60, f"{service} to be dead")
        self.podman("start", name)
        self.say(f"killed and started {service}")

    def run(self, service: str, *words: str) -> str:
        """What a program inside a container prints."""
        return self.podman("exec", self.name(service), *words)

    def ask(self, *paths: str) -> list[Any]:
        """What the API answers, asked as a dispatcher from inside, by TLS."""
        self.last_token = self.run(
            "dispatch", "lastgasp", "token", "--role", "dispatcher", "--subject", "check"
        ).strip()
        return [json.loads(line) for line in self._asked(self.last_token, *paths).splitlines()]

    def refuses(self, token: str) -> bool:
        """Whether the API refuses a token."""
        return "HTTP Error 401" in self._asked(token, "/api/outages")

    def _asked(self, token: str, *paths: str) -> str:
        told = ("--env", f"TOKEN={token}", self.name("dispatch"), "python3", "-c", ASK)
        return self.podman("exec", *told, *paths)

    def prometheus(self, what: str) -> Any:
        """What Prometheus answers, asked with a client certificate."""
        return json.loads(self.run("prometheus", "python3", "-c", TARGETS % what))["data"]

    def down(self) -> None:
        """Everything of the project, volumes too."""
        self.podman("rm", "--all", "--force", "--volumes", "--time", "2", check=False)
        self.podman("volume", "prune", "--force", check=False)
        self.podman("network", "prune", "--force", check=False)


@pytest.fixture
def cluster(left_out: Callable[[str, str], Any], free_port: Callable[[], int]) -> Iterator[Cluster]:
    """A cluster that is not started yet; torn down, whatever happened."""
    if os.geteuid() != 0 or not (ROOT / "build/containers/base/.ready").exists():
        left_out("containers (podman, images)", "make test-containers, as root on Debian 12")
    made = Cluster(free_port)
    made.down()
    try:
        yield made
    finally:
        if not os.environ.get("LASTGASP_KEEP"):  # noqa: TID251
            made.down()
