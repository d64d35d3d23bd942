"""Messages on their way to safety (in process: the commit): bounded, unloaded, answered in order.

At most ``deliveries_max`` loads are under way at a time; what comes meanwhile waits and makes the
next load bigger, so a slow commit is met by fewer and larger ones.  Beyond the outstanding limits
``full`` is true, and whoever reads the broker should stop.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from grid.parcel import Intake, Receipt
from ingest.insist import insist
from ingest.packets import Message
from ingest.settings import MqttSettings
from ingest.unloading import Load


@dataclass(slots=True)
class Delivery:
    """A load under way; ``epoch`` is the connection that brought its messages."""

    epoch: int
    load: Load
    bytes: int
    safe: bool = False  # the broker may forget it
    receipt: Receipt | None = None  # done once it is committed; None: it was when it was safe


class Deliveries:
    """The messages between receipt and safety."""

    def __init__(
        self,
        settings: MqttSettings,
        intake: Intake,
        *,
        unload: Callable[[Sequence[Message]], Load],
        answer: Callable[[Sequence[Delivery]], None],
    ) -> None:
        self.messages = 0  # outstanding: waiting or under way
        self.bytes = 0
        self._settings = settings
        self._intake = intake
        self._unload = unload
        self._answer = answer
        self._waiting: deque[tuple[int, deque[Message]]] = deque()  # by connection
        self._under_way: deque[Delivery] = deque()
        self._open_epoch = 0
        self._taken = 0  # messages, ever
        self._settled = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._progress = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether no more should be taken in."""
        limits = self._settings
        return (
            self.messages >= limits.outstanding_messages_max
            or self.bytes >= limits.outstanding_bytes_max
        )

    def take(self, epoch: int, messages: Sequence[Message]) -> None:
        """Take in messages of a connection; they wait until ``open`` is said for it."""
        if not self._waiting or self._waiting[-1][0] != epoch:
            self._waiting.append((epoch, deque()))
        self._waiting[-1][1].extend(messages)
        self._taken += len(messages)
        self.messages += len(messages)
        self.bytes += sum([len(message[1]) for message in messages])
        self._progress.set()

    def open(self, epoch: int) -> None:
        """Messages of connections up to this one may go."""
        self._open_epoch = epoch
        self._progress.set()

    async def run(self) -> None:
        """Deliver what is taken in, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                while (delivery := self._next()) is not None:
                    self._under_way.append(delivery)
                    tasks.create_task(self._deliver(delivery))
                    await asyncio.sleep(0)  # unloading takes its time; others have theirs
                self._progress.clear()
                await self._progress.wait()

    async def settled(self) -> None:
        """Return once everything taken in before now is safe and answered."""
        until = self._taken
        while self._settled < until:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def _next(self) -> Delivery | None:
        """The next load, if one may go and there is something for it."""
        if len(self._under_way) >= self._settings.deliveries_max or not self._waiting:
            return None
        epoch, messages = self._waiting[0]
        if epoch > self._open_epoch:
            return None
        batch: list[Message] = []
        size = 0
        limits = self._settings
        while messages and len(batch) < limits.delivery_messages_max:
            if size >= limits.delivery_bytes_max:
                break
            batch.append(messages.popleft())
            size += len(batch[-1][1])
        if not messages:
            self._waiting.popleft()
        return Delivery(epoch, self._unload(batch), size)

    async def _deliver(self, delivery: Delivery) -> None:
        delivery.receipt = await insist(lambda: self._intake.deliver(delivery.load.parcel))
        delivery.safe = True
        self._settle()

    def _settle(self) -> None:
        """Answer what is safe and not behind something that is not (MQTT 3.1.1, 4.6)."""
        ready: list[Delivery] = []
        while self._under_way and self._under_way[0].safe:
            ready.append(self._under_way.popleft())
        for delivery in ready:
            self.messages -= delivery.load.messages
            self.bytes -= delivery.bytes
            self._settled += delivery.load.messages
        self._answer(ready)
        self._progress.set()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
