"""The specification of wishes, tasks of the desk, staff, previews, and gateways' callbacks."""

from typing import Any

import pytest

WISHES = "/api/customers/C-1/wishes"
LEAD = {"duty": "cell_lead", "district": "north", "phone": "100 0000 0007", "name": "Li"}


async def put(api: Any, path: str, body: object, by: str | None = "ann") -> Any:
    return await api.ask("PUT", path, by=by, json=body)


async def test_a_customer_says_how_they_want_to_be_told(api: Any) -> None:
    wanted = {"language": "en", "channels": ["email", "sms"], "phases": ["confirmed"],
              "quiet": ["21:00", "08:00"], "time_zone": "Asia/Shanghai"}  # fmt: skip
    answer = await put(api, WISHES, wanted, by="C-1")
    assert answer.status_code == 200
    found = (await api.get(WISHES, by="C-1")).json()["wishes"]
    assert {name: found[name] for name in wanted} == wanted
    assert (found["changed_by"], found["phone"]) == ("customer", "100****0001")
    assert [line["event"] for line in api.audit] == ["wishes_changed"]


async def test_opting_out_leaves_its_proof(api: Any) -> None:
    await put(api, WISHES, {"opted_out": True}, by="C-1")
    told = (await api.get(WISHES)).json()
    assert told["wishes"]["opted_out_at"]
    assert [(c["wanted"], c["source"], c["by"]) for c in told["consents"]] == [
        (False, "api", "customer")
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"language": "fr"}, 422),
        ({"channels": ["pigeon"]}, 409),
        ({"channels": ["E-Mail"]}, 422),
        ({"quiet": ["25:00", "07:00"]}, 422),
        ({"quiet": ["22:00"]}, 422),
        ({"contacts": {"email": "json://evil?to=x y"}}, 422),
        ({"opted_out": "perhaps"}, 422),
        ({"colour": "red"}, 422),
    ],
)
async def test_wishes_that_are_none_are_refused(api: Any, body: object, status: int) -> None:
    assert (await put(api, WISHES, body, by="C-1")).status_code == status


@pytest.mark.parametrize(
    ("method", "path", "by", "status"),
    [
        ("GET", "/api/customers/C-2/wishes", "C-1", 403),
        ("PUT", "/api/customers/C-2/wishes", "C-1", 403),
        ("GET", WISHES, "crew-7", 403),
        ("GET", WISHES, None, 401),
        ("GET", "/api/customers/C-3/wishes", "ann of north", 404),
        ("GET", "/api/tasks", "C-1", 403),
        ("POST", "/api/tasks/7/number", "C-1", 403),
        ("POST", "/api/tasks/8/number", "ann", 404),
        ("GET", "/api/staff", "C-1", 403),
        ("DELETE", "/api/staff/li", "ann", 404),
        ("GET", "/api/texts/confirmed", "C-1", 403),
        ("GET", "/api/texts/confirmed?outage=none", "ann", 404),
        ("GET", "/api/texts/confirmed?customer=C-3", "ann of north", 404),
    ],
)
async def test_how_people_are_told_is_for_them_and_their_dispatchers(
    api: Any, method: str, path: str, by: str | None, status: int
) -> None:
    body = {"json": {}} if method in ("PUT", "POST") else {}
    assert (await api.ask(method, path, by=by, **body)).status_code == status


async def test_the_desk_lists_whom_to_call_shows_the_number_once_asked_and_closes(api: Any) -> None:
    (task,) = (await api.get("/api/tasks")).json()["tasks"]
    assert (task["id"], task["state"], task["phone"]) == ("7", "open", "100****0001")
    shown = (await api.post("/api/tasks/7/number", {})).json()
    assert shown == {"phone": "10000000001"}
    assert [line["event"] for line in api.audit] == ["customer_number_shown"]
    assert (await api.post("/api/tasks/7", {"outcome": "shrugged"})).status_code == 422
    closed = await api.post("/api/tasks/7", {"outcome": "told", "note": "has a generator"})
    assert (closed.json()["state"], closed.json()["ended_by"]) == ("delivered", "ann")
    assert (await api.post("/api/tasks/7", {"outcome": "told"})).status_code == 409
    assert (await api.post("/api/tasks/7/number", {})).status_code == 404
    assert (await api.get("/api/tasks")).json() == {"tasks": []}
    assert len((await api.get("/api/tasks?all=true")).json()["tasks"]) == 1


async def test_a_dispatcher_keeps_the_staff_of_their_district_alone(api: Any) -> None:
    kept = await put(api, "/api/staff/li", LEAD, by="ann of north")
    assert (kept.status_code, kept.json()["district"]) == (200, "north")
    south = {**LEAD, "district": "south"}
    assert (await put(api, "/api/staff/wu", south, by="ann of north")).status_code == 403
    assert (await put(api, "/api/staff/li", south, by="ann of north")).status_code == 403
    assert (await put(api, "/api/staff/wu", south)).status_code == 200
    seen = (await api.get("/api/staff", by="ann of north")).json()["staff"]
    assert [one["staff_id"] for one in seen] == ["li"]
    assert (await api.ask("DELETE", "/api/staff/wu", by="ann of north")).status_code == 403
    assert (await api.ask("DELETE", "/api/staff/li", by="ann of north")).json() == {"staff": []}


async def test_a_text_can_be_seen_before_it_goes(api: Any) -> None:
    (text,) = (await api.get("/api/texts/restored?outage=S1-2&customer=C-1")).json()["texts"]
    assert (text["text"], text["segments"]) == ("restored: 停电", 1)


@pytest.mark.parametrize(
    ("path", "proof", "body", "status"),
    [
        ("/hooks/sms/twilio?notice=7", "notice=7", "x", 200),
        ("/hooks/sms/twilio?notice=7", "notice=8", "x", 403),
        ("/hooks/sms/pigeon?notice=7", "notice=7", "x", 403),
        ("/hooks/sms/twilio?notice=7", "notice=7", "", 422),
        ("/hooks/sms/Twilio", "", "x", 422),
    ],
)
async def test_a_gateways_callback_proves_itself_and_one_that_does_not_is_audited(
    api: Any, path: str, proof: str, body: str, status: int
) -> None:
    headers = {"X-Proof": proof}
    answer = await api.ask("POST", path, by=None, content=body, headers=headers)
    assert answer.status_code == status
    refused = [line["event"] for line in api.audit]
    assert refused == (["hook_refused"] if status == 403 else [])
