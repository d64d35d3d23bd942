"""The store for a command: on an installation's database, whether its service runs or not."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from service import logging as our_logging
from service import place
from service.settings import LogSettings
from store import sealing
from store.postgres import Store, open_store

Result = TypeVar("Result")


def with_store(
    work: Callable[[Store], Awaitable[Result]],
    *,
    data: Path,
    config: Path | None,
    database: str | None,
    make: bool = False,
) -> Result:
    """Await some work on the store of an installation; ``make`` a database where there is none.

    Raises:
        ConfigError: There is no database, or it cannot be used.
        Unreachable: It does not answer.
    """
    found = place.place_of(data, config, database)
    if not make:
        place.refuse_nothing(found)
    made = place.keys_of(data)
    our_logging.set_up(LogSettings(level="warning"))  # what a command says is its own words

    async def run(url: str) -> Result:
        async with open_store(
            url, sealing.Keys(made.phone, made.index), found.settings.store
        ) as store:
            return await work(store)

    with place.database(found, make=make) as url:
        return asyncio.run(run(url))
