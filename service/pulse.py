"""The service's pulse: every commit counted, and what it says of sources, the dark and the
database.
"""

import time
from collections.abc import Awaitable, Callable, Sequence

from grid.errors import Unreachable
from grid.network import Network
from grid.parcel import Batch, Quarantined
from notify.feeds import Feeds
from service.heard import Dark, Heard
from service.metrics import Metrics

Commit = Callable[[Batch, Sequence[Quarantined]], Awaitable[None]]


class Pulse:
    """Stands between the runner and the store, and feels each transaction."""

    def __init__(self, network: Network, commit: Commit, now_ms: Callable[[], int]) -> None:
        self.metrics = Metrics()
        self.heard = Heard(network, now_ms)
        self.dark = Dark()
        self._store_commit = commit
        self._now_ms = now_ms
        self._trouble: str | None = None
        self._show(network)

    async def commit(self, batch: Batch, quarantined: Sequence[Quarantined]) -> None:
        """The store's commit, timed and counted.

        Raises:
            Unreachable: As the store's.
        """
        began = time.monotonic()
        try:
            await self._store_commit(batch, quarantined)
        except Unreachable as away:
            self._trouble = away.message
            self.metrics.commit_failed()
            raise
        self._trouble = None
        self.metrics.commit_took(time.monotonic() - began)
        self.metrics.committed(batch, quarantined, self._now_ms())
        self.heard.committed(batch)
        self.dark.committed(batch)

    def trouble(self) -> str | None:
        """Why the last transaction did not come through; None if it did."""
        return self._trouble

    def watch_feeds(self, feeds: Feeds) -> None:
        """Show what the feeds count."""
        gauge, gauges, tally = self.metrics.gauge, self.metrics.gauges, feeds.tally
        gauge("lastgasp_feed_clients", "Feed connections now", lambda: feeds.clients)
        gauge("lastgasp_feed_channels", "Channels listened to now", lambda: feeds.channels)
        gauge("lastgasp_feed_delivered", "Feed messages delivered", lambda: tally.delivered)
        gauge("lastgasp_feed_coalesced", "Left out for slow clients", lambda: tally.coalesced)
        gauges("lastgasp_feed_closed", "Closed by us", "reason", lambda: dict(tally.closed))

    def _show(self, network: Network) -> None:
        gauge = self.metrics.gauge
        served = network.customer_count
        gauge("lastgasp_customers", "Customers served", lambda: served)
        gauge("lastgasp_customers_out", "Customers without power", lambda: self.dark.customers)
        gauge("lastgasp_outages_running", "Running outages", lambda: self.dark.outages)
        self.metrics.gauges(
            "lastgasp_source_age_seconds",
            "Since a kind of device was last heard",
            "source",
            self.heard.ages_s,
        )
