"""Routes of how people are told: wishes, tasks of the desk, staff, and texts before they go."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from dispatch import access, refusals
from dispatch.answers import Number, Previews, Staff, Tasks, Wishes
from dispatch.asked import StaffBody, TaskBody, WishesBody
from dispatch.bearer import Dispatcher, Someone
from dispatch.desk import Desk
from dispatch.intake import read_body
from dispatch.peopledesk import PeopleDesk, Wished
from dispatch.routing import Name, address, answer, secured
from dispatch.trail import Trail
from grid.people import Principal, Role
from grid.told import PublicStaff, PublicTask

Which = Annotated[str | None, Query(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
TaskNo = Annotated[int, Path(ge=1, le=2**53)]
All = Annotated[bool, Query(alias="all", description="also those that are closed")]


def routes(desk: Desk, people: PeopleDesk, trail: Trail) -> APIRouter:
    """All of them."""
    router = APIRouter(prefix="/api")
    _wishes(router, desk, people, trail)
    _tasks(router, desk, people, trail)
    _staff(router, people, trail)
    _previews(router, desk, people)
    return router


def _wishes(router: APIRouter, desk: Desk, people: PeopleDesk, trail: Trail) -> None:
    @router.get(
        "/customers/{customer_id}/wishes",
        tags=["customers"],
        **secured(Wishes, 401, 403, 404, 422, 503),
    )
    async def wishes(customer_id: Name, who: Someone) -> Response:
        """How a customer wants to be told, and what proves their opt-outs and opt-ins."""
        access.require_customer(who, customer_id, desk.customer_district(customer_id))
        return await _found(people, customer_id)

    @router.put(
        "/customers/{customer_id}/wishes",
        tags=["customers"],
        **secured(Wishes, 401, 403, 404, 409, 413, 415, 422, 503, takes=WishesBody),
    )
    async def wish(request: Request, customer_id: Name, who: Someone) -> Response:
        """Keep how a customer wants to be told: all of it, what is left out is as usual.

        Who opts out is told on no channel; key and vulnerable customers are called by the desk.
        """
        access.require_customer(who, customer_id, desk.customer_district(customer_id))
        body = await read_body(request, WishesBody)
        await people.wish(
            Wished(
                customer_id=customer_id, language=body.language, channels=body.channels,
                phases=body.phases, quiet=body.quiet, time_zone=body.time_zone,
                contacts=body.contacts, opted_out=body.opted_out,
                by="customer" if who.role is Role.CUSTOMER else who.subject,
            )
        )  # fmt: skip
        await _trace(trail, request, who, "wishes_changed", customer_id)
        return await _found(people, customer_id)


async def _found(people: PeopleDesk, customer_id: str) -> Response:
    found = await people.wishes(customer_id)
    if found is None:
        return refusals.problem(404, f"no customer has the id {customer_id!r}")
    return answer(Wishes(found, tuple(await people.consents(customer_id))))


def _tasks(router: APIRouter, desk: Desk, people: PeopleDesk, trail: Trail) -> None:
    def theirs(who: Principal, task: PublicTask | None) -> bool:
        district = desk.customer_district(task.customer_id) if task else None
        return task is not None and access.touches(who, (district,) if district else ())

    @router.get(
        "/tasks",
        tags=["work"],
        **secured(Tasks, 401, 403, 422, 503, asks=("all",)),
    )
    async def tasks(who: Dispatcher, everything: All = False) -> Response:
        """Key and vulnerable customers whom nothing reached: somebody has to call them."""
        found = await people.tasks(open_only=not everything)
        return answer(Tasks(tuple(task for task in found if theirs(who, task))))

    @router.post(
        "/tasks/{number}/number",
        tags=["work"],
        **secured(Number, 401, 403, 404, 422, 503),
    )
    async def number(request: Request, number: TaskNo, who: Dispatcher) -> Response:
        """The telephone number of an open task, to be called now; that it was shown is audited."""
        task = await people.task(number)
        if task is None or not theirs(who, task) or task.state != "open":
            return refusals.problem(404, f"no open task of yours has the number {number}")
        await _trace(trail, request, who, "customer_number_shown", task.customer_id)
        return answer(Number(await people.number_of(task.customer_id)))

    @router.post(
        "/tasks/{number}",
        tags=["work"],
        **secured(PublicTask, 401, 403, 404, 409, 413, 415, 422, 503, takes=TaskBody),
    )
    async def close(request: Request, number: TaskNo, who: Dispatcher) -> Response:
        """Close a task: they were told, nobody answered, or it is not needed."""
        body = await read_body(request, TaskBody)
        task = await people.task(number)
        if not theirs(who, task):
            return refusals.problem(404, f"no task of yours has the number {number}")
        if not await people.close_task(number, body.outcome, body.note, who.subject):
            return refusals.problem(409, f"task {number} is closed already", code="task_closed")
        return answer(await people.task(number))


def _staff(router: APIRouter, people: PeopleDesk, trail: Trail) -> None:
    @router.get(
        "/staff",
        tags=["work"],
        **secured(Staff, 401, 403, 422, 503),
    )
    async def staff(who: Dispatcher) -> Response:
        """Leads of grid cells and dispatchers who are texted their district's outages."""
        found = await people.staff()
        return answer(Staff(tuple(one for one in found if access.touches(who, (one.district,)))))

    @router.put(
        "/staff/{staff_id}",
        tags=["work"],
        **secured(PublicStaff, 401, 403, 404, 409, 413, 415, 422, 503, takes=StaffBody),
    )
    async def keep(request: Request, staff_id: Name, who: Dispatcher) -> Response:
        """Somebody of staff, new or changed."""
        body = await read_body(request, StaffBody)
        await _require_mine(who, people, staff_id, body.district)
        await people.keep_staff(
            staff_id, body.duty, body.district, body.language, name=body.name, phone=body.phone
        )
        await _trace(trail, request, who, "staff_changed", staff_id)
        return answer(next(one for one in await people.staff() if one.staff_id == staff_id))

    @router.delete(
        "/staff/{staff_id}",
        tags=["work"],
        **secured(Staff, 401, 403, 404, 422, 503),
    )
    async def remove(request: Request, staff_id: Name, who: Dispatcher) -> Response:
        """Somebody is told no more; those who are left."""
        await _require_mine(who, people, staff_id, who.district)
        if not await people.remove_staff(staff_id):
            return refusals.problem(404, f"nobody of staff has the id {staff_id!r}")
        await _trace(trail, request, who, "staff_removed", staff_id)
        found = await people.staff()
        return answer(Staff(tuple(one for one in found if access.touches(who, (one.district,)))))


async def _require_mine(
    who: Principal, people: PeopleDesk, staff_id: str, district: str | None
) -> None:
    """A dispatcher with a district keeps its staff and nobody else's.

    Raises:
        Denied: Another district's.
    """
    known = [one.district for one in await people.staff() if one.staff_id == staff_id]
    named = [*known, *(() if district is None else (district,))]
    if who.district is not None and any(one != who.district for one in named):
        raise access.Denied(f"yours is the staff of {who.district}")


def _previews(router: APIRouter, desk: Desk, people: PeopleDesk) -> None:
    @router.get(
        "/texts/{phase}",
        tags=["outages"],
        **secured(Previews, 401, 403, 404, 409, 422, 503, asks=("outage", "customer")),
    )
    async def preview(
        phase: Name, who: Dispatcher, outage: Which = None, customer: Which = None
    ) -> Response:
        """A phase's text as it would be sent now, of an outage, to a customer; nothing is sent."""
        if customer is not None:
            access.require_customer(who, customer, desk.customer_district(customer))
        texts = await people.preview(phase, outage, customer)
        if texts is None:
            return refusals.problem(404, f"no outage has the id {outage!r}")
        return answer(Previews(tuple(texts)))


async def _trace(trail: Trail, request: Request, who: Principal, event: str, detail: str) -> None:
    await trail.keep(event, subject=who.subject, address=address(request), detail=detail)
