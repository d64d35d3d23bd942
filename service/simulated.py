"""The simulated field as a process of its own: it shares a core with nobody and dies with us.

It is told what to play on its standard input, answers with one line once its breakers listen, and
ends when the other end of its standard input is closed.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from grid.errors import ConfigError
from grid.graph import BreakerAddress, Graph
from service.tasks import Failure

READY_S = 60.0
STOP_S = 5.0
LINE_BYTES_MAX = 16 * 1024 * 1024


class Play(msgspec.Struct, frozen=True):
    """What the child is told."""

    graph_file: str
    scenario: str  # a file, or the name of a shipped one
    folder: str  # where its world survives a kill
    mqtt_url: str
    http_url: str
    data: str  # the service's data folder, for its token key
    again: bool  # a story that is over is told again


class Playing(msgspec.Struct, frozen=True):
    """What it answers: where its breakers are."""

    breakers: tuple[BreakerAddress, ...] = ()
    error: str = ""


@contextlib.asynccontextmanager
async def field(
    graph: Graph, play: Play, log: Path, failure: Failure
) -> AsyncIterator[tuple[BreakerAddress, ...]]:
    """The simulated field while the block runs; gives the addresses of its breakers.

    Raises:
        ConfigError: The scenario cannot be played on this network.
    """
    await asyncio.to_thread(_hand_over, graph, Path(play.graph_file))
    with log.open("ab") as stderr:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "service.simulate",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=stderr,
            limit=LINE_BYTES_MAX,
        )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    watching: asyncio.Task[None] | None = None
    try:
        child.stdin.write(msgspec.json.encode(play) + b"\n")
        playing = await _answer(child.stdout, log)
        watching = asyncio.create_task(_watch(child, failure))
        yield playing.breakers
    finally:
        if watching is not None:
            watching.cancel()
        await _stop(child)


def _hand_over(graph: Graph, path: Path) -> None:
    """The network for the child, without names and phones: it needs none, and they stay sealed."""
    nameless = tuple(msgspec.structs.replace(c, name="", phone="") for c in graph.customers)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.msgpack.encode(msgspec.structs.replace(graph, customers=nameless)))


async def _answer(output: asyncio.StreamReader, log: Path) -> Playing:
    try:
        async with asyncio.timeout(READY_S):
            line = await output.readline()
    except TimeoutError:
        line = b""
    if not line:
        raise ConfigError(f"the simulators did not come up; see {log}")
    playing = msgspec.json.decode(line, type=Playing)
    if playing.error:
        raise ConfigError(playing.error)
    return playing


async def _watch(child: asyncio.subprocess.Process, failure: Failure) -> None:
    code = await child.wait()
    failure.note(ConfigError(f"the simulators ended by themselves, with code {code}"))


async def _stop(child: asyncio.subprocess.Process) -> None:
    assert child.stdin is not None
    child.stdin.close()
    try:
        async with asyncio.timeout(STOP_S):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()
