"""Routes of notices: what customers were told and why, and the phones of a simulated city."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from dispatch import access, refusals
from dispatch.answers import Notices, Phones
from dispatch.asked import ReplyBody
from dispatch.bearer import Dispatcher, only
from dispatch.deciding import require_outage
from dispatch.desk import Desk
from dispatch.intake import read_body
from dispatch.noticedesk import PhoneDesk
from dispatch.openapi import takes
from dispatch.routing import Name, address, answer, secured
from dispatch.trail import Trail

After = Annotated[int, Query(ge=0, le=2**53, description="only texts after this number")]


def routes(desk: Desk, phones: PhoneDesk | None, trail: Trail) -> APIRouter:
    """All of them; the phones only where there is a simulated city."""
    router = APIRouter(prefix="/api")
    _notices(router, desk, trail)
    if phones is not None:
        _phones(router, phones)
    return router


def _notices(router: APIRouter, desk: Desk, trail: Trail) -> None:
    @router.get(
        "/outages/{outage_id}/notices",
        tags=["outages"],
        **secured(Notices, 401, 403, 404, 422, 503),
    )
    async def outage_notices(outage_id: Name, who: Dispatcher) -> Response:
        """What its customers were told, or are to be, or why not; numbers masked."""
        require_outage(who, await desk.outage(outage_id), outage_id)
        notices = await desk.notices.of_outage(outage_id)
        decisions = await desk.notices.decisions(outage_id=outage_id)
        return answer(Notices(tuple(notices), tuple(decisions)))

    @router.get(
        "/customers/{customer_id}/notices",
        tags=["customers"],
        **secured(Notices, 401, 403, 404, 422, 503),
    )
    async def customer_notices(request: Request, customer_id: Name, who: Dispatcher) -> Response:
        """What a customer was told, or is to be, or why not; their number masked."""
        access.require_customer(who, customer_id, desk.customer_district(customer_id))
        detail = f"notices of {customer_id}"
        await trail.keep(
            "customer_viewed", subject=who.subject, address=address(request), detail=detail
        )
        notices = await desk.notices.of_customer(customer_id)
        decisions = await desk.notices.decisions(customer_id=customer_id)
        return answer(Notices(tuple(notices), tuple(decisions)))


def _phones(router: APIRouter, phones: PhoneDesk) -> None:
    @router.get("/phone", include_in_schema=False, dependencies=[only("after")])
    async def texts(_who: Dispatcher, after: After = 0) -> Response:
        """Texts as they arrive on the phones of the simulated city."""
        return answer(Phones(tuple(phones.texts(after))))

    @router.post(
        "/phone/replies",
        include_in_schema=False,
        dependencies=[only()],
        openapi_extra=takes(ReplyBody),
    )
    async def reply(request: Request, _who: Dispatcher) -> Response:
        """Answer a text, as the customer would."""
        body = await read_body(request, ReplyBody)
        if not phones.reply(body.no, body.text):
            return refusals.problem(404, f"no text has the number {body.no}")
        return Response(status_code=204)
