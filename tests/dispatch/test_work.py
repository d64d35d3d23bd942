"""The specification of decisions, work orders, crews and switches as people ask for them."""

from typing import Any

import pytest

SEEN = {"version": 2, "action": "acknowledge"}
ACTIONS = "/api/outages/S1-2/actions"
WHEN = "2023-11-14T22:00:00Z"  # a quarter of an hour ago
AHEAD = "2023-11-15T02:00:00+00:00"


async def test_a_decision_that_the_engine_takes_is_answered_with_the_outage_and_audited(
    api: Any,
) -> None:
    answer = await api.post(ACTIONS, SEEN, by="ann of south")
    assert answer.status_code == 200
    assert answer.json()["decision"]["accepted"]
    assert answer.json()["outage"]["id"] == "S1-2"
    assert "steps" not in answer.json()["outage"]
    asked = api.desk.work.asked[-1]
    assert (asked.action, asked.by, asked.role, asked.version) == (
        "acknowledge", "ann", "dispatcher", 2,
    )  # fmt: skip
    assert api.audit[-1]["event"] == "outage_decided"
    assert api.audit[-1]["detail"] == "acknowledge of S1-2 taken"


async def test_a_stale_version_is_answered_with_the_outage_as_it_is_now(api: Any) -> None:
    answer = await api.post(ACTIONS, {**SEEN, "version": 1})
    assert answer.status_code == 409
    assert answer.json()["error"] == "outage S1-2 is at version 2 by now"
    assert answer.json()["code"] == "stale_version"
    assert answer.json()["outage"]["version"] == 2
    assert api.desk.work.asked == []
    assert api.audit[-1]["event"] == "decision_stale"


async def test_what_the_engine_does_not_take_is_a_conflict_with_its_reason(api: Any) -> None:
    api.desk.work.takes = False
    answer = await api.post(ACTIONS, SEEN)
    assert answer.status_code == 409
    assert answer.json()["error"] == "it is already acknowledged by bob"
    assert answer.json()["code"] == "not_taken"
    assert not answer.json()["decision"]["accepted"]
    assert answer.json()["outage"]["version"] == 2


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"action": "relocate", "device_id": "T1"}, "relocate needs a reason"),
        ({"action": "reject"}, "reject needs a reason"),
        ({"action": "confirm"}, "confirm needs a reason"),
        ({"action": "note"}, "note needs a reason: it is the note"),
        ({"action": "split", "reason": "two faults"}, "split needs device_id"),
        ({"action": "merge", "reason": "one fault"}, "merge needs other_id"),
        ({"action": "cause"}, "cause needs cause"),
        ({"action": "assign"}, "assign needs crew"),
        ({"action": "etr", "reason": "cable"}, "etr needs at"),
        ({"action": "acknowledge", "crew": "crew-7"}, "crew is no field of acknowledge"),
        ({"action": "close", "at": WHEN}, "at is no field of close"),
        (
            {"action": "etr", "reason": "cable", "at": WHEN},
            "at has to be in the future: it is when power will be back",
        ),
        (
            {"action": "etr", "reason": "cable", "at": "2024-02-01T00:00:00Z"},
            "at is more than 31 days ahead",
        ),
        (
            {"action": "etr", "reason": "x", "at": AHEAD, "earliest": "2023-11-15T03:00:00Z"},
            "earliest has to be before at",
        ),
        ({"action": "on_site", "at": AHEAD}, "at is in the future"),
        ({"action": "on_site", "at": "2023-11-01T00:00:00Z"}, "at is more than 48 hours ago"),
        ({"action": "dance"}, "Invalid enum value 'dance' - at `action`"),
        ({"action": "acknowledge", "who": "me"}, "Object contains unknown field `who`"),
    ],
)
async def test_a_decision_that_makes_no_sense_is_refused_with_a_sentence(
    api: Any, more: dict[str, Any], sentence: str
) -> None:
    answer = await api.post(ACTIONS, {"version": 2, **more})
    assert answer.status_code == 422
    assert answer.json() == {"error": sentence, "code": "invalid"}
    assert api.desk.work.asked == []


async def test_times_and_words_reach_the_engine_as_they_were_meant(api: Any) -> None:
    etr = {"action": "etr", "reason": " joint ", "at": AHEAD, "confidence": 0.7}
    assert (await api.post(ACTIONS, {"version": 2, **etr})).status_code == 200
    asked = api.desk.work.asked[-1]
    assert (asked.etr_ms, asked.when_ms, asked.reason) == (1_700_013_600_000, None, "joint")
    there = {"action": "on_site", "at": WHEN}
    assert (await api.post(ACTIONS, {"version": 2, **there})).status_code == 200
    asked = api.desk.work.asked[-1]
    assert (asked.etr_ms, asked.when_ms) == (None, 1_699_999_200_000)


async def test_a_crew_moves_its_own_work_order_and_sees_no_customer(api: Any) -> None:
    there = {"version": 2, "action": "on_site"}
    assert (await api.post(ACTIONS, there, by="crew-7")).status_code == 200
    assert api.desk.work.asked[-1].role == "crew"
    listed = await api.get("/api/outages", by="crew-7")
    assert [outage["id"] for outage in listed.json()["outages"]] == ["S1-2"]
    found = (await api.get("/api/outages/S1-2", by="crew-7")).json()
    assert (found["crew"], found["changes"]) == ("crew-7", [])
    assert [step["customers"] for step in found["steps"]] == [[]]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", ACTIONS, {"version": 2, "action": "close"}, 403),
        ("POST", ACTIONS, {"version": 2, "action": "acknowledge"}, 403),
        ("POST", "/api/outages/S1-3/actions", {"version": 2, "action": "on_site"}, 404),
        ("GET", "/api/outages/S1-3/place", None, 404),
        ("GET", "/api/outages/S1-2/calls", None, 403),
        ("GET", "/api/outages/S1-2/decisions", None, 403),
        ("GET", "/api/crews", None, 403),
        ("GET", "/api/findings", None, 403),
        ("GET", "/api/planned", None, 403),
        ("GET", "/api/customers/C-1/status", None, 403),
        ("GET", "/api/customers/C-1/premises", None, 403),
        ("GET", "/api/customers/C-1/notices", None, 403),
        ("GET", "/api/outages/S1-2/notices", None, 403),
        ("GET", "/api/network", None, 403),
        ("GET", "/api/power", None, 403),
        ("GET", "/api/feed", None, 403),
        ("POST", "/api/calls", {"customer_id": "C-1", "kind": "no_power"}, 403),
        ("POST", "/api/calls", {"phone": "0571-8000001", "kind": "no_power"}, 403),
        ("POST", "/api/switches/T1", {"position": "open", "reason": "x"}, 403),
    ],
)
async def test_everything_else_is_closed_to_a_crew(
    api: Any, method: str, path: str, body: dict[str, Any] | None, status: int
) -> None:
    options = {} if body is None else {"json": body}
    assert (await api.ask(method, path, by="crew-7", **options)).status_code == status
    assert api.desk.work.asked == []


async def test_another_crews_order_is_as_if_there_were_none(api: Any) -> None:
    there = {"version": 2, "action": "on_site"}
    assert (await api.post(ACTIONS, there, by="crew-8")).status_code == 404
    assert (await api.get("/api/outages/S1-2", by="crew-8")).status_code == 404
    assert (await api.get("/api/outages", by="crew-8")).json() == {"outages": []}


async def test_a_crew_is_told_where_the_device_of_its_order_stands(api: Any) -> None:
    device_id = (await api.get("/api/outages/S1-2", by="crew-7")).json()["device_id"]
    found = await api.get("/api/outages/S1-2/place", by="crew-7")
    assert found.json() == {"device_id": device_id, "latitude": 30.25, "longitude": 120.125}
    assert (await api.get("/api/outages/S1-2/place", by="crew-8")).status_code == 404
    assert (await api.get("/api/outages/S1-2/place", by="ann of north")).status_code == 404
    assert (await api.get("/api/outages/S1-2/place", by="C-1")).status_code == 403


async def test_another_districts_outage_is_not_to_be_decided_on(api: Any) -> None:
    assert (await api.post(ACTIONS, SEEN, by="ann of north")).status_code == 404
    assert (await api.post(ACTIONS, SEEN, by="C-1")).status_code == 403


async def test_crews_are_kept_by_district(api: Any) -> None:
    own = {"id": "crew-1", "name": "North 1", "district": "north"}
    assert (await api.post("/api/crews", own, by="ann of north")).status_code == 201
    assert (await api.post("/api/crews", own, by="ann of south")).status_code == 403
    taken = {**own, "district": "south"}
    assert (await api.post("/api/crews", taken, by="ann of south")).status_code == 403
    assert (await api.post("/api/crews", {"id": "crew-2", "name": "All"})).status_code == 201
    found = (await api.get("/api/crews", by="ann of south")).json()["crews"]
    assert [crew["id"] for crew in found] == ["crew-2"]


async def test_a_work_order_is_for_a_crew_that_there_is_and_that_is_on_duty(api: Any) -> None:
    order = {"version": 2, "action": "assign", "crew": "crew-7"}
    unknown = await api.post(ACTIONS, order)
    assert unknown.status_code == 422
    assert "no crew of yours has the id 'crew-7'" in unknown.json()["error"]
    own = {"id": "crew-7", "name": "Seven", "district": "south", "active": False}
    await api.post("/api/crews", own)
    assert (await api.post(ACTIONS, order)).json()["code"] == "crew_off_duty"
    await api.post("/api/crews", {**own, "active": True})
    assert (await api.post(ACTIONS, order, by="ann of south")).status_code == 200
    assert api.desk.work.asked[-1].crew == "crew-7"


async def test_a_switch_is_thrown_by_whoever_has_all_it_feeds(api: Any) -> None:
    opened = {"position": "open", "reason": "repair", "at": WHEN, "version": "v1"}
    assert (await api.post("/api/switches/T1", opened, by="ann of north")).status_code == 200
    assert api.audit[-1]["detail"] == "T1 open, taken"
    assert (await api.post("/api/switches/B1", opened, by="ann of north")).status_code == 403
    assert (await api.post("/api/switches/T9", opened)).status_code == 422
    other = await api.post("/api/switches/T1", {**opened, "version": "v0"})
    assert other.status_code == 409
    assert other.json()["error"] == "the network has another version by now; look again"
