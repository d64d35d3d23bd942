"""Every answer that is not what was asked for: a sentence, a code, and the status it means."""

from collections.abc import Mapping
from typing import cast

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException

from dispatch.access import Denied
from dispatch.answers import Problem, RefusalCode
from dispatch.guard import HEADERS, STRICT, UNKEPT, BodyTooLarge
from dispatch.trail import Trail
from grid.errors import BadPayload, LastgaspError, Refused, Unreachable
from grid.people import Principal


class Unauthorized(Refused):
    """No token, or one that is not valid: 401."""


CODES: Mapping[int, RefusalCode] = {
    401: "unauthorized", 403: "not_allowed", 404: "not_found", 405: "method_not_offered",
    409: "conflict", 413: "too_large", 415: "wrong_media_type", 422: "invalid", 500: "failed",
    503: "unavailable",
}  # fmt: skip
"""The code where nothing more is said of it."""


def problem(
    status: int,
    sentence: str,
    *,
    code: RefusalCode | None = None,
    headers: dict[str, str] | None = None,
    then: BackgroundTask | None = None,
) -> Response:
    """An answer with a sentence; ``then`` happens after it was sent."""
    body = msgspec.json.encode(Problem(sentence, code or CODES.get(status, "invalid")))
    return Response(body, status, headers, "application/json", then)


def install(app: FastAPI, trail: Trail) -> None:
    """Give every failure its answer."""

    async def unauthorized(request: Request, error: Exception) -> Response:
        assert isinstance(error, Unauthorized)
        then = _line(trail, request, "api_unauthorized", error.message)
        return problem(401, error.message, headers={"WWW-Authenticate": "Bearer"}, then=then)

    async def denied(request: Request, error: Exception) -> Response:
        assert isinstance(error, Denied)
        then = _line(trail, request, "api_denied", error.message)
        return problem(error.status, error.message, then=then if error.status == 403 else None)

    async def unreachable(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Unreachable)
        after = {"Retry-After": str(max(1, round(error.retry_in_s)))}
        return problem(503, error.message, headers=after)

    app.add_exception_handler(Unauthorized, unauthorized)
    app.add_exception_handler(Denied, denied)
    app.add_exception_handler(Unreachable, unreachable)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(BodyTooLarge, _too_large)
    app.add_exception_handler(BadPayload, _bad)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _failed)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return problem(409, error.message, code=_code(error))


def _code(error: LastgaspError) -> RefusalCode | None:
    """The code that whoever refused has given."""
    code = error.fields.get("code")
    return None if code is None else cast("RefusalCode", code)


async def _too_large(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BodyTooLarge)
    return problem(413, error.message, headers={"Connection": "close"})


async def _bad(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BadPayload)
    status = 415 if error.fields.get("media_type") else 422
    return problem(status, error.message, code=_code(error))


async def _invalid(_request: Request, error: Exception) -> Response:
    """Parameters that FastAPI itself refused: name the first of them."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:])
    return problem(422, f"{name}: {str(first['msg'])[:300]}")


async def _http(request: Request, error: Exception) -> Response:
    """Paths and methods that there are none of."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return problem(404, "there is nothing at this address; /docs lists what there is")
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        sentence = f"{request.method} is not offered here, but {allowed}"
        return problem(405, sentence, headers={"Allow": allowed})
    return problem(error.status_code, str(error.detail))


async def _failed(_request: Request, _error: Exception) -> Response:
    """Our own mistake; the server logs it.  This answer is made outside of the guard."""
    headers = {name.decode(): value.decode() for name, value in (*HEADERS, STRICT, UNKEPT)}
    return problem(500, "something went wrong; the log of the service has it", headers=headers)


def _line(trail: Trail, request: Request, event: str, detail: str) -> BackgroundTask:
    who: Principal | None = getattr(request.state, "who", None)
    return BackgroundTask(
        trail.keep,
        event,
        subject=who.subject if who else None,
        address=request.client.host if request.client else None,
        detail=f"{request.method} {request.url.path[:200]}: {detail}",
    )
