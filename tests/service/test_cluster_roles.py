"""The specification of a role of a cluster as a process: what it waits for, and whom it refuses."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosed

LASTGASP = str(Path(sys.executable).with_name("lastgasp"))
DEADLINE_S = 90.0
pytestmark = pytest.mark.services

Begin = Callable[..., tuple["subprocess.Popen[bytes]", int]]


@pytest.fixture
def begin(postgres_url: str, free_port: Callable[[], int], tmp_path: Path) -> Iterator[Begin]:
    """Start a role on an empty database: its process, and the port of its health."""
    started: list[subprocess.Popen[bytes]] = []

    def start(role: str, more: str = "") -> tuple[subprocess.Popen[bytes], int]:
        port = free_port()
        config = tmp_path / f"{role}.toml"
        config.write_text(f'[health]\nlisten = "127.0.0.1:{port}"\n{more}')
        command = [LASTGASP, "run", role, "--data", str(tmp_path / "data"), "--config", str(config)]
        env = {**os.environ, "LASTGASP_DATABASE_URL": postgres_url}  # noqa: TID251
        with (tmp_path / f"{role}.log").open("wb") as log:
            started.append(subprocess.Popen(command, env=env, stdout=log, stderr=log))
        return started[-1], port

    yield start
    for process in started:
        process.kill()
        process.wait(10)


def waits_for(port: int) -> str:
    """What /readyz says that it waits for; empty while it does not answer."""
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5)
    except httpx.HTTPError:
        return ""
    assert answer.status_code == 503
    return str(answer.json()["components"]["start"]["reason"])


def test_a_role_without_a_network_waits_and_says_what_brings_one_in(
    begin: Begin, until: Callable[..., Any]
) -> None:
    process, port = begin("mqtt-gateway")
    asked = "lastgasp run admin --network SOURCE"
    until(lambda: asked in waits_for(port), DEADLINE_S, lambda: "the reason")
    assert httpx.get(f"http://127.0.0.1:{port}/livez", timeout=5).status_code == 200
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0


def test_a_role_refuses_soon_after_whose_rights_were_withdrawn(
    begin: Begin, tmp_path: Path, free_port: Callable[[], int], until: Callable[..., Any]
) -> None:
    feeds = free_port()
    _, port = begin("push", f'[feeds]\nlisten = "127.0.0.1:{feeds}"\ntick_s = 0.1\n')
    until(lambda: httpx_ok(port), DEADLINE_S, lambda: "the feeds")
    words = [LASTGASP, "token", "--data", str(tmp_path / "data"), "--role", "dispatcher",
             "--subject", "anna"]  # fmt: skip
    token = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    with listening(feeds, token) as client:
        let_in = "authenticated"
        until(lambda: json.loads(client.recv())["op"] == let_in, DEADLINE_S, lambda: let_in)
        subprocess.run([*words, "--withdraw"], check=True, capture_output=True)
        assert "withdrawn" in hung_up(client)
    with listening(feeds, token) as client:
        assert "withdrawn" in hung_up(client)


def test_the_role_of_texts_takes_channels_from_its_environment(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: Callable[..., Any]
) -> None:
    monkeypatch.setenv("LASTGASP_CHANNELS", "hook json://127.0.0.1:9/{address}")
    _, port = begin("texts")
    until(lambda: "no network" in waits_for(port), DEADLINE_S, lambda: "the reason")
    monkeypatch.setenv("LASTGASP_CHANNELS", "hook json://127.0.0.1:9/")
    refused, _ = begin("texts")
    assert refused.wait(DEADLINE_S) == 3
    assert "LASTGASP_CHANNELS: line 1" in (tmp_path / "texts.log").read_text()


def httpx_ok(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def hung_up(client: Any) -> str:
    """The last that is said before the connection ends."""
    said = ""
    with suppress(ConnectionClosed):
        while True:
            said = str(client.recv(timeout=DEADLINE_S))
    return said


@contextmanager
def listening(port: int, token: str) -> Iterator[Any]:
    with websockets.sync.client.connect(f"ws://127.0.0.1:{port}", proxy=None) as client:
        client.send(json.dumps({"op": "auth", "token": token}))
        yield client
