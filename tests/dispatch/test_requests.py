"""The specification of bad requests, of the service's own pages, and of every answer's headers."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from dispatch.desk import Component
from dispatch.trail import Trail
from grid.errors import Unreachable

NOW_TEXT = "2023-11-14T22:13:20.000Z"
CALL = {"customer_id": "C-1", "kind": "no_power"}


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
    assert set(answer.json()) == {"error", "code"}
    assert word in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/nothing", "GET", 404),
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
    assert set(answer.json()) == {"error", "code"}


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
    assert set(answer.json()) == {"error", "code"}


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


async def test_ready_is_when_every_part_is(api: Any) -> None:
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


async def test_prometheus_reads_the_figures_from_elsewhere_and_nothing_else(
    make_api: Callable[..., Any],
) -> None:
    api, shown = make_api("203.0.113.9"), {"Authorization": "Bearer prometheus"}
    assert (await api.get("/metrics", by=None, headers=shown)).status_code == 200
    assert (await api.get("/readyz", by=None, headers=shown)).status_code == 401
    assert (await api.get("/api/outages", by=None, headers=shown)).status_code == 401
    for wrong in ("Bearer prometheu", "Bearer ", "Basic prometheus", "Bearer prométheus"):
        answer = await api.get("/metrics", by=None, headers={"Authorization": wrong.encode()})
        assert answer.status_code == 401, wrong


async def test_a_database_that_is_away_is_said_with_a_time(api: Any) -> None:
    api.desk.away = True
    answer = await api.get("/api/outages")
    assert answer.status_code == 503
    assert answer.json() == {"error": "the database does not answer", "code": "unavailable"}
    assert answer.headers["retry-after"] == "2"


async def test_our_own_mistake_is_a_sentence_without_its_details(
    make_api: Callable[..., Any],
) -> None:
    api = make_api(raises=False)
    api.desk.outages = None
    answer = await api.get("/api/outages")
    assert answer.status_code == 500
    sentence = "something went wrong; the log of the service has it"
    assert answer.json() == {"error": sentence, "code": "failed"}
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
