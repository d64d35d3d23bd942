"""An API over a desk in memory that keeps the desk's promises, asked through ASGI."""

import gzip
import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
import pytest

from dispatch.api import make_app
from dispatch.codes import Codes
from dispatch.desk import Component, NewCall, NewPlan
from dispatch.mapdesk import Power, Premises, PremisesCall, Source
from dispatch.memory import MemoryNotices, MemoryPeople, MemoryPhones, a_spot
from dispatch.settings import ApiSettings, SiteSettings
from dispatch.signin import SignIn
from dispatch.workdesk import Answered, NewCrew, NewDecision, NewSwitching
from grid.build import build
from grid.errors import BadPayload, Refused, Unreachable
from grid.geography import geography, of_district
from grid.graph import Branch, Customer, Graph, Node
from grid.people import Principal, Role
from grid.public import (
    CustomerStatus,
    PublicCall,
    PublicChange,
    PublicCrew,
    PublicDecision,
    PublicEtr,
    PublicFinding,
    PublicOutage,
    PublicOutageDetail,
    PublicPlan,
    PublicStep,
)
from grid.times import to_rfc3339
from notify.memory import MemoryLog
from notify.pages import Pages
from notify.settings import FeedSettings
from service.feeddesk import ServiceFeedDesk
from service.tokens import SESSION, issue, verify

KEY = b"k" * 32
NOW = 1_700_000_000_000


def an_outage(number: int, state: str, *districts: str) -> PublicOutage:
    """An outage of one transformer with two customers."""
    return PublicOutage(
        id=f"S1-{number}",
        version=2,
        state=state,
        kind="fault",
        cause=None,
        device_id="T1",
        device_kind="transformer",
        feeder_id="B1",
        districts=districts,
        phases="ABC",
        probability=0.97,
        started_at=to_rfc3339(NOW - 60_000),
        detected_at=to_rfc3339(NOW - 50_000),
        confirmed_at=None,
        restored_at=None,
        customers_affected=2,
        customers_out=2,
        etr=PublicEtr(to_rfc3339(NOW + 3_600_000), "history", 0.8),
        evidence=("2 of 2 meters said their last gasp",),
        parent_id=None,
        crew="crew-7" if number == 2 else None,
        stage="assigned" if number == 2 else "none",
    )


@dataclass
class MemoryWork:
    """Decisions of outage S1-2, which crew-7 works on; the engine takes what is for ``takes``."""

    takes: bool = True
    asked: list[NewDecision | NewSwitching] = field(default_factory=list)
    known: dict[str, PublicCrew] = field(default_factory=dict)

    async def decide(self, new: NewDecision) -> Answered:
        self.asked.append(new)
        why = "" if self.takes else "it is already acknowledged by bob"
        decision = PublicDecision(
            "d-1", new.outage_id, to_rfc3339(NOW), new.by, new.role, new.action, new.reason,
            self.takes, why, new.version + self.takes, None,
        )  # fmt: skip
        return Answered(decision, an_outage(2, "predicted", "south"))

    async def decisions(self, outage_id: str) -> Sequence[PublicDecision]:
        return [(await self.decide(new)).decision for new in list(self.asked)]

    async def outage_calls(self, outage_id: str) -> Sequence[PublicCall]:
        at = to_rfc3339(NOW)
        return [PublicCall("1", "C-3", at, "no_power", "dark", "customer", at)]

    async def throw(self, new: NewSwitching) -> PublicDecision:
        self.asked.append(new)
        action = "close" if new.closed else "open"
        return PublicDecision(
            "d-2", new.device_id, to_rfc3339(NOW), new.by, "dispatcher", action, new.reason,
            self.takes, "" if self.takes else "it is open already", 0, None,
        )  # fmt: skip

    def network_version(self) -> str:
        return "v1"

    async def crews(self) -> Sequence[PublicCrew]:
        return list(self.known.values())

    async def put_crew(self, new: NewCrew) -> PublicCrew:
        crew = PublicCrew(new.id, new.name, new.district, new.active, False, ())
        self.known[new.id] = crew
        return crew


@dataclass
class MemoryDesk:
    """Three outages, two districts, three customers; ``away`` makes every answer Unreachable."""

    away: bool = False
    log: MemoryLog = field(default_factory=MemoryLog)
    withdrawn: set[str] = field(default_factory=set)  # subjects
    feed: ServiceFeedDesk = field(init=False)
    pages: Pages = field(init=False)
    work: MemoryWork = field(default_factory=MemoryWork)
    notices: MemoryNotices = field(default_factory=lambda: MemoryNotices(NOW))
    calls: list[NewCall] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    kept: dict[str, PublicPlan] = field(default_factory=dict)
    parts: dict[str, Component] = field(default_factory=dict)
    customers: Mapping[str, str] = field(
        default_factory=lambda: {"C-1": "north", "C-2": "north", "C-3": "south"}
    )
    phones: Mapping[str, Sequence[str]] = field(
        default_factory=lambda: {"0571-8000001": ["C-1"], "0571-8000002": ["C-2", "C-3", "C-1"]}
    )
    devices: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"T1": ("north",), "T3": ("south",), "B1": ("north", "south")}
    )

    def __post_init__(self) -> None:
        limits = FeedSettings(poll_s=60.0, streams_max=2, replay_max=20, page_max=5)
        self.pages = Pages(self.log, limits, lambda: NOW)
        self.feed = ServiceFeedDesk(self.pages, lambda who: who.subject not in self.withdrawn)

    async def outages(
        self,
        *,
        state: str | None = None,
        at_ms: int | None = None,
        districts: Sequence[str] | None = None,
    ) -> Sequence[PublicOutage]:
        self._reach()
        self.asked.append({"state": state, "at_ms": at_ms, "districts": districts})
        return [
            outage
            for outage in (
                an_outage(3, "confirmed", "north", "south"),
                an_outage(2, "predicted", "south"),
                an_outage(1, "closed", "north"),
            )
            if (outage.state == state if state else outage.state != "closed")
            and (districts is None or set(districts) & set(outage.districts))
        ]

    async def outage(self, outage_id: str) -> PublicOutageDetail | None:
        self._reach()
        if outage_id != "S1-2":
            return None
        outage = an_outage(2, "predicted", "south")
        fields = {name: getattr(outage, name) for name in outage.__struct_fields__}
        step = PublicStep(outage.started_at, None, ("C-3",), inferred=False)
        change = PublicChange(outage.detected_at, "a last gasp", 1, outage)
        return PublicOutageDetail(**fields, steps=(step,), changes=(change,))

    async def findings(self, *, open_only: bool = True) -> Sequence[PublicFinding]:
        self._reach()
        self.asked.append({"open_only": open_only})
        at = to_rfc3339(NOW)
        return [
            PublicFinding("f-1", at, "comms_loss", "D1", "north", at, None, "D1 is silent"),
            PublicFinding("f-2", at, "phase_loss", "M3", "south", at, at, "phase B is gone"),
        ]

    async def customer_status(self, customer_id: str) -> CustomerStatus | None:
        self._reach()
        if customer_id not in self.customers:
            return None
        at = to_rfc3339(NOW)
        return CustomerStatus(
            customer_id, "off", "S1-3", "confirmed", "fault", None, at, None, True, None, at
        )

    async def customers_by_phone(self, phone: str) -> Sequence[str]:
        self._reach()
        return self.phones.get(phone, [])

    def customer_district(self, customer_id: str) -> str | None:
        return self.customers.get(customer_id)

    def device_districts(self, device_id: str) -> tuple[str, ...] | None:
        return self.devices.get(device_id)

    async def call(self, new: NewCall) -> PublicCall:
        self._reach()
        self.calls.append(new)
        at, received = to_rfc3339(new.at_ms), to_rfc3339(new.received_ms)
        return PublicCall(
            str(len(self.calls)), new.customer_id, at, new.kind, new.text, new.entered_by, received
        )

    async def plans(self, *, open_only: bool = True) -> Sequence[PublicPlan]:
        self._reach()
        return [p for p in self.kept.values() if not (open_only and p.cancelled_at)]

    async def plan(self, new: NewPlan) -> PublicPlan:
        self._reach()
        if any(p.device_id == new.device_id for p in self.kept.values()):
            raise Refused("that device has a plan already")
        plan = PublicPlan(
            id=f"plan-{len(self.kept) + 1}",
            device_id=new.device_id,
            districts=new.districts,
            from_=to_rfc3339(new.from_ms),
            to=to_rfc3339(new.to_ms),
            kind=new.kind,
            reason=new.reason,
            entered_by=new.entered_by,
            entered_at=to_rfc3339(new.entered_ms),
            cancelled_at=None,
        )
        self.kept[plan.id] = plan
        return plan

    async def cancel_plan(self, plan_id: str, by: str) -> PublicPlan | None:
        self._reach()
        self.asked.append({"cancelled_by": by})
        plan = msgspec.structs.replace(self.kept[plan_id], cancelled_at=to_rfc3339(NOW))
        self.kept[plan_id] = plan
        return plan

    def ready(self) -> Mapping[str, Component]:
        return self.parts

    def metrics(self) -> bytes:
        return b"lastgasp_readings_committed_total 7.0\n"

    def _reach(self) -> None:
        if self.away:
            raise Unreachable("the database does not answer", retry_in_s=2.4)


@dataclass
class MemoryMaps:
    """A network of two transformers in two districts, drawn."""

    desk: MemoryDesk
    spot = staticmethod(a_spot)

    def drawing(self, district: str | None) -> bytes:
        graph = Graph(
            (Node("S1", "substation"), Node("T1", "transformer", district="north"),
             Node("M1", "meter"), Node("T3", "transformer", district="south"), Node("M3", "meter")),
            (Branch("B1", "S1", "T1", "breaker"), Branch("L1", "T1", "M1", "service"),
             Branch("B3", "S1", "T3", "breaker"), Branch("L3", "T3", "M3", "service")),
            (Customer("C-1", "M1"), Customer("C-3", "M3")),
        )  # fmt: skip
        whole = geography(graph, build(graph).network)
        drawn = whole if district is None else of_district(whole, district)[0]
        return gzip.compress(msgspec.json.encode(drawn), mtime=0)

    async def power(self, district: str | None) -> Power:
        self.desk._reach()
        return Power("v", to_rfc3339(NOW), {"S1-3": [3]}, [5], 2, {"S1-3": 1}, {})

    async def sources(self) -> Sequence[Source]:
        return [Source("meters", True, 1.5, None), Source("mqtt", False, None, "no subscription")]

    async def premises(self, customer_id: str) -> Premises | None:
        status = await self.desk.customer_status(customer_id)
        if status is None:
            return None
        return Premises(status, None, to_rfc3339(NOW), False, None, (
            PremisesCall(to_rfc3339(NOW), "no_power"),))  # fmt: skip


@dataclass
class Api:
    """A client of the API, with tokens at hand."""

    desk: MemoryDesk
    app: Any
    http: httpx.AsyncClient
    audit: list[dict[str, Any]]

    async def ask(
        self, method: str, path: str, *, by: str | None = "ann", **options: Any
    ) -> httpx.Response:
        """Ask as ``ann`` (all districts), ``ann of north``, ``C-1``, ``crew-7``, or nobody."""
        headers = dict(options.pop("headers", {}))
        if by is not None:
            headers["Authorization"] = f"Bearer {token(by)}"
        return await self.http.request(method, path, headers=headers, **options)

    async def get(self, path: str, *, by: str | None = "ann", **options: Any) -> httpx.Response:
        return await self.ask("GET", path, by=by, **options)

    async def post(
        self, path: str, json: object, *, by: str | None = "ann", **options: Any
    ) -> httpx.Response:
        return await self.ask("POST", path, by=by, json=json, **options)


def token(by: str) -> str:
    """A token for a name of ``Api.ask``."""
    if by.startswith("C-"):
        who = Principal(Role.CUSTOMER, by, None, 0)
    elif by.startswith("crew-"):
        who = Principal(Role.CREW, by, None, 0)
    else:
        name, _, district = by.partition(" of ")
        who = Principal(Role.DISPATCHER, name, district or None, 0)
    return issue(KEY, who, 60, NOW)


class MemoryHooks:
    """A gateway called twilio, which proves itself by a header."""

    async def heard(
        self, gateway: str, query: str, headers: dict[str, str], body: bytes
    ) -> tuple[bytes, str]:
        if gateway != "twilio" or headers.get("x-proof") != query:
            raise Refused("not our gateway's")
        if not body:
            raise BadPayload("an empty body")
        return b"<Response/>", "text/xml"


def a_signin() -> SignIn:
    """Signing in by codes ``code-1``, ``code-2`` ..."""
    numbers = itertools.count(1)

    def issued(who: Principal, audience: str) -> str:
        return issue(KEY, who, max(1, (who.expires_ms - NOW) // 1000), NOW, audience=audience)

    return SignIn(
        codes=Codes(lambda: f"code-{next(numbers)}", ttl_s=60, codes_max=3),
        seal=lambda who: issued(who, SESSION),
        unseal=lambda text: verify(KEY, text, NOW, audience=SESSION),
        token=lambda who: issued(who, "lastgasp"),
        feeds_url="ws://127.0.0.1:8471",
        site=SiteSettings(),
        now_ms=lambda: NOW,
    )


@pytest.fixture
def token_of() -> Callable[[str], str]:
    """Tokens by name."""
    return token


@pytest.fixture
async def make_api() -> AsyncIterator[Callable[..., Api]]:
    """APIs whose clients connect from ``address``."""
    opened: list[httpx.AsyncClient] = []

    def make(address: str = "127.0.0.1", *, raises: bool = True, **limits: Any) -> Api:
        lines: list[dict[str, Any]] = []

        async def audit(event: str, **fields: object) -> None:
            lines.append({"event": event, **fields})

        desk = MemoryDesk()
        app = make_app(
            desk, lambda text: verify(KEY, text, NOW), audit, ApiSettings(**limits), lambda: NOW,
            signin=a_signin(), maps=MemoryMaps(desk), phones=MemoryPhones(NOW),
            people=MemoryPeople(NOW), hooks=MemoryHooks(),
            metrics_token="prometheus",
        )  # fmt: skip
        transport = httpx.ASGITransport(app, raise_app_exceptions=raises, client=(address, 4711))
        client = httpx.AsyncClient(transport=transport, base_url="http://lastgasp")
        opened.append(client)
        return Api(desk, app, client, lines)

    yield make
    for client in opened:
        await client.aclose()


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    """An API that is asked from this machine itself."""
    return make_api()
