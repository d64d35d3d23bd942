"""``lastgasp network import | check | show | export | switch``.

A network with errors is refused whole; each problem is told with its place and its fix.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from grid.errors import ConfigError
from grid.graph import Graph
from grid.times import from_rfc3339
from service import exits, network_report, ports
from service.clock import now_ms
from service.network_options import DATA, Config, Data, DatabaseUrl, Json, WithStore
from service.switch_command import add_switch

if TYPE_CHECKING:  # only the commands that need a database load its client
    from grid.network import Network
    from store.postgres import Store

Source = Annotated[
    str, typer.Argument(help="CSV folder, pandapower .json, simbench:CODE or city:METERS:SEED.")
]
MaybeSource = Annotated[
    str | None, typer.Argument(help="As of import; without it the network in the database.")
]


def network_app(with_store: WithStore) -> typer.Typer:
    """The commands; those about the database reach it by ``with_store``."""
    app = typer.Typer(
        help="Networks: bring one in, look it over, show it, write it as CSV.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    _add_import(app, with_store)
    app.command()(check)
    _add_show(app, with_store)
    app.command()(export)
    add_switch(app, with_store)
    return app


def check(source: Source, json: Json = False) -> None:
    """Say what is wrong with a network, each with file, line and fix.  Changes nothing."""
    _, _, verdict = network_report.read(source)
    network_report.tell(verdict, json=json)
    raise typer.Exit(0 if verdict.accepted else exits.FOUND)


def export(
    source: Source,
    folder: Annotated[Path, typer.Argument(help="Where the CSV files go; made if need be.")],
    with_contacts: Annotated[
        bool, typer.Option("--with-contacts", help="Names and phones too, else blank.")
    ] = False,
    breakers: Annotated[
        str | None,
        typer.Option("--breakers", help="HOST:PORT at which simulated relays begin to answer."),
    ] = None,
    json: Json = False,
) -> None:
    """Write a network as a CSV folder."""
    graph, network, verdict = network_report.read(source)
    if network is None:
        network_report.refuse(verdict, json=json)
    if breakers is not None:
        graph = _simulated(graph, network, breakers)
    _write(graph, folder, contacts=with_contacts)
    network_report.tell(verdict, json=json)


def _add_import(app: typer.Typer, with_store: WithStore) -> None:
    @app.command("import")
    def bring_in(
        source: Source,
        valid_from: Annotated[
            str | None, typer.Option("--from", help="When it begins to hold, RFC 3339 [now].")
        ] = None,
        data: Data = DATA,
        config: Config = None,
        database: DatabaseUrl = None,
        json: Json = False,
    ) -> None:
        """Keep a network in the database, as the one that holds from a time on."""
        since = now_ms() if valid_from is None else _moment(valid_from)
        graph, network, verdict = network_report.read(source)
        if network is None:
            network_report.refuse(verdict, json=json)

        async def save(store: "Store") -> bool:
            return await store.save_network(graph, network, since, source)

        saved = with_store(save, data=data, config=config, database=database, make=True)
        network_report.tell(verdict, json=json)
        if not json:
            typer.echo("saved" if saved else "unchanged: it is what the database has")


def _add_show(app: typer.Typer, with_store: WithStore) -> None:
    @app.command()
    def show(
        source: MaybeSource = None,
        data: Data = DATA,
        config: Config = None,
        database: DatabaseUrl = None,
        json: Json = False,
    ) -> None:
        """Show a network's substations and feeders: of a source, or the one in the database."""
        if source is None:
            graph = with_store(_stored, data=data, config=config, database=database)
            network, verdict = network_report.judge("the database", graph, ())
        else:
            _, network, verdict = network_report.read(source)
        if network is None:
            network_report.refuse(verdict, json=json)
        network_report.show(network, json=json)


def _moment(text: str) -> int:
    try:
        return from_rfc3339(text)
    except ValueError as wrong:
        raise ConfigError(f"--from: {wrong}; write 2026-11-21T03:04:05Z") from None


def _simulated(graph: Graph, network: "Network", where: str) -> Graph:
    """The network with simulated relays; one with real ones keeps them for itself."""
    from simulators.addresses import addresses

    if graph.breakers:
        raise ConfigError(
            "the network has breakers.csv, so real devices answer there; simulate on a copy "
            "without it"
        )
    at = ports.parse(where, "--breakers")
    return msgspec.structs.replace(graph, breakers=addresses(network, at.host, at.port))


async def _stored(store: "Store") -> Graph:
    found = await store.load_graph()
    if found is None:
        raise ConfigError("there is no network in the database; lastgasp network import SOURCE")
    return found[0]


def _write(graph: Graph, folder: Path, *, contacts: bool) -> None:
    """Write the files; one that an earlier export left and this one has not is emptied.

    Raises:
        ConfigError: The folder cannot be written.
    """
    from grid.csvfolder import write
    from grid.csvtable import COLUMNS

    texts = write(graph, contacts=contacts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in COLUMNS:
            path = folder / name
            if name in texts or path.exists():
                if contacts:
                    path.touch(mode=0o600)
                    path.chmod(0o600)
                text = texts.get(name, ",".join(COLUMNS[name]) + "\n")
                path.write_bytes(text.encode())
    except OSError as wrong:
        raise ConfigError(f"cannot write {folder}: {wrong.strerror}; give another DIR") from None
