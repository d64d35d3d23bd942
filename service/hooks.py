"""What gateways over HTTP send to our address: receipts and replies."""

from collections.abc import Callable

from grid.errors import Refused
from grid.outbox import Receipt
from notify.carrier import Reply
from notify.sender import Replied
from notify.web import Callback, Dialect
from store.outbox import Outbox


class Hooks:
    """The ``dispatch.hookdesk.HookDesk`` of one gateway."""

    def __init__(
        self,
        named: tuple[str, Dialect],
        outbox: Outbox,
        replied: Replied,
        now_ms: Callable[[], int],
    ) -> None:
        self._name, self._dialect = named
        self._outbox = outbox
        self._replied = replied
        self._now_ms = now_ms

    async def heard(
        self, gateway: str, query: str, headers: dict[str, str], body: bytes
    ) -> tuple[bytes, str]:
        """Keep what a gateway says; what it is answered, and of which media type.

        Raises:
            Refused: It is not our gateway's. BadPayload: It cannot be read. Unreachable: It could
                not be kept, and shall come again.
        """
        if gateway != self._name:
            raise Refused(f"our gateway is not {gateway}")
        said = self._dialect.heard(Callback(query, headers, body), self._now_ms())
        receipts = [one for one in said.said if isinstance(one, Receipt)]
        if receipts:
            await self._outbox.receipts(receipts)
        for one in said.said:
            if isinstance(one, Reply):
                await self._replied(one.phone, one.text)
        return said.answer, said.media_type
