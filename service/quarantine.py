"""``lastgasp quarantine list | show | replay``: what could not be read, and a second try."""

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from grid.errors import Refused, Unreachable
from grid.times import maybe_rfc3339, to_rfc3339
from service import place
from service.clock import now_ms
from service.options import Config, Data, DatabaseUrl, Json
from service.place import DATA

if TYPE_CHECKING:
    from store.postgres import Store
    from store.quarantine import QuarantinedPayload, QuarantineLine

SHOWN_BYTES_MAX = 2_000
PUBLISH_S = 10.0

Number = Annotated[int, typer.Argument(help="Its number in the list.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")]


class WithStore(Protocol):
    """service/stores.py's."""

    def __call__(self, work: Any, *, data: Path, config: Path | None, database: str | None) -> Any:
        """Open the store, await the work, close it."""
        ...


def quarantine_app(with_store: WithStore) -> typer.Typer:
    """The commands; they reach the database by ``with_store``."""
    app = typer.Typer(
        help="Payloads that could not be read: list them, look at one, try them again.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    _add_list(app, with_store)
    _add_show(app, with_store)
    _add_replay(app, with_store)
    return app


def _add_list(app: typer.Typer, with_store: WithStore) -> None:
    @app.command("list")
    def listing(
        data: Data = DATA,
        config: Config = None,
        database: DatabaseUrl = None,
        limit: Limit = 100,
        before: Annotated[
            int | None, typer.Option("--before", help="Only numbers below, to page on.")
        ] = None,
        json: Json = False,
    ) -> None:
        """List them, newest first."""

        async def work(store: "Store") -> "tuple[QuarantineLine, ...]":
            return await store.quarantine_list(limit, before)

        found = with_store(work, data=data, config=config, database=database)
        if json:
            _print_json({"quarantined": [_public(line) for line in found]})
            return
        for line in found:
            typer.echo(
                f"{line.no:>6}  {to_rfc3339(line.received_ms)}  {line.length:>8} bytes  "
                f"{line.topic}: {line.reason}" + ("  (replayed)" if line.replayed_ms else "")
            )
        if not found:
            typer.echo("nothing is in quarantine")


def _add_show(app: typer.Typer, with_store: WithStore) -> None:
    @app.command()
    def show(
        number: Number,
        data: Data = DATA,
        config: Config = None,
        database: DatabaseUrl = None,
        json: Json = False,
    ) -> None:
        """Show one with its bytes."""

        async def work(store: "Store") -> "QuarantinedPayload | None":
            return await store.quarantine_show(number)

        found = with_store(work, data=data, config=config, database=database)
        if found is None:
            raise Refused(f"nothing in quarantine has the number {number}; see: quarantine list")
        if json:
            _print_json(
                _public(found.line) | {"body_base64": base64.b64encode(found.body).decode()}
            )
            return
        for name, value in _public(found.line).items():
            typer.echo(f"{name:12} {value}")
        typer.echo(f"{'body':12} {found.body[:SHOWN_BYTES_MAX]!r}")
        if len(found.body) > SHOWN_BYTES_MAX:
            typer.echo(f"{'':12} ... {len(found.body)} bytes are kept; --json gives all of them")


def _add_replay(app: typer.Typer, with_store: WithStore) -> None:
    @app.command()
    def replay(
        numbers: Annotated[
            list[int] | None, typer.Argument(help="Which; without any, all not tried again yet.")
        ] = None,
        data: Data = DATA,
        config: Config = None,
        database: DatabaseUrl = None,
        limit: Limit = 1000,
        json: Json = False,
    ) -> None:
        """Give them to the running service again, by their own topic; what fails comes back."""
        url, user, password = _broker(data, config)

        async def work(store: "Store") -> "tuple[QuarantinedPayload, ...]":
            return await store.quarantine_take_for_replay(numbers or None, now_ms(), limit)

        taken = with_store(work, data=data, config=config, database=database)
        ours = [one for one in taken if one.line.source == "mqtt"]
        _publish(url, user, password, [(one.line.topic, one.body) for one in ours])
        told = {"published": [one.line.no for one in ours], "left": len(taken) - len(ours)}
        if json:
            _print_json(told)
            return
        typer.echo(f"{len(ours)} payloads were published again; those that fail come back")
        missed = sorted(set(numbers or ()) - {one.line.no for one in ours})
        if missed:
            gone = ", ".join(map(str, missed))
            typer.echo(f"not there, not kept whole, or of another source: {gone}")


def _broker(data: Path, config: Path | None) -> tuple[str, str, str]:
    """Where the running service listens.

    Raises:
        Unreachable: None runs.
    """
    note = place.read_note(data) if place.runs(data) else None
    if note is None:
        raise Unreachable(
            f"no service runs on {data} that could try again; start it: lastgasp up --data {data}"
        )
    secrets = place.place_of(data, config, None).settings.secrets
    return note.mqtt, secrets.mqtt_username, secrets.mqtt_password


def _publish(url: str, user: str, password: str, messages: list[tuple[str, bytes]]) -> None:
    """Publish at QoS 1 and wait for the broker.

    Raises:
        Unreachable: It does not answer.
    """
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    from ingest.settings import address_of

    address = address_of(url)
    client = Client(CallbackAPIVersion.VERSION2)
    if user:
        client.username_pw_set(user, password)
    if address.tls:
        client.tls_set()
    try:
        client.connect(address.host, address.port)
        client.loop_start()
        for topic, body in messages:
            client.publish(topic, body, qos=1).wait_for_publish(PUBLISH_S)
    except (OSError, RuntimeError) as error:
        raise Unreachable(f"the MQTT broker at {url} does not take it: {error}") from error
    finally:
        client.disconnect()
        client.loop_stop()


def _public(line: "QuarantineLine") -> dict[str, object]:
    return {
        "no": line.no,
        "received_at": to_rfc3339(line.received_ms),
        "source": line.source,
        "topic": line.topic,
        "reason": line.reason,
        "length": line.length,
        "sha256": line.sha256,
        "whole": line.whole,
        "replayed_at": maybe_rfc3339(line.replayed_ms),
    }


def _print_json(what: object) -> None:
    import msgspec

    typer.echo(msgspec.json.encode(what).decode())
