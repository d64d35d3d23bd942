"""Routes of decisions, work orders, crews and switches."""

from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dispatch import access
from dispatch.answers import Calls, Conflict, Crews, Decisions, RefusalCode, Settled
from dispatch.asked import ActionBody, CrewBody, SwitchBody
from dispatch.bearer import Dispatcher, Worker
from dispatch.deciding import new_decision, new_switching, require_crew, require_outage, theirs
from dispatch.desk import Desk
from dispatch.intake import read_body
from dispatch.openapi import gives
from dispatch.routing import Name, address, answer, secured
from dispatch.settings import ApiSettings
from dispatch.trail import Trail
from dispatch.workdesk import NewCrew
from grid.public import PublicCrew, PublicDecision, PublicOutage

CONFLICT = {409: gives(Conflict)[200]}


def routes(desk: Desk, trail: Trail, settings: ApiSettings, now_ms: Callable[[], int]) -> APIRouter:
    """All of them."""
    router = APIRouter(prefix="/api")
    _decisions(router, desk, trail, (settings, now_ms))
    _about(router, desk)
    _crews(router, desk, trail)
    _switches(router, desk, trail, (settings, now_ms))
    return router


def _decisions(
    router: APIRouter, desk: Desk, trail: Trail, limits: tuple[ApiSettings, Callable[[], int]]
) -> None:
    settings, now_ms = limits

    @router.post(
        "/outages/{outage_id}/actions",
        tags=["work"],
        **secured(Settled, 401, 403, 404, 413, 415, 422, 503, takes=ActionBody, also=CONFLICT),
    )
    async def act(request: Request, outage_id: Name, who: Worker) -> Response:
        """Decide something about an outage; answered once the engine's word on it is committed.

        ``version`` is that of the outage as the person saw it: 409 with the outage as it is now
        when it has moved on, or when the engine does not take the decision.
        """
        body = await read_body(request, ActionBody)
        outage = require_outage(who, await desk.outage(outage_id), outage_id)
        new = new_decision(body, outage, who, settings, now_ms())
        if outage.version != body.version:
            detail = f"{body.action} of {outage_id}: version {body.version} is stale"
            await trail.keep("decision_stale", subject=who.subject, address=address(request),
                             detail=detail)  # fmt: skip
            sentence = f"outage {outage_id} is at version {outage.version} by now"
            return _conflict("stale_version", sentence, None, outage)
        if new.crew is not None:
            require_crew(who, new.crew, await desk.work.crews())
        done = await desk.work.decide(new)
        word = "taken" if done.decision.accepted else f"not taken: {done.decision.why}"
        await trail.keep("outage_decided", subject=who.subject, address=address(request),
                         detail=f"{body.action} of {outage_id} {word}")  # fmt: skip
        if not done.decision.accepted:
            return _conflict("not_taken", done.decision.why, done.decision, done.outage)
        return answer(Settled(done.decision, done.outage and _plain(done.outage)))


def _about(router: APIRouter, desk: Desk) -> None:
    @router.get(
        "/outages/{outage_id}/decisions",
        tags=["work"],
        **secured(Decisions, 401, 403, 404, 422, 503),
    )
    async def decisions(outage_id: Name, who: Dispatcher) -> Response:
        """Who decided what about an outage, and what became of it, oldest first."""
        require_outage(who, await desk.outage(outage_id), outage_id)
        return answer(Decisions(tuple(await desk.work.decisions(outage_id))))

    @router.get(
        "/outages/{outage_id}/calls",
        tags=["work"],
        **secured(Calls, 401, 403, 404, 422, 503),
    )
    async def calls(outage_id: Name, who: Dispatcher) -> Response:
        """Calls of an outage's customers since an hour before it began, newest first."""
        require_outage(who, await desk.outage(outage_id), outage_id)
        return answer(Calls(tuple(await desk.work.outage_calls(outage_id))))


def _crews(router: APIRouter, desk: Desk, trail: Trail) -> None:
    @router.get(
        "/crews",
        tags=["work"],
        **secured(Crews, 401, 403, 422, 503),
    )
    async def crews(who: Dispatcher) -> Response:
        """The crews of the dispatcher's district and those of no district, busy or free."""
        return answer(Crews(tuple(c for c in await desk.work.crews() if theirs(who, c))))

    @router.post(
        "/crews",
        tags=["work"],
        **secured(PublicCrew, 401, 403, 409, 413, 415, 422, 503, status=201, takes=CrewBody),
    )
    async def crew(request: Request, who: Dispatcher) -> Response:
        """Enter a crew, or change one; its token's subject is its id."""
        body = await read_body(request, CrewBody)
        if who.district is not None and body.district != who.district:
            raise access.Denied(f"a crew that you enter has to be of district {who.district!r}")
        known = {c.id: c for c in await desk.work.crews()}
        if body.id in known and not theirs(who, known[body.id]):
            raise access.Denied(f"crew {body.id!r} is of another district")
        kept = await desk.work.put_crew(NewCrew(body.id, body.name, body.district, body.active))
        await trail.keep("crew_kept", subject=who.subject, address=address(request),
                         detail=f"crew {body.id}")  # fmt: skip
        return answer(kept, 201)


def _switches(
    router: APIRouter, desk: Desk, trail: Trail, limits: tuple[ApiSettings, Callable[[], int]]
) -> None:
    settings, now_ms = limits

    @router.post(
        "/switches/{device_id}",
        tags=["work"],
        **secured(PublicDecision, 401, 403, 413, 415, 422, 503, takes=SwitchBody, also=CONFLICT),
    )
    async def throw(request: Request, device_id: Name, who: Dispatcher) -> Response:
        """Say that a switch, breaker, recloser or fuse was opened or closed by hand."""
        body = await read_body(request, SwitchBody)
        access.require_device(who, device_id, desk.device_districts(device_id))
        new = new_switching(device_id, body, who, settings, now_ms())
        if body.version not in (None, desk.work.network_version()):
            sentence = "the network has another version by now; look again"
            return _conflict("stale_network", sentence, None, None)
        done = await desk.work.throw(new)
        word = "taken" if done.accepted else f"not taken: {done.why}"
        await trail.keep("switch_thrown", subject=who.subject, address=address(request),
                         detail=f"{device_id} {body.position}, {word}")  # fmt: skip
        return answer(done) if done.accepted else _conflict("not_taken", done.why, done, None)


def _plain(outage: PublicOutage) -> PublicOutage:
    """Without steps and log, should it have them."""
    return PublicOutage(**{n: getattr(outage, n) for n in PublicOutage.__struct_fields__})


def _conflict(
    code: RefusalCode,
    sentence: str,
    decision: PublicDecision | None,
    outage: PublicOutage | None,
) -> Response:
    return answer(Conflict(sentence, code, decision, outage and _plain(outage)), 409)
