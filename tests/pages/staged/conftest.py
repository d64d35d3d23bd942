"""A stage for the pages: the real API and the real feeds over a world that a test says."""

import asyncio
import gzip
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
import uvicorn

from dispatch.api import make_app
from dispatch.codes import Codes
from dispatch.desk import Component, NewPlan
from dispatch.mapdesk import Power, Premises, Source
from dispatch.memory import ArrivingPhones, MemoryNotices, MemoryPeople, a_spot, settled
from dispatch.settings import ApiSettings, SiteSettings
from dispatch.signin import SignIn
from dispatch.workdesk import Answered, NewDecision
from grid.build import build
from grid.geography import Geography, geography
from grid.network import Network
from grid.people import Principal, Role
from grid.public import (
    CustomerStatus,
    PublicCall,
    PublicChange,
    PublicCrew,
    PublicFinding,
    PublicOutage,
    PublicOutageDetail,
    PublicPlan,
    PublicStep,
)
from grid.times import to_rfc3339
from notify.feeds import Feeds
from notify.memory import MemoryLog
from notify.settings import FeedSettings
from service.clock import now_ms
from service.tokens import SESSION, issue, verify
from simulators.city import city

KEY = b"k" * 32


def ago(minutes: float) -> str:
    """A moment so many minutes before now."""
    return to_rfc3339(now_ms() - int(minutes * 60_000))


def an_outage(number: int, **changes: Any) -> PublicOutage:
    """An outage of a transformer with forty customers, ten minutes old."""
    made = PublicOutage(
        id=f"S1-{number}", version=1, state="confirmed", kind="fault", cause=None,
        device_id=f"T{number:04}", device_kind="transformer", feeder_id="S1-F01",
        districts=("centre",), phases="ABC", probability=0.97, started_at=ago(10),
        detected_at=ago(9), confirmed_at=ago(9), restored_at=None, customers_affected=40,
        customers_out=40, etr=None, parent_id=None,
        evidence=("37 of 40 meters sent a last gasp", "1 ping answered on", "probability 0.97"),
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


@dataclass
class StageDesk:
    """What the pages ask, as the test says it."""

    network: Network
    drawn: Geography
    outages_: dict[str, PublicOutage] = field(default_factory=dict)
    findings_: dict[str, PublicFinding] = field(default_factory=dict)
    dark: dict[str, list[int]] = field(default_factory=dict)
    silent: list[int] = field(default_factory=list)
    premises_: dict[str, Premises] = field(default_factory=dict)
    calls: list[Any] = field(default_factory=list)
    planned: list[NewPlan] = field(default_factory=list)
    asked: list[NewDecision] = field(default_factory=list)  # decisions
    aged: list[Source] = field(default_factory=list)
    spot = staticmethod(a_spot)
    crews_: tuple[PublicCrew, ...] = ()
    notices: MemoryNotices = field(default_factory=lambda: MemoryNotices(now_ms()))

    async def outages(
        self,
        *,
        state: str | None = None,
        at_ms: int | None = None,
        districts: Sequence[str] | None = None,
    ) -> Sequence[PublicOutage]:
        return [] if at_ms else list(self.outages_.values())

    async def outage(self, outage_id: str) -> PublicOutageDetail | None:
        found = self.outages_.get(outage_id)
        if found is None:
            return None
        fields = {name: getattr(found, name) for name in found.__struct_fields__}
        before = msgspec.structs.replace(found, state="predicted", probability=0.7)
        changes = (
            PublicChange(found.detected_at, "outage detected", 40, before),
            PublicChange(found.confirmed_at or found.detected_at, "confirmed by meters", 40, found),
        )
        on = found.restored_at
        step = PublicStep(found.started_at, on, tuple(f"C{n:06}" for n in range(40)), False)
        return PublicOutageDetail(**fields, steps=(step,), changes=changes)

    async def findings(self, *, open_only: bool = True) -> Sequence[PublicFinding]:
        return [f for f in self.findings_.values() if f.until is None or not open_only]

    async def customer_status(self, customer_id: str) -> CustomerStatus | None:
        found = self.premises_.get(customer_id)
        return found.status if found else None

    async def customers_by_phone(self, phone: str) -> Sequence[str]:
        return []

    def customer_district(self, customer_id: str) -> str | None:
        return "centre"

    def device_districts(self, device_id: str) -> tuple[str, ...] | None:
        return ("centre",) if device_id in self.network.places else None

    async def call(self, new: Any) -> PublicCall:
        self.calls.append(new)
        at = to_rfc3339(new.at_ms)
        return PublicCall("1", new.customer_id, at, new.kind, new.text, new.entered_by, at)

    async def plan(self, new: NewPlan) -> PublicPlan:
        self.planned.append(new)
        begin, end = to_rfc3339(new.from_ms), to_rfc3339(new.to_ms)
        return PublicPlan("p-1", new.device_id, new.districts, begin, end, new.kind, new.reason,
                          new.entered_by, begin, None)  # fmt: skip

    async def plans(self, *, open_only: bool = True) -> Sequence[PublicPlan]:
        return []

    @property
    def work(self) -> "StageDesk":
        return self

    async def crews(self) -> Sequence[PublicCrew]:
        return self.crews_

    async def decisions(self, outage_id: str) -> Sequence[Any]:
        return []

    async def outage_calls(self, outage_id: str) -> Sequence[PublicCall]:
        return [PublicCall("1", "C000001", ago(4), "no_power", "", "customer", ago(4))]

    async def decide(self, new: NewDecision) -> Answered:
        self.asked.append(new)
        done = settled(self.outages_[new.outage_id], new, ago(0))
        assert done.outage is not None
        self.outages_[new.outage_id] = done.outage
        return done

    def network_version(self) -> str:
        return self.network.version

    def ready(self) -> Mapping[str, Component]:
        return {}

    def metrics(self) -> bytes:
        return b""

    def drawing(self, district: str | None) -> bytes:
        return gzip.compress(msgspec.json.encode(self.drawn), mtime=0)

    async def power(self, district: str | None) -> Power:
        return Power(self.network.version, ago(0), self.dark, self.silent,
                     sum(self.drawn.customers), {}, {})  # fmt: skip

    async def sources(self) -> Sequence[Source]:
        return self.aged

    async def premises(self, customer_id: str) -> Premises | None:
        return self.premises_.get(customer_id)


class Stage:
    """The API and the feeds in a thread of their own, and a hand that moves the world."""

    def __init__(self, desk: StageDesk, http: int, feeds: int) -> None:
        self.desk = desk
        self.url = f"http://127.0.0.1:{http}"
        self._http, self._feeds = http, feeds
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._up = threading.Event()
        numbers = itertools.count(1)
        self.codes = Codes(lambda: f"code-{next(numbers)}", ttl_s=600, codes_max=1000)
        self.session_s = 43_200
        self.seen: list[tuple[str, int]] = []  # who saw their channel up to where
        self.phones = ArrivingPhones(ago)
        self.people = MemoryPeople(now_ms())
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    def start(self) -> "Stage":
        self._thread.start()
        assert self._up.wait(30)
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._http)) == 0:
                    return self
            time.sleep(0.02)
        raise AssertionError("the stage does not answer")

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        self._loop.close()

    def link(self, role: str = "dispatcher", subject: str = "anna", page: str = "/") -> str:
        """A link that signs somebody in."""
        until = now_ms() + self.session_s * 1000
        who = Principal(Role(role), subject, None, until)
        return f"{self.url}{page}#code={self.codes.give(who, now_ms()).text}"

    def put(self, *outages: PublicOutage) -> None:
        """Commit outages as they are now."""
        self._call(self._put, outages)

    def find(self, finding: PublicFinding) -> None:
        """Commit a finding."""
        self._call(self._find, finding)

    def tell(self, premises: Premises) -> None:
        """Commit a customer's status."""
        self._call(self._tell, premises)

    def clear(self) -> None:
        """An empty world under a new epoch: whoever listens begins anew."""
        self._call(self._clear)

    def silence(self) -> None:
        """The feed goes away."""
        self._call(self._set_feed, False)

    def speak(self) -> None:
        """The feed is back."""
        self._call(self._set_feed, True)

    def _call(self, work: Callable[..., Any], *arguments: Any) -> None:
        async def run() -> None:
            found = work(*arguments)
            if asyncio.iscoroutine(found):
                await found

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(20)

    def _put(self, outages: Sequence[PublicOutage]) -> None:
        for outage in outages:
            self.desk.outages_[outage.id] = outage
        self._state()
        for outage in outages:
            change = PublicChange(ago(0), "changed", 0, outage)
            self.log.append("dispatch", msgspec.json.encode(change), at_ms=now_ms())

    def _find(self, finding: PublicFinding) -> None:
        self.desk.findings_[finding.id] = finding
        self._state()
        self.log.append("dispatch", msgspec.json.encode(finding), type="finding", at_ms=now_ms())

    def _tell(self, premises: Premises) -> None:
        who = premises.status.customer_id
        self.desk.premises_[who] = premises
        body = msgspec.json.encode(premises.status)
        self.log.set_state(f"customer:{who}", body)
        self.log.append(f"customer:{who}", body, type="status", at_ms=now_ms())

    def _clear(self) -> None:
        desk = self.desk
        for held in (desk.outages_, desk.findings_, desk.dark, desk.silent):
            held.clear()
        desk.calls.clear()
        desk.planned.clear()
        desk.asked.clear()
        desk.aged[:] = [Source("meters", True, 2.0, None), Source("database", True, None, None)]
        self.phones.arrived.clear()
        self.people.to_call.clear()
        self._state()
        self.log.lose_everything(f"e{now_ms()}")

    def _state(self) -> None:
        open_ = [f for f in self.desk.findings_.values() if f.until is None]
        state = {"outages": list(self.desk.outages_.values()), "findings": open_}
        self.log.set_state("dispatch", msgspec.json.encode(state))

    async def _set_feed(self, on: bool) -> None:
        if on:
            self._feed = asyncio.create_task(self._serve_feed())
        else:
            self._feed.cancel()
            await asyncio.wait({self._feed})

    async def _serve_feed(self) -> None:
        settings = FeedSettings(
            listen=f"127.0.0.1:{self._feeds}",
            origins=(self.url,),
            messages_per_minute_max=100_000,
            poll_s=0.05,  # a cleared stage is a new epoch: noticed before a page is there
        )
        feeds = Feeds(
            self.log, lambda t: verify(KEY, t, now_ms()), _audit, settings, now_ms,
            on_seen=lambda who, _channel, offset: self.seen.append((who.subject, offset)),
        )  # fmt: skip
        await feeds.run()

    async def _run(self) -> None:
        self.log = MemoryLog()
        self._clear()
        self._feed = asyncio.create_task(self._serve_feed())
        config = uvicorn.Config(self._app(), port=self._http, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        task = asyncio.create_task(server.serve())
        self._up.set()
        await self._stop.wait()
        server.should_exit = True
        self._feed.cancel()
        await asyncio.wait({task, self._feed}, timeout=10)

    def _app(self) -> Any:
        def issued(who: Principal, audience: str) -> str:
            left = max(1, (who.expires_ms - now_ms()) // 1000)
            return issue(KEY, who, left, now_ms(), audience=audience)

        signin = SignIn(
            codes=self.codes,
            seal=lambda who: issued(who, SESSION),
            unseal=lambda text: verify(KEY, text, now_ms(), audience=SESSION),
            token=lambda who: issued(who, "lastgasp"),
            feeds_url=f"ws://127.0.0.1:{self._feeds}",
            site=SiteSettings(),
            now_ms=now_ms,
        )
        return make_app(
            self.desk, lambda text: verify(KEY, text, now_ms()), _audit,
            ApiSettings(), now_ms, signin=signin, maps=self.desk, phones=self.phones,
            people=self.people,
        )  # fmt: skip


async def _audit(event: str, **fields: object) -> None:
    """Nobody reads it here."""


@pytest.fixture(scope="session")
def town() -> tuple[Network, Geography]:
    """Six hundred customers of a city, drawn."""
    graph = city(600, 3)
    network = build(graph).network
    assert network is not None
    return network, geography(graph, network)


@pytest.fixture(scope="session")
def whole_stage(town: tuple[Network, Geography], free_port: Callable[[], int]) -> Iterator[Stage]:
    """One stage for the session."""
    made = Stage(StageDesk(*town), free_port(), free_port()).start()
    yield made
    made.close()


@pytest.fixture
def stage(whole_stage: Stage) -> Stage:
    """The stage, empty."""
    whole_stage.clear()
    return whole_stage


@pytest.fixture
def outage() -> Callable[..., PublicOutage]:
    """Outages: ``outage(3, state="predicted")``."""
    return an_outage


@pytest.fixture
def minutes_ago() -> Callable[[float], str]:
    """Moments; a negative number is ahead."""
    return ago
