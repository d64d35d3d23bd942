"""What the gateways count."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge


class IngestMetrics:
    """Counters of the gateways, in a registry of the caller's."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.messages = Counter(
            "lastgasp_ingest_messages",
            "Messages and polls, by what became of them",
            ["source", "result"],
            registry=registry,
        )
        self.quarantined = Counter(
            "lastgasp_quarantine",
            "Payloads that could not be read, by the class of reason",
            ["source", "reason"],
            registry=registry,
        )
        self.lag_s = Gauge(
            "lastgasp_ingest_lag_seconds",
            "Age of the latest readings when they were received, by the device's clock",
            ["source"],
            registry=registry,
        )
        self.outstanding = Gauge(
            "lastgasp_ingest_outstanding",
            "Messages received and not yet committed",
            ["source"],
            registry=registry,
        )
        self.connected = Gauge(
            "lastgasp_ingest_connected", "Peers connected", ["source"], registry=registry
        )
