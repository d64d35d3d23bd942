"""The HTTP server: uvicorn in our own loop, on a socket that is ours, stopped when we say so."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn

from grid.errors import ConfigError
from service import ports
from service.settings import HttpSettings
from service.tasks import Failure

BACKLOG = 1024


@contextlib.asynccontextmanager
async def serving(app: Any, settings: HttpSettings, failure: Failure) -> AsyncIterator[None]:
    """Answer requests while the block runs."""
    address = ports.parse(settings.listen, "--http")
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=max(1, round(settings.stop_s)),
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
    )
    server = _Server(config)
    with socket.create_server(
        (address.host, address.port),
        family=socket.AF_INET6 if ":" in address.host else socket.AF_INET,
        backlog=BACKLOG,
    ) as listener:
        task = asyncio.create_task(server.serve([listener]), name="http")
        task.add_done_callback(lambda done: _note(done, failure))
        try:
            yield
        finally:
            server.should_exit = True
            await asyncio.wait({task}, timeout=settings.stop_s + 2.0)


def tls_context(cert: str, key: str, section: str) -> ssl.SSLContext | None:
    """The server's side of TLS; None where no certificate is set.

    Raises:
        ConfigError: The files cannot be used.
    """
    if not cert and not key:
        return None
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert, key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"the certificate of [{section}] cannot be used: {error}; check tls_cert and tls_key"
        ) from error
    return context


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: signals are service/up.py's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


def _note(task: "asyncio.Task[None]", failure: Failure) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        failure.note(error)
