"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path, typer.Option("--data", help="Folder of the service's data.")]
Config = Annotated[Path | None, typer.Option("--config", help="Settings, a TOML file.")]
DatabaseUrl = Annotated[
    str | None, typer.Option("--database", help="PostgreSQL URL; without it the embedded one.")
]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
