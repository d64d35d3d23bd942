"""The command line.  Each command says what it does; what it needs is imported when it runs.

``lastgasp --help`` and ``lastgasp replay`` have to be there at once, so nothing heavy is imported
here.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from grid.errors import LastgaspError
from service import exits
from service.exits import EPILOG
from service.network_commands import network_app
from service.options import Config, Data, DatabaseUrl, Json
from service.people_commands import add_text, customer_app, staff_app
from service.place import DATA
from service.quarantine import quarantine_app
from service.secret_commands import secrets_app
from simulators.command import scenario_app

app = typer.Typer(
    name="lastgasp",
    help="Hears the last gasp of every meter, names the failed device, tells who is in the dark.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def up(
    demo: Annotated[
        bool, typer.Option("--demo", help="A simulated city of 20,000 customers and a story.")
    ] = False,
    scenario: Annotated[
        str | None, typer.Option("--scenario", help="Simulate: a scenario file, or a shipped one.")
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            "--network",
            help="CSV folder, pandapower .json, simbench:CODE or city:METERS:SEED; kept for later.",
        ),
    ] = None,
    data: Data = DATA,
    config: Config = None,
    http: Annotated[
        str | None, typer.Option("--http", help="HOST:PORT of the API [127.0.0.1:8470].")
    ] = None,
    feeds: Annotated[
        str | None, typer.Option("--feeds", help="HOST:PORT of the websockets [127.0.0.1:8471].")
    ] = None,
    mqtt: Annotated[
        str | None,
        typer.Option("--mqtt", help="HOST:PORT of the embedded broker [127.0.0.1:1883]."),
    ] = None,
    mqtt_url: Annotated[
        str | None, typer.Option("--mqtt-url", help="Another broker, like mqtt://HOST:PORT.")
    ] = None,
    database: DatabaseUrl = None,
    board: Annotated[
        bool, typer.Option("--board/--no-board", help="The live board in this terminal.")
    ] = True,
) -> None:
    """Run the service, until Ctrl-C.  Without --demo or --scenario nothing is simulated."""
    from service import up as running

    options = running.Options(
        demo=demo, scenario=scenario, network=network, data=data, config=config, http=http,
        feeds=feeds, mqtt=mqtt, mqtt_url=mqtt_url, database=database, board=board,
    )  # fmt: skip
    raise typer.Exit(running.run(options))


@app.command()
def run(
    role: Annotated[
        str,
        typer.Argument(help="admin, mqtt-gateway, modbus-gateway, worker, push or dispatch."),
    ],
    data: Data = DATA,
    config: Config = None,
    database: DatabaseUrl = None,
    network: Annotated[
        str | None, typer.Option("--network", help="Of admin: keep this network, as of up.")
    ] = None,
) -> None:
    """Run one role of a cluster, until it is told to stop (docs/operations.md).

    admin makes topics and tables, and ends.
    """
    from service import roles

    options = roles.Options(role=role, data=data, config=config, database=database, network=network)
    raise typer.Exit(roles.run(options))


@app.command()
def watch(
    data: Data = DATA,
    config: Config = None,
    database: DatabaseUrl = None,
    http: Annotated[
        str | None, typer.Option("--http", help="Address of the API, like http://HOST:PORT.")
    ] = None,
    feeds: Annotated[
        str | None, typer.Option("--feeds", help="Address of the feeds, like ws://HOST:PORT.")
    ] = None,
    token: Annotated[
        str | None, typer.Option("--token", help="A dispatcher's; without it made from --data.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Each view as a line of JSON.")] = False,
    once: Annotated[bool, typer.Option("--once", help="One view, then end.")] = False,
) -> None:
    """Show the live board of a running service."""
    from service import watch as watching

    where = watching.find(data, config, database, http=http, feeds=feeds, token=token)
    raise typer.Exit(watching.run(where, json=json, once=once))


@app.command()
def token(
    role: Annotated[str, typer.Option("--role", help="dispatcher, crew or customer.")],
    subject: Annotated[str, typer.Option("--subject", help="Customer id, or dispatcher's name.")],
    district: Annotated[
        str | None, typer.Option("--district", help="Of a dispatcher; without it all of them.")
    ] = None,
    data: Data = DATA,
    ttl: Annotated[int, typer.Option("--ttl", min=1, help="Seconds until it expires.")] = 3600,
    link: Annotated[
        bool, typer.Option("--link", help="A link instead, that opens the pages once.")
    ] = False,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Instead: let no token count that they have so far.")
    ] = False,
) -> None:
    """Print a token for the API and the feeds.  Needs no running server; --link does."""
    from service import commands

    if withdraw:
        typer.echo(commands.withdraw(role, subject, data))
        return
    made = commands.token(role, subject, district, data, ttl)
    typer.echo(commands.link(made, data) if link else made)


@app.command()
def why(
    customer: Annotated[str, typer.Argument(help="Customer id.")],
    data: Data = DATA,
    config: Config = None,
    database: DatabaseUrl = None,
) -> None:
    """Tell what a customer was told, or not, and why."""
    from service.place import place_of
    from service.why import story

    zone = place_of(data, config, database).settings.site.time_zone
    told = _with_store(
        lambda store: story(store, customer, zone), data=data, config=config, database=database
    )
    typer.echo(told)


@app.command()
def doctor(
    data: Data = DATA, config: Config = None, database: DatabaseUrl = None, json: Json = False
) -> None:
    """Say in plain words what is wrong with this machine, installation or configuration."""
    from service import commands

    raise typer.Exit(commands.doctor(data, config, database, json=json))


@app.command()
def ready(
    url: Annotated[str, typer.Argument(help="Like https://127.0.0.1:8480.")],
    ca: Annotated[
        Path | None, typer.Option("--ca", help="PEM file of the authority to trust.")
    ] = None,
) -> None:
    """Ask a service or a role whether it is ready; what is not is said."""
    from service import ready as asking

    missing = asking.ask(url, ca)
    for part in missing:
        typer.echo(part)
    raise typer.Exit(exits.UNREACHABLE if missing else 0)


@app.command()
def simulate(
    scenario: Annotated[str, typer.Argument(help="A file, or the name of a shipped one.")],
    network: Annotated[str, typer.Option("--network", help="As of up.")],
    folder: Annotated[
        Path, typer.Option("--folder", help="Where its world survives a kill.")
    ] = Path("lastgasp-field"),
    mqtt_url: Annotated[
        str, typer.Option("--mqtt-url", help="The broker that the devices speak to.")
    ] = "mqtt://127.0.0.1:1883",
    http: Annotated[
        str | None, typer.Option("--http", help="The API that planned work is entered at.")
    ] = None,
    token: Annotated[
        str | None, typer.Option("--token", help="A dispatcher's, for --http.")
    ] = None,
    certificates: Annotated[
        Path | None,
        typer.Option("--certificates", help="ca.crt, client.crt, client.key, token of --http."),
    ] = None,
    insecure_listen: Annotated[
        bool, typer.Option("--insecure-listen", help="Modbus beyond this machine, to anybody.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Tell a story that is over from its beginning.")
    ] = False,
) -> None:
    """Play a scenario's devices over MQTT and Modbus against any service, until Ctrl-C."""
    from service import simulate as field
    from service import story_people

    people = story_people.by_token(http, token or "", certificates) if http else None
    field.play(
        _network(network), scenario, mqtt_url=mqtt_url, folder=folder, people=people,
        again=again, ready=lambda breakers: typer.echo(field.addresses(breakers)),
        settings=field.settings_of(certificates, insecure=insecure_listen),
    )  # fmt: skip


@app.command()
def replay(
    file: Annotated[
        str, typer.Argument(help="Recorded lines, - for standard input; left out with --from.")
    ] = "",
    network: Annotated[
        str | None, typer.Option("--network", help="As of up; of --data without it.")
    ] = None,
    json: Json = False,
    lockstep: Annotated[
        bool, typer.Option("--lockstep", help="Answer each tick before the next line is read.")
    ] = False,
    begin: Annotated[
        str | None, typer.Option("--from", help="Replay what up recorded, from then (RFC 3339).")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Until then.")] = None,
    data: Data = DATA,
    config: Config = None,
    database: DatabaseUrl = None,
) -> None:
    """Run the engine over recorded device events in stream time, as fast as it can."""
    from service import replaying

    if begin is not None or end is not None:
        replaying.recorded(begin, end, json=json, data=data, config=config, database=database)
    else:
        replaying.lines(file, network, json=json, lockstep=lockstep, config=config)


@app.command()
def evaluate(
    networks: Annotated[list[str], typer.Argument(help="As of up --network; several are fine.")],
    cells: Annotated[
        str, typer.Option("--cells", help="quick, grid, full, or names of cells with commas.")
    ] = "quick",
    faults: Annotated[int, typer.Option("--faults", min=1, help="Faults a cell.")] = 40,
    seed: Annotated[int, typer.Option("--seed", help="The first story's.")] = 1,
    quiet_days: Annotated[
        int, typer.Option("--quiet", min=0, help="Instead: so many days without any fault.")
    ] = 0,
    explain: Annotated[
        int | None, typer.Option("--explain", help="Instead: the mistakes of this seed.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=0, help="Processes; 0: all cores.")] = 0,
    json: Json = False,
    config: Config = None,
) -> None:
    """Play seeded worlds over a network and count how often the engine is right."""
    from service import evaluate as scoreboard
    from service.replaying import engine_settings

    wanted = scoreboard.Wanted(
        networks=tuple(networks), cells=cells, faults=faults, seed=seed, jobs=jobs,
        settings=engine_settings(config),
    )  # fmt: skip
    if explain is not None:
        for line in scoreboard.explain(wanted, explain):
            typer.echo(line)
    elif quiet_days:
        scoreboard.told(scoreboard.calm(wanted, quiet_days), json=json)
    else:
        scoreboard.told(scoreboard.board(wanted), json=json)


def _with_store(work: Any, **options: Any) -> Any:
    """service/stores.py's, imported when a command needs it."""
    from service.stores import with_store

    return with_store(work, **options)


def _network(source: str) -> Any:
    """A network ready to run, imported when a command needs it."""
    from service.replaying import network_of

    return network_of(source)


app.add_typer(network_app(_with_store), name="network")
app.add_typer(customer_app(_with_store), name="customer")
app.add_typer(staff_app(_with_store), name="staff")
add_text(app, _with_store)
app.add_typer(quarantine_app(_with_store), name="quarantine")
app.add_typer(secrets_app, name="secrets")
app.add_typer(scenario_app(_network, exits.FOUND), name="scenario")


def main() -> None:
    """The console script."""
    try:
        app()
    except LastgaspError as error:
        exits.say(error)
        sys.exit(exits.code_of(error))
    except KeyboardInterrupt:
        sys.exit(exits.INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has had enough
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
