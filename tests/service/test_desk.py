"""The specification of the desk: the engine hears a call or a plan first, then it is listed."""

from collections.abc import AsyncIterator

import pytest

from detectors.engine import Engine
from detectors.settings import EngineSettings
from dispatch.desk import NewCall, NewPlan
from grid.drawing import draw
from grid.errors import Refused
from grid.frame import PlanCancelled, PlanEntered
from grid.graph import Graph
from grid.network import Network
from grid.reading import Kind
from notify.pages import Pages
from notify.settings import FeedSettings
from service import texting
from service.clock import now_ms
from service.desk import ServiceDesk
from service.feeddesk import ServiceFeedDesk
from service.health import Health
from service.metrics import Metrics
from service.settings import Settings
from service.tasks import Failure, running
from service.workdesk import ServiceWorkDesk
from store import sealing
from store.postgres import Store, open_store
from store.settings import StoreSettings
from stream.inprocess import InProcess

pytestmark = pytest.mark.services

NETWORK = draw("""
substation S1
  breaker B1
    transformer T1
      meter M1
      meter M2
  breaker B2
    transformer T2
      meter M3
""")


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    keys = sealing.Keys(b"p" * 32, b"i" * 32)
    async with open_store(postgres_url, keys, StoreSettings()) as opened:
        await opened.save_network(Graph((), ()), NETWORK, 1, "drawn")
        yield opened


@pytest.fixture
async def desk(store: Store) -> AsyncIterator[ServiceDesk]:
    engines = {group.no: Engine(group, EngineSettings()) for group in NETWORK.groups}
    runner = InProcess(
        engines, network=NETWORK.version, commit=store.commit, now_ms=now_ms, sources=(),
    )  # fmt: skip
    async with running("runner", runner.run(), Failure(), stop_s=5.0):
        work = ServiceWorkDesk(store, runner, NETWORK, 5.0)
        feed = ServiceFeedDesk(Pages(store, FeedSettings(), now_ms))
        yield ServiceDesk(
            store, runner, NETWORK, Health(now_ms), Metrics(), now_ms, work=work, feed=feed,
            planned=texting.Planned(store.outbox, texting.rules_of(Settings()), now_ms),
        )  # fmt: skip


async def recorded(store: Store, network: Network) -> list[object]:
    """Everything that the recorded stream has: commands, and kinds of rows."""
    found: list[object] = []
    async for frame in store.recorded(network.groups[0].slug, 0):
        found += frame.commands
        found += [Kind(kind) for kind in frame.rows["kind"].tolist()]
    return found


def plan(device_id: str = "T1") -> NewPlan:
    now = now_ms()
    return NewPlan(device_id, ("",), now + 1000, now + 60_000, "planned", "work", "anna", now)


async def test_a_plan_is_in_the_recorded_stream_and_then_listed(
    desk: ServiceDesk, store: Store
) -> None:
    entered = await desk.plan(plan())
    commands = [one for one in await recorded(store, NETWORK) if isinstance(one, PlanEntered)]
    assert [(one.plan_id, one.device_id) for one in commands] == [(entered.id, "T1")]
    assert [one.id for one in await desk.plans()] == [entered.id]


async def test_a_cancelled_plan_is_over_for_the_engine_too(desk: ServiceDesk, store: Store) -> None:
    entered = await desk.plan(plan())
    cancelled = await desk.cancel_plan(entered.id, "anna")
    assert cancelled is not None
    assert cancelled.cancelled_at is not None
    said = [one for one in await recorded(store, NETWORK) if isinstance(one, PlanCancelled)]
    assert [one.plan_id for one in said] == [entered.id]
    assert await desk.plans() == ()
    assert await desk.cancel_plan("plan-of-nobody", "anna") is None


async def test_a_plan_for_a_device_that_is_not_there_is_refused(desk: ServiceDesk) -> None:
    with pytest.raises(Refused, match="T9"):
        await desk.plan(plan("T9"))


async def test_a_call_is_a_reading_at_the_customers_meter(desk: ServiceDesk, store: Store) -> None:
    now = now_ms()
    kept = await desk.call(NewCall("C-M1", now, "no_power", "dark here", "customer", now))
    assert kept.customer_id == "C-M1"
    assert Kind.CALL_NO_POWER in await recorded(store, NETWORK)
    assert [one.text for one in await store.calls("C-M1")] == ["dark here"]


async def test_a_call_of_nobody_is_refused_and_not_kept(desk: ServiceDesk, store: Store) -> None:
    now = now_ms()
    with pytest.raises(Refused, match="C-M9"):
        await desk.call(NewCall("C-M9", now, "no_power", "", "anna", now))
    assert await store.calls() == ()
