"""What Prometheus is told of texts: how many wait and for how long, and what became of them."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from grid.errors import Unreachable
from grid.notice import Lane
from grid.outbox import Figures
from notify.sender import Sender
from service.metrics import Metrics
from store.outbox import Outbox

LOOK_S = 5.0


class OutboxFigures:
    """The outbox, looked at now and then."""

    def __init__(self, outbox: Outbox, now_ms: Callable[[], int]) -> None:
        self._outbox = outbox
        self._now_ms = now_ms
        self._figures = Figures({}, 0, 0, None)

    async def look(self) -> None:
        """Look, for ever; while the database is away the last figures stand."""
        while True:
            with contextlib.suppress(Unreachable):
                self._figures = await self._outbox.figures(self._now_ms())
            await asyncio.sleep(LOOK_S)

    def show(self, metrics: Metrics, senders: Sequence[Sender]) -> None:
        """Give the figures to Prometheus."""
        metrics.gauges("lastgasp_outbox_queued", "Texts that wait", "lane", self._queued)
        metrics.gauge("lastgasp_outbox_unknown", "Texts of unknown fate",
                      lambda: self._figures.unknown)  # fmt: skip
        metrics.gauge("lastgasp_outbox_oldest_seconds",
                      "Since the oldest text is due", self._oldest_s)  # fmt: skip
        for sender in senders:
            name = f"lastgasp_{sender.channel}"
            metrics.gauges(name, "Texts by what became of them, since the start", "outcome",
                           partial(_outcomes, sender))  # fmt: skip
            metrics.gauge(f"{name}_bound", "Whether the gateway has us bound",
                          partial(_bound, sender))  # fmt: skip

    def _queued(self) -> Mapping[str, float]:
        queued = self._figures.queued
        return {lane.name.lower(): float(queued.get(lane.value, 0)) for lane in Lane}

    def _oldest_s(self) -> float:
        oldest = self._figures.oldest_due_ms
        return 0.0 if oldest is None else max(0.0, (self._now_ms() - oldest) / 1000)


def _outcomes(sender: Sender) -> Mapping[str, float]:
    return {what: float(count) for what, count in sender.tally.outcomes.items()}


def _bound(sender: Sender) -> float:
    return float(sender.gateway.bound.is_set())
