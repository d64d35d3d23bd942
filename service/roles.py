"""``lastgasp run ROLE``: one role of a cluster as a process, from the command line to its end.

    mqtt-gateway    devices' messages into Kafka; answers, once they are committed
    modbus-gateway  breakers' polls into Kafka
    worker          Kafka's records through the engines into the database (service/faust_app.py)
    push            the feeds, from the database
    texts           the outbox to the SMS gateway ($.sms.url)
    dispatch        the API and the pages
    admin           topics and tables, then it ends

What is the same for all is here: settings, keys, log, signals.  What a role is made of is said in
service/cluster_roles.py.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from grid.errors import ConfigError, LastgaspError
from service import exits, place
from service import logging as our_logging
from service.cluster_roles import PARTS
from service.role_run import RoleRun
from service.settings import environment
from service.tasks import Failure, first_of, leave_within

ROLES = ("admin", "mqtt-gateway", "modbus-gateway", "worker", "push", "texts", "dispatch")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The command line of ``run``."""

    role: str
    data: Path
    config: Path | None
    database: str | None
    network: str | None


def run(options: Options) -> int:
    """Run a role until it is told to stop; the exit code.

    Raises:
        LastgaspError: It cannot start, or a part of it failed for good.
    """
    if options.role not in ROLES:
        raise ConfigError(f"there is no role {options.role!r}; the roles are {', '.join(ROLES)}")
    wanted = prepared(options)
    if options.role == "worker":
        _become_worker(options, wanted)
    with asyncio.Runner(loop_factory=_loop_factory) as runner:
        failure = runner.run(_until_stopped(wanted))
    if failure is None:
        return 0
    if isinstance(failure, LastgaspError):
        exits.say(failure)
        return exits.code_of(failure)
    exits.say(LastgaspError(f"a part of {options.role} failed: {failure!r}; its log says where"))
    return exits.FAILED


def prepared(options: Options) -> RoleRun:
    """Settings, keys and log of a role.

    Raises:
        ConfigError: The settings are wrong, or there is no database to go to.
    """
    found = place.place_of(options.data, options.config, options.database)
    if not found.database_url:
        raise ConfigError(
            "a role of a cluster needs a database: set LASTGASP_DATABASE_URL, or give --database"
        )
    our_logging.set_up(found.settings.log)
    return RoleRun(
        role=options.role,
        settings=found.settings,
        data=options.data,
        keys=place.keys_of(options.data),
        database_url=found.database_url,
        network=options.network,
    )


def of_environment() -> RoleRun:
    """The worker's, as its command line left them for the process that Faust starts.

    Raises:
        ConfigError: As ``prepared``.
    """
    told = environment()
    config = told.get("LASTGASP_CONFIG", "")
    return prepared(
        Options(
            role="worker",
            data=Path(told.get("LASTGASP_DATA", "") or place.DATA),
            config=Path(config) if config else None,
            database=None,
            network=None,
        )
    )


def _become_worker(options: Options, wanted: RoleRun) -> None:
    """Hand this process over to Faust, which has a command line of its own."""
    told: Mapping[str, str] = {
        "LASTGASP_DATA": str(options.data.absolute()),
        "LASTGASP_DATABASE_URL": wanted.database_url,
        **({"LASTGASP_CONFIG": str(options.config.absolute())} if options.config else {}),
    }
    faust = Path(sys.executable).with_name("faust")
    words = [str(faust), "-A", "service.faust_app", "--quiet", "worker", "-l", "warn"]
    os.execve(faust, [*words, "--without-web"], {**environment(), **told})  # noqa: S606


def _loop_factory() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _until_stopped(wanted: RoleRun) -> BaseException | None:
    """Run until told to stop or until a part fails; what failed."""
    stop, failure = asyncio.Event(), Failure()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    work = asyncio.create_task(PARTS[wanted.role](wanted, failure), name=wanted.role)
    await first_of(stop.wait(), failure.wait(), asyncio.wait({work}))
    leave_within(wanted.settings.care.leave_s)
    work.cancel()
    await asyncio.wait({work})
    broken = None if work.cancelled() else work.exception()
    return broken or failure.error
