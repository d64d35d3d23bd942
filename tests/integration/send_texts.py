"""A sender of texts as a process of its own, until it is killed: ``URL SETTINGS``."""

import asyncio
import sys

import msgspec

from notify.situations import decider
from service import texting
from service.clock import now_ms
from service.settings import Settings
from store.postgres import open_store
from store.sealing import Keys

KEYS = Keys(phone=b"p" * 32, index=b"i" * 32)


async def main(url: str, settings: Settings) -> None:
    """Send until killed; replies are of no interest."""

    async def replied(_phone: str, _text: str) -> None:
        return

    decide = decider(texting.rules_of(settings))
    async with open_store(url, KEYS, settings.store, decide) as store:
        sender = texting.sender(store.outbox, settings, now_ms, replied)
        await texting.send([sender], store.outbox, texting.rules_of(settings), now_ms)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], msgspec.json.decode(sys.argv[2], type=Settings)))
