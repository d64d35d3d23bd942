"""The OpenAPI document: schemas come from the very structs that are sent and read.

``python -m dispatch.reprint > docs/openapi.json`` writes it; a test says when it is stale.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from dispatch.answers import (
    Alive,
    Calls,
    Code,
    Conflict,
    Crews,
    Decisions,
    FeedPage,
    FeedToken,
    Findings,
    Notices,
    Number,
    Outages,
    Planned,
    Previews,
    Problem,
    Readiness,
    Session,
    Settled,
    Sources,
    Staff,
    Tasks,
    Wishes,
)
from dispatch.asked import (
    ActionBody,
    CallBody,
    CrewBody,
    PlanBody,
    SignInBody,
    StaffBody,
    SwitchBody,
    TaskBody,
    WishesBody,
)
from dispatch.mapdesk import Power, Premises, Spot
from grid.geography import Geography
from grid.public import (
    CustomerStatus,
    PublicCall,
    PublicCrew,
    PublicDecision,
    PublicOutageDetail,
    PublicPlan,
)
from grid.told import PublicStaff, PublicTask

REF = "#/components/schemas/{name}"
STRUCTS = (
    Alive, Readiness, Outages, PublicOutageDetail, Notices, Findings, CustomerStatus, PublicCall,
    Planned, PublicPlan, CallBody, PlanBody, SignInBody, Session, FeedPage,
    FeedToken, Code, Problem, ActionBody,
    Settled, Conflict, Decisions,
    PublicDecision, Calls, Crews, PublicCrew, CrewBody, SwitchBody,
    Geography, Power, Sources, Premises, Spot,
    Wishes, WishesBody, Tasks, TaskBody, PublicTask, Number, Staff, StaffBody, PublicStaff,
    Previews,
)  # fmt: skip

PROBLEMS: Mapping[int, str] = {
    401: "No token, or one that is not valid; a sentence says why",
    403: "Not for this bearer",
    404: "There is none, or none of the bearer's",
    409: "It contradicts what is there",
    413: "The body is too large",
    415: "The body is no JSON",
    422: "The request cannot be understood; a sentence names the field",
    503: "The database is away; try again after Retry-After seconds",
}

DESCRIPTION = """\
Outages, the calls and plans that go with them, and what one customer may know.

Every key of an answer is always there, null where unknown. What is refused says why in a sentence
(`error`) and by a word that does not change (`code`). Times are RFC 3339 UTC. Send
`Authorization: Bearer TOKEN` (`lastgasp token --role ...` prints one). A dispatcher whose token
names a district sees what touches that district; a crew its work orders, a customer their own
premises. Live changes come on the websocket feeds (`docs/feeds.md`).
"""


def gives(kind: type, *problems: int, status: int = 200, what: str = "") -> dict[int | str, Any]:
    """A route's answers for its ``responses``: a struct, and what may go wrong."""
    told: dict[int | str, Any] = {
        status: _content(kind, what or (kind.__doc__ or "").partition("\n")[0])
    }
    return {**told, **{each: _content(Problem, PROBLEMS[each]) for each in problems}}


def takes(kind: type) -> dict[str, Any]:
    """A route's body for its ``openapi_extra``."""
    return {"requestBody": {"required": True, **_content(kind)}}


def document(app: FastAPI) -> dict[str, Any]:
    """The app's document; made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        _, found = msgspec.json.schema_components(STRUCTS, ref_template=REF)
        schemas = msgspec.json.decode(msgspec.json.encode(found))  # a default () is a JSON []
        made["components"] = {
            "schemas": {name: _plain(schemas[name]) for name in sorted(schemas)},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        }
        _drop_foreign_problems(made)
        app.openapi_schema = made
    return app.openapi_schema


def _content(kind: type, description: str | None = None) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    content = {"content": {"application/json": {"schema": schema}}}
    return content if description is None else {"description": description, **content}


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Docstrings as one paragraph."""
    text = schema.get("description")
    return {**schema, "description": " ".join(text.split())} if text else schema


def _drop_foreign_problems(made: dict[str, Any]) -> None:
    """FastAPI adds its own 422 to every route with a parameter; ours is another object."""
    for path in made["paths"].values():
        for operation in path.values():
            answer = operation["responses"].get("422", {})
            schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
            if schema.get("$ref", "").endswith("HTTPValidationError"):
                operation["responses"]["422"] = _content(Problem, PROBLEMS[422])
