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

from grid.errors import ConfigError, LastgaspError
from grid.graph import BreakerAddress, Graph
from service.tasks import Failure

READY_S = 60.0
STOP_S = 5.0
LINE_BYTES_MAX = 16 * 1024 * 1024
SMSC_LOG = "smsc.jsonl"  # in the folder of the story


class Play(msgspec.Struct, frozen=True):
    """What the child is told."""

    graph_file: str
    scenario: str  # a file, or the name of a shipped one
    folder: str  # where its world survives a kill
    mqtt_url: str
    http_url: str
    data: str  # the service's data folder, for its token key
    cert: str  # of the API, where it has one
    again: bool  # a story that is over is told again
    smsc_port: int = 0  # an SMS centre listens there; 0: none


class Reply(msgspec.Struct, frozen=True):
    """What it is told while it plays: a customer answers a text."""

    number: str
    text: str

    def __repr__(self) -> str:
        """Numbers stay out of logs and tracebacks, simulated ones too."""
        return "Reply(...)"


class Playing(msgspec.Struct, frozen=True):
    """What it answers: where its breakers are."""

    breakers: tuple[BreakerAddress, ...] = ()
    error: str = ""


class Field:
    """The child process: it warms up while other things start, and plays when it is told."""

    def __init__(self, child: asyncio.subprocess.Process, log: Path, failure: Failure) -> None:
        self._child = child
        self._log = log
        self._failure = failure
        self._watching: asyncio.Task[None] | None = None

    async def play(self, graph: Graph, play: Play) -> tuple[BreakerAddress, ...]:
        """Play a scenario on a network; gives the addresses of the breakers.

        Raises:
            ConfigError: The scenario cannot be played on this network.
        """
        await asyncio.to_thread(_hand_over, graph, Path(play.graph_file))
        assert self._child.stdin is not None
        self._child.stdin.write(msgspec.json.encode(play) + b"\n")
        playing = await self._answer()
        self._watching = asyncio.create_task(self._watch())
        return playing.breakers

    def reply(self, number: str, text: str) -> None:
        """A customer answers a text."""
        assert self._child.stdin is not None
        self._child.stdin.write(msgspec.json.encode(Reply(number, text)) + b"\n")

    async def stop(self) -> None:
        """End it: it ends with its standard input, or else is killed."""
        if self._watching is not None:
            self._watching.cancel()
        assert self._child.stdin is not None
        self._child.stdin.close()
        try:
            async with asyncio.timeout(STOP_S):
                await self._child.wait()
        except TimeoutError:
            self._child.kill()
            await self._child.wait()

    async def _answer(self) -> Playing:
        assert self._child.stdout is not None
        line = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(READY_S):
                line = await self._child.stdout.readline()
        if not line:
            raise ConfigError(f"the simulators did not come up; see {self._log}")
        playing = msgspec.json.decode(line, type=Playing)
        if playing.error:
            raise ConfigError(playing.error)
        return playing

    async def _watch(self) -> None:
        code = await self._child.wait()
        said = f"the simulators ended by themselves with code {code}; see {self._log}"
        self._failure.note(LastgaspError(said))


@contextlib.asynccontextmanager
async def field(log: Path, failure: Failure) -> AsyncIterator[Field]:
    """A child that can play, while the block runs."""
    with log.open("ab") as stderr:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "service.simulate",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=stderr,
            limit=LINE_BYTES_MAX,
        )  # fmt: skip
    made = Field(child, log, failure)
    try:
        yield made
    finally:
        await made.stop()


def _hand_over(graph: Graph, path: Path) -> None:
    """The network for the child, without names and phones: it needs none, and they stay sealed."""
    nameless = tuple(
        msgspec.structs.replace(c, name="", phone="", address="") for c in graph.customers
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.msgpack.encode(msgspec.structs.replace(graph, customers=nameless)))
