"""What others ask: bodies and times, read strictly.  Pure; every refusal is a sentence.

A field nobody knows is refused, a time needs a zone, and texts have no NUL (no database takes it).
"""

from typing import Annotated, Literal, TypeVar

import msgspec

from grid.errors import BadPayload
from grid.times import from_rfc3339, to_rfc3339

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
Phone = Annotated[str, msgspec.Meta(min_length=5, max_length=25, pattern=r"^[0-9+() .-]+$")]
NO_NUL = r"^[^\x00]*$"
Text = Annotated[str, msgspec.Meta(max_length=500, pattern=NO_NUL)]
Time = Annotated[str, msgspec.Meta(max_length=40, description="RFC 3339, with a zone")]

Body = TypeVar("Body")


class CallBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A customer's word about their power.

    Either ``customer_id`` or ``phone`` says whose; without ``at`` it is about now.
    """

    kind: Literal["no_power", "partial", "restored"]
    customer_id: Id | None = None
    phone: Phone | None = None
    at: Time | None = None
    text: Text = ""


class ReplyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text's number, and what its customer answers on a simulated phone."""

    no: Annotated[int, msgspec.Meta(ge=1)]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=70)]


class PlanBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """An outage foreseen for what is behind a device: ``from`` before ``to``."""

    device_id: Id
    from_: Time
    to: Time
    kind: Literal["planned", "temporary", "arrears", "curtailment"] = "planned"
    reason: Text = ""


class SignInBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A one-time code, as the link had it."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class ActionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A decision about an outage as of ``version``.

    Needed are, of relocate and split ``device_id``, of merge ``other_id``, of cause ``cause``, of
    etr ``at`` (when power will be back), of assign ``crew``; of en_route, on_site and repaired
    ``at`` is when it was.  confirm, reject, relocate, merge, split, etr and note need a reason.
    With an ``id`` the same decision may be sent again.
    """

    version: Annotated[int, msgspec.Meta(ge=1)]
    action: Literal[
        "acknowledge", "confirm", "reject", "relocate", "merge", "split", "cause", "etr",
        "assign", "en_route", "on_site", "repaired", "verify", "ping", "close", "note", "undo",
    ]  # fmt: skip
    reason: Text = ""
    id: Id | None = None
    device_id: Id | None = None
    other_id: Id | None = None
    other_version: Annotated[int, msgspec.Meta(ge=1)] | None = None
    cause: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=NO_NUL)] | None = None
    kind: Literal["fault", "customer_owned", "arrears", "curtailment", "unknown"] | None = None
    crew: Id | None = None
    at: Time | None = None
    earliest: Time | None = None
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    decision: Id | None = None


class SwitchBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A device was opened or closed by hand at ``at``, or just now.

    ``version`` of the network: refused if another one is in force.
    """

    position: Literal["open", "closed"]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=NO_NUL)]
    at: Time | None = None
    version: Id | None = None


class CrewBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A crew; without ``district`` it works in all of them."""

    id: Id
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=NO_NUL)]
    district: Id | None = None
    active: bool = True


Clock = Annotated[str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Word = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
Address = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[A-Za-z0-9_.@+:-]+$")]


class WishesBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a customer wants to be told.  What is left out is as usual; ``contacts`` that are left
    out stay as they are, and so does ``opted_out``.

    ``channels`` sms and the site's others, the first first.  ``quiet`` from and to; the same: none.
    """

    language: Literal["zh", "en"] | None = None
    channels: Annotated[tuple[Word, ...], msgspec.Meta(max_length=8)] | None = None
    phases: Annotated[tuple[Word, ...], msgspec.Meta(max_length=20)] | None = None
    quiet: tuple[Clock, Clock] | None = None
    time_zone: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    contacts: Annotated[dict[Word, Address], msgspec.Meta(max_length=8)] | None = None
    opted_out: bool | None = None

    def __repr__(self) -> str:
        """Addresses stay out of logs and tracebacks."""
        return "WishesBody(...)"


class TaskBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of a call to a customer."""

    outcome: Literal["told", "nobody_answered", "not_needed"]
    note: Text = ""


class StaffBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody of staff who is texted the outages of a district."""

    duty: Literal["cell_lead", "dispatcher"]
    district: Id
    phone: Phone
    language: Literal["zh", "en"] = "zh"
    name: Annotated[str, msgspec.Meta(max_length=100, pattern=NO_NUL)] = ""

    def __repr__(self) -> str:
        """Numbers stay out of logs and tracebacks."""
        return "StaffBody(...)"


def read(body: bytes, kind: type[Body]) -> Body:
    """A JSON body.

    Raises:
        BadPayload: It is no JSON, or not of that kind.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise BadPayload(_sentence(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadPayload(f"the body is no JSON: {error}") from error


def moment(text: str, name: str) -> int:
    """Epoch milliseconds of a time in a field or parameter.

    A "+" that a query turned into a blank is understood.

    Raises:
        BadPayload: No RFC 3339 time with a zone.
    """
    try:
        return from_rfc3339(text.replace(" ", "+") if text[10:11] == "T" else text)
    except (ValueError, OverflowError) as error:
        example = to_rfc3339(0)
        raise BadPayload(
            f"{name} {text[:40]!r} is no RFC 3339 time with a zone, like {example}"
        ) from error


def _sentence(said: str) -> str:
    """The library's words, with the field in ours: ``$.from`` is ``from``."""
    return said.replace("`$.", "`").replace("`$`", "the body").removesuffix(".")
