"""``lastgasp network switch``: the network in the database, switched, as a version of its own."""

from typing import TYPE_CHECKING, Annotated

import typer

from grid.errors import ConfigError
from grid.graph import Graph
from grid.switching import Switching, switched
from service import network_report
from service.clock import now_ms
from service.network_options import DATA, Config, Data, DatabaseUrl, Json, WithStore

if TYPE_CHECKING:  # a database's driver takes its time
    from store.postgres import Store

Branches = list[str] | None


def add_switch(app: typer.Typer, with_store: WithStore) -> None:
    """The command."""

    @app.command()
    def switch(
        close: Annotated[Branches, typer.Option("--close", help="Branch that is closed.")] = None,
        open_: Annotated[Branches, typer.Option("--open", help="Switch that is opened.")] = None,
        cut: Annotated[Branches, typer.Option("--cut", help="Line that is cut.")] = None,
        jumper: Annotated[
            Branches, typer.Option("--jumper", help="NODE:NODE that a jumper joins.")
        ] = None,
        remove: Annotated[Branches, typer.Option("--remove", help="Jumper taken away.")] = None,
        data: Data = DATA,
        config: Config = None,
        database: DatabaseUrl = None,
        json: Json = False,
    ) -> None:
        """Switch the network in the database: back-feeds, cuts and jumpers, all in one step.

        A service that runs, and every role of a cluster, takes it up within seconds, and outages
        that run go on.
        """
        switching = Switching(
            closed=tuple(close or ()),
            opened=tuple(open_ or ()),
            cut=tuple(cut or ()),
            jumpers=tuple(_ends(text) for text in jumper or ()),
            removed=tuple(remove or ()),
        )
        if switching == Switching():
            raise ConfigError("nothing is switched; give --close, --open, --cut or --jumper")

        async def look(store: "Store") -> Graph:
            found = await store.load_graph()
            if found is None:
                raise ConfigError("there is no network in the database; lastgasp network import")
            return found[0]

        graph = switched(with_store(look, data=data, config=config, database=database), switching)
        network, verdict = network_report.judge(switching.words, graph, ())
        if network is None:
            network_report.refuse(verdict, json=json)

        async def save(store: "Store") -> bool:
            return await store.save_network(graph, network, now_ms(), switching.words)

        with_store(save, data=data, config=config, database=database)
        network_report.tell(verdict, json=json)
        if not json:
            typer.echo("saved; a service that runs takes it up within seconds")


def _ends(text: str) -> tuple[str, str]:
    one, colon, other = text.partition(":")
    if not (one and colon and other):
        raise ConfigError(f"--jumper: {text!r} is none; write NODE:NODE")
    return one, other
