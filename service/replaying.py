"""``lastgasp replay``: lines of a file, or what ``up`` recorded, through the engine.

service/replay.py does the first; here are the files, the database, and the words for a person.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from detectors.settings import EngineSettings
from grid.errors import ConfigError
from grid.network import Network
from grid.times import from_rfc3339, to_rfc3339

if TYPE_CHECKING:
    from store.postgres import Store


def lines(
    file: str, network: str | None, *, json: bool, lockstep: bool, config: Path | None
) -> None:
    """Replay the lines of a file.

    Raises:
        ConfigError: The file or the network cannot be read.
        BadPayload: A line is none.
    """
    from service import replay

    if not file:
        raise ConfigError("give a FILE of recorded lines, - for standard input, or --from and --to")
    if network is None:
        raise ConfigError("--network: say on which network, like --network DIR or city:4000:7")
    built = network_of(network)
    out = sys.stdout.buffer
    write = out.write if json else _worded(out.write)
    with _opened(file) as opened:
        refused = replay.run(
            opened, built, engine_settings(config), write=write, flush=out.flush, lockstep=lockstep
        )
    for reason, count in sorted(refused.items()):
        print(f"lastgasp: {count} events refused: {reason}", file=sys.stderr)  # noqa: T201


def network_of(source: str) -> Network:
    """The network of a source.

    Raises:
        ConfigError: It cannot be read, or has errors.
    """
    from service.accepted import accepted
    from service.sources import load_graph

    graph, problems = load_graph(source)
    return accepted(graph, source, problems)


def engine_settings(config: Path | None) -> EngineSettings:
    """The engine's settings of a file, else its defaults."""
    if config is None:  # the whole tree takes a while to import
        return EngineSettings()
    from service.settings import environment, load

    return load(config, environment()).engine


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(Path(file).open("rb"))
        except OSError as error:
            raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
        yield opened


# -- what up recorded ------------------------------------------------------------------------------


def recorded(
    begin: str | None,
    end: str | None,
    *,
    json: bool,
    data: Path,
    config: Path | None,
    database: str | None,
) -> None:
    """Replay what a service recorded between two moments.

    Raises:
        ConfigError: The moments are none, or there is no such recording.
        Refused: It was let go already.
    """
    from service.stores import with_store

    from_ms, to_ms = _moment(begin, "--from"), _moment(end, "--to")
    if from_ms >= to_ms:
        raise ConfigError("--from: is not before --to; swap them")
    write = sys.stdout.buffer.write if json else _worded(sys.stdout.buffer.write)

    async def work(store: "Store") -> list[dict[str, object]]:
        from service.rerun import rerun

        return await rerun(store, from_ms, to_ms, engine_settings(config))

    for line in with_store(work, data=data, config=config, database=database):
        write(msgspec.json.encode(line) + b"\n")
    sys.stdout.flush()


def _moment(text: str | None, flag: str) -> int:
    if text is None:
        raise ConfigError(f"{flag}: is missing; give both --from and --to, RFC 3339 times")
    try:
        return from_rfc3339(text)
    except ValueError as error:
        raise ConfigError(f"{flag}: {error}") from error


# -- words -----------------------------------------------------------------------------------------


def _worded(write: Callable[[bytes], object]) -> Callable[[bytes], None]:
    """Writes the same lines as sentences."""

    def sentence(line: bytes) -> None:
        said = msgspec.json.decode(line)
        write((_sentence(said) + "\n").encode())

    return sentence


def _sentence(said: dict[str, object]) -> str:
    at = said.get("at")
    when = to_rfc3339(at) if isinstance(at, int) else ""
    customers = said.get("customers")
    count = len(customers) if isinstance(customers, list) else 0
    match said["type"]:
        case "change":
            what = f"{said['outage']} {said['state']}, {count} customers: {said['reason']}"
        case "ping":
            what = f"ask meter {said['meter']}"
        case "outage":
            what = _summary(said)
        case _:
            what = str(said["type"])
    return f"{when} {what}".strip()


def _summary(said: dict[str, object]) -> str:
    began, ended = said["started_at"], said["restored_at"]
    span = f"{to_rfc3339(began)} to " if isinstance(began, int) else ""
    span += to_rfc3339(ended) if isinstance(ended, int) else "now"
    return (
        f"{said['id']}: {said['kind']} at {said['device_kind']} {said['device_id']}, {span}, "
        f"{said['state']}, probability {said['probability']}"
    )
