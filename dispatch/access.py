"""Who may see and do what.  Pure: it takes a bearer and answers, or refuses with a sentence."""

import ipaddress
from collections.abc import Sequence

from grid.errors import Refused
from grid.people import Principal, Role


class Denied(Refused):
    """Not for this bearer: 403, or 404 where even the existence is not theirs to know."""

    def __init__(self, message: str, *, status: int = 403) -> None:
        super().__init__(message)
        self.status = status


def require_dispatcher(who: Principal) -> None:
    """Let dispatchers pass.

    Raises:
        Denied: A customer or a crew.
    """
    if who.role is Role.CREW:
        raise Denied("this is for dispatchers; yours is /api/outages")
    if who.role is not Role.DISPATCHER:
        raise Denied(f"this is for dispatchers; yours is /api/customers/{who.subject}/status")


def require_worker(who: Principal) -> None:
    """Let dispatchers and crews pass.

    Raises:
        Denied: A customer.
    """
    if who.role is not Role.CREW:
        require_dispatcher(who)


def districts(who: Principal) -> tuple[str, ...] | None:
    """The districts a dispatcher sees; None for all of them."""
    return None if who.district is None else (who.district,)


def touches(who: Principal, found: Sequence[str]) -> bool:
    """Whether something in these districts is a dispatcher's to see."""
    return who.district is None or who.district in found


def require_customer(who: Principal, customer_id: str, district: str | None) -> None:
    """Let a customer pass to their own premises, and a dispatcher to those of their district.

    ``district`` is where the customer's meter is; None for a customer nobody knows.

    Raises:
        Denied: Somebody else's; 404 for a dispatcher, to whom it is as if there were none; a crew.
    """
    if who.role is Role.CREW:
        raise Denied("a crew's token is for its work orders")
    if who.role is Role.CUSTOMER:
        if who.subject != customer_id:
            raise Denied("a customer's token is for their own premises only")
        if district is None:
            raise Denied(f"no customer has the id {customer_id!r}", status=404)
    elif district is None or not touches(who, (district,)):
        raise Denied(f"no customer of yours has the id {customer_id!r}", status=404)


def require_device(who: Principal, device_id: str, found: Sequence[str] | None) -> None:
    """Let a dispatcher act on a device whose customers are all in their district.

    Raises:
        Denied: 422 for a device nobody knows, 403 for one that others share.
    """
    if found is None:
        raise Denied(f"no device has the id {device_id!r}", status=422)
    if who.district is not None and any(district != who.district for district in found):
        raise Denied(
            f"device {device_id!r} feeds other districts than {who.district!r}; "
            f"whoever has a token for all of them may do this"
        )


def is_local(host: str | None, *, forwarded: bool) -> bool:
    """Whether a request comes from this machine itself, and not through a proxy on it."""
    if host is None or forwarded:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
