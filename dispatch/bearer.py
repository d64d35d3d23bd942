"""Whose request it is: the token out of the header, and FastAPI's dependencies for it."""

import hmac
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Request

from dispatch import access
from dispatch.refusals import Unauthorized
from grid.errors import BadPayload, Refused
from grid.people import Principal


class Bearers:
    """Reads tokens; kept in the app's state."""

    def __init__(
        self,
        verify: Callable[[str], Principal],
        cookie: Callable[[Request], Principal | None] = lambda _request: None,
        *,
        metrics_token: str = "",
    ) -> None:
        self._verify = verify
        self._cookie = cookie
        self._metrics_token = metrics_token

    def of(self, request: Request) -> Principal:
        """Whose request it is.

        Raises:
            Unauthorized: It has no token and no sign-in, or one that is not valid.
        """
        if "authorization" not in request.headers and (who := self._cookie(request)) is not None:
            request.state.who = who
            return who
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized("a token is needed: Authorization: Bearer TOKEN")
        try:
            who = self._verify(token.strip())
        except Refused as error:
            raise Unauthorized(error.message) from error
        request.state.who = who
        return who

    def monitors(self, request: Request) -> bool:
        """Whether it is Prometheus: its token is good for the figures and nothing else."""
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        if not self._metrics_token or scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(shown.strip().encode(), self._metrics_token.encode())

    def local_or_dispatcher(self, request: Request) -> None:
        """Let this machine itself pass, and dispatchers from elsewhere.

        Raises:
            Unauthorized: From elsewhere without a token.
            Denied: A customer from elsewhere.
        """
        host = request.client.host if request.client else None
        forwarded = "x-forwarded-for" in request.headers or "forwarded" in request.headers
        if not access.is_local(host, forwarded=forwarded):
            access.require_dispatcher(self.of(request))


async def _someone(request: Request) -> Principal:
    bearers: Bearers = request.app.state.bearers
    return bearers.of(request)


Someone = Annotated[Principal, Depends(_someone)]


async def _dispatcher(who: Someone) -> Principal:
    access.require_dispatcher(who)
    return who


Dispatcher = Annotated[Principal, Depends(_dispatcher)]


async def _worker(who: Someone) -> Principal:
    access.require_worker(who)
    return who


Worker = Annotated[Principal, Depends(_worker)]
"""A dispatcher or a crew."""


def only(*names: str) -> Any:
    """A dependency that refuses parameters nobody knows, and known ones said twice."""

    async def known(request: Request, _who: Someone) -> None:
        for name in request.query_params:
            if name not in names:
                known = f"known here: {', '.join(names)}" if names else "there are none here"
                raise BadPayload(f"unknown parameter {name[:40]!r}; {known}")
            if len(request.query_params.getlist(name)) > 1:
                raise BadPayload(f"parameter {name!r} is given twice")

    return Depends(known)
