"""What commits tell: when each kind of device was heard, and how many customers are dark."""

from collections.abc import Callable, Mapping

from grid.network import Network, NodeKind
from grid.outage import RUNNING, Outage
from grid.parcel import Batch

VERSIONS_MAX = 4
MADE_UP = 12  # grid.reading.Kind: from here on a gateway's or a person's word, not the device's


class Heard:
    """When a reading of each kind of device was last received; only kinds that the network has."""

    def __init__(self, network: Network, now_ms: Callable[[], int]) -> None:
        self._groups = {network.version: network.groups}
        self._now_ms = now_ms
        self._last_ms: dict[str, int] = {}

    def know(self, network: Network) -> None:
        """Another version of the network is about to be in force; frames of those before come
        still, and the oldest of too many is let go.
        """
        last = list(self._groups.items())[1 - VERSIONS_MAX :]
        self._groups = dict([*last, (network.version, network.groups)])

    def committed(self, batch: Batch) -> None:
        """Look at what a transaction brought."""
        for applied in batch:
            rows = applied.frame.rows
            rows = rows[rows["kind"] < MADE_UP]
            groups = self._groups.get(applied.frame.network)
            if len(rows) == 0 or groups is None:
                continue
            kinds = groups[applied.frame.group].kind[rows["node"]]
            via = rows["dcu"] >= 0
            for name, which in (
                ("meters", kinds == NodeKind.METER),  # by their concentrators too
                ("concentrators", via),
                ("terminals", kinds == NodeKind.TRANSFORMER),
                ("breakers", (kinds >= NodeKind.BREAKER) & (kinds <= NodeKind.FUSE)),
            ):
                if which.any():
                    last = int(rows["received_ms"][which].max())
                    self._last_ms[name] = max(last, self._last_ms.get(name, 0))

    def ages_s(self) -> Mapping[str, float]:
        """Seconds since each was heard."""
        now = self._now_ms()
        return {name: max(0, now - at) / 1000 for name, at in sorted(self._last_ms.items())}


class Dark:
    """Customers without power, by running outage."""

    def __init__(self) -> None:
        self._out: dict[str, int] = {}

    def stands(self, outage_id: str, state: str, customers_out: int) -> None:
        """An outage as it is now."""
        if state in RUNNING:
            self._out[outage_id] = customers_out
        else:
            self._out.pop(outage_id, None)

    def committed(self, batch: Batch) -> None:
        """Look at what a transaction brought."""
        for applied in batch:
            for change in applied.outcome.changes:
                outage: Outage = change.outage
                self.stands(outage.id, outage.state, outage.customers_out)

    @property
    def customers(self) -> int:
        """All of them."""
        return sum(self._out.values())

    @property
    def outages(self) -> int:
        """Running ones."""
        return len(self._out)
