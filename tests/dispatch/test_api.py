"""The specification of the HTTP interface."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from grid.errors import Unreachable
from grid.public import PublicOutage, PublicOutageDetail

NOW_TEXT = "2023-11-14T22:13:20.000Z"


# -- answers ---------------------------------------------------------------------------------------


async def test_outages_are_everything_not_closed_with_every_key_of_the_interface(
    api: Any,
) -> None:
    answer = await api.get("/api/outages")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()["outages"]
    assert [outage["id"] for outage in found] == ["S1-3", "S1-2"]
    assert {
        "id", "version", "state", "kind", "cause", "device_id", "device_kind", "feeder_id",
        "phases", "probability", "started_at", "detected_at", "confirmed_at", "restored_at",
        "customers_affected", "customers_out", "etr", "evidence",
    } <= found[0].keys()  # fmt: skip
    assert found[0]["etr"].keys() == {"at", "source", "confidence"}
    assert (found[0]["cause"], found[0]["confirmed_at"]) == (None, None)
    assert found[0]["started_at"] == "2023-11-14T22:12:20.000Z"


async def test_outages_can_be_asked_for_by_state_and_moment(api: Any) -> None:
    answer = await api.get("/api/outages?state=closed&at=2023-11-14T23:13:20%2B01:00")
    assert [outage["id"] for outage in answer.json()["outages"]] == ["S1-1"]
    assert api.desk.asked[-1] == {"state": "closed", "at_ms": 1_700_000_000_000, "districts": None}
    await api.get("/api/outages?at=2023-11-14T23:13:20+01:00")  # the plus arrives as a blank
    assert api.desk.asked[-1]["at_ms"] == 1_700_000_000_000


async def test_one_outage_has_its_steps_and_changes(api: Any) -> None:
    found = (await api.get("/api/outages/S1-2")).json()
    assert found["steps"] == [
        {
            "off_at": "2023-11-14T22:12:20.000Z",
            "on_at": None,
            "customers": ["C-3"],
            "inferred": False,
        }
    ]
    assert found["changes"][0]["reason"] == "a last gasp"
    assert found.keys() == set(PublicOutageDetail.__struct_fields__)
    assert found.keys() - {"steps", "changes"} == set(PublicOutage.__struct_fields__)


async def test_findings_are_the_open_ones_or_all(api: Any) -> None:
    answer = await api.get("/api/findings")
    assert [finding["id"] for finding in answer.json()["findings"]] == ["f-1", "f-2"]
    assert api.desk.asked[-1] == {"open_only": True}
    await api.get("/api/findings?all=true")
    assert api.desk.asked[-1] == {"open_only": False}


async def test_a_customer_sees_their_own_status_and_is_not_audited(api: Any) -> None:
    answer = await api.get("/api/customers/C-1/status", by="C-1")
    assert answer.status_code == 200
    assert answer.json() == {
        "customer_id": "C-1",
        "power": "off",
        "outage_id": "S1-3",
        "state": "confirmed",
        "kind": "fault",
        "cause": None,
        "off_at": NOW_TEXT,
        "on_at": None,
        "verified": True,
        "etr": None,
        "updated_at": NOW_TEXT,
    }
    assert api.audit == []


async def test_a_dispatcher_who_looks_at_a_customer_leaves_a_line(api: Any) -> None:
    assert (await api.get("/api/customers/C-1/status", by="ann of north")).status_code == 200
    assert api.audit == [
        {
            "event": "customer_viewed",
            "at_ms": 1_700_000_000_000,
            "subject": "ann",
            "address": "127.0.0.1",
            "detail": "status of C-1",
        }
    ]


# -- who may ---------------------------------------------------------------------------------------

ROUTES = (
    ("GET", "/api/outages"),
    ("GET", "/api/outages/S1-2"),
    ("GET", "/api/findings"),
    ("GET", "/api/planned"),
    ("POST", "/api/planned"),
    ("DELETE", "/api/planned/plan-1"),
    ("POST", "/api/calls"),
    ("GET", "/api/customers/C-1/status"),
)


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_without_a_token_there_is_nothing(api: Any, method: str, path: str) -> None:
    answer = await api.ask(method, path, by=None)
    assert answer.status_code == 401
    assert answer.json() == {"error": "a token is needed: Authorization: Bearer TOKEN"}
    assert answer.headers["www-authenticate"] == "Bearer"
    assert api.audit[-1]["event"] == "api_unauthorized"
    assert api.audit[-1]["subject"] is None


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer junk", "Basic YW5uOng=", "bearer a.b.c", "junk"]
)
async def test_what_is_no_token_of_ours_opens_nothing(api: Any, header: str) -> None:
    answer = await api.get("/api/outages", by=None, headers={"Authorization": header})
    assert answer.status_code == 401
    assert set(answer.json()) == {"error"}


async def test_a_token_in_the_address_opens_nothing(
    api: Any, token_of: Callable[[str], str]
) -> None:
    answer = await api.get(f"/api/outages?access_token={token_of('ann')}", by=None)
    assert answer.status_code == 401


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if "C-1" not in route[1]])
async def test_a_customer_has_nothing_of_the_dispatchers(api: Any, method: str, path: str) -> None:
    if path == "/api/calls":
        return
    answer = await api.ask(method, path, by="C-1")
    assert answer.status_code == 403
    assert "/api/customers/C-1/status" in answer.json()["error"]
    assert api.audit[-1]["event"] == "api_denied"
    assert api.audit[-1]["subject"] == "C-1"
    assert api.audit[-1]["detail"].startswith(f"{method} {path}")


@pytest.mark.parametrize("other", ["C-2", "C-99", "c-1", "C-1%20"])
async def test_a_customer_cannot_tell_whether_another_exists(api: Any, other: str) -> None:
    answer = await api.get(f"/api/customers/{other}/status", by="C-1")
    assert answer.status_code == 403
    assert answer.json() == {"error": "a customer's token is for their own premises only"}


async def test_a_dispatcher_of_a_district_sees_what_touches_it(api: Any) -> None:
    answer = await api.get("/api/outages", by="ann of north")
    assert [outage["id"] for outage in answer.json()["outages"]] == ["S1-3"]
    assert api.desk.asked[-1]["districts"] == ("north",)
    answer = await api.get("/api/findings", by="ann of north")
    assert [finding["id"] for finding in answer.json()["findings"]] == ["f-1"]


async def test_what_does_not_touch_the_district_is_as_if_there_were_none(api: Any) -> None:
    for path, missing in (
        ("/api/outages/{}", ("S1-2", "S1-99")),
        ("/api/customers/{}/status", ("C-3", "C-99")),
    ):
        answers = [await api.get(path.format(name), by="ann of north") for name in missing]
        assert [answer.status_code for answer in answers] == [404, 404]
        errors = [
            answer.json()["error"].replace(name, "X")
            for answer, name in zip(answers, missing, strict=True)
        ]
        assert errors[0] == errors[1]


# -- calls -----------------------------------------------------------------------------------------


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
            "phone": "13800000001",
            "at": "2023-11-14T22:00:00Z",
            "kind": "partial",
            "text": "半边没电",
        },
    )
    assert answer.status_code == 201
    assert "13800000001" not in answer.text
    assert api.desk.calls[-1].customer_id == "C-1"
    assert api.desk.calls[-1].at_ms == 1_699_999_200_000


async def test_a_customer_may_call_for_themselves(api: Any) -> None:
    for who in ({"customer_id": "C-1"}, {"phone": "13800000001"}, {"phone": "13800000002"}):
        answer = await api.post("/api/calls", {**who, "kind": "restored"}, by="C-1")
        assert answer.status_code == 201, answer.text
        assert answer.json()["entered_by"] == "customer"
        assert answer.json()["customer_id"] == "C-1"


@pytest.mark.parametrize(
    "who", [{"customer_id": "C-2"}, {"phone": "13800000009"}, {"customer_id": "C-99"}]
)
async def test_a_customer_may_not_call_for_others(api: Any, who: dict[str, str]) -> None:
    answer = await api.post("/api/calls", {**who, "kind": "no_power"}, by="C-1")
    assert answer.status_code == 403
    assert api.desk.calls == []


async def test_a_phone_of_several_customers_needs_an_id(api: Any) -> None:
    answer = await api.post("/api/calls", {"phone": "13800000002", "kind": "no_power"})
    assert answer.status_code == 409
    assert answer.json() == {"error": "that phone has 3 customers; give customer_id instead"}
    one = await api.post(
        "/api/calls", {"phone": "13800000002", "kind": "no_power"}, by="bob of south"
    )
    assert one.json()["customer_id"] == "C-3"  # the only one of their district


@pytest.mark.parametrize(
    "who", [{"customer_id": "C-3"}, {"customer_id": "C-99"}, {"phone": "13800000009"}]
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
        ("both", {**CALL, "phone": "13800000001"}, "not both"),
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


# -- plans -----------------------------------------------------------------------------------------

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
    assert answer.json() == {"error": "that device has a plan already"}


async def test_there_is_no_plan_to_cancel_with_another_id(api: Any) -> None:
    assert (await api.ask("DELETE", "/api/planned/plan-9")).status_code == 404


# -- bad requests ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/api/outages?sate=closed", "sate"),
        ("/api/outages?state=dark", "state"),
        ("/api/outages?state=", "state"),
        ("/api/outages?at=2023-11-14T22:00:00", "zone"),
        ("/api/outages?at=now", "at 'now'"),
        ("/api/outages?at=", "at"),
        ("/api/outages?state=closed&state=predicted", "twice"),
        ("/api/outages/S1-2?full=1", "full"),
        ("/api/findings?all=perhaps", "all"),
        ("/api/outages/" + "x" * 201, "outage_id"),
        ("/api/outages/a%00b", "outage_id"),
        ("/api/customers/%0A/status", "customer_id"),
    ],
)
async def test_a_parameter_that_makes_no_sense_is_refused_by_name(
    api: Any, path: str, word: str
) -> None:
    answer = await api.get(path)
    assert answer.status_code == 422
    assert set(answer.json()) == {"error"}
    assert word in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "GET", 404),
        ("/api", "GET", 404),
        ("/api/outages/", "GET", 404),
        ("/api/nothing", "GET", 404),
        ("/api/outages", "POST", 405),
        ("/api/calls", "GET", 405),
        ("/livez", "DELETE", 405),
    ],
)
async def test_other_addresses_and_methods_get_a_sentence_too(
    api: Any, path: str, method: str, status: int
) -> None:
    answer = await api.ask(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize(
    ("why", "body"),
    [
        ("no JSON", b"hello"),
        ("nothing", b""),
        ("invalid UTF-8", b'{"customer_id":"\xff","kind":"no_power"}'),
        ("NaN", b'{"customer_id":NaN,"kind":"no_power"}'),
        ("500 levels", b'{"customer_id":' * 500),
        ("20,000 levels", b"[" * 20_000),
    ],
)
async def test_a_body_that_is_no_json_is_refused(api: Any, why: str, body: bytes) -> None:
    answer = await api.ask("POST", "/api/calls", content=body)
    assert answer.status_code == 422
    assert set(answer.json()) == {"error"}


async def test_a_body_has_a_limit_whether_it_says_its_length_or_not(
    make_api: Callable[..., Any],
) -> None:
    api = make_api(body_bytes_max=1_000)

    async def pieces() -> Any:
        for _ in range(20):
            yield b" " * 100

    for content in (b" " * 1_001, pieces()):
        answer = await api.ask("POST", "/api/calls", content=content)
        assert answer.status_code == 413
        assert "1000 bytes" in answer.json()["error"]
    fits = json.dumps(CALL).encode().ljust(1_000)
    assert (await api.ask("POST", "/api/calls", content=fits)).status_code == 201


async def test_a_form_is_no_json(api: Any) -> None:
    answer = await api.ask("POST", "/api/calls", data={"customer_id": "C-1"})
    assert answer.status_code == 415


# -- the service -----------------------------------------------------------------------------------


async def test_ready_is_when_every_part_is(api: Any) -> None:
    from dispatch.desk import Component

    assert (await api.get("/readyz", by=None)).status_code == 503  # nothing is known yet
    api.desk.parts = {
        "database": Component(ready=True, since=NOW_TEXT),
        "mqtt": Component(ready=False, since=NOW_TEXT, reason="not subscribed"),
    }
    answer = await api.get("/readyz", by=None)
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "components": {
            "database": {"ready": True, "since": NOW_TEXT, "reason": None},
            "mqtt": {"ready": False, "since": NOW_TEXT, "reason": "not subscribed"},
        },
    }
    del api.desk.parts["mqtt"]
    assert (await api.get("/readyz", by=None)).status_code == 200


async def test_life_and_figures_are_open_on_this_machine(api: Any) -> None:
    assert (await api.get("/livez", by=None)).json() == {"alive": True}
    answer = await api.get("/metrics", by=None)
    assert answer.text == "lastgasp_readings_committed_total 7.0\n"
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_from_elsewhere_they_take_a_dispatchers_token(
    make_api: Callable[..., Any], path: str
) -> None:
    for address, headers in (
        ("203.0.113.9", {}),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}),
        ("127.0.0.1", {"Forwarded": "for=203.0.113.9"}),
    ):
        api = make_api(address)
        assert (await api.get(path, by=None, headers=headers)).status_code == 401
        assert (await api.get(path, by="C-1", headers=headers)).status_code == 403
        assert (await api.get(path, by="ann", headers=headers)).status_code in (200, 503)


async def test_a_database_that_is_away_is_said_with_a_time(api: Any) -> None:
    api.desk.away = True
    answer = await api.get("/api/outages")
    assert answer.status_code == 503
    assert answer.json() == {"error": "the database does not answer"}
    assert answer.headers["retry-after"] == "2"


async def test_our_own_mistake_is_a_sentence_without_its_details(
    make_api: Callable[..., Any],
) -> None:
    api = make_api(raises=False)
    api.desk.outages = None
    answer = await api.get("/api/outages")
    assert answer.status_code == 500
    assert answer.json() == {"error": "something went wrong; the log of the service has it"}
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/api/outages", "/livez", "/docs", "/nothing", "/openapi.json"])
async def test_browsers_are_told_to_be_careful_with_every_answer(api: Any, path: str) -> None:
    headers = (await api.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "strict-transport-security" not in headers


async def test_over_tls_browsers_are_told_to_stay_there(api: Any) -> None:
    headers = (await api.get("https://lastgasp/livez")).headers
    assert headers["strict-transport-security"] == "max-age=31536000"


async def test_the_trail_is_kept_up_to_a_rate_and_survives_the_database() -> None:
    from dispatch.trail import Trail

    kept, now, away = [], 0, False

    async def audit(event: str, **fields: object) -> None:
        if away:
            raise Unreachable("away")
        kept.append(event)

    trail = Trail(audit, 2, lambda: now)
    for _ in range(5):
        await trail.keep("x", subject=None, address=None, detail="")
    assert (len(kept), trail.dropped) == (2, 3)
    now, away = 60_000, True
    await trail.keep("x", subject=None, address=None, detail="")
    assert (len(kept), trail.dropped) == (2, 4)


# -- the documents ---------------------------------------------------------------------------------


async def test_every_answer_is_what_the_openapi_document_says(api: Any) -> None:
    document = (await api.get("/openapi.json", by=None)).json()
    await api.post("/api/planned", PLAN)
    asked = [
        ("GET", "/api/outages", "/api/outages", None),
        ("GET", "/api/outages/S1-2", "/api/outages/{outage_id}", None),
        ("GET", "/api/outages/none", "/api/outages/{outage_id}", None),
        ("GET", "/api/findings", "/api/findings", None),
        ("GET", "/api/planned", "/api/planned", None),
        ("POST", "/api/planned", "/api/planned", {**PLAN, "device_id": "T3"}),
        ("POST", "/api/planned", "/api/planned", PLAN),
        ("POST", "/api/planned", "/api/planned", {}),
        ("DELETE", "/api/planned/plan-1", "/api/planned/{plan_id}", None),
        ("POST", "/api/calls", "/api/calls", CALL),
        ("GET", "/api/customers/C-1/status", "/api/customers/{customer_id}/status", None),
        ("GET", "/livez", "/livez", None),
        ("GET", "/readyz", "/readyz", None),
    ]
    seen = set()
    for method, path, template, body in asked:
        answer = await api.ask(method, path, **({"json": body} if body is not None else {}))
        promised = document["paths"][template][method.lower()]["responses"]
        schema = promised[str(answer.status_code)]["content"]["application/json"]["schema"]
        whole = {**schema, "components": document["components"]}
        jsonschema.validate(answer.json(), whole)
        named = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        assert set(named["properties"]) == set(answer.json()), "every key is always there"
        seen.add((template, method.lower()))
    routes = {(p, m) for p, of in document["paths"].items() for m in of} - {("/metrics", "get")}
    assert seen == routes


def test_the_openapi_document_in_docs_is_current(api: Any) -> None:
    from pathlib import Path

    written = Path(__file__).parents[2] / "docs" / "openapi.json"
    assert json.loads(written.read_text()) == api.app.openapi(), (
        "run: python -m dispatch.openapi > docs/openapi.json"
    )


async def test_the_reference_page_names_every_route_and_needs_nothing_from_elsewhere(
    api: Any,
) -> None:
    answer = await api.get("/docs", by=None)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    for path, operations in api.app.openapi()["paths"].items():
        for method in operations:
            assert f"{method.upper()} {path}" in answer.text
    assert "<script" not in answer.text
    assert "http://" not in answer.text
    assert "https://" not in answer.text


def test_the_pages_only_style_is_the_one_its_policy_allows() -> None:
    import base64
    import hashlib

    from dispatch.reference import STYLED, page

    made = page({"info": {"title": "T", "description": ""}, "tags": [], "paths": {},
                 "components": {"schemas": {}}})  # fmt: skip
    style = made.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in STYLED["Content-Security-Policy"]


def test_fastapi_is_not_imported_by_commands_that_do_not_need_it() -> None:
    import subprocess
    import sys

    program = (
        "import sys, dispatch, dispatch.desk, dispatch.settings, notify.settings, service.tokens;"
        "print([m for m in ('fastapi', 'starlette', 'pydantic', 'websockets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
