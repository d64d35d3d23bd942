"""/docs: the OpenAPI document as one page, made here.

The usual viewers load scripts from elsewhere; a control room's network has no elsewhere.  The page
has no script at all, and its only style is named by hash in its content security policy.
"""

import base64
import hashlib
import html
from collections.abc import Iterator
from typing import Any

_STYLE = """\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1a1a1a;background:#fff}
h2{margin-top:2.5rem;border-bottom:1px solid #ccc}
h3{font:600 1.05rem ui-monospace,monospace;margin:2rem 0 .3rem}
table{border-collapse:collapse;width:100%;margin:.4rem 0 1rem}
td,th{text-align:left;vertical-align:top;padding:.25rem .8rem .25rem 0;
border-bottom:1px solid #e5e5e5}
code{font:.9em ui-monospace,monospace}
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

STYLED = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'none'"
    )
}
"""Headers of the page."""


def page(document: dict[str, Any]) -> str:
    """The document as HTML."""
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'>",
        f"<title>{_text(document['info']['title'])} API</title><style>{_STYLE}</style>",
        f"<h1>{_text(document['info']['title'])} API</h1>",
        *_paragraphs(document["info"]["description"]),
        "<p>For machines: <a href='/openapi.json'>openapi.json</a></p>",
    ]
    for tag in document["tags"]:
        parts.append(f"<h2>{_text(tag['name'])}</h2><p>{_text(tag['description'])}</p>")
        parts.extend(_operations(document, tag["name"]))
    parts.append("<h2>Objects</h2>")
    for name, schema in document["components"]["schemas"].items():
        parts.extend(_object(name, schema))
    return "\n".join(parts)


def _operations(document: dict[str, Any], tag: str) -> Iterator[str]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if tag not in operation["tags"]:
                continue
            yield f"<h3>{_text(method.upper())} {_text(path)}</h3>"
            yield from _paragraphs(operation.get("description", ""))
            yield from _rows("Parameter", _parameters(operation))
            yield from _rows("Answer", _answers(operation))


def _parameters(operation: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for parameter in operation.get("parameters", ()):
        said = parameter.get("description", "")
        yield parameter["name"], f"{_text(_kind(parameter['schema']))} {_text(said)}"
    body = operation.get("requestBody")
    if body is not None:
        yield "body", _kind_of_content(body)


def _answers(operation: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for status, answer in operation["responses"].items():
        yield status, f"{_kind_of_content(answer)} {_text(answer['description'])}"


def _object(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"<h3 id='{_text(name)}'>{_text(name)}</h3>"
    yield from _paragraphs(schema.get("description", ""))
    properties = schema.get("properties", {})
    yield from _rows("Key", ((key, _linked(_kind(value))) for key, value in properties.items()))


def _rows(title: str, rows: Iterator[tuple[str, str]]) -> Iterator[str]:
    """A table; the right-hand cells are HTML already."""
    made = [f"<tr><td><code>{_text(key)}</code><td>{value}" for key, value in rows]
    if made:
        yield f"<table><tr><th>{title}<th>"
        yield from made
        yield "</table>"


def _kind_of_content(holder: dict[str, Any]) -> str:
    content = holder.get("content", {}).get("application/json")
    return _linked(_kind(content["schema"])) if content else ""


def _kind(schema: dict[str, Any]) -> str:
    """A schema in a few words: ``#Outages``, ``string or null``, ``list of #PublicStep``."""
    if "$ref" in schema:
        return "#" + str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(str(each) for each in schema["enum"])
    if schema.get("type") == "array":
        if "prefixItems" in schema:
            return "list of " + ", ".join(_kind(each) for each in schema["prefixItems"])
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("type", "anything"))


def _linked(kind: str) -> str:
    words = (
        f"<a href='{_text(w)}'>{_text(w[1:])}</a>" if w.startswith("#") else _text(w)
        for w in kind.split(" ")
    )
    return " ".join(words)


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        if paragraph.strip():
            yield f"<p>{_text(paragraph)}</p>"


def _text(text: str) -> str:
    return html.escape(str(text), quote=True)
