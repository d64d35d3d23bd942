"""The address that gateways over HTTP send receipts and replies to.  They prove who they are in
their own way, not with a token.
"""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from dispatch import refusals
from dispatch.hookdesk import HookDesk
from dispatch.trail import Trail
from grid.errors import BadPayload, Refused

Gateway = Annotated[str, Path(pattern=r"^[a-z]{1,20}$")]


def routes(hooks: HookDesk, trail: Trail) -> APIRouter:
    """The one of them."""
    router = APIRouter()

    @router.post("/hooks/sms/{gateway}", include_in_schema=False)
    async def heard(request: Request, gateway: Gateway) -> Response:
        """Keep what a gateway says; it is answered once that is kept."""
        body = await request.body()
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            answer, media = await hooks.heard(gateway, request.url.query, headers, body)
        except Refused as no:
            address = request.client.host if request.client else None
            await trail.keep("hook_refused", subject=None, address=address, detail=no.message)
            return refusals.problem(403, no.message)
        except BadPayload as bad:
            return refusals.problem(422, bad.message)
        return Response(answer, media_type=media)

    return router
