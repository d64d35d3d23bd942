"""What the API hands on that a gateway over HTTP sends.  ``service/hooks.py`` takes it."""

from typing import Protocol


class HookDesk(Protocol):
    """Receipts and replies."""

    async def heard(
        self, gateway: str, query: str, headers: dict[str, str], body: bytes
    ) -> tuple[bytes, str]:
        """Keep what a gateway says; what it is answered, and of which media type.

        Raises:
            Refused: It is not our gateway's. BadPayload: It cannot be read. Unreachable: It could
                not be kept, and shall come again.
        """
