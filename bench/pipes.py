"""How a bench tells its processes what to do: a line of JSON in, a line of JSON out."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any


async def lines() -> AsyncIterator[dict[str, Any]]:
    """What this process is told; ends when nobody tells it any more."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


class Process:
    """A process that is told what to do."""

    def __init__(self, *arguments: str) -> None:
        self.running = subprocess.Popen(
            [sys.executable, "-m", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    @property
    def pid(self) -> int:
        """Its number."""
        return self.running.pid

    def hear(self) -> dict[str, Any]:
        """Its next answer."""
        assert self.running.stdout is not None
        line = self.running.stdout.readline()
        assert line, f"{self.running.args} ended"
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(self, do: str, **what: object) -> dict[str, Any]:
        """Tell it what to do, and its answer."""
        self.tell(do, **what)
        return self.hear()

    def tell(self, do: str, **what: object) -> None:
        """Tell it what to do."""
        assert self.running.stdin is not None
        self.running.stdin.write(json.dumps({"do": do, **what}).encode() + b"\n")
        self.running.stdin.flush()

    def kill(self) -> None:
        """End it as a crash would."""
        self.running.kill()
        self.running.communicate()
