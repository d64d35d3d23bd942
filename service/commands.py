"""The small commands: token and doctor."""

from pathlib import Path

import msgspec
import typer

from grid.errors import ConfigError
from grid.people import Principal, Role
from service import exits, keys
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
        raise ConfigError(f"--role: {role!r} is none; use dispatcher or customer") from error
    if known is Role.CUSTOMER and district is not None:
        raise ConfigError("--district: a customer sees their own premises; leave it out")
    if not subject:
        raise ConfigError("--subject: is empty; give a customer id or the dispatcher's name")
    now = now_ms()
    principal = Principal(known, subject, district, now + ttl_s * 1000)
    return tokens.issue(keys.open_keys(data).token, principal, ttl_s, now)


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
