"""``lastgasp secrets``: a cluster's certificates, passwords and keys, made where missing."""

from pathlib import Path
from typing import Annotated

import typer

Root = Annotated[Path, typer.Argument(help="The folder of all secrets; its ca/ signs.")]

secrets_app = typer.Typer(
    help="Certificates, passwords and keys of a cluster (docs/operations.md).", no_args_is_help=True
)


@secrets_app.command()
def make(
    root: Root,
    host: Annotated[
        list[str] | None,
        typer.Option("--host", help="Name or address that the outside uses; may be repeated."),
    ] = None,
) -> None:
    """Make what is missing, and certificates that end within a month.  Changes nothing else."""
    from service import credentials
    from service.clock import now_ms

    _say(credentials.make(root, [name for name in host or [] if name], now_ms()))


@secrets_app.command()
def simulator(root: Root) -> None:
    """Make the certificate with which simulated devices may speak for all."""
    from service import credentials
    from service.clock import now_ms

    _say(credentials.simulator(root, now_ms()))


@secrets_app.command()
def device(
    root: Root,
    names: Annotated[list[str], typer.Argument(help="Ids of meters, terminals, concentrators.")],
    out: Annotated[Path, typer.Option("--out", help="Where to put them.")] = Path("devices"),
) -> None:
    """Make a certificate for each device, to be put into it: its id is its name to the broker."""
    from service import credentials
    from service.clock import now_ms

    _say(credentials.device(root, names, out, now_ms()))


def _say(written: list[str]) -> None:
    for path in written:
        typer.echo(f"made {path}")
    if not written:
        typer.echo("everything is there already")
