"""A sender of texts as a process of its own, until it is killed: ``URL SETTINGS``.

With a third argument it is a nest of them: for each line with a number it forks a sender, kills it
with SIGKILL so many seconds after the gateway had it bound or due work began, and answers "killed".
"""

import asyncio
import os
import select
import signal
import sys

import msgspec

from notify.situations import decider
from service import texting
from service.clock import now_ms
from service.settings import Settings
from store.postgres import open_store
from store.sealing import Keys

KEYS = Keys(phone=b"p" * 32, index=b"i" * 32)
READY_S = 10.0


async def main(url: str, settings: Settings, ready: int | None = None) -> None:
    """Send until killed; replies are of no interest."""

    async def replied(_phone: str, _text: str) -> None:
        return

    decide = decider(texting.rules_of(settings))
    async with open_store(url, KEYS, settings.store, decide) as store:
        sender = texting.sender(store.outbox, settings, now_ms, replied)
        if ready is not None:
            os.write(ready, b"!")
        await texting.send([sender], store.outbox, texting.rules_of(settings), now_ms)


def killed(url: str, settings: Settings, after_s: float) -> None:
    """Fork a sender and kill it at a moment of its life."""
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        asyncio.run(main(url, settings, told))
        os._exit(0)
    os.close(told)
    select.select([heard], [], [], READY_S)
    select.select([], [], [], after_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(heard)


if __name__ == "__main__":
    settings = msgspec.json.decode(sys.argv[2], type=Settings)
    if len(sys.argv) > 3:
        for line in sys.stdin:
            killed(sys.argv[1], settings, float(line))
            sys.stdout.write("killed\n")
            sys.stdout.flush()
    else:
        asyncio.run(main(sys.argv[1], settings))
