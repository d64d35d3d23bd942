"""The composition root: the one place that knows every part and hands each the next one's function.

    device -> ingest -> stream -> detectors -> store -> notify -> people

What is entered first is left last: the gateways stop hearing, the API and the feeds close, the
runner commits what is in flight, then the store closes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from detectors.engine import Engine
from dispatch.api import make_app
from grid.frame import NOT_YET, SettingsChanged
from grid.graph import BreakerAddress, Graph
from grid.network import Network
from grid.outage import Ping
from grid.people import Principal
from ingest.metrics import IngestMetrics
from ingest.modbus import ModbusGateway
from ingest.mqtt import MqttGateway
from ingest.packing import Packer
from notify.feeds import Feeds
from notify.pages import Pages
from notify.situations import decider
from service import care, http, place, replying, signin, simulated, stored, texting, watch
from service.clock import now_ms
from service.desk import ServiceDesk
from service.feeddesk import ServiceFeedDesk
from service.follow import Where
from service.garbage import collect_rarely
from service.health import Health
from service.maps import Maps
from service.outbox_metrics import OutboxFigures
from service.phones import Phones, households_of
from service.progress import Progress
from service.pulse import Pulse
from service.rerooting import Heir, Rerooting
from service.run import Run
from service.seeing import Seeing
from service.tasks import Failure, first_of, running
from service.withdrawals import Withdrawals
from service.workdesk import ServiceWorkDesk
from simulators.truth import TRUTH_FILE
from store import sealing
from store.postgres import Store, open_store
from stream.inprocess import InProcess

READY_S = 45.0  # a start that takes longer is shown as it is, with what is missing
POLL_S = 0.05

log = structlog.get_logger()

Links = tuple[signin.Link, signin.Link | None]
Beside = Callable[[str, Coroutine[Any, Any, None]], Awaitable[None]]


async def serve(run: Run, told: Progress, stop: asyncio.Event) -> BaseException | None:
    """Run until told to stop or until a part fails; what failed."""
    failure = Failure()
    work = asyncio.create_task(_serve(run, told, failure), name="service")
    await first_of(stop.wait(), failure.wait(), asyncio.wait({work}))
    told.step("stopping")
    work.cancel()
    await asyncio.wait({work})
    broken = None if work.cancelled() else work.exception()
    return broken or failure.error


async def _serve(run: Run, told: Progress, failure: Failure) -> None:
    settings = run.settings
    async with AsyncExitStack() as opened:

        async def beside(name: str, work: Coroutine[Any, Any, None]) -> None:
            part = running(name, work, failure, stop_s=settings.care.stop_s)
            await opened.enter_async_context(part)

        field: simulated.Field | None = None
        if run.scenario is not None:
            field = await opened.enter_async_context(
                simulated.field(run.data / "field.log", failure)
            )
        told.step("opening the store")
        sealed = sealing.Keys(run.keys.phone, run.keys.index)
        store = await opened.enter_async_context(
            open_store(
                run.database_url, sealed, settings.store, decider(texting.rules_of(settings))
            )
        )
        told.step("reading the network")
        graph, network = await stored.network_of(store, run.network, now_ms(), told.note)
        told.step("restoring the engines")
        engines = await stored.engines_of(store, network, settings.engine)

        told.step("starting the parts")
        spine = await _spine(run, store, network, engines, beside)
        signing = signin.of(run, now_ms)
        pulse = spine.pulse
        maps = Maps(store, (graph, network), engines, spine.health, now_ms)
        app = make_app(
            spine.desk, _accept(run), store.audit, settings.api, now_ms, signin=signing,
            maps=maps, phones=_phones(run, field, graph),
            metrics_token=settings.secrets.metrics_token,
            people=texting.people(store, settings, now_ms),
            hooks=texting.hooks(store, settings, now_ms, spine.desk.still_out),
        )  # fmt: skip
        await opened.enter_async_context(http.serving(app, settings.http, failure))
        heirs: list[Heir] = [lambda _, new: spine.desk.replace_network(new), maps.replace_network]
        breakers: Sequence[BreakerAddress] = network.breakers
        if field is not None:
            told.step("starting the simulated field")
            breakers = await field.play(graph, _play(run))
        heirs += await _listen(run, spine, network, breakers, beside)
        rerooting = Rerooting(store, network, pulse.expect, spine.runner.replace_network, heirs)
        await beside("network", rerooting.run(settings.care.network_s))
        await _text(run, store, spine, beside)
        await beside("alive", care.keep_alive(run.revivers, settings.care.alive_s))
        await beside("care", care.keep_house(store, now_ms, settings.care.every_s))

        opened.enter_context(place.noted(run.data, _note(run)))
        await _until_ready(spine.health, told)
        links = signin.links(run, signing)
        _announce(run, told, links)
        if run.board:
            where = Where(
                run.http_url, run.feeds_url, watch.own_token(run.keys), settings.http.tls_cert
            )
            board = watch.show(where, hint=partial(_hint, run, links))
            shown = running("board", board, Failure(), stop_s=settings.care.stop_s)
            await opened.enter_async_context(shown)  # the service is worth more than its board
        await asyncio.Event().wait()


@dataclass(frozen=True, slots=True)
class _Spine:
    """What stands between the gateways and the people."""

    runner: InProcess
    health: Health
    pulse: Pulse
    desk: ServiceDesk
    mqtt: list[MqttGateway]  # whom meters are asked through, once it is there


async def _spine(
    run: Run, store: Store, network: Network, engines: dict[int, Engine], beside: Beside
) -> _Spine:
    """Engines, one transaction, and the feeds that read what it wrote."""
    settings = run.settings
    pulse = Pulse(network, store.commit, now_ms)
    for outage in await store.outages():
        pulse.dark.stands(outage.id, outage.state, outage.customers_out)
    tls = http.tls_context(settings.feeds.tls_cert, settings.feeds.tls_key, "feeds")
    withdrawn = _withdrawn(run)
    verify = partial(withdrawn.accept, run.keys.token)
    seeing = Seeing(store.wishing, now_ms)
    collect_rarely()
    feeds = Feeds(
        store, verify, store.audit, settings.feeds, now_ms, tls=tls, withdrawn=withdrawn.covers,
        on_seen=seeing.note,
    )  # fmt: skip
    pulse.metrics.watch_feeds(feeds)
    mqtt: list[MqttGateway] = []

    async def ping(pings: Sequence[Ping]) -> None:
        for gateway in mqtt:
            await gateway.ping(pings)

    polled = run.scenario is not None or bool(network.breakers)
    runner = InProcess(
        engines,
        network=network.version,
        commit=pulse.commit,
        now_ms=now_ms,
        ping=ping,
        sources=("mqtt", "modbus") if polled else ("mqtt",),
        settings=settings.stream,
    )
    await beside("runner", runner.run())
    await _tell_settings(run, engines, runner)
    await beside("feeds", feeds.run())
    await beside("seen", seeing.run())
    health = Health(now_ms)
    health.watch("database", pulse.trouble)
    health.watch("engine", lambda: _unless(runner.caught_up_with, "a backlog is coming in"))
    health.watch("feeds", lambda: _unless(feeds.ready, "not listening, or the log cannot be read"))
    work = ServiceWorkDesk(store, runner, network, settings.api.decision_wait_s)
    pages = Pages(store, settings.feeds, now_ms)
    await beside("pages", pages.run())
    desk = ServiceDesk(
        store, runner, network, health, pulse.metrics, now_ms, work=work,
        feed=ServiceFeedDesk(pages, lambda who: not withdrawn.covers(who)),
        planned=texting.Planned(store.outbox, texting.rules_of(settings), now_ms),
    )  # fmt: skip
    return _Spine(runner, health, pulse, desk, mqtt)


async def _listen(
    run: Run, spine: _Spine, network: Network, breakers: Sequence[BreakerAddress], beside: Beside
) -> list[Heir]:
    """The gateways: from here on the field is heard.  They number by another network when told."""
    told: list[Heir] = []
    settings, runner = run.settings, spine.runner
    packer, counted = Packer(network), IngestMetrics(spine.pulse.metrics.registry)
    if breakers:
        modbus = ModbusGateway(settings.modbus, breakers, packer, runner, now_ms, metrics=counted)
        told.append(lambda _, new: modbus.replace_network(new))
        await beside("modbus", modbus.run())
    mqtt = MqttGateway(
        settings.mqtt,
        packer,
        runner,
        now_ms,
        username=settings.secrets.mqtt_username,
        password=settings.secrets.mqtt_password,
        metrics=counted,
    )
    spine.mqtt.append(mqtt)
    reason = f"no subscription at {settings.mqtt.url}, or its backlog is coming in"
    spine.health.watch("mqtt", lambda: _unless(mqtt.ready, reason))
    await beside("mqtt", mqtt.run())
    return [*told, lambda _, new: mqtt.replace_network(new)]


async def _text(run: Run, store: Store, spine: _Spine, beside: Beside) -> None:
    """The senders of what customers are told, a channel each."""
    replied = replying.replies(store, now_ms, spine.desk.still_out)
    senders = texting.senders(store.outbox, run.settings, now_ms, replied)
    figures = OutboxFigures(store.outbox, now_ms)
    figures.show(spine.pulse.metrics, senders)
    await beside("outbox figures", figures.look())
    await beside(
        "texts", texting.send(senders, store.outbox, texting.rules_of(run.settings), now_ms)
    )


def _phones(run: Run, field: simulated.Field | None, graph: Graph) -> Phones | None:
    if field is None or not run.smsc_port:
        return None
    folder = run.data / "field"
    told_all = households_of(folder / TRUTH_FILE, graph)
    return Phones(folder / simulated.SMSC_LOG, field.reply, told_all)


def _play(run: Run) -> simulated.Play:
    folder = run.data / "field"
    return simulated.Play(
        graph_file=str(folder / "network.msgpack"),
        scenario=run.scenario or "",
        folder=str(folder),
        mqtt_url=run.settings.mqtt.url,
        http_url=run.http_url,
        data=str(run.data),
        cert=run.settings.http.tls_cert,
        again=run.again,
        smsc_port=run.smsc_port,
    )


async def _tell_settings(run: Run, engines: dict[int, Engine], runner: InProcess) -> None:
    """Settings are part of the recorded stream: an engine that has others is told."""
    wanted = run.settings.engine
    if any(e.limits != wanted or e.position == 0 for e in engines.values()):
        log.info("engine_settings_changed")
        await runner.command(SettingsChanged(NOT_YET, _as_numbers(wanted)))


def _as_numbers(settings: Any) -> dict[str, float]:
    return {name: getattr(settings, name) for name in settings.__struct_fields__}


async def _until_ready(health: Health, told: Progress) -> None:
    """Wait until a message published now will be acted on; not for ever."""
    told.step("taking in what waited")
    deadline = asyncio.get_running_loop().time() + READY_S
    while not health.all_ready():
        if asyncio.get_running_loop().time() >= deadline:
            for name, part in health.ready().items():
                if not part.ready:
                    told.note(f"{name} is not ready: {part.reason}")
            return
        await asyncio.sleep(POLL_S)


def _announce(run: Run, told: Progress, links: Links) -> None:
    told.done()
    board, customer = links
    told.note(f"board   {board()}  (opens once; the next: lastgasp token --link)")
    if customer is not None:
        told.note(f"page    {customer()}  (of a customer in the story)")
    if run.scenario is not None:
        told.note(f"texts   {run.http_url}/phone  (signed in by the board's link)")
    told.note(f"API     {run.http_url}  (docs at {run.http_url}/docs)")
    told.note(f"feeds   {run.feeds_url}")
    told.note(f"MQTT    {run.settings.mqtt.url}")
    if run.psql:
        told.note(f"SQL     {run.psql}")
    told.note(f"token   lastgasp token --role dispatcher --subject me --data {run.data}")


def _hint(run: Run, links: Links) -> str:
    board, customer = links
    if customer is None:
        return f"board {board()}   MQTT {run.settings.mqtt.url}   Ctrl-C ends"
    return (
        f"board {board()}   a customer's page {customer()}\n"
        f"texts {run.http_url}/phone   MQTT {run.settings.mqtt.url}   Ctrl-C ends"
    )


def _note(run: Run) -> place.Note:
    import os

    return place.Note(os.getpid(), run.http_url, run.feeds_url, run.settings.mqtt.url, run.psql)


def _withdrawn(run: Run) -> Withdrawals:
    return Withdrawals(place.key_folder_of(run.data), now_ms)


def _accept(run: Run) -> Callable[[str], Principal]:
    return partial(_withdrawn(run).accept, run.keys.token)


def _unless(works: bool, reason: str) -> str | None:
    return None if works else reason
