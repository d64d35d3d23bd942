"""``lastgasp scenario``: what ships with us, a day as lines, and whether what was found is right.

The composition root gives the way to read a network; errors are its to print.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from grid.errors import ConfigError
from grid.network import Network

DAY_START_MS = 1_793_491_200_000  # 2026-11-01; a day is the same whenever it is written

LoadNetwork = Callable[[str], Network]


def scenario_app(load_network: LoadNetwork, found_wrong: int) -> typer.Typer:
    """The commands, for an application to mount; ``found_wrong`` is its exit code for that."""
    app = typer.Typer(
        name="scenario", help="Stories to simulate, and their truth.", no_args_is_help=True
    )

    @app.command("list")
    def list_shipped() -> None:
        """Name the scenarios that ship with us."""
        from simulators.scenario import shipped_names

        for name in shipped_names():
            typer.echo(name)

    @app.command("day")
    def write_day(
        scenario: Annotated[str, typer.Argument(help="A file, or the name of a shipped one.")],
        network: Annotated[str, typer.Option("--network", help="As of up.")],
        truth: Annotated[
            Path | None, typer.Option("--truth", help="Write the truth log to this file.")
        ] = None,
    ) -> None:
        """Write a scenario as lines for lastgasp replay, with no broker in between."""
        _write_day(scenario, load_network(network), truth)

    @app.command("check")
    def check(
        truth: Annotated[Path, typer.Argument(help="truth.jsonl of the simulators' folder.")],
        outages: Annotated[
            str,
            typer.Argument(
                help="What was found: JSON of the API or a replay's lines; - reads stdin."
            ),
        ],
        at: Annotated[
            str | None, typer.Option("--at", help="As of then (RFC 3339), not of the story's end.")
        ] = None,
        json: Annotated[bool, typer.Option("--json", help="JSON instead of text.")] = False,
    ) -> None:
        """Compare outages, with their steps, with what really happened."""
        raise typer.Exit(0 if _check(truth, outages, at, json=json) else found_wrong)

    return app


def _write_day(scenario: str, network: Network, truth: Path | None) -> None:
    import msgspec

    from simulators.day import day_lines
    from simulators.scenario import load
    from simulators.truth import to_line
    from simulators.world import World

    world = World(network, load(Path(scenario)), DAY_START_MS)
    if truth is not None:
        with truth.open("wb") as file:
            file.writelines(to_line(line) for line in world.truth())
    encode = msgspec.json.Encoder().encode
    for line in day_lines(world):
        sys.stdout.buffer.write(encode(line) + b"\n")


def _check(truth: Path, outages: str, at: str | None, *, json: bool) -> bool:
    import msgspec

    from grid.times import from_rfc3339
    from simulators.truth import from_lines, last_story
    from simulators.verdict import compare, found_of, spoken

    try:
        lines = last_story(from_lines(truth.read_bytes().splitlines()))
        body = sys.stdin.buffer.read() if outages == "-" else Path(outages).read_bytes()
        at_ms = None if at is None else from_rfc3339(at)
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"--at: {error}") from None
    verdict = compare(lines, found_of(_parsed(body, outages)), at_ms=at_ms)
    if json:
        sys.stdout.buffer.write(msgspec.json.encode(verdict) + b"\n")
    else:
        typer.echo(spoken(verdict))
    return verdict.perfect


def _parsed(body: bytes, where: str) -> object:
    """One JSON value, or a JSON value a line."""
    import msgspec

    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        pass
    try:
        return msgspec.json.Decoder().decode_lines(body)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{where}: neither JSON nor lines of JSON: {error}") from None
