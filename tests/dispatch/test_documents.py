"""The specification of the OpenAPI document and of the page made of it."""

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema

from dispatch.reference import STYLED, page

CALL = {"customer_id": "C-1", "kind": "no_power"}
ACTION = {"version": 2, "action": "acknowledge"}
STALE = {"version": 1, "action": "acknowledge"}
SWITCH = {"position": "open", "reason": "线路检修"}
PLAN = {
    "device_id": "T1",
    "from": "2023-11-15T08:00:00+08:00",
    "to": "2023-11-15T16:00:00+08:00",
    "kind": "planned",
    "reason": "换变压器",
}


WISHES = {"quiet": ["21:00", "08:00"], "channels": ["sms"], "opted_out": True}
LEAD = {"duty": "cell_lead", "district": "north", "phone": "100 0000 0007", "name": "Li"}


async def test_every_answer_is_what_the_openapi_document_says(api: Any) -> None:
    document = (await api.get("/openapi.json", by=None)).json()
    await api.post("/api/planned", PLAN)
    asked = [
        ("GET", "/api/outages", "/api/outages", None),
        ("GET", "/api/outages/S1-2", "/api/outages/{outage_id}", None),
        ("GET", "/api/outages/none", "/api/outages/{outage_id}", None),
        ("GET", "/api/findings", "/api/findings", None),
        ("GET", "/api/feed", "/api/feed", None),
        ("GET", "/api/planned", "/api/planned", None),
        ("POST", "/api/planned", "/api/planned", {**PLAN, "device_id": "T3"}),
        ("POST", "/api/planned", "/api/planned", PLAN),
        ("POST", "/api/planned", "/api/planned", {}),
        ("DELETE", "/api/planned/plan-1", "/api/planned/{plan_id}", None),
        ("POST", "/api/calls", "/api/calls", CALL),
        ("GET", "/api/customers/C-1/status", "/api/customers/{customer_id}/status", None),
        ("GET", "/api/session", "/api/session", None),
        ("DELETE", "/api/session", "/api/session", None),
        ("POST", "/api/session/token", "/api/session/token", None),
        ("POST", "/api/session/codes", "/api/session/codes", None),
        ("POST", "/api/session", "/api/session", {"code": "code-1"}),
        ("POST", "/api/session", "/api/session", {"code": "code-1"}),
        ("POST", "/api/outages/S1-2/actions", "/api/outages/{outage_id}/actions", ACTION),
        ("POST", "/api/outages/S1-2/actions", "/api/outages/{outage_id}/actions", STALE),
        ("GET", "/api/outages/S1-2/decisions", "/api/outages/{outage_id}/decisions", None),
        ("GET", "/api/outages/S1-2/calls", "/api/outages/{outage_id}/calls", None),
        ("POST", "/api/crews", "/api/crews", {"id": "crew-7", "name": "Crew 7"}),
        ("GET", "/api/crews", "/api/crews", None),
        ("POST", "/api/switches/T1", "/api/switches/{device_id}", SWITCH),
        ("GET", "/api/outages/S1-2/notices", "/api/outages/{outage_id}/notices", None),
        ("GET", "/api/customers/C-1/notices", "/api/customers/{customer_id}/notices", None),
        ("GET", "/api/customers/C-1/wishes", "/api/customers/{customer_id}/wishes", None),
        ("PUT", "/api/customers/C-1/wishes", "/api/customers/{customer_id}/wishes", WISHES),
        ("GET", "/api/tasks", "/api/tasks", None),
        ("POST", "/api/tasks/7/number", "/api/tasks/{number}/number", None),
        ("POST", "/api/tasks/7", "/api/tasks/{number}", {"outcome": "told"}),
        ("PUT", "/api/staff/li", "/api/staff/{staff_id}", LEAD),
        ("GET", "/api/staff", "/api/staff", None),
        ("DELETE", "/api/staff/li", "/api/staff/{staff_id}", None),
        ("GET", "/api/texts/confirmed", "/api/texts/{phase}", None),
        ("GET", "/api/network", "/api/network", None),
        ("GET", "/api/power", "/api/power", None),
        ("GET", "/api/outages/S1-2/place", "/api/outages/{outage_id}/place", None),
        ("GET", "/api/sources", "/api/sources", None),
        ("GET", "/api/customers/C-1/premises", "/api/customers/{customer_id}/premises", None),
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
    routes = {(p, m) for p, of in document["paths"].items() for m in of} - {
            ("/metrics", "get"), ("/api/feed/stream", "get"),  # no JSON
        }  # fmt: skip
    assert seen == routes


def test_the_openapi_document_in_docs_is_current(api: Any) -> None:
    written = Path(__file__).parents[2] / "docs" / "openapi.json"
    assert json.loads(written.read_text()) == api.app.openapi(), (
        "run: python -m dispatch.reprint > docs/openapi.json"
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
    made = page({"info": {"title": "T", "description": ""}, "tags": [], "paths": {},
                 "components": {"schemas": {}}})  # fmt: skip
    style = made.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in STYLED["Content-Security-Policy"]


def test_fastapi_is_not_imported_by_commands_that_do_not_need_it() -> None:
    program = (
        "import sys, dispatch, dispatch.desk, dispatch.settings, notify.settings, service.tokens;"
        "print([m for m in ('fastapi', 'starlette', 'pydantic', 'websockets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
