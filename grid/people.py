"""Who asks: the bearer of a token."""

from enum import StrEnum
from typing import Protocol

import msgspec


class Role(StrEnum):
    """What a person may see: a dispatcher their districts, a crew its work orders, a customer
    their own premises.
    """

    DISPATCHER = "dispatcher"
    CREW = "crew"
    CUSTOMER = "customer"


class Principal(msgspec.Struct, frozen=True):
    """The bearer of a valid token.  A dispatcher without ``district`` sees all of them."""

    role: Role
    subject: str  # customer id, crew id, or the dispatcher's name
    district: str | None
    expires_ms: int
    issued_ms: int = 0


class Audit(Protocol):
    """Where it is kept who was let in or refused, and who looked at whose data."""

    async def __call__(
        self, event: str, *, at_ms: int, subject: str | None, address: str | None, detail: str
    ) -> None:
        """Keep one line: a constant word, who (as far as known), from where, and a sentence.

        Tokens, phones and payloads never go into ``detail``.
        """
