"""Who asks: the bearer of a token."""

from enum import StrEnum

import msgspec


class Role(StrEnum):
    """What a person may see: a dispatcher their districts, a customer their own premises."""

    DISPATCHER = "dispatcher"
    CUSTOMER = "customer"


class Principal(msgspec.Struct, frozen=True):
    """The bearer of a valid token.  A dispatcher without ``district`` sees all of them."""

    role: Role
    subject: str  # customer id, or the dispatcher's name
    district: str | None
    expires_ms: int
