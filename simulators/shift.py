"""The shift of a story: work orders that crews move over the public API, as their phones would.

Each step waits for its moment, for the outage to be known, and for the households to have been told
of the step before.  Somebody at the board who decides about an outage wins: then nothing more is
said of it.  Nothing here is known that a crew would not know: its order, and how far it is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from enum import Enum
from typing import Protocol, TypeVar

import msgspec
import structlog

from grid.errors import Refused, Unreachable
from simulators.duties import Order
from simulators.people import WorkStep

log = structlog.get_logger(__name__)
T = TypeVar("T")

OURS = "story-"
"""What the ids of decisions begin with that a story makes."""
HARMLESS = frozenset({"acknowledge", "note", "ping", "verify"})
"""What a person may do and the crew goes on."""


class ShiftSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How patient the shift is."""

    look_s: float = 1.0  # between two looks whether an outage is known
    gap_s: float = 5.0  # between two steps, at least
    told_s: float = 20.0  # so long it waits for texts that are on their way, and no longer
    away_s: float = 1.0  # before the API is asked again that did not answer
    retold: int = 20  # times that a step is told of a newer version


class Running(msgspec.Struct, frozen=True):
    """An outage as the shift sees it."""

    id: str
    version: int
    device_id: str


class Became(Enum):
    """What became of a step that was said."""

    TAKEN = "taken"
    STALE = "stale"  # of another version by now
    OVERTAKEN = "overtaken"  # the same, found when it was decided: refused for good under its name
    REFUSED = "refused"


class Floor(Protocol):
    """What the shift sees and says.  Each method may raise ``Unreachable``."""

    async def running(self) -> Collection[Running]:
        """Outages that are not over."""

    async def decided(self, outage_id: str) -> Collection[tuple[str, str]]:
        """Id and action of each decision about an outage that was accepted."""

    async def waiting(self, customer_id: str) -> bool:
        """Whether a text to a customer is on its way."""

    async def say(self, outage: Running, crew: str, step: WorkStep, name: str) -> Became:
        """Say a step under a name; the same name again counts once."""


class Entries(Protocol):
    """What was entered of a story, remembered over a restart."""

    def __contains__(self, name: str) -> bool:
        """Whether it was."""

    def add(self, name: str) -> None:
        """Remember it."""


class Shift:
    """Moves the work orders of one story."""

    def __init__(
        self, floor: Floor, now_ms: Callable[[], int], *, until_ms: int, story: str,
        entries: Entries, homes: Collection[str] = (), settings: ShiftSettings | None = None,
    ) -> None:  # fmt: skip
        """``until_ms``: what has not been known by then never will.  ``story`` names decisions.
        ``homes``: customers who are to be told of each step before the next is said.
        """
        self._floor = floor
        self._now_ms = now_ms
        self._until_ms = until_ms
        self._story = story
        self._entries = entries
        self._homes = homes
        self._settings = settings or ShiftSettings()

    async def move(self, order: Order) -> None:
        """Say an order's steps, each at its time, until somebody else decides or it is over."""
        known: str | None = None
        for number, due in enumerate(order.steps, 1):
            name = f"{OURS}{self._story}-{order.of}-{number}"
            if name in self._entries:
                continue
            await asyncio.sleep(max(0.0, (due.at_ms - self._now_ms()) / 1000))
            if known is None:
                known = await self._found(order, known)
                await self._heard()
            await self._told()
            known = await self._found(order, known)
            if known is None or await self._touched(known):
                log.info("simulated_work_ends", order=order.of, known=known is not None)
                return
            await self._said(order, known, due.step, name)
            self._entries.add(name)
            await self._heard()

    async def _heard(self) -> None:
        """Give the households time to hear of what is new."""
        await asyncio.sleep(self._settings.gap_s)
        await self._told()

    async def _told(self) -> None:
        """Wait, not for ever, until no text to a household is on its way."""
        try:
            async with asyncio.timeout(self._settings.told_s):
                for home in self._homes:
                    while await self._floor.waiting(home):  # noqa: ASYNC110  no event tells it
                        await asyncio.sleep(self._settings.look_s)
        except TimeoutError:
            self._homes = ()  # nobody sends texts here: it is not waited for again
        except Unreachable:
            return

    async def _found(self, order: Order, known: str | None) -> str | None:
        """The id of the order's outage, once it is known; None if it never was, or is over."""
        while True:
            running = await self._reached(self._floor.running)
            if known is not None:
                return known if any(o.id == known for o in running) else None
            for outage in running:
                if outage.device_id == order.device_id:
                    return outage.id
            if self._now_ms() >= self._until_ms:
                return None
            await asyncio.sleep(self._settings.look_s)

    async def _touched(self, outage_id: str) -> bool:
        """Whether a person has decided something about it that moves it."""
        decided = await self._reached(lambda: self._floor.decided(outage_id))
        return any(not name.startswith(OURS) and action not in HARMLESS for name, action in decided)

    async def _reached(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What the floor says, once it answers."""
        while True:
            try:
                return await ask()
            except Unreachable:
                await asyncio.sleep(self._settings.away_s)

    async def _said(self, order: Order, outage_id: str, step: WorkStep, name: str) -> None:
        base = name
        for attempt in range(1, self._settings.retold + 1):
            try:
                running = {o.id: o for o in await self._floor.running()}
                if outage_id not in running:
                    return
                became = await self._floor.say(running[outage_id], order.crew, step, name)
            except Unreachable:
                await asyncio.sleep(self._settings.away_s)
                continue
            except Refused as error:
                log.warning("simulated_work_refused", step=name, reason=error.message)
                return
            if became is Became.OVERTAKEN:
                name = f"{base}.{attempt}"
            elif became is not Became.STALE:
                log.info("simulated_work_said", step=name, became=became.value)
                return
        log.warning("simulated_work_overtaken", step=base, times=self._settings.retold)
