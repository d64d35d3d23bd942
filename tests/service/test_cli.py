"""The specification of the command line: one sentence with the fix, documented exit codes."""

import io
import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from grid.people import Role
from service import cli, exits, keys, tokens
from service.clock import now_ms


class Ran(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Ran]


@pytest.fixture
def lastgasp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """Run the command as a person does, in an empty folder, but without a new interpreter."""

    def run(*words: str, stdin: str = "") -> Ran:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["lastgasp", *words])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsysbinary.readouterr()
        return Ran(int(ended.value.code or 0), said.out.decode(), said.err.decode())

    return run


def refused(ran: Ran, code: int) -> str:
    """The one sentence on standard error."""
    assert ran.returncode == code, ran.stderr
    assert ran.stdout == ""
    (sentence,) = ran.stderr.splitlines()
    assert sentence.startswith("lastgasp: ")
    return sentence


def test_help_names_the_commands_and_the_exit_codes(lastgasp: Run) -> None:
    said = lastgasp("--help").stdout
    for word in ("up", "watch", "token", "doctor", "replay", "network", "quarantine", "Exit codes"):
        assert word in said


def test_nothing_heavy_is_imported_before_a_command_needs_it() -> None:
    """What makes ``--help`` and ``replay`` start in less than half a second."""
    code = (
        "import sys, service.cli, service.replay, service.replaying\n"
        "heavy = ['fastapi', 'uvicorn', 'psycopg', 'pymodbus', 'websockets', 'cryptography',"
        " 'pandas', 'pandapower', 'simbench', 'iotcore', 'rich.live', 'uvloop', 'jwt',"
        " 'prometheus_client', 'structlog', 'asyncio', 'paho.mqtt.client']\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_role_of_a_cluster_without_engines_loads_none() -> None:
    code = "import sys, service.roles; print({'detectors.engine', 'numba'} & {*sys.modules})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_a_token_is_printed_alone_and_needs_no_server(lastgasp: Run, tmp_path: Path) -> None:
    ran = lastgasp("token", "--role", "dispatcher", "--subject", "anna", "--district", "north",
                   "--data", "d", "--ttl", "60")  # fmt: skip
    principal = tokens.verify(keys.read_keys(tmp_path / "d").token, ran.stdout.strip(), now_ms())
    assert (principal.role, principal.subject, principal.district) == (
        Role.DISPATCHER, "anna", "north",
    )  # fmt: skip
    assert 50_000 < principal.expires_ms - now_ms() <= 60_000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--role", "boss", "--subject", "a"), "use dispatcher, crew or customer"),
        (("--role", "customer", "--subject", "C1", "--district", "x"), "leave it out"),
        (("--role", "customer", "--subject", ""), "--subject"),
    ],
)
def test_a_token_for_nobody_is_refused(lastgasp: Run, words: tuple[str, ...], said: str) -> None:
    assert said in refused(lastgasp("token", *words), exits.CONFIG)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("up", "--demo", "--scenario", "x.toml"), "--demo and --scenario exclude each other"),
        (("up", "--mqtt", "127.0.0.1:1", "--mqtt-url", "mqtt://h"), "exclude each other"),
        (("up", "--config", "no.toml"), "no.toml: cannot be read"),
        (("up", "--http", "8470"), "--http: '8470' is no HOST:PORT"),
        (("up", "--http", "0.0.0.0:8470"), "without TLS"),
        (("up", "--feeds", "0.0.0.0:8471"), "without TLS"),
        (("replay",), "give a FILE"),
        (("replay", "-"), "--network"),
        (("replay", "-", "--network", "nowhere"), "nowhere does not exist"),
        (("replay", "gone.jsonl", "--network", "city:50:1"), "gone.jsonl: cannot be read"),
        (("replay", "--from", "2026-11-21T00:00:00Z"), "--to: is missing"),
        (("replay", "--from", "x", "--to", "y"), "--from"),
        (("quarantine", "list"), "has no database yet"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    lastgasp: Run, words: tuple[str, ...], said: str
) -> None:
    assert said in refused(lastgasp(*words), exits.CONFIG)


def test_an_embedded_broker_beyond_loopback_is_refused(
    lastgasp: Run, free_port: Callable[[], int]
) -> None:
    ran = lastgasp("up", "--mqtt", f"0.0.0.0:{free_port()}", "--http", f"127.0.0.1:{free_port()}",
                   "--feeds", f"127.0.0.1:{free_port()}")  # fmt: skip
    assert "--mqtt-url" in refused(ran, exits.CONFIG)


def test_a_taken_port_is_named_with_its_flag(lastgasp: Run, free_port: Callable[[], int]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ran = lastgasp("up", "--http", f"127.0.0.1:{port}", "--feeds", f"127.0.0.1:{free_port()}")
    assert f"port {port} on 127.0.0.1 is taken" in refused(ran, exits.CONFIG)
    assert "--http" in ran.stderr


def test_a_wrong_command_line_has_its_own_code(lastgasp: Run) -> None:
    assert lastgasp("up", "--nonsense").returncode == exits.USAGE
    assert lastgasp("nonsense").returncode == exits.USAGE


def test_watch_without_a_service_says_how_to_start_one(lastgasp: Run) -> None:
    assert "lastgasp up" in refused(lastgasp("watch"), exits.UNREACHABLE)


def test_replay_reads_standard_input_and_writes_lines(lastgasp: Run) -> None:
    ran = lastgasp("replay", "-", "--network", "city:50:1", "--json", "--lockstep",
                   stdin='{"tick": 1793491200000}\n')  # fmt: skip
    assert [json.loads(line) for line in ran.stdout.splitlines()] == [
        {"type": "tick", "at": 1793491200000}
    ]


def test_a_line_that_is_none_stops_a_replay_with_its_number(lastgasp: Run) -> None:
    ran = lastgasp("replay", "-", "--network", "city:50:1", "--json", stdin="{}\n")
    assert "line 1" in refused(ran, exits.FAILED)
