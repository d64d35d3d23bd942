"""Routes of the pages: the network to draw, who is dark in it, sources, and one's own premises."""

import hashlib

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dispatch import access, refusals
from dispatch.answers import Sources
from dispatch.bearer import Dispatcher, Someone, Worker
from dispatch.deciding import require_outage
from dispatch.desk import Desk
from dispatch.mapdesk import MapDesk, Power, Premises, Spot
from dispatch.routing import Name, address, answer, secured
from dispatch.trail import Trail
from grid.geography import Geography


def routes(desk: Desk, maps: MapDesk, trail: Trail) -> APIRouter:
    """All of them."""
    router = APIRouter(prefix="/api", tags=["pages"])

    @router.get(
        "/network",
        **secured(Geography, 401, 403, 422, 503),
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
        **secured(Power, 401, 403, 422, 503),
    )
    async def power(who: Dispatcher) -> Response:
        """Which meters of the drawing are dark, by outage, and which are silent."""
        return answer(await maps.power(who.district))

    @router.get(
        "/sources",
        **secured(Sources, 401, 403, 422),
    )
    async def sources(_who: Dispatcher) -> Response:
        """What we hear and depend on, and how old its last word is."""
        return answer(Sources(tuple(await maps.sources())))

    @router.get(
        "/outages/{outage_id}/place",
        **secured(Spot, 401, 403, 404, 422, 503),
    )
    async def place(outage_id: Name, who: Worker) -> Response:
        """Where an outage's device stands: for the crew that is sent there, and dispatchers."""
        outage = require_outage(who, await desk.outage(outage_id), outage_id)
        return answer(maps.spot(outage.device_id))

    @router.get(
        "/customers/{customer_id}/premises",
        **secured(Premises, 401, 403, 404, 422, 503),
    )
    async def premises(request: Request, customer_id: Name, who: Someone) -> Response:
        """Everything that a customer's page tells of their own premises."""
        access.require_customer(who, customer_id, desk.customer_district(customer_id))
        found = await maps.premises(customer_id)
        if found is None:
            return refusals.problem(404, f"no customer has the id {customer_id!r}")
        if who.subject != customer_id:
            detail = f"premises of {customer_id}"
            await trail.keep(
                "customer_viewed", subject=who.subject, address=address(request), detail=detail
            )
        return answer(found)

    return router
