"""The composition of each role of a cluster; beside service/wiring.py, which does all in one.

    device -> mqtt-gateway, modbus-gateway -> Kafka -> worker -> database -> push, dispatch

The worker's is service/faust_app.py, for Faust wants an app that it can import.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, TypeVar

import structlog
from msgspec.structs import replace

from dispatch.api import make_app
from grid.errors import Unreachable
from grid.graph import Graph
from grid.network import Network
from grid.people import Principal
from ingest.metrics import IngestMetrics
from ingest.modbus import ModbusGateway
from ingest.mqtt import MqttGateway
from ingest.packing import Packer
from notify.feeds import Feeds
from notify.pages import Pages
from notify.sender import Sender
from notify.situations import decider
from service import (
    care,
    cluster_admin,
    http,
    place,
    replying,
    role_health,
    signin,
    stored,
    texting,
)
from service.clock import now_ms
from service.desk import ServiceDesk
from service.feeddesk import ServiceFeedDesk
from service.garbage import collect_rarely
from service.health import Health
from service.metrics import Metrics
from service.outbox_metrics import OutboxFigures
from service.rerooting import Heir, Rerooting
from service.role_run import RoleRun
from service.run import Run
from service.seeing import Seeing
from service.tasks import Failure, running
from service.withdrawals import Withdrawals
from service.workdesk import ServiceWorkDesk
from store import sealing
from store.postgres import Store, open_store
from stream.bus_intake import BusIntake
from stream.kafka_clients import Credentials
from stream.producing import Producer, open_producer
from stream.records import Ask, Committed, Word
from stream.words import Words

log = structlog.get_logger()
T = TypeVar("T")

NETWORK_AGAIN_S = 5.0  # a cluster that has no network yet looks this often whether it has

Beside = Callable[[str, Coroutine[Any, Any, None]], Awaitable[None]]
Asked = Callable[[Ask], Awaitable[None]]


class Parts:
    """What a role is made of while it runs, and its way out: last in, first out."""

    def __init__(self, run: RoleRun, opened: AsyncExitStack, failure: Failure) -> None:
        self.run = run
        self.opened = opened
        self.failure = failure
        self.metrics = Metrics()
        self.health = Health(now_ms)
        self.withdrawn = Withdrawals(place.key_folder_of(run.data), now_ms)
        self._awaited: str | None = "it is starting"
        self.health.watch("start", lambda: self._awaited)

    def started(self) -> None:
        """Everything of it runs."""
        self._awaited = None

    async def patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Wait for a peer that is not up yet: a cluster starts in any order."""
        while True:
            try:
                return await call()
            except Unreachable as away:
                self._awaited = away.message
                log.warning("peer_awaited", reason=away.message, retry_in_s=away.retry_in_s)
                await asyncio.sleep(away.retry_in_s)

    async def beside(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run a part beside the others."""
        part = running(name, work, self.failure, stop_s=self.run.settings.care.stop_s)
        await self.opened.enter_async_context(part)

    async def store(self) -> Store:
        """The database, once it answers."""
        found = self.run
        sealed = sealing.Keys(found.keys.phone, found.keys.index)
        decide = decider(texting.rules_of(found.settings))
        return await self.patiently(
            lambda: self.opened.enter_async_context(
                open_store(found.database_url, sealed, found.settings.store, decide)
            )
        )

    async def network(self, store: Store) -> Network:
        """The network in force."""
        return (await self.graph(store))[1]

    async def graph(self, store: Store) -> tuple[Graph, Network]:
        """The network in force, and what it was made of."""
        return await self.patiently(lambda: self._network(store))

    async def _network(self, store: Store) -> tuple[Graph, Network]:
        if await store.versions():
            return await stored.network_of(store, None, now_ms(), _untold)
        raise Unreachable(
            "there is no network in the database yet; bring one in: "
            "lastgasp run admin --network SOURCE",
            retry_in_s=NETWORK_AGAIN_S,
        )

    async def follow(self, store: Store, network: Network, heirs: Sequence[Heir]) -> None:
        """Take up newer versions of the network: workers first, who look for them as often, so that
        a device that is new is known to them when it is first heard.
        """
        every_s = self.run.settings.care.network_s

        async def by_workers(_before: Network, _after: Network) -> None:
            await asyncio.sleep(2 * every_s)

        rerooting = Rerooting(store, network, lambda _: None, by_workers, heirs)
        await self.beside("network", rerooting.run(every_s))

    async def answering(self) -> None:
        """Answer /livez, /readyz and /metrics."""
        settings = self.run.settings
        app = role_health.make_app(
            role_health.Watched(self.health, self.metrics),
            self.verify,
            settings.secrets.metrics_token,
            now_ms,
        )
        answering = role_health.answering(app, settings.health, self.failure)
        await self.opened.enter_async_context(answering)

    def verify(self, token: str) -> Principal:
        """Whose a token is, while its bearer's rights stand."""
        return self.withdrawn.accept(self.run.keys.token, token)

    async def producer(self) -> Producer:
        """What sends to Kafka, once it answers."""
        settings = self.run.settings
        producer = await self.patiently(
            lambda: self.opened.enter_async_context(
                open_producer(settings.kafka, credentials_of(self.run))
            )
        )
        self.health.watch("kafka", lambda: producer.trouble)
        self.metrics.gauge(
            "lastgasp_bus_in_flight_bytes",
            "Sent to Kafka and not answered",
            lambda: producer.in_flight_bytes,
        )
        return producer

    async def intake(self, network: Network, asked: Asked | None = None) -> BusIntake:
        """The stream, as this role hands over to it, and what workers say back."""
        settings, sender = self.run.settings.kafka, self.run.sender
        intake = BusIntake(
            await self.producer(),
            settings,
            sender=sender,
            groups=[group.slug for group in network.groups],
            now_ms=now_ms,
        )

        def heard(word: Word) -> None:
            match word:
                case Committed():
                    intake.committed(word.tickets)
                case Ask() if asked is not None:
                    asking = asyncio.ensure_future(asked(word))
                    asking.add_done_callback(lambda done: done.exception())

        words = Words(settings, credentials_of(self.run), sender=sender, heard=heard)
        await self.beside("words", words.run())
        await self.patiently(words.ready.wait)
        await self.beside("intake", intake.run())
        self.metrics.gauge(
            "lastgasp_bus_unconfirmed",
            "Records of ours that are not known to be committed",
            lambda: intake.unconfirmed,
        )
        return intake


def credentials_of(run: RoleRun) -> Credentials:
    """Kafka's, from the environment."""
    return Credentials(run.settings.secrets.kafka_username, run.settings.secrets.kafka_password)


async def _mqtt_gateway(run: RoleRun, failure: Failure) -> None:
    async with AsyncExitStack() as opened:
        parts = Parts(run, opened, failure)
        await parts.answering()
        store = await parts.store()
        network = await parts.network(store)
        gateways: list[MqttGateway] = []

        async def ask(word: Ask) -> None:
            for gateway in gateways:
                await gateway.ping(word.pings)

        intake = await parts.intake(network, ask)
        settings = run.settings
        mqtt = MqttGateway(
            replace(settings.mqtt, client_id=f"{settings.mqtt.client_id}-{run.sender}"),
            Packer(network),
            intake,
            now_ms,
            username=settings.secrets.mqtt_username,
            password=settings.secrets.mqtt_password,
            metrics=IngestMetrics(parts.metrics.registry),
        )
        gateways.append(mqtt)
        reason = f"no subscription at {settings.mqtt.url}, or its backlog is coming in"
        parts.health.watch("mqtt", lambda: None if mqtt.ready else reason)
        await parts.beside("mqtt", mqtt.run())
        await parts.follow(store, network, [lambda _, new: mqtt.replace_network(new)])
        parts.started()
        await asyncio.Event().wait()


async def _modbus_gateway(run: RoleRun, failure: Failure) -> None:
    async with AsyncExitStack() as opened:
        parts = Parts(run, opened, failure)
        await parts.answering()
        store = await parts.store()
        network = await parts.network(store)
        intake = await parts.intake(network)
        modbus = ModbusGateway(
            run.settings.modbus,
            network.breakers,
            Packer(network),
            intake,
            now_ms,
            metrics=IngestMetrics(parts.metrics.registry),
        )
        reason = "not every breaker was asked yet"
        parts.health.watch("modbus", lambda: None if modbus.ready else reason)
        await parts.beside("modbus", modbus.run())
        await parts.follow(store, network, [lambda _, new: modbus.replace_network(new)])
        parts.started()
        await asyncio.Event().wait()


async def _push(run: RoleRun, failure: Failure) -> None:
    async with AsyncExitStack() as opened:
        parts = Parts(run, opened, failure)
        await parts.answering()
        store, settings = await parts.store(), run.settings
        tls = http.tls_context(settings.feeds.tls_cert, settings.feeds.tls_key, "feeds")
        seeing = Seeing(store.wishing, now_ms)
        collect_rarely()
        feeds = Feeds(
            store, parts.verify, store.audit, settings.feeds, now_ms, tls=tls,
            withdrawn=parts.withdrawn.covers, on_seen=seeing.note,
        )  # fmt: skip
        reason = "not listening, or the log cannot be read"
        parts.health.watch("feeds", lambda: None if feeds.ready else reason)
        parts.metrics.watch_feeds(feeds)
        await parts.beside("feeds", feeds.run())
        await parts.beside("seen", seeing.run())
        parts.started()
        await asyncio.Event().wait()


def _desk(
    parts: Parts, store: Store, intake: BusIntake, network: Network, *, pages: Pages
) -> ServiceDesk:
    settings = parts.run.settings
    planned = texting.Planned(store.outbox, texting.rules_of(settings), now_ms)
    work = ServiceWorkDesk(store, intake, network, settings.api.decision_wait_s)
    return ServiceDesk(
        store, intake, network, parts.health, parts.metrics, now_ms,
        work=work, planned=planned,
        feed=ServiceFeedDesk(pages, lambda who: not parts.withdrawn.covers(who)),
    )  # fmt: skip


async def _texts(run: RoleRun, failure: Failure) -> None:
    """The sender of texts; several may run on one outbox."""
    async with AsyncExitStack() as opened:
        parts = Parts(run, opened, failure)
        await parts.answering()
        store, settings = await parts.store(), run.settings
        network = await parts.network(store)
        pages = Pages(store, settings.feeds, now_ms)  # nobody asks it here
        desk = _desk(parts, store, await parts.intake(network), network, pages=pages)
        replied = replying.replies(store, now_ms, desk.still_out)
        senders = texting.senders(store.outbox, settings, now_ms, replied)
        figures = OutboxFigures(store.outbox, now_ms)
        figures.show(parts.metrics, senders)
        for sender in senders:
            parts.health.watch(sender.channel, partial(_gateway_trouble, sender))
        await parts.beside("outbox figures", figures.look())
        rules = texting.rules_of(settings)
        await parts.beside("texts", texting.send(senders, store.outbox, rules, now_ms))
        await parts.follow(store, network, [lambda _, new: desk.replace_network(new)])
        parts.started()
        await asyncio.Event().wait()


async def _dispatch(run: RoleRun, failure: Failure) -> None:
    # the only role here that holds engines, which take a second and 100 MB to load
    from service.glimpse import Glimpse
    from service.maps import Maps

    async with AsyncExitStack() as opened:
        parts = Parts(run, opened, failure)
        store, settings = await parts.store(), run.settings
        graph, network = await parts.graph(store)
        intake = await parts.intake(network)
        glimpse = Glimpse(network, settings.engine)
        maps = Maps(store, (graph, network), glimpse, parts.health, now_ms)
        whole = Run(
            settings=settings, data=run.data, keys=run.keys, psql="", network=None,
            database_url=run.database_url, scenario=None, revivers={}, again=False, board=False,
        )  # fmt: skip
        pages = Pages(store, settings.feeds, now_ms)
        await parts.beside("pages", pages.run())
        desk = _desk(parts, store, intake, network, pages=pages)
        app = make_app(
            desk, parts.verify, store.audit, settings.api, now_ms,
            signin=signin.of(whole, now_ms), maps=maps,
            metrics_token=settings.secrets.metrics_token,
            people=texting.people(store, settings, now_ms),
            hooks=texting.hooks(store, settings, now_ms, desk.still_out),
        )  # fmt: skip
        parts.health.watch("database", partial(_trouble, failure))
        await opened.enter_async_context(http.serving(app, settings.http, failure))
        await parts.beside("glimpse", glimpse.run(store, settings.stream.snapshot_s))
        await parts.beside("care", care.keep_house(store, now_ms, settings.care.every_s))
        heirs: list[Heir] = [
            lambda _, new: desk.replace_network(new),
            lambda _, new: glimpse.replace_network(new),
            maps.replace_network,
        ]
        await parts.follow(store, network, heirs)
        parts.started()
        await asyncio.Event().wait()


def _gateway_trouble(sender: Sender) -> str | None:
    return sender.gateway.trouble


def _trouble(failure: Failure) -> str | None:
    return None if failure.error is None else str(failure.error)


async def _admin(run: RoleRun, failure: Failure) -> None:
    async with AsyncExitStack() as opened:
        parts = Parts(run, opened, failure)
        store = await parts.store()
        await parts.patiently(lambda: cluster_admin.set_up(run, store, credentials_of(run)))


def _untold(_sentence: str) -> None:
    """A role has a log and no terminal."""


PARTS: Mapping[str, Callable[[RoleRun, Failure], Coroutine[Any, Any, None]]] = {
    "admin": _admin,
    "mqtt-gateway": _mqtt_gateway,
    "modbus-gateway": _modbus_gateway,
    "push": _push,
    "texts": _texts,
    "dispatch": _dispatch,
}
"""Every role but the worker."""
