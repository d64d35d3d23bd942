"""Signing in: a printed code for a cookie, the cookie for short-lived tokens of the feeds.

The cookie is the browser's alone (HttpOnly, SameSite=Strict), one for each role, so that somebody
may look at the board and at their own page side by side.  It counts only with the header that says
as whom: no form and no other page's script can send that, and what changes something has to come
from our own pages as well.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from dispatch.answers import Code, FeedToken, Session
from dispatch.asked import SignInBody
from dispatch.bearer import Someone, only
from dispatch.codes import Codes
from dispatch.intake import read_body
from dispatch.openapi import gives, takes
from dispatch.refusals import Unauthorized
from dispatch.settings import SiteSettings
from grid.errors import Refused
from grid.people import Principal
from grid.times import to_rfc3339

AS = "x-lastgasp-as"
COOKIE = "lastgasp-{role}-{port}"


@dataclass(frozen=True, slots=True)
class SignIn:
    """What signing in is made of.

    ``seal`` makes a cookie's text of a bearer, until ``expires_ms``; ``unseal`` reads it or raises
    Refused; ``token`` makes a token for the feeds.
    """

    codes: Codes
    seal: Callable[[Principal], str]
    unseal: Callable[[str], Principal]
    token: Callable[[Principal], str]
    feeds_url: str
    site: SiteSettings
    now_ms: Callable[[], int]


def of_cookie(request: Request, signin: SignIn) -> Principal | None:
    """Whose cookie a request brings; None if it brings none.

    Raises:
        Unauthorized: The cookie is over, or the request may not be of one of our own pages.
    """
    role = request.headers.get(AS, "")
    text = request.cookies.get(_name(request, role)) if role else None
    if not text:
        return None
    if request.method not in ("GET", "HEAD") and not _from_our_page(request):
        raise Unauthorized("a page of another origin cannot use this sign-in")
    try:
        return signin.unseal(text)
    except Refused as error:
        sentence = "the sign-in is over; open a new link: lastgasp token --link"
        raise Unauthorized(sentence) from error


def router(signin: SignIn) -> APIRouter:
    """The routes of signing in."""
    routes = APIRouter(prefix="/api/session", tags=["session"])
    secured: dict[str, Any] = {"security": [{"token": []}]}

    @routes.post(
        "",
        responses=gives(Session, 401, 413, 415, 422),
        openapi_extra=takes(SignInBody),
    )
    async def sign_in(request: Request) -> Response:
        """Trade a one-time code for a cookie."""
        body = await read_body(request, SignInBody)
        try:
            who = signin.codes.trade(body.code, signin.now_ms())
        except Refused as error:
            raise Unauthorized(error.message) from error
        answer = _json(_session(who, signin))
        _set_cookie(answer, request, who, signin)
        return answer

    @routes.get(
        "", responses=gives(Session, 401, 422), dependencies=[only()], openapi_extra=secured
    )
    async def session(who: Someone) -> Response:
        """Who one is signed in as, and what the pages need to know of their place."""
        return _json(_session(who, signin))

    @routes.delete(
        "", responses=gives(Session, 401, 422), dependencies=[only()], openapi_extra=secured
    )
    async def sign_out(request: Request, who: Someone) -> Response:
        """Let the browser forget its cookie; the answer is who was signed in."""
        answer = _json(_session(who, signin))
        answer.delete_cookie(_name(request, who.role.value), path="/", httponly=True)
        return answer

    @routes.post(
        "/token", responses=gives(FeedToken, 401, 422), dependencies=[only()], openapi_extra=secured
    )
    async def token(who: Someone) -> Response:
        """A short-lived token for the feeds."""
        ends_ms = min(who.expires_ms, signin.now_ms() + signin.site.feed_token_s * 1000)
        short = msgspec.structs.replace(who, expires_ms=ends_ms)
        return _json(FeedToken(signin.token(short), to_rfc3339(ends_ms)))

    @routes.post(
        "/codes", responses=gives(Code, 401, 422), dependencies=[only()], openapi_extra=secured
    )
    async def code(who: Someone) -> Response:
        """A one-time code for the same bearer: for a link that a person opens."""
        given = signin.codes.give(who, signin.now_ms())
        return _json(Code(given.text, to_rfc3339(given.until_ms)))

    return routes


def _session(who: Principal, signin: SignIn) -> Session:
    site = signin.site
    return Session(
        role=who.role.value,
        subject=who.subject,
        district=who.district,
        expires_at=to_rfc3339(who.expires_ms),
        server_time=to_rfc3339(signin.now_ms()),
        feeds_url=signin.feeds_url,
        site=site.name,
        time_zone=site.time_zone,
        phone=site.phone,
        arrival_min=site.arrival_min,
    )


def _set_cookie(answer: Response, request: Request, who: Principal, signin: SignIn) -> None:
    answer.set_cookie(
        _name(request, who.role.value),
        signin.seal(who),
        max_age=max(1, (who.expires_ms - signin.now_ms()) // 1000),
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def _name(request: Request, role: str) -> str:
    """Cookies know no ports: two services on one machine must not take each other's."""
    return COOKIE.format(role=role, port=request.url.port or 0)


def _from_our_page(request: Request) -> bool:
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == request.headers.get("host")


def _json(what: Any) -> Response:
    return Response(msgspec.json.encode(what), media_type="application/json")
