"""A client of a running service: the dispatch feed, kept up over broken connections, and its
figures.

It uses what every client may use: the websocket protocol and the open pages of the HTTP API.
"""

import asyncio
import contextlib
import http.client
import ssl
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import msgspec

from grid.outage import ENDED
from grid.public import PublicChange, PublicFinding, PublicOutage
from grid.times import from_rfc3339
from notify.follower import Here, Lost, State, Told, follow
from service.board import Source, View

CHANNEL = "dispatch"
BACK_OFF_S = (0.5, 10.0)
TIMEOUT_S = 3.0
ENDED_SHOWN_MS = 60_000


class Where(msgspec.Struct, frozen=True):
    """A running service, and how to prove that one may look: ``token()`` gives a fresh one."""

    http: str
    feeds: str
    token: Callable[[], str]
    cert: str = ""  # PEM file of its own certificate, where we know it


def trusting(cert: str) -> ssl.SSLContext:
    """A client's side of TLS: the usual authorities, and a service's own certificate by itself."""
    context = ssl.create_default_context(cafile=cert or None)
    if cert:
        context.check_hostname = False  # it is pinned, whatever name it was made for
    return context


class Snapshot(msgspec.Struct, frozen=True):
    """The dispatch channel's state."""

    outages: tuple[PublicOutage, ...] = ()
    findings: tuple[PublicFinding, ...] = ()


class Dispatch:
    """What the dispatch feed has told so far."""

    def __init__(self) -> None:
        self.outages: dict[str, PublicOutage] = {}
        self.findings: dict[str, PublicFinding] = {}
        self.note = "connecting"
        self.changed = asyncio.Event()

    async def follow(self, where: Where) -> None:
        """Keep up with the feed until cancelled.

        Raises:
            Refused: The service does not let us.
        """
        tls = trusting(where.cert) if where.feeds.startswith("wss:") else None
        told = follow(where.feeds, CHANNEL, where.token, tls=tls, back_off_s=BACK_OFF_S)
        async with contextlib.aclosing(told):
            async for each in told:
                self.take(each)

    def take(self, told: State | Told | Here | Lost) -> None:
        """Take in what the feed tells."""
        match told:
            case State(data=data):
                state = msgspec.json.decode(data, type=Snapshot)
                self.outages = {o.id: o for o in state.outages}
                self.findings = {f.id: f for f in state.findings}
            case Told(type="change", data=data):
                outage = msgspec.json.decode(data, type=PublicChange).outage
                if outage.state in ENDED:
                    self.outages.pop(outage.id, None)
                else:
                    self.outages[outage.id] = outage
            case Told(type="finding", data=data):
                finding = msgspec.json.decode(data, type=PublicFinding)
                self.findings[finding.id] = finding
        self.note = told.reason if isinstance(told, Lost) else ""
        self.changed.set()

    def let_go(self, now_ms: int) -> None:
        """Forget findings that ended a while ago."""
        for one in tuple(self.findings.values()):
            if one.until is not None and from_rfc3339(one.until) < now_ms - ENDED_SHOWN_MS:
                del self.findings[one.id]


class Figures(msgspec.Struct, frozen=True):
    """What the open pages of the HTTP API say."""

    sources: tuple[Source, ...] = ()
    customers: int | None = None
    answered: bool = False


def figures(where: Where) -> Figures:
    """Ask ``/readyz`` and ``/metrics``; blocks for at most a few seconds."""
    try:
        parts = msgspec.json.decode(_get(where, "/readyz"))
        values = _metrics(_get(where, "/metrics").decode())
    except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
        return Figures((Source("api", ready=False, reason=str(error) or "no answer"),))
    found = parts.get("components", parts)
    ages = values.get("lastgasp_source_age_seconds", {})
    sources = [
        Source(name, part["ready"], ages.get(name), part.get("reason"))
        for name, part in found.items()
        if isinstance(part, dict)
    ]
    named = {source.name for source in sources}
    sources += [
        Source(name, ready=True, age_s=age) for name, age in ages.items() if name not in named
    ]
    customers = values.get("lastgasp_customers", {}).get("")
    return Figures(tuple(sources), int(customers) if customers else None, answered=True)


def view(dispatch: Dispatch, seen: Figures, service: str, now_ms: int) -> View:
    """What the board shows of both."""
    dispatch.let_go(now_ms)
    findings = sorted(
        dispatch.findings.values(), key=lambda f: (f.until is None, f.at), reverse=True
    )
    return View(
        at_ms=now_ms,
        service=service,
        outages=tuple(dispatch.outages.values()),
        findings=tuple(findings),
        sources=seen.sources,
        customers=seen.customers,
        note=dispatch.note,
    )


def _get(where: Where, path: str) -> bytes:
    """The body of a page, whatever its status: ``/readyz`` says 503 and why."""
    return ask(where, "GET", path)[1]


def ask(where: Where, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Status and body of one request.

    Raises:
        OSError, http.client.HTTPException: No answer.
    """
    parts = urlsplit(where.http)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            parts.netloc, timeout=TIMEOUT_S, context=trusting(where.cert)
        )
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT_S)
    headers = {"Authorization": f"Bearer {where.token()}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _metrics(text: str) -> Mapping[str, Mapping[str, float]]:
    """Values by name and by the value of their one label (blank where they have none)."""
    found: dict[str, dict[str, float]] = {}
    for line in text.splitlines():
        if line.startswith("#") or not line:
            continue
        name, _, value = line.rpartition(" ")
        name, _, label = name.partition("{")
        key = label.partition('="')[2].rstrip('"}') if label else ""
        found.setdefault(name, {})[key] = float(value)
    return found
