"""What people of a story do, over the service's public API: crews and plans are entered, households
wish to be told everything, and crews move their work orders.
"""

import asyncio
import http.client
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from grid.errors import Refused, Unreachable
from grid.notice import DESK, Phase
from grid.people import Principal, Role
from grid.public import PublicDecision, PublicNotice, PublicOutage
from grid.times import to_rfc3339
from service import keys, tokens
from service.clock import now_ms
from service.follow import Where, ask
from simulators.duties import Home
from simulators.people import OnDuty, WorkStep
from simulators.run import Entry
from simulators.shift import Became, Running

SHIFT = "shift"  # who assigns the crews of a story
TOKEN_S = 600
EVERYTHING = tuple(phase.value for phase in Phase if phase is not Phase.TO_VERIFY)
ON_ITS_WAY = frozenset({"queued", "sending"})
OF_CREWS = frozenset({"en_route", "on_site", "cause", "etr", "repaired"})


class _Listed(msgspec.Struct, frozen=True):
    outages: tuple[PublicOutage, ...]


class _Noticed(msgspec.Struct, frozen=True):
    notices: tuple[PublicNotice, ...]


class _Decided(msgspec.Struct, frozen=True):
    decisions: tuple[PublicDecision, ...]


class _Refusal(msgspec.Struct, frozen=True):
    error: str = ""
    code: str = ""
    outage: PublicOutage | None = None  # as it is now


class StoryPeople:
    """The people of a story at the API of one service: a ``simulators.shift.Floor``."""

    def __init__(self, where: Where, crew_token: Callable[[str], str] | None = None) -> None:
        """``crew_token``: a token for a crew's phone; without one the shift enters what crews say
        by radio.
        """
        self._where = where
        self._crew_token = crew_token

    async def enter(self, what: Entry) -> None:
        """Enter a crew, a plan, or the wishes of a household.

        Raises:
            Refused: The service takes it never.
            Unreachable: It does not answer now.
        """
        method, path, body = _asked(what)
        await asyncio.to_thread(_tell, self._where, method, path, msgspec.json.encode(body))

    async def running(self) -> Collection[Running]:
        """Outages that are not over."""
        said = await asyncio.to_thread(_tell, self._where, "GET", "/api/outages")
        listed = msgspec.json.decode(said, type=_Listed).outages
        return [Running(o.id, o.version, o.device_id) for o in listed]

    async def decided(self, outage_id: str) -> Collection[tuple[str, str]]:
        """Id and action of each decision about an outage that was accepted."""
        path = f"/api/outages/{quote(outage_id)}/decisions"
        said = await asyncio.to_thread(_tell, self._where, "GET", path)
        known = msgspec.json.decode(said, type=_Decided).decisions
        return [(d.id, d.action) for d in known if d.accepted]

    async def waiting(self, customer_id: str) -> bool:
        """Whether a text to a customer is on its way."""
        path = f"/api/customers/{quote(customer_id)}/notices"
        said = await asyncio.to_thread(_tell, self._where, "GET", path)
        notices = msgspec.json.decode(said, type=_Noticed).notices
        return any(n.state in ON_ITS_WAY and n.channel != DESK for n in notices)

    async def say(self, outage: Running, crew: str, step: WorkStep, name: str) -> Became:
        """Say a step of the work: the crew on its phone, and what is the shift's to say the shift.

        Raises:
            Refused: The service takes it never.
            Unreachable: It does not answer now; the same name may be said again.
        """
        where = self._where
        if step.action in OF_CREWS and self._crew_token is not None:
            where = Where(where.http, "", partial(self._crew_token, crew), where.cert)
        body: dict[str, Any] = {"version": outage.version, "action": step.action, "id": name}
        if step.action == "assign":
            body["crew"] = crew
        if step.cause:
            body["cause"] = step.cause
        if step.reason:
            body["reason"] = step.reason
        if step.action == "etr":
            body["at"] = to_rfc3339(now_ms() + round(step.back_s * 1000))
        path = f"/api/outages/{quote(outage.id)}/actions"
        status, said = await asyncio.to_thread(
            _told, where, "POST", path, msgspec.json.encode(body)
        )
        if status == 409:
            no = msgspec.json.decode(said, type=_Refusal)
            if no.code == "stale_version":
                return Became.STALE
            newer = no.outage is not None and no.outage.version != outage.version
            return Became.OVERTAKEN if newer else Became.REFUSED
        _check(where, status, said)
        return Became.TAKEN


def at_home(url: str, data: Path, cert: str) -> StoryPeople:
    """People of the service of this data folder: its key signs for the shift and each crew."""
    key = keys.read_keys(data).token

    def token(role: Role, subject: str) -> str:
        at_ms = now_ms()
        return tokens.issue(key, Principal(role, subject, None, 0), TOKEN_S, at_ms)

    shift = partial(token, Role.DISPATCHER, SHIFT)
    return StoryPeople(Where(url, "", shift, cert), partial(token, Role.CREW))


def by_token(url: str, token: str, certificates: Path | None) -> StoryPeople:
    """People of a service elsewhere, with a dispatcher's token given or the one beside the
    certificates.
    """
    if certificates is None:
        return StoryPeople(Where(url, "", lambda: token, ""))
    kept = certificates / "token"
    return StoryPeople(
        Where(url, "", lambda: token or kept.read_text().strip(), str(certificates / "ca.crt"))
    )


def _asked(what: Entry) -> tuple[str, str, dict[str, Any]]:
    if isinstance(what, OnDuty):
        body = {"id": what.id, "name": what.name, "district": what.district}
        return "POST", "/api/crews", body
    if isinstance(what, Home):
        wishes = {"language": what.language, "phases": EVERYTHING}
        return "PUT", f"/api/customers/{quote(what.customer_id)}/wishes", wishes
    return "POST", "/api/planned", {
        "device_id": what.device_id,
        "from": to_rfc3339(what.from_ms),
        "to": to_rfc3339(what.to_ms),
        "kind": what.kind,
        "reason": what.reason,
    }  # fmt: skip


def _tell(where: Where, method: str, path: str, body: bytes | None = None) -> bytes:
    status, said = _told(where, method, path, body)
    _check(where, status, said)
    return said


def _told(where: Where, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
    try:
        return ask(where, method, path, body)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"the API at {where.http} does not answer: {error}") from error


def _check(where: Where, status: int, answer: bytes) -> None:
    said = answer[:1000].decode(errors="replace")
    if status >= 500:
        raise Unreachable(f"the API at {where.http} says {status}: {said}")
    if status >= 400:
        raise Refused(f"the API at {where.http} says {status}: {said}")
