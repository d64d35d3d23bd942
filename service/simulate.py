"""The simulated field: as the child process of ``up``, and as a command of its own.

``python -m service.simulate`` is the child: it is told what to play on its standard input (a line
of JSON), answers with one line once its breakers listen, and ends when its standard input does.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from grid.build import build
from grid.errors import ConfigError, LastgaspError
from grid.graph import BreakerAddress, Graph
from grid.network import Network
from service import logging as our_logging
from service import story_people
from service.clock import now_ms
from service.settings import LogSettings
from service.simulated import SMSC_LOG, Play, Playing, Reply
from service.story_people import StoryPeople
from simulators import scenario as scenarios
from simulators.breakers import BreakerSettings
from simulators.links import LinkSettings
from simulators.mqtt_devices import MqttDeviceSettings
from simulators.run import Simulators, SimulatorSettings
from simulators.smsc import Smsc


def main() -> None:
    """The child's life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for our parent, who then stops us
    our_logging.set_up(LogSettings())
    line = sys.stdin.buffer.readline()
    if not line:  # our parent had no use for us
        return
    play = msgspec.json.decode(line, type=Play)
    try:
        graph = msgspec.msgpack.decode(Path(play.graph_file).read_bytes(), type=Graph)
        network = build(graph).network
        assert network is not None, "the service has built the same before"
        people = story_people.at_home(play.http_url, Path(play.data), play.cert)
        simulators = Simulators(
            network,
            scenarios.load(Path(play.scenario)),
            mqtt_url=play.mqtt_url,
            folder=_made(Path(play.folder)),
            now_ms=now_ms,
            enter=people.enter,
            floor=people,
            again=play.again,
            languages={c.customer_id: c.language for c in graph.customers},
        )
    except LastgaspError as error:
        _answer(Playing(error=error.message))
        return
    asyncio.run(_until_end_of_input(simulators, _smsc_of(play)))


def play(
    network: Network, scenario: str, *, mqtt_url: str, folder: Path, people: StoryPeople | None,
    again: bool, ready: Callable[[Sequence[BreakerAddress]], None],
    settings: SimulatorSettings | None = None,
) -> None:  # fmt: skip
    """Play a scenario in this process until Ctrl-C.

    Raises:
        ConfigError: It does not fit the network, or the folder is in use.
    """
    simulators = Simulators(
        network,
        scenarios.load(Path(scenario)),
        mqtt_url=mqtt_url,
        folder=_made(folder),
        now_ms=now_ms,
        enter=None if people is None else people.enter,
        floor=people,
        again=again,
        settings=settings,
    )
    ready(simulators.breakers)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(simulators.run())


def settings_of(certificates: Path | None, *, insecure: bool) -> SimulatorSettings:
    """What the devices are told: a folder as ``lastgasp secrets simulator`` fills it."""
    link = LinkSettings()
    if certificates is not None:
        ca, cert, key = (str(certificates / n) for n in ("ca.crt", "client.crt", "client.key"))
        link = LinkSettings(tls_ca=ca, tls_cert=cert, tls_key=key)
    return SimulatorSettings(
        devices=MqttDeviceSettings(link=link),
        breakers=BreakerSettings(insecure_listen=insecure),
    )


def addresses(breakers: Sequence[BreakerAddress]) -> str:
    """Where the breakers answer, as the breakers.csv that a service wants."""
    rows = [f"{b.branch_id},{b.host},{b.port},{b.unit},{b.family}" for b in breakers]
    return "\n".join(["branch_id,host,port,unit,family", *rows])


def _smsc_of(play: Play) -> Smsc | None:
    """The SMS centre of the story, which writes down what it takes."""
    return Smsc(play.smsc_port, Path(play.folder) / SMSC_LOG, now_ms) if play.smsc_port else None


async def _until_end_of_input(simulators: Simulators, smsc: Smsc | None) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    playing = asyncio.create_task(simulators.run())
    texting = asyncio.create_task(smsc.run()) if smsc else None
    await _begun(simulators, playing)
    _answer(Playing(breakers=tuple(simulators.breakers)))
    ended = asyncio.create_task(_answering(reader, smsc))
    parts = {playing, ended} | ({texting} if texting else set())
    await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    for part in parts:
        part.cancel()
    for part in parts:
        with contextlib.suppress(asyncio.CancelledError):
            await part


async def _answering(reader: asyncio.StreamReader, smsc: Smsc | None) -> None:
    """Customers answer their texts, until the end of the input."""
    while line := await reader.readline():
        reply = msgspec.json.decode(line, type=Reply)
        if smsc is not None:
            await smsc.reply(reply.number, reply.text)


async def _begun(simulators: Simulators, playing: "asyncio.Task[None]") -> None:
    """Wait until the relays answer: whoever polls them before would take them for dead."""
    while simulators.devices is None and not playing.done():  # noqa: ASYNC110  no event tells it
        await asyncio.sleep(0.02)
    for breaker in simulators.breakers[:1]:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(breaker.host, breaker.port)
            writer.close()
    await asyncio.sleep(0.1)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made: {error.strerror}") from error
    return folder


def _answer(playing: Playing) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(playing) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
