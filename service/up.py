"""``lastgasp up``: from the command line to a running service, and cleanly back.

What is a process of its own (database, broker) is started here, before the event loop, and stopped
after it, in the reverse order.  Everything else is service/wiring.py's.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from types import FrameType

import msgspec

from grid.errors import ConfigError, LastgaspError
from service import broker, exits, keys, place, ports, postgres, texting
from service import logging as our_logging
from service.place import Place
from service.ports import Address
from service.progress import Progress, fancy, progress
from service.run import Run
from service.settings import Settings
from simulators import scenario as scenarios

DEMO_NETWORK = "city:20000:1"
DEMO_SCENARIO = "demo"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The command line of ``up``."""

    demo: bool
    scenario: str | None
    network: str | None
    data: Path
    config: Path | None
    http: str | None
    feeds: str | None
    mqtt: str | None
    mqtt_url: str | None
    database: str | None
    board: bool


def run(options: Options) -> int:
    """Run the service until it is told to stop; the exit code.

    Raises:
        LastgaspError: It cannot start, or a part of it failed for good.
    """
    _refuse_contradictions(options)
    found = place.place_of(options.data, options.config, options.database)
    scenario = options.scenario or (DEMO_SCENARIO if options.demo else None)
    if scenario is not None:
        story = scenarios.load(
            Path(scenario)
        )  # what is wrong with it is said before anything starts
        if options.demo:
            found = _with_heartbeats(found, story.field.heartbeat_s)
    smsc_port = 0
    if scenario is not None:
        settings, smsc_port = texting.simulated(found.settings, demo=options.demo)
        found = msgspec.structs.replace(found, settings=settings)
    texting.rules_of(found.settings)  # what is wrong with it is said before anything starts
    texting.wording_of(found.settings)
    with ExitStack() as opened:
        opened.enter_context(_sigterm_is_ctrl_c())
        opened.enter_context(place.alone(options.data))
        told = opened.enter_context(progress())
        settings = _with_addresses(options, found.settings, told)
        _set_up_log(options, settings)
        made = keys.open_keys(options.data)
        threading.Thread(target=import_module, args=("service.wiring",), daemon=True).start()
        revivers: dict[str, Callable[[], bool]] = {}
        url, psql = _database(found, opened, told, revivers)
        if settings.broker.enabled:
            told.step("starting the MQTT broker")
            address = ports.parse(settings.broker.listen, "--mqtt")
            running = broker.embedded(address, settings.broker, options.data)
            revivers["broker"] = opened.enter_context(running).revive
        service = Run(
            settings=settings,
            data=options.data,
            keys=made,
            database_url=url,
            psql=psql,
            network=options.network or (DEMO_NETWORK if options.demo else None),
            scenario=scenario,
            revivers=revivers,
            again=options.demo,
            board=options.board,
            smsc_port=smsc_port,
        )
        failure = _serve(service, told)
        opened.callback(told.step, "stopping the broker and the database")
        _deaf_to_ctrl_c()
    if failure is not None:
        return _failed(failure)
    told.note("stopped")
    return 0


def _with_heartbeats(found: Place, heartbeat_s: float) -> Place:
    """The demo's meters report more often than others: told, as a utility would set it for its own.

    Until it has learned their rhythm, the engine would wait a quarter of an hour for each.
    """
    replace = msgspec.structs.replace
    engine = replace(found.settings.engine, heartbeat_s=heartbeat_s)
    return replace(found, settings=replace(found.settings, engine=engine))


def _refuse_contradictions(options: Options) -> None:
    pairs = (
        ("--demo", options.demo, "--scenario", options.scenario),
        ("--mqtt", options.mqtt, "--mqtt-url", options.mqtt_url),
    )
    for one, has_one, other, has_other in pairs:
        if has_one and has_other:
            raise ConfigError(f"{one} and {other} exclude each other; leave one of them out")


def _with_addresses(options: Options, settings: Settings, told: Progress) -> Settings:
    """The settings with the command line's addresses, each known to be free and allowed."""
    replace = msgspec.structs.replace
    http, feeds, mqtt = settings.http, settings.feeds, settings.broker
    http_at = ports.parse(options.http or http.listen, "--http")
    feeds_at = ports.parse(options.feeds or feeds.listen, "--feeds")
    ports.refuse_open_door(http_at, "--http", tls=bool(http.tls_cert and http.tls_key))
    ports.refuse_open_door(feeds_at, "--feeds", tls=bool(feeds.tls_cert and feeds.tls_key))
    http_at = _claimed(http_at, "--http", options, told, ())
    feeds_at = _claimed(feeds_at, "--feeds", options, told, (http_at,))
    url = options.mqtt_url or settings.mqtt.url
    embedded = mqtt.enabled and options.mqtt_url is None
    if embedded:
        mqtt_at = ports.parse(options.mqtt or mqtt.listen, "--mqtt")
        if not mqtt_at.loopback:
            raise ConfigError(
                f"--mqtt {mqtt_at}: the embedded broker knows no users and stays on loopback; run "
                "Mosquitto or EMQX with TLS for devices and give --mqtt-url"
            )
        mqtt_at = _claimed(mqtt_at, "--mqtt", options, told, (http_at, feeds_at))
        url = f"mqtt://{mqtt_at}"
        mqtt = replace(mqtt, listen=str(mqtt_at))
    origins = (*feeds.origins, f"http://{http_at}", f"http://localhost:{http_at.port}")
    return replace(
        settings,
        http=replace(http, listen=str(http_at)),
        feeds=replace(feeds, listen=str(feeds_at), origins=tuple(dict.fromkeys(origins))),
        broker=replace(mqtt, enabled=embedded),
        mqtt=replace(settings.mqtt, url=url),
    )


def _claimed(
    address: Address, flag: str, options: Options, told: Progress, taken: tuple[Address, ...]
) -> Address:
    """A free address; the demo takes the next free one rather than none, and says so."""
    if address in taken:
        raise ConfigError(f"{flag} {address} is given twice; choose another with {flag} HOST:PORT")
    found = ports.claim(address, flag, next_free=options.demo)
    if found != address:
        told.note(f"port {address.port} is taken; {flag} {found} instead")
    return found


def _database(
    found: Place, opened: ExitStack, told: Progress, revivers: dict[str, Callable[[], bool]]
) -> tuple[str, str]:
    """The URL to use, and how a person looks into it."""
    if found.database_url:
        return found.database_url, ""
    server = opened.enter_context(postgres.embedded(found.data, found.settings.postgres, told.step))
    revivers["database"] = partial(postgres.revive, found.data, found.settings.postgres)
    return server.url, server.psql


def _set_up_log(options: Options, settings: Settings) -> None:
    import sys

    if options.board and fancy(sys.stdout.isatty()):
        our_logging.set_up(settings.log, file=options.data / "lastgasp.log")
    else:
        our_logging.set_up(settings.log)


def _serve(service: Run, told: Progress) -> BaseException | None:
    """Run the loop until it is told to stop; what failed, if something did."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_until_stopped(service, told))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return asyncio.new_event_loop
    return uvloop.new_event_loop


async def _until_stopped(service: Run, told: Progress) -> BaseException | None:
    from service.wiring import (
        serve,
    )  # imported beside the database's start; no refusal waits for it

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    return await serve(service, told, stop)


def _failed(failure: BaseException) -> int:
    if isinstance(failure, LastgaspError):
        exits.say(failure)
        return exits.code_of(failure)
    exits.say(LastgaspError(f"a part of the service failed: {failure!r}; its log says where"))
    return exits.FAILED


@contextmanager
def _sigterm_is_ctrl_c() -> Iterator[None]:
    """While things are started, SIGTERM unwinds them like Ctrl-C."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _deaf_to_ctrl_c() -> None:
    """What is stopped now takes seconds at most; an impatient second Ctrl-C must not cut it off."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
