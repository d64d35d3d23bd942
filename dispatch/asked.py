"""What others ask: bodies and times, read strictly.  Pure; every refusal is a sentence.

A field nobody knows is refused, a time needs a zone, and texts have no NUL (no database takes it).
"""

from typing import Annotated, Literal, TypeVar

import msgspec

from grid.errors import BadPayload
from grid.times import from_rfc3339, to_rfc3339

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
Phone = Annotated[str, msgspec.Meta(min_length=5, max_length=25, pattern=r"^[0-9+() .-]+$")]
Text = Annotated[str, msgspec.Meta(max_length=500, pattern=r"^[^\x00]*$")]
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
