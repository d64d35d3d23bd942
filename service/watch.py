"""The live board of a running service: in a terminal, or as lines where there is none."""

import asyncio
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import typer

from grid.errors import Unreachable
from service import board, exits, keys, place
from service.clock import now_ms
from service.follow import Dispatch, Figures, Where, figures, view
from service.progress import fancy

TOKEN_S = 600
REFRESH_S = 0.5
FIGURES_S = 1.0
PAPER_COLUMNS = 160  # of a view that is written to a file or a pipe
ONCE_S = 10.0  # how long --once waits for the feed


def find(
    data: Path,
    config: Path | None,
    database: str | None,
    *,
    http: str | None,
    feeds: str | None,
    token: str | None,
) -> Where:
    """The service that the options mean.

    Raises:
        ConfigError: A setting or key is wrong.
        Unreachable: None runs on the data folder, and no address is given.
    """
    settings = place.place_of(data, config, database).settings
    note = place.read_note(data) if place.runs(data) else None
    if note is None and not (http or feeds):
        raise Unreachable(
            f"no service runs on {data}; start it with: lastgasp up --data {data}, or give "
            "--http and --feeds of a running one"
        )
    return Where(
        http=_url(http, "http") or (note.http if note else f"http://{settings.http.listen}"),
        feeds=_url(feeds, "ws") or (note.feeds if note else f"ws://{settings.feeds.listen}"),
        token=(lambda: token) if token else own_token(keys.read_keys(data)),
        cert=settings.http.tls_cert,
    )


def _url(text: str | None, scheme: str) -> str | None:
    """An address as a person writes it: with or without the scheme."""
    return text and (text if "://" in text else f"{scheme}://{text}")


def own_token(found: keys.Keys) -> Callable[[], str]:
    """Tokens of a dispatcher of everything, made with the installation's own key."""
    from grid.people import Principal, Role
    from service import tokens

    def fresh() -> str:
        now = now_ms()
        principal = Principal(Role.DISPATCHER, "board", None, now + TOKEN_S * 1000)
        return tokens.issue(found.token, principal, TOKEN_S, now)

    return fresh


def run(where: Where, *, json: bool, once: bool) -> int:
    """Show the board until Ctrl-C, or once; the exit code."""
    try:
        return asyncio.run(_watch(where, json=json, once=once))
    except KeyboardInterrupt:
        return 0


async def _watch(where: Where, *, json: bool, once: bool) -> int:
    if once:
        now = await _one(where)
        _print_json(now) if json else _print_whole(now)
        return 0 if not now.note else exits.UNREACHABLE
    await show(where, json=json)
    return 0


async def _one(where: Where) -> board.View:
    dispatch = Dispatch()
    following = asyncio.create_task(dispatch.follow(where))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ONCE_S):
            while dispatch.note:
                dispatch.changed.clear()
                if following.done():
                    following.result()
                await dispatch.changed.wait()
    following.cancel()
    seen = await asyncio.to_thread(figures, where)
    return view(dispatch, seen, where.http, now_ms())


async def show(where: Where, *, json: bool = False, hint: Callable[[], str] = lambda: "") -> None:
    """Show the board until cancelled; what ``hint`` says at the foot of it."""
    dispatch, latest = Dispatch(), [Figures()]

    async def ask() -> None:
        while True:
            latest[0] = await asyncio.to_thread(figures, where)
            await asyncio.sleep(FIGURES_S)

    def now() -> board.View:
        seen = view(dispatch, latest[0], where.http, now_ms())
        return msgspec.structs.replace(seen, hint=hint())

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(dispatch.follow(where))
        tasks.create_task(ask())
        if json:
            tasks.create_task(_jsons(dispatch, now))
        elif fancy(sys.stdout.isatty()):
            tasks.create_task(_live(now))
        else:
            tasks.create_task(_lines(dispatch, now))


async def _live(now: Callable[[], board.View]) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console()
    with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            width, height = console.size
            live.update(board.render(now(), width=width, height=height), refresh=True)
            await asyncio.sleep(REFRESH_S)


async def _lines(dispatch: Dispatch, now: Callable[[], board.View]) -> None:
    before: board.View | None = None
    while True:
        current = now()
        for line in board.lines(before, current):
            typer.echo(line)
        before = current
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIGURES_S):
                await dispatch.changed.wait()
        dispatch.changed.clear()


async def _jsons(dispatch: Dispatch, now: Callable[[], board.View]) -> None:
    while True:
        await dispatch.changed.wait()
        dispatch.changed.clear()
        _print_json(now())


def _print_json(now: board.View) -> None:
    typer.echo(msgspec.json.encode(now).decode())


def _print_whole(now: board.View) -> None:
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else PAPER_COLUMNS)
    console.print(board.render(now, width=console.width, height=200))
