"""What the routes have in common: what they say of themselves, the answer, and who asked."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from fastapi import Path, Request
from fastapi.responses import Response

from dispatch import openapi
from dispatch.bearer import only

Name = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]


def secured(
    answers: type,
    *refused: int,
    status: int = 200,
    takes: type | None = None,
    asks: tuple[str, ...] = (),
    also: Mapping[int, Any] | None = None,
) -> dict[str, Any]:
    """What a route that wants a token says of itself: what it ``answers``, with which statuses it
    is ``refused``, which body it ``takes``, and the parameters that it ``asks`` for.
    """
    extra: dict[str, Any] = {"security": [{"token": []}]}
    return {
        "status_code": status,
        "responses": {**openapi.gives(answers, *refused, status=status), **(also or {})},
        "dependencies": [only(*asks)],
        "openapi_extra": extra if takes is None else {**extra, **openapi.takes(takes)},
    }


def answer(what: Any, status: int = 200) -> Response:
    """A struct as JSON."""
    return Response(msgspec.json.encode(what), status, media_type="application/json")


def address(request: Request) -> str | None:
    """From where somebody asks, for the trail."""
    return request.client.host if request.client else None
