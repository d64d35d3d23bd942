"""The specification of trouble calls and planned outages at the HTTP interface."""

from typing import Any

import pytest

NOW_TEXT = "2023-11-14T22:13:20.000Z"


async def test_a_dispatcher_takes_a_call_by_customer_or_by_phone(api: Any) -> None:
    answer = await api.post("/api/calls", {"customer_id": "C-1", "kind": "no_power"})
    assert answer.status_code == 201
    assert answer.json() == {
        "id": "1",
        "customer_id": "C-1",
        "at": NOW_TEXT,
        "kind": "no_power",
        "text": "",
        "entered_by": "ann",
        "received_at": NOW_TEXT,
    }
    answer = await api.post(
        "/api/calls",
        {
            "phone": "0571-8000001",
            "at": "2023-11-14T22:00:00Z",
            "kind": "partial",
            "text": "半边没电",
        },
    )
    assert answer.status_code == 201
    assert "0571-8000001" not in answer.text
    assert api.desk.calls[-1].customer_id == "C-1"
    assert api.desk.calls[-1].at_ms == 1_699_999_200_000


async def test_a_customer_may_call_for_themselves(api: Any) -> None:
    for who in ({"customer_id": "C-1"}, {"phone": "0571-8000001"}, {"phone": "0571-8000002"}):
        answer = await api.post("/api/calls", {**who, "kind": "restored"}, by="C-1")
        assert answer.status_code == 201, answer.text
        assert answer.json()["entered_by"] == "customer"
        assert answer.json()["customer_id"] == "C-1"


@pytest.mark.parametrize(
    "who", [{"customer_id": "C-2"}, {"phone": "0571-8000009"}, {"customer_id": "C-99"}]
)
async def test_a_customer_may_not_call_for_others(api: Any, who: dict[str, str]) -> None:
    answer = await api.post("/api/calls", {**who, "kind": "no_power"}, by="C-1")
    assert answer.status_code == 403
    assert api.desk.calls == []


async def test_a_phone_of_several_customers_needs_an_id(api: Any) -> None:
    answer = await api.post("/api/calls", {"phone": "0571-8000002", "kind": "no_power"})
    assert answer.status_code == 409
    sentence = "that phone has 3 customers; give customer_id instead"
    assert answer.json() == {"error": sentence, "code": "phone_of_several"}
    one = await api.post(
        "/api/calls", {"phone": "0571-8000002", "kind": "no_power"}, by="bob of south"
    )
    assert one.json()["customer_id"] == "C-3"  # the only one of their district


@pytest.mark.parametrize(
    "who", [{"customer_id": "C-3"}, {"customer_id": "C-99"}, {"phone": "0571-8000009"}]
)
async def test_nobody_is_called_for_whom_the_dispatcher_does_not_know(
    api: Any, who: dict[str, str]
) -> None:
    answer = await api.post("/api/calls", {**who, "kind": "no_power"}, by="ann of north")
    assert answer.status_code == 404
    assert api.desk.calls == []


CALL = {"customer_id": "C-1", "kind": "no_power"}


@pytest.mark.parametrize(
    ("why", "body", "word"),
    [
        ("neither", {"kind": "no_power"}, "either customer_id or phone"),
        ("both", {**CALL, "phone": "0571-8000001"}, "not both"),
        ("a kind nobody knows", {**CALL, "kind": "dark"}, "dark"),
        ("no kind", {"customer_id": "C-1"}, "kind"),
        ("a field nobody knows", {**CALL, "urgent": True}, "urgent"),
        ("a time without a zone", {**CALL, "at": "2023-11-14T22:00:00"}, "zone"),
        ("a time in milliseconds", {**CALL, "at": 1_700_000_000_000}, "at"),
        ("a time that is none", {**CALL, "at": "yesterday"}, "at 'yesterday'"),
        ("a time before all time", {**CALL, "at": "0001-01-01T00:00:00+14:00"}, "at"),
        ("an hour from now", {**CALL, "at": "2023-11-14T23:13:20Z"}, "future"),
        ("eight days ago", {**CALL, "at": "2023-11-06T22:13:20Z"}, "ago"),
        ("a long text", {**CALL, "text": "x" * 501}, "text"),
        ("a NUL in the text", {**CALL, "text": "a\x00b"}, "text"),
        ("a NUL in the id", {**CALL, "customer_id": "C\x00"}, "customer_id"),
        ("a phone with letters", {"phone": "call me", "kind": "no_power"}, "phone"),
        ("no object", [CALL], "object"),
        ("nothing", None, "JSON"),
    ],
)
async def test_a_call_that_makes_no_sense_is_refused_with_the_field(
    api: Any, why: str, body: object, word: str
) -> None:
    answer = await api.post("/api/calls", body)
    assert answer.status_code == 422
    assert word in answer.json()["error"]
    assert api.desk.calls == []


async def test_a_callers_clock_may_be_a_little_ahead_but_the_call_is_not(api: Any) -> None:
    answer = await api.post("/api/calls", {**CALL, "at": "2023-11-14T22:18:00Z"})
    assert answer.json()["at"] == NOW_TEXT


PLAN = {
    "device_id": "T1",
    "from": "2023-11-15T08:00:00+08:00",
    "to": "2023-11-15T16:00:00+08:00",
    "kind": "planned",
    "reason": "换变压器",
}


async def test_a_plan_is_entered_listed_and_cancelled(api: Any) -> None:
    answer = await api.post("/api/planned", PLAN, by="ann of north")
    assert answer.status_code == 201
    plan = answer.json()
    assert plan == {
        "id": "plan-1",
        "device_id": "T1",
        "districts": ["north"],
        "from": "2023-11-15T00:00:00.000Z",
        "to": "2023-11-15T08:00:00.000Z",
        "kind": "planned",
        "reason": "换变压器",
        "entered_by": "ann",
        "entered_at": NOW_TEXT,
        "cancelled_at": None,
    }
    assert (await api.get("/api/planned")).json() == {"planned": [plan]}
    assert (await api.get("/api/planned", by="bob of south")).json() == {"planned": []}
    gone = await api.ask("DELETE", "/api/planned/plan-1", by="ann of north")
    assert (gone.status_code, gone.json()["cancelled_at"]) == (200, NOW_TEXT)
    assert api.desk.asked[-1] == {"cancelled_by": "ann"}
    assert (await api.get("/api/planned")).json() == {"planned": []}
    assert len((await api.get("/api/planned?all=true")).json()["planned"]) == 1


@pytest.mark.parametrize(
    ("why", "changed", "word"),
    [
        ("from after to", {"to": "2023-11-15T07:00:00+08:00"}, "before"),
        ("from is to", {"to": PLAN["from"]}, "before"),
        ("over already", {"from": "2023-11-13T00:00:00Z", "to": "2023-11-14T00:00:00Z"}, "over"),
        ("two years", {"to": "2025-11-15T07:00:00+08:00"}, "days"),
        ("no zone", {"from": "2023-11-15T08:00:00"}, "from"),
        ("a fault cannot be planned", {"kind": "fault"}, "fault"),
        ("a field nobody knows", {"form": "2023-11-15T08:00:00Z"}, "form"),
        ("a device nobody knows", {"device_id": "T9"}, "T9"),
        ("a blank device", {"device_id": ""}, "device_id"),
        ("a number for a reason", {"reason": 7}, "reason"),
    ],
)
async def test_a_plan_that_makes_no_sense_is_refused_with_the_field(
    api: Any, why: str, changed: dict[str, Any], word: str
) -> None:
    answer = await api.post("/api/planned", {**PLAN, **changed})
    assert answer.status_code == 422
    assert word in answer.json()["error"]
    assert api.desk.kept == {}


@pytest.mark.parametrize("device_id", ["B1", "T3"])
async def test_a_district_dispatcher_plans_nothing_that_feeds_other_districts(
    api: Any, device_id: str
) -> None:
    answer = await api.post("/api/planned", {**PLAN, "device_id": device_id}, by="ann of north")
    assert answer.status_code == 403
    everywhere = await api.post("/api/planned", {**PLAN, "device_id": device_id})
    assert everywhere.status_code == 201
    shared = await api.ask("DELETE", "/api/planned/plan-1", by="ann of north")
    assert shared.status_code == (403 if device_id == "B1" else 404)
    assert api.desk.kept["plan-1"].cancelled_at is None


async def test_what_contradicts_the_desk_is_a_conflict(api: Any) -> None:
    await api.post("/api/planned", PLAN)
    answer = await api.post("/api/planned", PLAN)
    assert answer.status_code == 409
    assert answer.json() == {"error": "that device has a plan already", "code": "conflict"}


async def test_there_is_no_plan_to_cancel_with_another_id(api: Any) -> None:
    assert (await api.ask("DELETE", "/api/planned/plan-9")).status_code == 404
