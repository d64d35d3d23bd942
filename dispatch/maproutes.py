"""Routes of the pages: the network to draw, who is dark in it, sources, and one's own premises."""

import hashlib
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from dispatch import access, refusals
from dispatch.answers import Sources
from dispatch.bearer import Dispatcher, Someone, only
from dispatch.desk import Desk
from dispatch.mapdesk import MapDesk, Power, Premises
from dispatch.openapi import gives
from dispatch.trail import Trail
from grid.geography import Geography

Name = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
_SECURED: dict[str, Any] = {"security": [{"token": []}]}


def routes(desk: Desk, maps: MapDesk, trail: Trail) -> APIRouter:
    """All of them."""
    router = APIRouter(prefix="/api", tags=["pages"])

    @router.get(
        "/network",
        responses=gives(Geography, 401, 403, 422, 503),
        dependencies=[only()],
        openapi_extra=_SECURED,
    )
    async def network(request: Request, who: Dispatcher) -> Response:
        """The network as a map draws it, or a district's part; kept by its tag."""
        packed = maps.drawing(who.district)
        tag = f'"{hashlib.sha256(packed).hexdigest()[:20]}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Content-Encoding": "gzip"}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(packed, headers=headers, media_type="application/json")

    @router.get(
        "/power",
        responses=gives(Power, 401, 403, 422, 503),
        dependencies=[only()],
        openapi_extra=_SECURED,
    )
    async def power(who: Dispatcher) -> Response:
        """Which meters of the drawing are dark, by outage, and which are silent."""
        return _answer(await maps.power(who.district))

    @router.get(
        "/sources",
        responses=gives(Sources, 401, 403, 422),
        dependencies=[only()],
        openapi_extra=_SECURED,
    )
    async def sources(_who: Dispatcher) -> Response:
        """What we hear and depend on, and how old its last word is."""
        return _answer(Sources(tuple(maps.sources())))

    @router.get(
        "/customers/{customer_id}/premises",
        responses=gives(Premises, 401, 403, 404, 422, 503),
        dependencies=[only()],
        openapi_extra=_SECURED,
    )
    async def premises(request: Request, customer_id: Name, who: Someone) -> Response:
        """Everything that a customer's page tells of their own premises."""
        access.require_customer(who, customer_id, desk.customer_district(customer_id))
        found = await maps.premises(customer_id)
        if found is None:
            return refusals.problem(404, f"no customer has the id {customer_id!r}")
        if who.subject != customer_id:
            address = request.client.host if request.client else None
            detail = f"premises of {customer_id}"
            await trail.keep("customer_viewed", subject=who.subject, address=address, detail=detail)
        return _answer(found)

    return router


def _answer(what: Any) -> Response:
    return Response(msgspec.json.encode(what), media_type="application/json")
