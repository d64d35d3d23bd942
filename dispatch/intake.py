"""Calls and plans, from a body to what the desk takes: whose they are, and if they make sense."""

from typing import TypeVar

from fastapi import Request

from dispatch import access
from dispatch.asked import CallBody, PlanBody, moment, read
from dispatch.desk import Desk, NewCall, NewPlan
from dispatch.settings import ApiSettings
from grid.errors import BadPayload, Refused
from grid.people import Principal, Role
from grid.times import to_rfc3339

Body = TypeVar("Body")


async def read_body(request: Request, kind: type[Body]) -> Body:
    """The request's JSON body.

    Raises:
        BadPayload: It is none, or not of that kind.
    """
    said = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if said.lower() != "application/json":
        raise BadPayload(f"the body has to be application/json, not {said[:80]!r}", media_type=said)
    return read(await request.body(), kind)


async def new_call(
    body: CallBody, who: Principal, desk: Desk, settings: ApiSettings, now_ms: int
) -> NewCall:
    """A call that makes sense, by somebody who may make it.

    Raises:
        BadPayload: Neither a customer nor a phone, or both, or a time that cannot be.
        Denied: Not the caller's to make, or nobody's.
        Refused: The phone belongs to several customers.
    """
    if who.role is Role.CREW:
        raise access.Denied("a crew's token is for its work orders")
    if (body.customer_id is None) == (body.phone is None):
        raise BadPayload("either customer_id or phone is needed, and not both")
    at_ms = now_ms if body.at is None else moment(body.at, "at")
    if at_ms > now_ms + settings.call_ahead_s * 1000:
        raise BadPayload(f"at {body.at!r} is in the future")
    if at_ms < now_ms - settings.call_age_s * 1000:
        raise BadPayload(f"at {body.at!r} is more than {settings.call_age_s} s ago")
    customer_id = body.customer_id
    if customer_id is None:
        assert body.phone is not None
        customer_id = await _by_phone(body.phone, who, desk)
    access.require_customer(who, customer_id, desk.customer_district(customer_id))
    own = who.role is Role.CUSTOMER
    by = "customer" if own else who.subject
    return NewCall(customer_id, min(at_ms, now_ms), body.kind, body.text, by, now_ms)


def new_plan(
    body: PlanBody, who: Principal, desk: Desk, settings: ApiSettings, now_ms: int
) -> NewPlan:
    """A plan that makes sense, by somebody who may make it.

    Raises:
        BadPayload: From after to, over already, or too long.
        Denied: A device nobody knows, or that feeds others' districts.
    """
    from_ms, to_ms = moment(body.from_, "from"), moment(body.to, "to")
    if from_ms >= to_ms:
        raise BadPayload("from has to be before to")
    if to_ms <= now_ms:
        raise BadPayload(f"to {to_rfc3339(to_ms)} is over already")
    if to_ms - from_ms > settings.plan_s_max * 1000:
        raise BadPayload(f"a plan may last {settings.plan_s_max // 86_400} days at most")
    districts = desk.device_districts(body.device_id)
    access.require_device(who, body.device_id, districts)
    assert districts is not None
    return NewPlan(
        device_id=body.device_id,
        districts=districts,
        from_ms=from_ms,
        to_ms=to_ms,
        kind=body.kind,
        reason=body.reason,
        entered_by=who.subject,
        entered_ms=now_ms,
    )


async def _by_phone(phone: str, who: Principal, desk: Desk) -> str:
    """The one customer of a phone whom the caller may speak for."""
    found = [
        customer_id
        for customer_id in await desk.customers_by_phone(phone)
        if _may_speak_for(who, customer_id, desk)
    ]
    if who.role is Role.CUSTOMER and not found:
        raise access.Denied("a customer's token is for their own premises only")
    if not found:
        raise access.Denied("no customer of yours has that phone", status=404)
    if len(found) > 1:
        sentence = f"that phone has {len(found)} customers; give customer_id instead"
        raise Refused(sentence, code="phone_of_several")
    return found[0]


def _may_speak_for(who: Principal, customer_id: str, desk: Desk) -> bool:
    if who.role is Role.CUSTOMER:
        return customer_id == who.subject
    district = desk.customer_district(customer_id)
    return district is not None and access.touches(who, (district,))
