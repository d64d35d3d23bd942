"""What the pages ask of a running service beside outages (``dispatch.mapdesk.MapDesk``).

The drawing is made once a network and district.  Who is dark comes out of the database; who is
silent out of the engines' own hearing, for that is where a missed heartbeat is known.
"""

import gzip
import math
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from detectors.engine import Engine
from detectors.hearing import EVERYONE
from detectors.moments import NEVER
from dispatch.mapdesk import Power, Premises, PremisesCall, Source, Spot
from grid.errors import Unreachable
from grid.geography import Geography, geography, of_district
from grid.graph import Graph
from grid.network import I64, Network, NodeKind
from grid.public import PublicEtr, PublicOutageDetail, PublicPlan
from grid.times import from_rfc3339, to_rfc3339
from service.health import Health
from store.postgres import Store

PERIODS_SILENT = 3  # reports that a meter may miss before it counts as without data
CALLED_OFF_MS = 86_400_000  # a plan that was cancelled is still told of for so long
CALLS_MS = 86_400_000
DEVICES = {"meter": "meters", "concentrator": "concentrators", "terminal": "terminals",
           "breaker": "breakers"}  # fmt: skip


class Maps:
    """The maps of one running service."""

    def __init__(
        self,
        store: Store,
        network: tuple[Graph, Network],
        engines: Mapping[int, Engine],
        health: Health,
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._graph, self._network = network
        self._engines = engines
        self._health = health
        self._now_ms = now_ms
        self._whole: Geography | None = None
        self._drawn: dict[str | None, tuple[bytes, Mapping[int, int] | None, int]] = {}
        self._node_of = _nodes_of_customers(network[1])

    def replace_network(self, graph: Graph, network: Network) -> None:
        """Draw another version from now on."""
        self._graph, self._network = graph, network
        self._whole = None
        self._drawn = {}
        self._node_of = _nodes_of_customers(network)

    def drawing(self, district: str | None) -> bytes:
        """The drawing of the network, or of a district's part, as JSON under gzip."""
        return self._of(district)[0]

    async def power(self, district: str | None) -> Power:
        """Who is dark and who is silent now."""
        _, numbers, customers = self._of(district)
        dark: dict[str, list[int]] = {}
        now = await self._store.darkness()
        for customer_id, outage_id in now.customers:
            node = self._node_of.get(customer_id)
            if node is not None and numbers is not None:
                node = numbers.get(node)
            if node is not None:
                dark.setdefault(outage_id, []).append(node)
        known = {node for nodes in dark.values() for node in nodes}
        silent = (n if numbers is None else numbers.get(n) for n in self._silent())
        return Power(
            version=self._network.version,
            at=to_rfc3339(self._now_ms()),
            dark=dark,
            silent=[n for n in silent if n is not None and n not in known],
            customers=customers,
            calls={outage: n for outage, n in now.calls.items() if outage in dark},
            told={outage: n for outage, n in now.texts.items() if outage in dark},
        )

    async def sources(self) -> Sequence[Source]:
        """What we hear and depend on, and how old its last word is: devices by kind, gateways by
        whether their backlog is awaited.
        """
        parts = self._health.ready()
        found = [Source(name, part.ready, None, part.reason) for name, part in parts.items()]
        try:
            ages = await self._store.source_ages()
        except Unreachable:  # the part "database" says so
            return found
        now = self._now_ms()
        for age in ages:
            devices = DEVICES.get(age.source)
            if devices is not None and age.heard_ms is not None:
                found.append(
                    Source(devices, True, round(max(0, now - age.heard_ms) / 1000, 1), None)
                )
            elif age.deaf_since_ms is not None and age.source not in parts:
                found.append(Source(age.source, False, None, "its backlog is coming in"))
        return found

    def spot(self, device_id: str) -> Spot:
        """Where a device stands, to a decimetre; nowhere where the network has no degrees."""
        place = self._network.places.get(device_id)
        if place is not None and self._drawing().geographic:
            group = self._network.groups[place.group]
            east, north = float(group.x[place.node]), float(group.y[place.node])
            if not (math.isnan(east) or math.isnan(north)):
                return Spot(device_id, round(north, 6), round(east, 6))
        return Spot(device_id, None, None)

    async def premises(self, customer_id: str) -> Premises | None:
        """What a customer's page tells; None where there is no such customer."""
        status = await self._store.customer_status(customer_id)
        if status is None:
            return None
        before = None
        if status.outage_id is not None and status.etr is not None:
            detail = await self._store.outage(status.outage_id)
            before = etr_before(detail) if detail else None
        now = self._now_ms()
        calls = await self._store.calls(customer_id)
        heard_ms, silent = self._heard(customer_id, now)
        plans = await self._store.plans()
        return Premises(
            status=status,
            etr_before=before,
            heard_at=None if heard_ms is None else to_rfc3339(heard_ms),
            silent=silent,
            plan=next_plan(plans, self._above(customer_id), now),
            calls=tuple(
                PremisesCall(c.at, c.kind) for c in calls if from_rfc3339(c.at) > now - CALLS_MS
            ),
        )

    def _of(self, district: str | None) -> tuple[bytes, Mapping[int, int] | None, int]:
        found = self._drawn.get(district)
        if found is None:
            numbers, drawn = None, self._drawing()
            if district is not None:
                drawn, nodes = of_district(drawn, district)
                numbers = {node: i for i, node in enumerate(nodes)}
            packed = gzip.compress(msgspec.json.encode(drawn), 5, mtime=0)
            found = self._drawn[district] = packed, numbers, sum(drawn.customers)
        return found

    def _drawing(self) -> Geography:
        if self._whole is None:
            self._whole = geography(self._graph, self._network)
        return self._whole

    def _silent(self) -> list[int]:
        """Meters' nodes, numbered through all groups, that have said nothing for too long."""
        found: list[int] = []
        start, now = 0, self._now_ms()
        for group in self._network.groups:
            engine = self._engines[group.no]
            if len(engine.group.ids) != len(group.ids):
                continue  # it is of the next version already, and so are we in a moment
            late = now - _last_ms(engine) > PERIODS_SILENT * engine.hearing.period_ms(
                engine.limits.heartbeat_s
            )
            late &= group.kind == NodeKind.METER
            found += (np.flatnonzero(late) + start).tolist()
            start += len(group.ids)
        return found

    def _heard(self, customer_id: str, now: int) -> tuple[int | None, bool]:
        """When a customer's meter last said anything; and whether that is too long ago."""
        place = self._network.places.get(self._network.customer_meters.get(customer_id, ""))
        if place is None:
            return None, True
        engine = self._engines[place.group]
        if place.node >= len(engine.group.ids):
            return None, False  # it is of the next version already
        last = int(_last_ms(engine)[place.node])
        period = int(engine.hearing.period_ms(engine.limits.heartbeat_s)[place.node])
        return None if last <= 0 else last, now - last > PERIODS_SILENT * period

    def _above(self, customer_id: str) -> set[str]:
        """The devices that a customer is fed through."""
        place = self._network.places.get(self._network.customer_meters.get(customer_id, ""))
        found: set[str] = set()
        if place is not None:
            group, node = self._network.groups[place.group], place.node
            while node >= 0:
                found.add(group.ids[node])
                node = int(group.parent[node])
        return found


def etr_before(outage: PublicOutageDetail) -> PublicEtr | None:
    """What was expected before the estimate that stands; None if it is the first."""
    said: list[PublicEtr] = []
    for change in outage.changes:
        etr = change.outage.etr
        if etr is not None and (not said or said[-1].at != etr.at):
            said.append(etr)
    return said[-2] if len(said) > 1 else None


def next_plan(plans: Sequence[PublicPlan], above: set[str], now: int) -> PublicPlan | None:
    """The work under way or next of what feeds somebody; else one called off a short while ago."""
    theirs = [p for p in plans if p.device_id in above and from_rfc3339(p.to) > now]
    for plan in theirs:
        if plan.cancelled_at is None:
            return plan
    off = [p for p in theirs if from_rfc3339(p.cancelled_at or p.to) > now - CALLED_OFF_MS]
    return off[0] if off else None


def _last_ms(engine: Engine) -> I64:
    heard = engine.hearing
    last = np.maximum(
        np.maximum(heard.on_ms[EVERYONE], heard.off_ms[EVERYONE]),
        np.maximum(heard.beat_ms[EVERYONE], heard.back_ms[EVERYONE]),
    )
    return np.where(last == NEVER, 0, last + heard.lag())


def _nodes_of_customers(network: Network) -> Mapping[str, int]:
    found: dict[str, int] = {}
    start = 0
    for group in network.groups:
        counts = np.diff(group.customer_from)
        nodes = np.repeat(np.arange(len(group.ids)), counts) + start
        found.update(zip(group.customer_ids, nodes.tolist(), strict=True))
        start += len(group.ids)
    return found
