"""``/livez``, ``/readyz``, ``/metrics`` of a role that has no API: who may ask is the API's rule.

From this machine itself everybody; from elsewhere a dispatcher, and Prometheus with its token the
figures and nothing else.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from dispatch import refusals
from dispatch.api import service_routes
from dispatch.bearer import Bearers
from dispatch.desk import Component
from dispatch.trail import Trail
from grid.people import Principal
from service import http, ports
from service.health import Health
from service.metrics import Metrics
from service.settings import HealthSettings, HttpSettings
from service.tasks import Failure


@dataclass(frozen=True, slots=True)
class Watched:
    """Implements ``dispatch.desk.Watched`` for a role."""

    health: Health
    figures: Metrics

    def ready(self) -> Mapping[str, Component]:
        """Each part now."""
        return self.health.ready()

    def metrics(self) -> bytes:
        """Prometheus text format 0.0.4."""
        return self.figures.text()


def make_app(
    watched: Watched,
    verify: Callable[[str], Principal],
    metrics_token: str,
    now_ms: Callable[[], int],
) -> Any:
    """The app; who was refused is in the log, for there is no database to keep it in."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.bearers = Bearers(verify, metrics_token=metrics_token)
    refusals.install(app, Trail(_log_only, 0, now_ms))
    app.include_router(service_routes(watched))
    return app


async def _log_only(
    event: str, *, at_ms: int, subject: str | None, address: str | None, detail: str
) -> None:
    """Not reached: the trail's rate is 0."""


@asynccontextmanager
async def answering(app: Any, settings: HealthSettings, failure: Failure) -> AsyncIterator[None]:
    """Answer while the block runs.

    Raises:
        ConfigError: It would listen beyond this machine without a certificate, or cannot listen.
    """
    address = ports.parse(settings.listen, "health.listen")
    tls = bool(settings.tls_cert and settings.tls_key)
    ports.refuse_open_door(address, "health.listen", tls=tls)
    where = HttpSettings(
        listen=settings.listen, tls_cert=settings.tls_cert, tls_key=settings.tls_key, stop_s=1.0
    )
    async with http.serving(app, where, failure):
        yield
