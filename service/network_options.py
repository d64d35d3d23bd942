"""Options of the commands about networks, and how those about the database reach it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar

import typer

from service.place import DATA

if TYPE_CHECKING:  # only the commands that need a database load its client
    from store.postgres import Store

__all__ = ["DATA", "Config", "Data", "DatabaseUrl", "Json", "WithStore"]

Result = TypeVar("Result")

Data = Annotated[Path, typer.Option("--data", help="Folder of the service's data.")]
Config = Annotated[Path | None, typer.Option("--config", help="Settings, a TOML file.")]
DatabaseUrl = Annotated[
    str | None, typer.Option("--database", help="PostgreSQL URL; without it the embedded one.")
]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]


class WithStore(Protocol):
    """Runs some work on the store of an installation, whether its service runs or not."""

    def __call__(
        self,
        work: "Callable[[Store], Awaitable[Result]]",
        *,
        data: Path,
        config: Path | None,
        database: str | None,
        make: bool = False,
    ) -> Result:
        """Open the store, await the work, close it; ``make`` a database where there is none."""
        ...
