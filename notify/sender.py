"""The sender: takes from the outbox what is due, hands it to the gateway, and keeps what became of
it.

A text is committed as ``sending`` before the gateway hears of it, and no more are taken than can go
at once.  So a process that dies leaves at most a window of texts behind of which nobody knows; they
are found again by their receipts, and are not sent again unless the settings say that they may.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec
import structlog

from grid.errors import Unreachable
from grid.notice import SMS, STAFF
from grid.outbox import Absent, Back, Claimed, OutboxLog, Receipt, Sent, Unknown
from notify.bucket import Bucket
from notify.carrier import Carrier, Heard, Rejected, Reply, Submit, Unanswered
from notify.settings import SmsSettings
from notify.wording import Reader, Sms, Wording

log = structlog.get_logger(__name__)

Outcome = Sent | Back | Unknown
Replied = Callable[[str, str], Awaitable[None]]
"""A customer's words with their number; returns once they are kept.  May raise ``Unreachable``."""

TIDY_S = 1.0
ASK_FOR_S = 3 * 86_400  # a gateway forgets
ASKED_MAX = 50


@dataclass
class Tally:
    """What was sent and what became of it, since the start."""

    outcomes: dict[str, int] = field(default_factory=dict)
    looks: int = 0  # at what is late, left behind or may go again

    def count(self, what: str, by: int = 1) -> None:
        """Count something."""
        if by:
            self.outcomes[what] = self.outcomes.get(what, 0) + by


class Sender:
    """One channel's sender.  Several may run beside each other on one outbox.

    ``carrier`` makes the channel's carrier, given whom it tells what it hears.
    """

    def __init__(
        self,
        outbox: OutboxLog,
        wording: Wording,
        settings: SmsSettings,
        carrier: Callable[[Heard], Carrier],
        *,
        now_ms: Callable[[], int],
        replied: Replied,
        channel: str = SMS,
    ) -> None:
        self.tally = Tally()
        self.gateway = carrier(self._heard)
        self.channel = channel
        self._outbox = outbox
        self._wording = wording
        self._settings = settings
        self._now_ms = now_ms
        self._replied = replied
        self._wake = asyncio.Event()
        self._done: asyncio.Queue[Outcome] = asyncio.Queue(settings.window_max * 4)
        self._in_flight = 0
        self._dice = random.Random()  # noqa: S311  spreads retries, no secret

    def wake(self) -> None:
        """Something may wait."""
        self._wake.set()

    async def run(self) -> None:
        """Send, for ever."""
        loop = asyncio.get_running_loop()
        self._bucket = Bucket(self._settings.per_s, self._settings.burst, loop.time())
        async with asyncio.TaskGroup() as tasks:
            for work in (self.gateway.run(), self._pump(tasks), self._record(), self._tidy(),
                         self._ask()):  # fmt: skip
                tasks.create_task(work)

    # -- out ---------------------------------------------------------------------------------------

    async def _pump(self, tasks: asyncio.TaskGroup) -> None:
        """Claim what is due while there is room in the window, and hand it over."""
        clock = asyncio.get_running_loop().time
        while True:
            await self.gateway.bound.wait()
            room = min(self._settings.window_max - self._in_flight, self._settings.batch_max)
            wanted = self._bucket.take(max(0, room), clock())
            self._wake.clear()
            claimed = await self._claim(wanted) if wanted else ()
            self._bucket.give_back(wanted - len(claimed))
            for one in claimed:
                self._in_flight += 1
                tasks.create_task(self._send(one))
            if len(claimed) < max(1, wanted):
                wait_s = self._bucket.wait_s(clock()) if not wanted else self._settings.poll_s
                await self._woken(wait_s or self._settings.poll_s)

    async def _claim(self, limit: int) -> Sequence[Claimed]:
        try:
            return await self._outbox.claim(self._now_ms(), limit, self.channel)
        except Unreachable as away:
            log.warning("outbox_away", reason=away.message)
            await asyncio.sleep(away.retry_in_s)
            return ()

    async def _woken(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _send(self, one: Claimed) -> None:
        await self._done.put(await self._handed_over(one))

    async def _handed_over(self, one: Claimed) -> Outcome:
        """What became of a text that was claimed."""
        now_ms = self._now_ms()
        to = self.gateway.to(one)
        if to is None:
            known = one.phone or one.address
            return Back(one.notice_no, now_ms, "invalid_number" if known else "no_phone")
        staff = one.customer_id.startswith(STAFF)
        reader = Reader(one.language, one.place, firm=one.priority == "key", staff=staff)
        sms = self._wording.write(one.phase, one.facts, reader, now_ms)
        text = Submit(
            to, sms.parts, sms.gsm, one.notice_no, one.attempts, sms.body,
            f"{one.language}.{sms.key}", sms.values,
        )  # fmt: skip
        late = partial(self._answered_late, one, sms)
        try:
            if self.gateway.by_words and not await self._outbox.worded(one, sms.body):
                return Unknown(one.notice_no, "sender_died", sms.body)  # we were too slow
            ids = await self.gateway.submit(text, late)
        except Unreachable:
            return Back(one.notice_no, now_ms, "gateway_away", again_ms=now_ms)
        except Unanswered:
            return Unknown(one.notice_no, "no_answer", sms.body)
        except Rejected as no:
            return self._rejected(one, no)
        self._bucket.well()
        return self._sent(one, sms, ids)

    def _sent(self, one: Claimed, sms: Sms, ids: Sequence[str]) -> Sent:
        return Sent(one.notice_no, self._now_ms(), sms.body, sms.bare, sms.next_ms, tuple(ids))

    def _answered_late(self, one: Claimed, sms: Sms, ids: Sequence[str]) -> None:
        """The answer came after all; where there is no room to say so, a receipt will."""
        if not self._done.full():
            self._done.put_nowait(self._sent(one, sms, ids))
            self._in_flight += 1  # as many are done as were begun

    def _rejected(self, one: Claimed, no: Rejected) -> Back:
        """Again in a moment, again later, or never."""
        settings, now_ms = self._settings, self._now_ms()
        if no.throttled:
            clock = asyncio.get_running_loop().time()
            pause_s = self._bucket.slower(settings.throttled_s, settings.reconnect_max_s, clock)
            return Back(one.notice_no, now_ms, no.reason, now_ms + round(pause_s * 1000))
        if not no.again:
            return Back(one.notice_no, now_ms, no.reason)
        if one.attempts >= settings.attempts_max:
            return Back(one.notice_no, now_ms, "gateway_refuses")
        pause_s = min(settings.retry_max_s, settings.retry_s * 2.0 ** (one.attempts - 1))
        pause_s *= self._dice.uniform(0.5, 1.0)
        return Back(one.notice_no, now_ms, no.reason, now_ms + round(pause_s * 1000))

    # -- what became of it -------------------------------------------------------------------------

    async def _record(self) -> None:
        """Keep outcomes, many in a transaction; only then their room in the window is free."""
        while True:
            some = [await self._done.get()]
            while not self._done.empty():
                some.append(self._done.get_nowait())
            await self._keep(some)
            self._in_flight -= len(some)
            self._wake.set()

    async def _keep(self, some: Sequence[Outcome]) -> None:
        sent = [o for o in some if isinstance(o, Sent)]
        back = [o for o in some if isinstance(o, Back)]
        unknown = [o for o in some if isinstance(o, Unknown)]
        if sent:
            await self._surely(partial(self._outbox.sent, sent))
        if back:
            await self._surely(partial(self._outbox.back, back))
        if unknown:
            await self._surely(partial(self._outbox.unknown, unknown))
        self.tally.count("sent", len(sent))
        self.tally.count("bare", sum(s.bare for s in sent))
        self.tally.count("unknown", len(unknown))
        for one in back:
            self.tally.count(one.reason)

    async def _surely(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write, however often it takes; nothing is lost by writing the same twice."""
        while True:
            try:
                return await write()
            except Unreachable as away:
                log.warning("outbox_away", reason=away.message)
                await asyncio.sleep(away.retry_in_s)

    # -- in ----------------------------------------------------------------------------------------

    async def _heard(self, some: list[Receipt | Reply]) -> bool:
        """Receipts and replies; false where they could not be kept."""
        receipts = [self._named(one) for one in some if isinstance(one, Receipt)]
        try:
            if receipts:
                stray = await self._outbox.receipts(receipts)
                self.tally.count("stray_receipts", stray)
            for one in some:
                if isinstance(one, Reply):
                    await self._replied(one.phone, one.text)
        except Unreachable as away:
            log.warning("outbox_away", reason=away.message)
            return False
        self.tally.count("receipts", len(receipts))
        self.tally.count("replies", len(some) - len(receipts))
        return True

    def _named(self, one: Receipt) -> Receipt:
        """With the id as the answer to the text gave it: some gateways write it in another base."""
        if self._settings.receipt_ids == "decimal" and one.message_id.isdigit():
            return msgspec.structs.replace(one, message_id=f"{int(one.message_id):X}")
        return one

    # -- now and then ------------------------------------------------------------------------------

    async def _tidy(self) -> None:
        """What is late expires, what a dead process left behind is unknown, and what may go again
        goes.
        """
        settings = self._settings
        looked_s = asyncio.get_running_loop().time()
        while True:
            now_ms = self._now_ms()
            safety_ms = now_ms - round(settings.resend_safety_s * 1000)
            try:
                tidied = await self._outbox.tidy(
                    now_ms,
                    left_ms=now_ms - round(settings.lease_s * 1000),
                    owed_ms=self._owed_ms(now_ms, looked_s),
                    safety_ms=safety_ms if settings.resend_safety_s else None,
                    channel=self.channel,
                )
                for what, count in tidied.items():
                    self.tally.count(what, count)
                if tidied.get("again"):
                    self._wake.set()
            except Unreachable as away:
                log.warning("outbox_away", reason=away.message)
            self.tally.looks += 1
            looked_s = asyncio.get_running_loop().time()
            await asyncio.sleep(TIDY_S)

    def _owed_ms(self, now_ms: int, looked_s: float) -> int | None:
        """Of what was claimed before then a receipt is owed and did not come; None: of nothing.

        A receipt that could not come is not missing, nor is one that waits to be read.  Since the
        last look at ``looked_s`` whatever had come was read, so up to there silence is silence.
        """
        owed_s, heard = self._settings.receipt_owed_s, self.gateway.heard()
        if not owed_s or heard is None:
            return None
        since_s, until_s = heard[0], min(heard[1], looked_s)
        if until_s - since_s < owed_s:
            return None
        ago_s = asyncio.get_running_loop().time() - until_s + owed_s
        return now_ms - round(ago_s * 1000)

    async def _ask(self) -> None:
        """Ask the gateway what became of texts that it took and never spoke of again."""
        while True:
            await asyncio.sleep(self._settings.ask_after_s)
            await self.gateway.bound.wait()
            try:
                await self._ask_once(self._now_ms())
            except Unreachable as away:
                log.warning("outbox_away", reason=away.message)

    async def _ask_once(self, now_ms: int) -> None:
        """What the carrier says of each; a text that it never had may go again, after a while."""
        before_ms = now_ms - round(self._settings.ask_after_s * 1000)
        silent = await self._outbox.silent(
            before_ms, now_ms - ASK_FOR_S * 1000, ASKED_MAX, self.channel
        )
        receipts: list[Receipt] = []
        absent: list[int] = []
        for one in silent:
            match await self.gateway.ask(one):
                case Receipt() as receipt if receipt.final or not one.message_id:
                    receipts.append(receipt)
                case Absent() if 0 < self._settings.absent_s * 1000 <= now_ms - one.at_ms:
                    absent.append(one.notice_no)
        if receipts:
            await self._outbox.receipts(receipts)
            self.tally.count("asked", len(receipts))
        if absent:
            await self._outbox.absent(absent, now_ms)
            self.tally.count("absent", len(absent))
