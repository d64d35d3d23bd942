"""The static pages: plain files out of ``dispatch/pages``, sent as they are.

Only files that were there at start are sent, under the names they have; nothing is looked up by a
path that somebody else wrote.  Every page may run scripts and styles from here and nowhere else,
and speak to this service and its feeds and nobody else.
"""

import gzip
import hashlib
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request
from fastapi.responses import Response

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
PAGES = {
    "/": "index.html", "/board": "board.html", "/mine": "mine.html", "/crew": "crew.html",
    "/phone": "phone.html",
}  # fmt: skip
SMALL = 1024  # bytes that are not worth packing
KEPT = "no-cache"  # a browser keeps it and asks each time whether it is still so


@dataclass(slots=True)
class File:
    """A file, ready to be sent; packed when it is first wanted so."""

    body: bytes
    kind: str
    tag: str
    _packed: bytes | None = field(default=None)

    @property
    def packed(self) -> bytes | None:
        """The body under gzip; None where that is not worth it."""
        if self._packed is None and len(self.body) > SMALL:
            self._packed = gzip.compress(self.body, 6, mtime=0)
        return self._packed


def router(feeds_url: str) -> APIRouter:
    """The pages and their files; ``feeds_url`` is where else they may connect."""
    files = dict(_files(resources.files("dispatch") / "pages", ""))
    headers = {"Content-Security-Policy": policy(feeds_url), "Cache-Control": KEPT}
    routes = APIRouter(include_in_schema=False)

    def send(name: str) -> None:
        async def answer(request: Request) -> Response:
            return _answer(files[name], request, headers)

        path = next((p for p, page in PAGES.items() if page == name), f"/pages/{name}")
        routes.add_api_route(path, answer, methods=["GET", "HEAD"], name=f"page {name}")

    for name in files:
        send(name)
    return routes


def policy(feeds_url: str) -> str:
    """The content security policy of all pages."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "worker-src 'self'",
            f"connect-src 'self' {feeds_url}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _files(folder: Traversable, prefix: str) -> list[tuple[str, File]]:
    found: list[tuple[str, File]] = []
    for each in sorted(folder.iterdir(), key=lambda one: one.name):
        if each.is_dir():
            found += _files(each, f"{prefix}{each.name}/")
        elif (kind := TYPES.get(each.name.rpartition(".")[2])) is not None:
            body = each.read_bytes()
            tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
            found.append((prefix + each.name, File(body, kind, tag)))
    return found


def _answer(file: File, request: Request, headers: dict[str, str]) -> Response:
    told = {**headers, "ETag": file.tag, "Vary": "Accept-Encoding"}
    if file.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=told)
    body = file.body
    if "gzip" in request.headers.get("accept-encoding", "") and file.packed is not None:
        body, told["Content-Encoding"] = file.packed, "gzip"
    return Response(body, headers=told, media_type=file.kind)
