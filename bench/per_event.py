"""The peer of ``python -m bench engine``: the same rules, an event at a time, in dicts and floats.

What somebody writes who knows the rules and not numpy.  Repeats, words, delays, learned periods,
what gasps and missed heartbeats are worth, the clamp of a mute concentrator, the most probable set
of open points with their posterior, outages with their members: as in detectors/.  Left out, which
makes it quicker than the whole would be: telemetry, plans, people, pings, learned rates, moving and
merging.  It holds each verdict against the tree once, not per event: that would be slower still.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import exp, inf, log, log1p

import numpy as np

from detectors.arriving import METERS, TERMINAL_DELIVERY, TERMINALS, Way
from detectors.evidence import BURST_MS
from detectors.hearing import BEATS_TO_LEARN, PERIOD_S_MAX, PERIOD_S_MIN
from detectors.priors import SUBSTATION
from detectors.settings import EngineSettings
from detectors.weighing import CLOCK_MS, GUARD_MS, WRONG_CLOCK
from grid.network import Group, NodeKind
from grid.reading import Kind, Quality

TICK_MS = 1000
MASK = (1 << 64) - 1
REPORTS = frozenset({Kind.HEARTBEAT, Kind.VOLTAGE, Kind.PING_REPLY})
SAYS_ON = frozenset({Kind.POWER_UP, Kind.PHASE_LOSS, Kind.PHASE_OK, Kind.CALL_RESTORED})
SAYS_OFF = frozenset({Kind.LAST_GASP, Kind.CALL_NO_POWER})

_Weighed = tuple[float, bool]
"""Log-odds of a node being open, and whether one word is all there is."""

Event = tuple[object, ...]
"""A row of a frame, as ``tolist`` gives it."""


@dataclass(slots=True)
class _Device:
    """What is remembered of one device; times in ms, None where never."""

    on: int | None = None
    off: int | None = None
    beat: int | None = None
    lag: int = 0
    heard: bool = False
    period: float = 0.0
    agreed: int = 0
    boot: int | None = None
    high: int = 0
    window: int = 0
    facts: tuple[object, object] = (None, None)


@dataclass(slots=True)
class _Word:
    """What a device's last word, or its silence, says at one moment."""

    heard: float = -inf
    gasp: float = -inf
    gasp_ll: float = 0.0
    due: float = inf
    off_ll: float = 0.0
    on_ll: float = 0.0
    overdue: bool = False


@dataclass(slots=True)
class _Outage:
    node: int
    since: float
    probability: float
    out: set[int]
    back: set[int] = field(default_factory=set)


class PerEvent:
    """One group's devices, and the outages that run."""

    def __init__(self, group: Group, limits: EngineSettings) -> None:
        self.limits = limits
        self.parent, self.size = group.parent.tolist(), group.size.tolist()
        self.kind, self.dcu = group.kind.tolist(), group.dcu.tolist()
        self.feeder = group.feeder.tolist()
        self.meter = (np.diff(group.customer_from) > 0).tolist()
        self.devices: dict[int, _Device] = {}
        self.outages: dict[int, _Outage] = {}
        self.owner: dict[int, int] = {}
        self.opened: list[int] = []  # device of each outage that there was
        self.clock_ms = 0
        self.dirty = False
        q = [SUBSTATION, limits.prior_breaker, limits.prior_switch, limits.prior_recloser,
             limits.prior_fuse, limits.prior_transformer, limits.prior_meter]  # fmt: skip
        self.logit = [log(q[k] / (1 - q[k])) for k in self.kind]

    def apply(self, events: Sequence[Event], until_ms: int) -> None:
        """Take a frame's events in, and let time pass to its end."""
        for event in events:
            self._pass(int(event[12]))  # type: ignore[call-overload]
            self._hear(event)
        self._pass(until_ms)

    def _pass(self, to_ms: int) -> None:
        second = (self.clock_ms // TICK_MS + 1) * TICK_MS
        self.clock_ms = max(self.clock_ms, to_ms)
        if self.dirty and second <= to_ms:
            self.dirty = False
            self._decide(second)

    def _hear(self, event: Event) -> None:
        _, node, dcu, kind, quality, _, said, _, boot, seq, happened, received = event[:12]
        device = self.devices.setdefault(node, _Device())  # type: ignore[arg-type]
        new = (happened, kind) not in device.facts
        if seq >= 0 and dcu < 0:  # type: ignore[operator]
            new &= _counted(device, boot, seq)  # type: ignore[arg-type]
        if not new:
            return
        device.facts = ((happened, kind), device.facts[0])
        on, off = self._says(kind, quality, said, event[14])  # type: ignore[arg-type]
        late = received - happened  # type: ignore[operator]
        device.lag = min(device.lag, late) if device.heard else late
        device.heard = True
        if on:
            self._on(node, device, kind, happened)  # type: ignore[arg-type]
        if off and (device.off is None or happened > device.off):  # type: ignore[operator]
            device.off = happened  # type: ignore[assignment]
        if off or kind == Kind.POWER_UP or node in self.owner:
            self.dirty = True

    def _says(self, kind: int, quality: int, said: int, volts: list[float]) -> tuple[bool, bool]:
        if quality & Quality.INVALID:
            return False, False
        measured = [v / self.limits.nominal_v for v in volts if v == v]
        if kind not in REPORTS:
            return kind in SAYS_ON, kind in SAYS_OFF
        if measured:
            live = any(v >= self.limits.on_pu for v in measured)
            return live, all(v < self.limits.off_pu for v in measured)
        return said != 0, said == 0

    def _on(self, node: int, device: _Device, kind: int, happened: int) -> None:
        if device.on is None or happened > device.on:
            device.on = happened
        if kind == Kind.HEARTBEAT and (device.beat is None or happened > device.beat):
            if device.beat is not None:
                _learn(device, (happened - device.beat) / 1000.0)
            device.beat = happened
        owner = self.owner.get(node)
        if owner is not None and (device.off is None or device.on > device.off):
            outage = self.outages[owner]
            outage.out.discard(node)
            outage.back.add(node)
            del self.owner[node]
            if not outage.out:
                del self.outages[owner]

    def _decide(self, now: int) -> None:
        """One verdict."""
        words = {node: self._word(node, device, now) for node, device in self.devices.items()}
        self._clamp(words)
        suspects = [n for n, w in words.items() if n and (w.gasp > -inf or w.overdue)]
        if not suspects:
            return
        nodes = sorted(self._with_ancestors(suspects))
        heard, reason = self._highest(words)
        first: dict[int, float] = {}
        lone: set[int] = set()
        for node in nodes:
            if reason[node] >= heard[node] - GUARD_MS:
                first[node], alone = self._weigh(words, node, heard[node], now)
                if alone:
                    lone.add(node)
        for node, probability in self._solve(nodes, first):
            if node not in lone:
                self._open(node, probability, now)

    def _word(self, node: int, device: _Device, now: int) -> _Word:
        limits, word = self.limits, _Word()
        if device.on is not None:
            word.heard = device.on + device.lag
        if device.off is not None and (device.on is None or device.off > device.on):
            word.gasp = device.off + device.lag
            terminal = self.kind[node] == NodeKind.TRANSFORMER
            delivery = TERMINAL_DELIVERY if terminal else limits.delivery
            word.gasp_ll = log(
                delivery / (limits.false_terminal if terminal else limits.false_gasp)
            )
        elif device.on is not None:
            learned = device.agreed >= BEATS_TO_LEARN
            period = (device.period if learned else limits.heartbeat_s) * 1000
            slack = limits.heartbeat_slack_s * 1000
            beat = word.heard + period
            if device.beat is not None and device.beat < device.on:
                beat -= (device.on - device.beat) % period
            terminal = self.kind[node] == NodeKind.TRANSFORMER
            word.off_ll = log(1 - (TERMINAL_DELIVERY if terminal else limits.delivery))
            if now - beat > slack:
                word.overdue, word.due = True, beat
                later = min((now - beat - slack) / slack, 1.0)
                low, high = log(limits.late_beat), log(limits.missed_beat)
                word.on_ll = low + later * (high - low)
        return word

    def _clamp(self, words: dict[int, _Word]) -> None:
        """A silent concentrator explains its meters' silence, on both sides."""
        last: dict[int, float] = {}
        spoke: dict[int, float] = {}
        burst: dict[int, float] = {}
        for node, word in words.items():
            dcu, feeder = self.dcu[node], self.feeder[node]
            if dcu >= 0:
                last[dcu] = max(last.get(dcu, -inf), word.heard)
                spoke[dcu] = max(spoke.get(dcu, -inf), word.gasp)
            if word.gasp > -inf:
                burst[feeder] = max(burst.get(feeder, -inf), word.gasp)
        members: dict[int, list[_Word]] = {}
        since: dict[int, float] = {}
        for node, word in words.items():
            dcu = self.dcu[node]
            if dcu < 0:
                continue
            since[dcu] = max(since.get(dcu, -inf), burst.get(self.feeder[node], -inf) - BURST_MS)
            if word.gasp == -inf and word.heard > -inf and word.due > last[dcu]:
                members.setdefault(dcu, []).append(word)
        for dcu, silent in members.items():
            late = any(word.overdue for word in silent)
            if spoke[dcu] <= last[dcu] and (late or last[dcu] < since[dcu]):
                self._share(silent)

    def _share(self, silent: list[_Word]) -> None:
        off, on = sum(w.off_ll for w in silent), sum(w.on_ll for w in silent)
        r, r0 = self.limits.comms_loss, self.limits.comms_loss_quiet
        less_off = log(r + (1 - r) * exp(off)) / off if off else 1.0
        less_on = log(r0 + (1 - r0) * exp(on)) / on if on else 1.0
        for word in silent:
            word.off_ll *= less_off
            word.on_ll *= less_on

    def _with_ancestors(self, nodes: list[int]) -> set[int]:
        found: set[int] = set()
        for node in nodes:
            up = node
            while up > 0 and up not in found:
                found.add(up)
                up = self.parent[up]
        return found

    def _highest(self, words: dict[int, _Word]) -> tuple[list[float], list[float]]:
        """Below each node: the last word that there is power, and the last reason to doubt it."""
        heard, reason = [-inf] * len(self.parent), [-inf] * len(self.parent)
        for node in range(len(self.parent) - 1, 0, -1):
            word, up = words.get(node), self.parent[node]
            if word is not None:
                doubt = max(word.gasp, word.due if word.overdue else -inf)
                heard[node] = max(heard[node], word.heard)
                reason[node] = max(reason[node], doubt)
            heard[up] = max(heard[up], heard[node])
            reason[up] = max(reason[up], reason[node])
        return heard, reason

    def _weigh(self, words: dict[int, _Word], node: int, heard: float, now: int) -> _Weighed:
        limit, delivery = heard - GUARD_MS, self.limits.delivery
        off = off_terminals = on = gasps = 0.0
        first, said, terminals = inf, 0, []
        for below in range(node, node + self.size[node]):
            word = words.get(below)
            if word is None:
                continue
            terminal = self.kind[below] == NodeKind.TRANSFORMER
            if word.gasp > -inf and word.gasp >= limit:
                first = min(first, word.gasp - (0 if terminal else METERS.first))
                gasps += word.gasp_ll
                said += 1
                if terminal:
                    terminals.append(word.gasp)
                continue
            if terminal:
                off_terminals += word.off_ll
            else:
                off += word.off_ll
            if limit <= word.due < inf:
                on += word.on_ll
                said += word.overdue
        failed = first if first < inf else heard
        llr = gasps - on - _apart(terminals) + log(self.limits.prior_calm)
        llr += off * _worth(METERS, now - failed, delivery)
        llr += off_terminals * _worth(TERMINALS, now - failed, TERMINAL_DELIVERY)
        return llr + self.logit[node], said <= 1 and not terminals

    def _solve(self, nodes: list[int], first: dict[int, float]) -> Iterator[tuple[int, float]]:
        """The topmost nodes that beat the best of what is below them, and P(they are open)."""
        best: dict[int, float] = {}
        log_z: dict[int, float] = {}
        chosen: set[int] = set()
        open_here: dict[int, float] = {}
        for node in reversed(nodes):
            mine, below, z = first.get(node, -inf), best.get(node, 0.0), log_z.get(node, 0.0)
            if mine > below + 1e-9:
                chosen.add(node)
            total = max(mine, z) + log1p(exp(-abs(mine - z))) if mine > -inf else z
            open_here[node] = exp(mine - total)
            up = self.parent[node]
            best[up] = best.get(up, 0.0) + max(mine, below)
            log_z[up] = log_z.get(up, 0.0) + total
        alive: dict[int, float] = {}
        end = 0
        for node in nodes:
            up = self.parent[node]
            alive[node] = alive[up] * (1 - open_here[up]) if up > 0 else 1.0
            if node in chosen and node >= end:
                end = node + self.size[node]
                yield node, alive[node] * open_here[node]

    def _open(self, node: int, probability: float, now: int) -> None:
        below = range(node, node + self.size[node])
        owners = {self.owner[n] for n in below if n in self.owner}
        if owners:
            for owner in owners:
                self.outages[owner].probability = probability
            return
        members = {n for n in below if self.meter[n]}
        self.opened.append(node)
        number = len(self.opened)
        self.outages[number] = _Outage(node, now, probability, members)
        self.owner.update(dict.fromkeys(members, number))


def _worth(way: Way, since_ms: float, delivery: float) -> float:
    """How much of the full worth of silence holds so long after the failure."""
    waited = max(since_ms - way.first, 0.0)
    beyond = max(waited - way.spread, 0.0)
    late = way.delay * (exp(-beyond / way.delay) - exp(-waited / way.delay))
    return log1p(-delivery * (min(waited, way.spread) - late) / way.spread) / log(1 - delivery)


def _apart(gasps: list[float]) -> float:
    """What it costs that terminals lost power at different times."""
    gasps.sort()
    middle = gasps[(len(gasps) - 1) // 2] if gasps else 0.0
    return sum(min(((at - middle) / CLOCK_MS) ** 2 / 2, WRONG_CLOCK) for at in gasps)


def _counted(device: _Device, boot: int, seq: int) -> bool:
    if device.boot != boot:
        device.boot, device.high, device.window = boot, seq, 1
        return True
    ahead = seq - device.high
    if ahead > 0:
        device.high, device.window = seq, (device.window << ahead | 1) & MASK
        return True
    if -ahead >= 64:
        return True
    new = not device.window >> -ahead & 1
    device.window |= 1 << -ahead
    return new


def _learn(device: _Device, gap_s: float) -> None:
    if not PERIOD_S_MIN <= gap_s <= PERIOD_S_MAX:
        return
    times = max(round(gap_s / device.period), 1) if device.period else 1
    if device.period and abs(gap_s / times - device.period) <= 0.1 * device.period:
        device.period += (gap_s / times - device.period) / 4
        device.agreed = min(device.agreed + 1, 251)
    else:
        device.period, device.agreed = gap_s, 1
