"""The specification of the HTTP interface: what is answered, and to whom."""

from collections.abc import Callable
from typing import Any

import pytest

from grid.public import PublicOutage, PublicOutageDetail

NOW_TEXT = "2023-11-14T22:13:20.000Z"


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
    assert found[0]["etr"].keys() == {
        "at", "source", "confidence", "earliest", "said_at", "reason",
    }  # fmt: skip
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
        "stage": "none",
        "progress": [],
        "detected_at": None,
        "confirmed_at": None,
        "homes": None,
        "homes_out": None,
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
    sentence = "a token is needed: Authorization: Bearer TOKEN"
    assert answer.json() == {"error": sentence, "code": "unauthorized"}
    assert answer.headers["www-authenticate"] == "Bearer"
    assert api.audit[-1]["event"] == "api_unauthorized"
    assert api.audit[-1]["subject"] is None


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer junk", "Basic YW5uOng=", "bearer a.b.c", "junk"]
)
async def test_what_is_no_token_of_ours_opens_nothing(api: Any, header: str) -> None:
    answer = await api.get("/api/outages", by=None, headers={"Authorization": header})
    assert answer.status_code == 401
    assert set(answer.json()) == {"error", "code"}


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
    sentence = "a customer's token is for their own premises only"
    assert answer.json() == {"error": sentence, "code": "not_allowed"}


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
