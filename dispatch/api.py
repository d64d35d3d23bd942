"""The HTTP interface: who asks, what they ask, and the desk's answer.

Each route is short: rights from ``access``, the request from ``asked``, the desk, the answer.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import PlainTextResponse, Response

from dispatch import access, openapi, refusals, site
from dispatch.answers import Alive, Findings, Outages, Planned, Readiness
from dispatch.asked import CallBody, PlanBody, moment
from dispatch.bearer import Bearers, Dispatcher, Someone, Worker
from dispatch.deciding import for_crew, require_outage
from dispatch.desk import Desk, Watched
from dispatch.feedroutes import routes as feed_routes
from dispatch.guard import Guard
from dispatch.hookdesk import HookDesk
from dispatch.hookroutes import routes as hook_routes
from dispatch.intake import new_call, new_plan, read_body
from dispatch.mapdesk import MapDesk
from dispatch.maproutes import routes as map_routes
from dispatch.noticedesk import PhoneDesk
from dispatch.noticeroutes import routes as notice_routes
from dispatch.openapi import gives
from dispatch.peopledesk import PeopleDesk
from dispatch.peopleroutes import routes as people_routes
from dispatch.reference import STYLED, page
from dispatch.routing import Name, address, answer, secured
from dispatch.settings import ApiSettings
from dispatch.signin import SignIn, of_cookie
from dispatch.signin import router as session_routes
from dispatch.trail import Trail
from dispatch.workroutes import routes as work_routes
from grid.outage import State
from grid.people import Audit, Principal, Role
from grid.public import CustomerStatus, PublicCall, PublicOutageDetail, PublicPlan

VERSION = "1"
When = Annotated[
    str | None, Query(max_length=40, description="RFC 3339 with a zone: as it stood then")
]
Which = Annotated[State | None, Query(description="only outages in this state")]
All = Annotated[bool, Query(alias="all", description="also what is over")]


def make_app(
    desk: Desk,
    verify: Callable[[str], Principal],
    audit: Audit,
    settings: ApiSettings,
    now_ms: Callable[[], int],
    *,
    signin: SignIn,
    maps: MapDesk,
    phones: PhoneDesk | None = None,
    people: PeopleDesk | None = None,
    hooks: HookDesk | None = None,
    metrics_token: str = "",
) -> FastAPI:
    """The app.  ``verify`` raises Refused for a token that is not valid."""
    app = FastAPI(
        title="Lastgasp",
        version=VERSION,
        description=openapi.DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        openapi_tags=[
            {"name": "outages", "description": "For dispatchers"},
            {"name": "work", "description": "Decisions, work orders, crews and switches"},
            {"name": "pool", "description": "Planned outages and trouble calls"},
            {"name": "customers", "description": "For one customer, and for dispatchers"},
            {"name": "pages", "description": "What the pages draw and tell"},
            {"name": "feeds", "description": "The feeds without a websocket"},
            {"name": "session", "description": "How the pages sign in"},
            {"name": "service", "description": "Open on this machine itself"},
        ],
    )
    trail = Trail(audit, settings.audit_per_minute_max, now_ms)
    app.state.bearers = Bearers(
        verify, partial(of_cookie, signin=signin), metrics_token=metrics_token
    )
    refusals.install(app, trail)
    app.include_router(service_routes(desk))
    app.include_router(_outages(desk))
    app.include_router(work_routes(desk, trail, settings, now_ms))
    app.include_router(_calls(desk, settings, now_ms))
    app.include_router(_plans(desk, settings, now_ms))
    app.include_router(_customers(desk, trail))
    app.include_router(feed_routes(desk, now_ms))
    app.include_router(_reference(app))
    app.include_router(map_routes(desk, maps, trail))
    app.include_router(notice_routes(desk, phones, trail))
    if people is not None:
        app.include_router(people_routes(desk, people, trail))
    if hooks is not None:
        app.include_router(hook_routes(hooks, trail))
    app.include_router(session_routes(signin))
    app.include_router(site.router(signin.feeds_url))
    app.add_middleware(Guard, body_bytes_max=settings.body_bytes_max)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    return app


def _outages(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["outages"])

    @router.get(
        "/outages",
        **secured(
            Outages,
            401,
            403,
            422,
            503,
            asks=(
                "state",
                "at",
            ),
        ),
    )
    async def outages(who: Worker, state: Which = None, at: When = None) -> Response:
        """Everything not closed, or the outages in one state; now, or at any past moment.

        A crew sees its own work orders.
        """
        found = await desk.outages(
            state=state and state.value,
            at_ms=None if at is None else moment(at, "at"),
            districts=access.districts(who),
        )
        if who.role is Role.CREW:
            found = [outage for outage in found if outage.crew == who.subject]
        return answer(Outages(tuple(found)))

    @router.get(
        "/outages/{outage_id}",
        **secured(PublicOutageDetail, 401, 403, 404, 422, 503),
    )
    async def outage(outage_id: Name, who: Worker) -> Response:
        """One outage with its steps and its change log; a crew sees neither customers nor log."""
        found = await desk.outage(outage_id)
        require_outage(who, found, outage_id)
        assert found is not None
        return answer(for_crew(found) if who.role is Role.CREW else found)

    @router.get(
        "/findings",
        **secured(Findings, 401, 403, 422, 503, asks=("all",)),
    )
    async def findings(who: Dispatcher, everything: All = False) -> Response:
        """What was noticed and is no outage: comms loss, phase loss, suppressed alarms."""
        found = await desk.findings(open_only=not everything)
        return answer(Findings(tuple(f for f in found if access.touches(who, (f.district,)))))

    return router


def _calls(desk: Desk, settings: ApiSettings, now_ms: Callable[[], int]) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["pool"])

    @router.post(
        "/calls",
        **secured(PublicCall, 401, 403, 404, 409, 413, 415, 422, 503, status=201, takes=CallBody),
    )
    async def call(request: Request, who: Someone) -> Response:
        """A trouble call; a customer's own, or one that a dispatcher took."""
        body = await read_body(request, CallBody)
        new = await new_call(body, who, desk, settings, now_ms())
        return answer(await desk.call(new), 201)

    return router


def _plans(desk: Desk, settings: ApiSettings, now_ms: Callable[[], int]) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["pool"])

    @router.get(
        "/planned",
        **secured(Planned, 401, 403, 422, 503, asks=("all",)),
    )
    async def planned(who: Dispatcher, everything: All = False) -> Response:
        """Plans that are neither over nor cancelled, by their begin."""
        found = await desk.plans(open_only=not everything)
        return answer(Planned(tuple(p for p in found if access.touches(who, p.districts))))

    @router.post(
        "/planned",
        **secured(PublicPlan, 401, 403, 409, 413, 415, 422, 503, status=201, takes=PlanBody),
    )
    async def plan(request: Request, who: Dispatcher) -> Response:
        """Enter a planned, temporary, arrears or curtailment outage."""
        body = await read_body(request, PlanBody)
        return answer(await desk.plan(new_plan(body, who, desk, settings, now_ms())), 201)

    @router.delete(
        "/planned/{plan_id}",
        **secured(PublicPlan, 401, 403, 404, 409, 422, 503),
    )
    async def cancel(plan_id: Name, who: Dispatcher) -> Response:
        """Cancel a plan; the answer shows it cancelled."""
        plans = [p for p in await desk.plans(open_only=False) if p.id == plan_id]
        if not plans or not access.touches(who, plans[0].districts):
            return refusals.problem(404, f"no plan of yours has the id {plan_id!r}")
        access.require_device(who, plans[0].device_id, plans[0].districts)
        cancelled = await desk.cancel_plan(plan_id, who.subject)
        if cancelled is None:
            return refusals.problem(404, f"no plan of yours has the id {plan_id!r}")
        return answer(cancelled)

    return router


def _customers(desk: Desk, trail: Trail) -> APIRouter:
    router = APIRouter(prefix="/api/customers", tags=["customers"])

    @router.get(
        "/{customer_id}/status",
        **secured(CustomerStatus, 401, 403, 404, 422, 503),
    )
    async def status(request: Request, customer_id: Name, who: Someone) -> Response:
        """What a customer may know of their own premises."""
        access.require_customer(who, customer_id, desk.customer_district(customer_id))
        found = await desk.customer_status(customer_id)
        if found is None:
            return refusals.problem(404, f"no customer has the id {customer_id!r}")
        if who.subject != customer_id:
            detail = f"status of {customer_id}"
            await trail.keep(
                "customer_viewed", subject=who.subject, address=address(request), detail=detail
            )
        return answer(found)

    return router


def service_routes(watched: Watched) -> APIRouter:
    """``/livez``, ``/readyz`` and ``/metrics``, for the app of any process of ours."""
    router = APIRouter(tags=["service"])

    @router.get("/livez", responses=gives(Alive, 401, 403))
    async def livez(request: Request) -> Response:
        """200 while the process answers at all."""
        request.app.state.bearers.local_or_dispatcher(request)
        return answer(Alive(True))

    @router.get(
        "/readyz",
        responses={**gives(Readiness, 401, 403), 503: gives(Readiness, what="Not ready")[200]},
    )
    async def readyz(request: Request) -> Response:
        """200 once a message published now will be acted on; each part, and why not."""
        request.app.state.bearers.local_or_dispatcher(request)
        parts = dict(watched.ready())
        ready = bool(parts) and all(part.ready for part in parts.values())
        return answer(Readiness(ready, parts), 200 if ready else 503)

    @router.get(
        "/metrics",
        response_class=PlainTextResponse,
        responses={
            200: {"description": "Prometheus text format 0.0.4"},
            **{each: gives(Alive, each)[each] for each in (401, 403)},
        },
    )
    async def metrics(request: Request) -> Response:
        """Counters and gauges for Prometheus."""
        bearers: Bearers = request.app.state.bearers
        if not bearers.monitors(request):
            bearers.local_or_dispatcher(request)
        return Response(watched.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _reference(app: FastAPI) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def docs() -> Response:
        return Response(page(openapi.document(app)), headers=STYLED, media_type="text/html")

    return router
