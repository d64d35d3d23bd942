"""The small commands: token and doctor."""

import http.client
import time
from pathlib import Path

import msgspec
import typer

from grid.errors import ConfigError, Unreachable
from grid.people import Principal, Role
from service import exits, place
from service.clock import now_ms
from service.doctor import Check, examine

MARKS = {"ok": "ok    ", "notice": "notice", "wrong": "WRONG "}


def token(role: str, subject: str, district: str | None, data: Path, ttl_s: int) -> str:
    """A token; the keys are made if there are none, so that it is good for a later first start.

    Raises:
        ConfigError: No such role, or a customer with a district.
    """
    from service import tokens

    try:
        known = Role(role)
    except ValueError as error:
        raise ConfigError(f"--role: {role!r} is none; use dispatcher, crew or customer") from error
    if known is Role.CUSTOMER and district is not None:
        raise ConfigError("--district: a customer sees their own premises; leave it out")
    if not subject:
        raise ConfigError(
            "--subject: is empty; give a customer id, a crew id or the dispatcher's name"
        )
    now = now_ms()
    principal = Principal(known, subject, district, now + ttl_s * 1000)
    return tokens.issue(place.keys_of(data).token, principal, ttl_s, now)


def withdraw(role: str, subject: str, data: Path) -> str:
    """Let no token and no sign-in count that somebody has so far; a sentence for a person.

    Raises:
        ConfigError: No such role, or no keys of a service that reads it.
    """
    from service.withdrawals import withdraw as write

    token(role, subject, None, data, 1)  # says what is wrong with them
    folder = place.key_folder_of(data)
    if not folder.is_dir():
        raise ConfigError(f"--data: there are no keys in {folder}; give the service's own folder")
    at_ms = now_ms()
    try:
        write(folder, role, subject, at_ms)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written ({error.strerror}); where every role only reads its "
            "secrets, run it where they were made: docker compose run --rm secrets token ..."
        ) from error
    time.sleep((1000 - at_ms % 1000) / 1000)  # tokens know whole seconds: the next one is new
    return f"what {role} {subject} has so far counts no more; a new token will, from now on"


def link(token: str, data: Path) -> str:
    """A link to the pages that signs the token's bearer in, once.

    Raises:
        Unreachable: No service runs on the data folder, or it does not answer.
    """
    from service.follow import Where, ask

    note = place.read_note(data) if place.runs(data) else None
    if note is None:
        raise Unreachable(f"no service runs on {data}; start it with: lastgasp up --data {data}")
    try:
        status, body = ask(Where(note.http, "", lambda: token), "POST", "/api/session/codes")
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{note.http} does not answer: {error}") from error
    if status != 200:
        raise Unreachable(f"{note.http} gave no code: {body[:200].decode(errors='replace')}")
    return f"{note.http}/#code={msgspec.json.decode(body)['code']}"


def doctor(data: Path, config: Path | None, database: str | None, *, json: bool) -> int:
    """Print what was looked at; the exit code."""
    checks = examine(data, config, database, now_ms)
    if json:
        typer.echo(msgspec.json.encode({"checks": checks}).decode())
    else:
        typer.echo("\n".join(_line(check) for check in checks))
        wrong = sum(check.state == "wrong" for check in checks)
        typer.echo(f"\n{wrong} wrong" if wrong else "\nnothing is wrong")
    return exits.FOUND if any(check.state == "wrong" for check in checks) else 0


def _line(check: Check) -> str:
    fix = f"\n         fix: {check.fix}" if check.fix else ""
    return f"{MARKS[check.state]} {check.name}: {check.says}{fix}"
