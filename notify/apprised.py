"""Channels beside texts, through Apprise: WeCom, DingTalk, Feishu, e-mail and a hundred others.

Apprise says yes or no and nothing more: there are no receipts, and a no may have come after the
message went.  So a no is of unknown fate, and the next channel is tried instead of this one again.
"""

import asyncio
import logging
import re
from urllib.parse import quote

import apprise
import structlog

from grid.errors import ConfigError
from grid.outbox import Asked, Claimed
from notify.carrier import Late, Submit, Unanswered

log = structlog.get_logger(__name__)

HOLE = "{address}"
NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
ADDRESS = re.compile(r"[A-Za-z0-9_.@+:-]{1,200}")
logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its lines have addresses in them


def channels_of(text: str) -> dict[str, str]:
    """Channels and their Apprise URLs, of lines like ``email mailtos://USER:KEY@HOST?to={address}``.

    Raises:
        ConfigError: A line is none, or its URL is none that Apprise knows.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, _, url = line.strip().partition(" ")
        if not name or name.startswith("#"):
            continue
        where = f"LASTGASP_CHANNELS: line {number}"
        if not NAME.fullmatch(name) or name in ("sms", "desk"):
            raise ConfigError(f"{where}: no channel can be called so; write NAME URL")
        if HOLE not in url:
            raise ConfigError(f"{where}: the URL of {name} lacks {HOLE}, where its reader stands")
        if not apprise.Apprise().add(url.strip().replace(HOLE, "someone@example.org")):
            raise ConfigError(f"{where}: the URL of {name} is none that Apprise knows")
        found[name] = url.strip()
    return found


class Apprised:
    """A ``notify.carrier.Carrier`` through Apprise."""

    def __init__(self, name: str, url: str, title: str, answer_s: float) -> None:
        self.bound = asyncio.Event()
        self.trouble: str | None = None
        self.lost_count = 0
        self.by_words = False
        self._name = name
        self._url = url
        self._title = title
        self._answer_s = answer_s

    def heard(self) -> tuple[float, float] | None:
        """It gives no receipts, so none can be missing."""
        return None

    async def run(self) -> None:
        """There is nothing to keep open."""
        self.bound.set()
        await asyncio.Event().wait()

    def to(self, one: Claimed) -> str | None:
        """The customer's address on this channel."""
        return one.address if ADDRESS.fullmatch(one.address) else None

    async def submit(self, text: Submit, late: Late) -> list[str]:
        """Hand a message over; it gets no names."""
        target = apprise.Apprise()
        target.add(self._url.replace(HOLE, quote(text.to, safe="@")))
        try:
            async with asyncio.timeout(self._answer_s):
                went = await target.async_notify(body=text.body, title=self._title)
        except (TimeoutError, OSError) as error:
            raise Unanswered from error
        if not went:
            self.trouble = f"the channel {self._name} does not confirm what it gets"
            raise Unanswered
        self.trouble = None
        return []

    async def ask(self, asked: Asked) -> None:
        """It does not say."""
        return
