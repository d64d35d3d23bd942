"""What devices may forget, and when: once it is committed, not before.

In process a delivery is committed when the stream has taken it.  Over a bus it is safe first (the
broker may forget it) and committed later (its device may): the receipt tells.  Devices are answered
as their own receipts come; what a concentrator may forget is worked out in the order of receipt.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from ingest.concentrators import Concentrators
from ingest.unloading import Load, ack_of_array

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Unconfirmed:
    load: Load
    epoch: int
    waiting: "asyncio.Task[None] | None" = None
    confirmed: bool = False


class Answering:
    """The answers to devices.  ``send`` takes whole packets, or drops them where nobody listens.

    At most ``unconfirmed_max`` loads are remembered; above, the oldest is forgotten, and its
    devices send it again.
    """

    def __init__(
        self,
        prefix: str,
        concentrators: Concentrators,
        send: Callable[[bytes], None],
        unconfirmed_max: int,
    ) -> None:
        self.forgotten = 0
        self._prefix = prefix
        self._concentrators = concentrators
        self._send = send
        self._unconfirmed_max = unconfirmed_max
        self._unconfirmed: deque[_Unconfirmed] = deque()

    def __len__(self) -> int:
        """Loads that are safe and not yet known to be committed."""
        return len(self._unconfirmed)

    def when_committed(self, load: Load, epoch: int, receipt: Awaitable[None] | None) -> None:
        """Answer a load's devices once its receipt says so; without one it is committed."""
        one = _Unconfirmed(load, epoch)
        self._unconfirmed.append(one)
        if receipt is None:
            self._confirm(one)
            return
        one.waiting = asyncio.ensure_future(self._wait(one, receipt))
        while len(self._unconfirmed) > self._unconfirmed_max:
            self._forget(self._unconfirmed.popleft())

    def close(self) -> None:
        """Wait for no receipt any more."""
        while self._unconfirmed:
            self._forget(self._unconfirmed.popleft())

    async def _wait(self, one: _Unconfirmed, receipt: Awaitable[None]) -> None:
        await receipt
        self._confirm(one)

    def _forget(self, one: _Unconfirmed) -> None:
        if one.waiting is not None and not one.confirmed:
            one.waiting.cancel()
            self.forgotten += 1

    def _confirm(self, one: _Unconfirmed) -> None:
        one.confirmed = True
        if one.load.backlog is not None:
            one.load.backlog.committed(asyncio.get_running_loop().time())
        packets = list(one.load.acks)
        while self._unconfirmed and self._unconfirmed[0].confirmed:
            packets += self._of_concentrators(self._unconfirmed.popleft())
        if packets:
            self._send(b"".join(packets))

    def _of_concentrators(self, one: _Unconfirmed) -> Sequence[bytes]:
        return [
            ack_of_array(
                self._prefix,
                each.dcu_id,
                each.boot,
                self._concentrators.committed(each.dcu_id, each.boot, each.seqs, one.epoch),
            )
            for each in one.load.covered
        ]
