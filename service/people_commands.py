"""``lastgasp customer``, ``staff`` and ``text``: how people are told, what is kept of a customer,
and a text before it goes.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from grid.errors import ConfigError, Refused
from service.clock import now_ms
from service.options import Config, Data, DatabaseUrl
from service.place import DATA, place_of
from service.quarantine import WithStore

if TYPE_CHECKING:
    from service.peopledesk import ServicePeopleDesk
    from store.postgres import Store

BY = "command"
Customer = Annotated[str, typer.Argument(help="Customer id.")]
Several = Annotated[str | None, typer.Option(help="Names with commas; without it as usual.")]


def customer_app(with_store: WithStore) -> typer.Typer:
    """The commands of one customer; they reach the database by ``with_store``."""
    app = typer.Typer(
        help="How a customer wants to be told, and what is kept of them.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    _add_show(app, with_store)
    _add_wish(app, with_store)
    _add_export(app, with_store)
    _add_erase(app, with_store)
    return app


def _add_show(app: typer.Typer, with_store: WithStore) -> None:
    @app.command()
    def show(
        customer: Customer, data: Data = DATA, config: Config = None, database: DatabaseUrl = None
    ) -> None:
        """Say how a customer wants to be told, as JSON; numbers masked."""

        async def found(store: "Store") -> Any:
            wishes = await store.wishing.wishes(customer)
            return None if wishes is None else (wishes, await store.wishing.consents(customer))

        told = with_store(found, data=data, config=config, database=database)
        if told is None:
            raise _nobody(customer)
        wishes, consents = told
        _say({"wishes": wishes, "consents": consents})


def _add_wish(app: typer.Typer, with_store: WithStore) -> None:
    @app.command()
    def wish(
        customer: Customer,
        language: Annotated[str | None, typer.Option(help="zh or en.")] = None,
        channels: Several = None,
        phases: Several = None,
        quiet: Annotated[str | None, typer.Option(help="Like 22:00-07:00.")] = None,
        time_zone: Annotated[str | None, typer.Option(help="Of the quiet hours.")] = None,
        address: Annotated[
            list[str] | None,
            typer.Option(help="CHANNEL=ADDRESS; may be given again.  These replace what is kept."),
        ] = None,
        opted_out: Annotated[
            bool | None, typer.Option("--opt-out/--opt-in", help="Told on no channel, or again.")
        ] = None,
        data: Data = DATA,
        config: Config = None,
        database: DatabaseUrl = None,
    ) -> None:
        """Keep how a customer wants to be told.  What is left out is as usual; addresses stay."""
        from dispatch.asked import WishesBody
        from dispatch.peopledesk import Wished

        given = {
            "language": language, "channels": _names(channels), "phases": _names(phases),
            "quiet": None if quiet is None else quiet.split("-"), "time_zone": time_zone,
            "contacts": _addresses(address), "opted_out": opted_out,
        }  # fmt: skip
        try:
            body = msgspec.convert(given, WishesBody)
        except msgspec.ValidationError as error:
            raise ConfigError(f"that is no wish: {error}") from error
        wished = Wished(
            customer_id=customer, language=body.language, channels=body.channels,
            phases=body.phases, quiet=body.quiet, time_zone=body.time_zone, contacts=body.contacts,
            opted_out=body.opted_out, by=BY,
        )  # fmt: skip

        async def keep(store: "Store") -> Any:
            if await store.wishing.wishes(customer) is None:
                raise _nobody(customer)
            await _desk(store, data, config, database).wish(wished)
            return await store.wishing.wishes(customer)

        _say(with_store(keep, data=data, config=config, database=database))


def _add_export(app: typer.Typer, with_store: WithStore) -> None:
    @app.command()
    def export(
        customer: Customer, data: Data = DATA, config: Config = None, database: DatabaseUrl = None
    ) -> None:
        """Print everything that is kept of a customer, readable, as JSON: theirs to have."""

        async def whole(store: "Store") -> Any:
            found = await store.wishing.export(customer)
            await _audited(store, "customer_exported", customer)
            return found

        found = with_store(whole, data=data, config=config, database=database)
        if found is None:
            raise _nobody(customer)
        _say(found)


def _add_erase(app: typer.Typer, with_store: WithStore) -> None:
    @app.command()
    def erase(
        customer: Customer,
        yes: Annotated[bool, typer.Option("--yes", help="It cannot be taken back.")] = False,
        data: Data = DATA,
        config: Config = None,
        database: DatabaseUrl = None,
    ) -> None:
        """Forget who a customer is, and all words about them.

        Take them out of the utility's own list too, or the next import brings them back.
        """
        if not yes:
            raise Refused("this cannot be taken back; say --yes")

        async def gone(store: "Store") -> bool:
            done: bool = await store.wishing.erase(customer)
            await _audited(store, "customer_erased", customer)
            return done

        if not with_store(gone, data=data, config=config, database=database):
            raise _nobody(customer)
        typer.echo(
            f"name, number, addresses and all words of {customer} are forgotten; that there were"
            " outages at the meter stays.  Take them out of the utility's own list too, or the"
            " next import brings them back."
        )


def staff_app(with_store: WithStore) -> typer.Typer:
    """The commands of staff; they reach the database by ``with_store``."""
    app = typer.Typer(
        help="Leads of grid cells and dispatchers who are texted their district's outages.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )

    @app.command("list")
    def listing(data: Data = DATA, config: Config = None, database: DatabaseUrl = None) -> None:
        """List them, as JSON; numbers masked."""

        async def found(store: "Store") -> Any:
            return await store.wishing.staff()

        _say(with_store(found, data=data, config=config, database=database))

    @app.command("set")
    def keep(
        staff: Annotated[str, typer.Argument(help="Their id.")],
        district: Annotated[str, typer.Option(help="Whose outages they are told.")],
        phone: Annotated[str, typer.Option(prompt=True, help="Asked for if left out.")],
        duty: Annotated[str, typer.Option(help="cell_lead or dispatcher.")] = "cell_lead",
        language: Annotated[str, typer.Option(help="zh or en.")] = "zh",
        name: Annotated[str, typer.Option(help="For people.")] = "",
        data: Data = DATA,
        config: Config = None,
        database: DatabaseUrl = None,
    ) -> None:
        """Somebody of staff, new or changed."""
        if duty not in ("cell_lead", "dispatcher") or language not in ("zh", "en"):
            raise ConfigError("--duty is cell_lead or dispatcher, --language zh or en")

        async def kept(store: "Store") -> Any:
            desk = _desk(store, data, config, database)
            await desk.keep_staff(staff, duty, district, language, name=name, phone=phone)
            return await store.wishing.staff()

        _say(with_store(kept, data=data, config=config, database=database))

    @app.command()
    def remove(
        staff: Annotated[str, typer.Argument(help="Their id.")],
        data: Data = DATA,
        config: Config = None,
        database: DatabaseUrl = None,
    ) -> None:
        """Somebody of staff is told no more."""

        async def gone(store: "Store") -> Any:
            return await store.wishing.remove_staff(staff)

        if not with_store(gone, data=data, config=config, database=database):
            raise ConfigError(f"nobody of staff has the id {staff!r}; see: lastgasp staff list")

    return app


def add_text(app: typer.Typer, with_store: WithStore) -> None:
    """``lastgasp text``."""

    @app.command()
    def text(
        phase: Annotated[str, typer.Argument(help="Like confirmed, restored or planned.")],
        outage: Annotated[str | None, typer.Option(help="Of which outage.")] = None,
        customer: Annotated[str | None, typer.Option(help="To which customer.")] = None,
        data: Data = DATA,
        config: Config = None,
        database: DatabaseUrl = None,
    ) -> None:
        """Show a phase's text in each language as it would be sent now; nothing is sent."""

        async def written(store: "Store") -> Any:
            return await _desk(store, data, config, database).preview(phase, outage, customer)

        texts = with_store(written, data=data, config=config, database=database)
        if texts is None:
            raise ConfigError(f"no outage has the id {outage!r}")
        for one in texts:
            bare = "; a value is missing, this is the short form" if one.bare else ""
            typer.echo(one.text)
            typer.echo(f"  {one.characters} characters, {one.segments} of {one.encoding}{bare}")


def _desk(
    store: "Store", data: Path, config: Path | None, database: str | None
) -> "ServicePeopleDesk":
    from service import texting

    return texting.people(store, place_of(data, config, database).settings, now_ms)


async def _audited(store: "Store", event: str, customer: str) -> None:
    await store.audit(event, at_ms=now_ms(), subject=BY, address=None, detail=customer)


def _nobody(customer: str) -> ConfigError:
    return ConfigError(f"no customer has the id {customer!r}; see: lastgasp network export")


def _addresses(given: list[str] | None) -> dict[str, str] | None:
    """Addresses by channel, of ``CHANNEL=ADDRESS``; empty where there are to be none."""
    if given is None:
        return None
    found = dict(one.partition("=")[::2] for one in given)
    if not all(name and address for name, address in found.items()):
        raise ConfigError("--address is CHANNEL=ADDRESS, like email=wang@example.org")
    return found


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _say(what: Any) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(what), indent=2).decode())
