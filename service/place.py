"""Where a service's things are: what each command with ``--data``, ``--config`` and ``--database``
means.

A running service leaves a note of its addresses in its data folder (``service.json``), for those
commands that talk to it.
"""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

import msgspec

from grid.errors import ConfigError
from service import keys, postgres
from service.keys import Keys
from service.settings import Settings, environment, load

DATA = Path("lastgasp-data")


class Note(msgspec.Struct, frozen=True):
    """What a running service tells of itself."""

    pid: int
    http: str  # "http://127.0.0.1:8470"
    feeds: str  # "ws://127.0.0.1:8471"
    mqtt: str
    psql: str  # a command line, empty with a database of the user's own


class Place(msgspec.Struct, frozen=True):
    """A service's data folder, settings and database."""

    data: Path
    settings: Settings
    database_url: str  # empty for the embedded one


def place_of(data: Path, config: Path | None, database: str | None) -> Place:
    """What the options and the environment say.

    Raises:
        ConfigError: The settings are wrong.
    """
    settings = load(config, environment())
    return Place(data, settings, database or settings.secrets.database_url)


def keys_of(data: Path) -> Keys:
    """The keys of an installation: a cluster's in its folder of secrets, else beside the data.

    Raises:
        ConfigError: They cannot be used.
    """
    shared = _shared_keys()
    return keys.open_keys(data) if shared is None else keys.read_folder(shared)


def key_folder_of(data: Path) -> Path:
    """The folder where they lie."""
    return _shared_keys() or keys.folder_of(data)


def _shared_keys() -> Path | None:
    secrets = environment().get("LASTGASP_SECRETS", "")
    folder = Path(secrets) / "keys"
    return folder if secrets and folder.is_dir() else None


@contextlib.contextmanager
def database(place: Place, *, make: bool = False) -> Iterator[str]:
    """The URL of the place's database; the embedded one is started if it does not run.

    ``make``: and made, where there is none.

    Raises:
        ConfigError: There is none, or it does not start.
    """
    if not make:
        refuse_nothing(place)
    if place.database_url:
        yield place.database_url
        return
    with postgres.embedded(place.data, place.settings.postgres) as found:
        yield found.url


def refuse_nothing(place: Place) -> None:
    """A command that looks into data wants some.

    Raises:
        ConfigError: There is no database.
    """
    if not place.database_url and not (postgres.folder_of(place.data) / "PG_VERSION").exists():
        raise ConfigError(
            f"{place.data} has no database yet; give --data DIR of an installation, "
            f"--database URL, or start one: lastgasp up --data {place.data}"
        )


@contextlib.contextmanager
def alone(data: Path) -> Iterator[None]:
    """One service for a data folder; the lock goes with the process.

    Raises:
        ConfigError: Another one runs there.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (data / "service.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            note = read_note(data)
            who = f" (process {note.pid})" if note else ""
            raise ConfigError(
                f"a lastgasp already runs on {data}{who}; stop it, or give another --data DIR"
            ) from error
        yield


@contextlib.contextmanager
def noted(data: Path, note: Note) -> Iterator[None]:
    """Leave the note of a running service while the block runs."""
    path = data / "service.json"
    draft = path.with_suffix(".new")
    draft.write_bytes(msgspec.json.encode(note))
    draft.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def read_note(data: Path) -> Note | None:
    """The note of a service; it may be that of a killed run."""
    try:
        return msgspec.json.decode((data / "service.json").read_bytes(), type=Note)
    except (OSError, msgspec.DecodeError):
        return None


def runs(data: Path) -> bool:
    """Whether a service holds a data folder now."""
    path = data / "service.lock"
    if not path.exists():
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
