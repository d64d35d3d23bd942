"""The service's pulse: every commit counted, and what it says of sources, the dark and the
database.
"""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from grid.errors import Unreachable
from grid.network import Network
from grid.parcel import Advance, Batch, Quarantined
from service.heard import Dark, Heard
from service.metrics import Metrics


class Commit(Protocol):
    """The store's way to commit."""

    async def __call__(
        self, batch: Batch, quarantined: Sequence[Quarantined], advance: Advance | None = None
    ) -> None:
        """Write a batch, all or nothing."""


class Pulse:
    """Stands between the runner and the store, and feels each transaction."""

    def __init__(
        self,
        network: Network,
        commit: Commit,
        now_ms: Callable[[], int],
        metrics: Metrics | None = None,
    ) -> None:
        self.metrics = metrics or Metrics()
        self.heard = Heard(network, now_ms)
        self.dark = Dark()
        self._store_commit = commit
        self._now_ms = now_ms
        self._trouble: str | None = None
        self.served = network.customer_count
        self._show()

    async def commit(
        self, batch: Batch, quarantined: Sequence[Quarantined], advance: Advance | None = None
    ) -> None:
        """The store's commit, timed and counted.

        Raises:
            Unreachable: As the store's.
        """
        began = time.monotonic()
        try:
            await self._store_commit(batch, quarantined, advance)
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

    def expect(self, network: Network) -> None:
        """What is committed from now on may be of this version of the network."""
        self.heard.know(network)
        self.served = network.customer_count

    def _show(self) -> None:
        gauge = self.metrics.gauge
        gauge("lastgasp_customers", "Customers served", lambda: self.served)
        gauge("lastgasp_customers_out", "Customers without power", lambda: self.dark.customers)
        gauge("lastgasp_outages_running", "Running outages", lambda: self.dark.outages)
        self.metrics.gauges(
            "lastgasp_source_age_seconds",
            "Since a kind of device was last heard",
            "source",
            self.heard.ages_s,
        )
