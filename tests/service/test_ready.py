"""The specification of asking whether a service is ready."""

import contextlib
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from grid.errors import ConfigError, Unreachable
from service import credentials
from service.clock import now_ms
from service.ready import ask

NOT_YET = (
    b'{"ready":false,"components":{"database":{"ready":true,"reason":null},'
    b'"mqtt":{"ready":false,"reason":"no subscription"}}}'
)


@contextlib.contextmanager
def answering(status: int, body: bytes, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Somebody who answers one thing; the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "missing"),
    [
        (200, b"{}", []),
        (503, NOT_YET, ["mqtt: no subscription"]),
        (502, b"<html>", ["answers 502"]),
        (401, b'{"error":"a token is needed"}', ["answers 401"]),
    ],
)
def test_what_is_not_ready_is_said_with_its_reason(status, body, missing) -> None:
    with answering(status, body) as port:
        found = ask(f"http://127.0.0.1:{port}", None)
    assert [part.removeprefix(f"http://127.0.0.1:{port} ") for part in found] == missing


def test_only_who_shows_a_certificate_of_the_authority_is_believed(tmp_path: Path) -> None:
    credentials.make(tmp_path, [], now_ms())
    own = tmp_path / "lastgasp"
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(own / "server.crt", own / "server.key")
    with answering(200, b"{}", tls) as port:
        assert ask(f"https://127.0.0.1:{port}", own / "ca.crt") == []
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            ask(f"https://127.0.0.1:{port}", None)


def test_nobody_there_and_no_address_are_told_apart(free_port, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="does not answer"):
        ask(f"http://127.0.0.1:{free_port()}", None)
    with pytest.raises(ConfigError, match=r"write it like https://127\.0\.0\.1:8480"):
        ask("127.0.0.1:8480", None)
    with pytest.raises(ConfigError, match="--ca"):
        ask("https://127.0.0.1:1", tmp_path / "none.crt")
