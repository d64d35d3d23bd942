"""What Prometheus is told.  Base units, one prefix, no label with more than a few dozen values."""

from collections.abc import Callable, Mapping, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from grid.parcel import Batch, Quarantined
from notify.feeds import Feeds

_COMMIT_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_LAG_S = (0.01, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0)


class Metrics:
    """The service's own figures; ``text`` is what ``/metrics`` answers."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series beside each counter that nobody asks for
        self.registry = CollectorRegistry()
        here = self.registry
        self._readings = Counter(
            "lastgasp_readings_committed", "Readings committed, repeats aside", registry=here
        )
        self._repeats = Counter(
            "lastgasp_repeats", "Readings that were heard before", registry=here
        )
        self._frames = Counter("lastgasp_frames_committed", "Frames committed", registry=here)
        self._changes = Counter(
            "lastgasp_changes_committed", "Changes committed", ["state"], registry=here
        )
        self._findings = Counter(
            "lastgasp_findings_committed", "Findings committed", ["kind"], registry=here
        )
        self._pings = Counter("lastgasp_pings", "Meters that were asked", registry=here)
        self._quarantined = Counter(
            "lastgasp_quarantined", "Payloads that could not be read", ["source"], registry=here
        )
        self._commit_s = Histogram(
            "lastgasp_commit_seconds", "A batch's transaction", buckets=_COMMIT_S, registry=here
        )
        self._lag_s = Histogram(
            "lastgasp_receipt_to_commit_seconds",
            "From the receipt of a frame's oldest reading to its commit",
            buckets=_LAG_S,
            registry=here,
        )
        self._failures = Counter(
            "lastgasp_commit_failures", "Transactions that will be tried again", registry=here
        )

    def committed(self, batch: Batch, quarantined: Sequence[Quarantined], now_ms: int) -> None:
        """Count what a transaction brought."""
        for applied in batch:
            rows = applied.frame.rows
            self._frames.inc()
            repeats = len(applied.outcome.repeat_rows)
            self._readings.inc(len(rows) - repeats)
            self._repeats.inc(repeats)
            self._pings.inc(len(applied.outcome.pings))
            for change in applied.outcome.changes:
                self._changes.labels(change.outage.state.value).inc()
            for finding in applied.outcome.findings:
                self._findings.labels(finding.kind).inc()
            if len(rows):
                self._lag_s.observe(max(0, now_ms - int(rows["received_ms"].min())) / 1000)
        for one in quarantined:
            self._quarantined.labels(one.source).inc()

    def commit_took(self, seconds: float) -> None:
        """Note the time of one transaction."""
        self._commit_s.observe(seconds)

    def commit_failed(self) -> None:
        """Note a transaction that did not come through."""
        self._failures.inc()

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A value that is read when somebody asks."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def gauges(
        self, name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        """Values by a label, read when somebody asks."""
        self.registry.register(_Labelled(name, text, label, read))

    def watch_feeds(self, feeds: Feeds) -> None:
        """Show what the feeds count."""
        gauge, gauges, tally = self.gauge, self.gauges, feeds.tally
        gauge("lastgasp_feed_clients", "Feed connections now", lambda: feeds.clients)
        gauge("lastgasp_feed_channels", "Channels listened to now", lambda: feeds.channels)
        gauge("lastgasp_feed_delivered", "Feed messages delivered", lambda: tally.delivered)
        gauge("lastgasp_feed_coalesced", "Left out for slow clients", lambda: tally.coalesced)
        gauges("lastgasp_feed_closed", "Closed by us", "reason", lambda: dict(tally.closed))

    def text(self) -> bytes:
        """Prometheus text format 0.0.4."""
        return generate_latest(self.registry)


class _Labelled(Collector):
    """Gauges whose label values are only known when they are read."""

    def __init__(
        self, name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        self._words = (name, text, label)
        self._read = read

    def collect(self) -> list[GaugeMetricFamily]:
        """The values now."""
        name, text, label = self._words
        family = GaugeMetricFamily(name, text, labels=[label])
        for key, value in self._read().items():
            family.add_metric([key], value)
        return [family]
