"""What shows over hours and days, and no single verdict tells: meters that never spoke, that flap,
devices that are interrupted again and again, and a storm.

Each is a finding.  A flapping meter's gasps count for nothing until it is calm; in a storm the
pings are kept for devices with more than one meter behind them.
"""

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

import msgspec
import numpy as np

from detectors.book import Book
from detectors.findings import Findings
from detectors.hearing import Hearing
from detectors.saying import LAST_GASP
from detectors.scene import Scene
from detectors.settings import EngineSettings
from detectors.tree import places, transformers
from grid.english import meters
from grid.frame import Rows
from grid.network import I64, Bools
from grid.outage import RUNNING, State

T = TypeVar("T")

HOUR_MS = 3_600_000
NAMED = 3  # meters that a finding names
OTHERS = 3  # so many others of its feeder gasp as well: then it is the supply that flaps


class Watched(msgspec.Struct):
    """What is remembered of a group.  Nodes as keys, stream times."""

    began_ms: int = 0  # the first verdict
    looked_ms: int = 0
    gasps: dict[int, list[int]] = {}  # the last few of each node, forgotten after ``flap_s``
    most: int = 0  # no node has more of them
    flapping: dict[int, int] = {}
    moments: dict[int, list[int]] = {}  # momentary interruptions of each device
    weak: dict[str, dict[int, int]] = {}  # by kind of finding: beyond the limit since
    storm: bool = False
    calm_ms: int = 0  # in a storm: since when few outages run; 0 while many do

    def muted(self) -> I64 | None:
        """Nodes whose gasps count for nothing; None if there are none."""
        return np.array(sorted(self.flapping), np.int64) if self.flapping else None

    def moved(self, to: I64) -> "Watched":
        """The same over another numbering; ``to`` is negative where a node is gone."""

        def kept(known: dict[int, T]) -> dict[int, T]:
            return {int(to[node]): value for node, value in known.items() if to[node] >= 0}

        return msgspec.structs.replace(
            self,
            gasps=kept(self.gasps),
            flapping=kept(self.flapping),
            moments=kept(self.moments),
            weak={kind: kept(since) for kind, since in self.weak.items()},
        )


def note_gasps(watched: Watched, rows: Rows, limits: EngineSettings) -> None:
    """Remember who says that it has no power."""
    said = places(rows["kind"] == LAST_GASP)
    if len(said) == 0:
        return
    nodes, at_ms = rows["node"].take(said).tolist(), rows["stream_ms"].take(said).tolist()
    for node, at in zip(nodes, at_ms, strict=True):
        times = watched.gasps.setdefault(node, [])
        times.append(at)
        del times[: -int(limits.flaps)]
        watched.most = max(watched.most, len(times))


def take_over(watched: Watched, came: Watched) -> None:
    """Go on with what another group remembered of devices that are ours now."""
    watched.gasps |= came.gasps
    watched.most = max(map(len, watched.gasps.values()), default=0)
    watched.flapping |= came.flapping
    watched.moments |= came.moments
    for kind, since in came.weak.items():
        watched.weak.setdefault(kind, {}).update(since)


def watch(watched: Watched, findings: Findings, scene: Scene) -> None:
    """Look at a group after a verdict."""
    if watched.began_ms == 0:
        watched.began_ms = watched.looked_ms = scene.now_ms
    _flapping(watched, findings, scene)
    _moments(watched, findings, scene)
    _storm(watched, findings, scene)
    if scene.now_ms - watched.looked_ms >= HOUR_MS:
        watched.looked_ms = scene.now_ms
        _forget(watched, findings, scene)
        _never_heard(watched, findings, scene)


def _flapping(watched: Watched, findings: Findings, scene: Scene) -> None:
    limits, now = scene.limits, scene.now_ms
    within, many = int(limits.flap_s * 1000), int(limits.flaps)
    ids, feeder = scene.book.group.ids, scene.book.group.feeder
    gasps = watched.gasps.items() if watched.most >= many else ()
    loud = [n for n, t in gasps if len(t) >= many and t[0] > now - within]
    owner = scene.book.owner  # who is out may say so as often as it likes
    new = [node for node in loud if node not in watched.flapping and owner[node] < 0]
    if new:
        again = (n for n, t in watched.gasps.items() if len(t) > 1 and t[-2] > now - within)
        beside = Counter(int(feeder[node]) for node in again)
        for node in sorted(new):
            if beside[int(feeder[node])] <= OTHERS:
                watched.flapping[node] = now
    reason = (
        f"{many} last gasps within {within // 60_000} minutes, and power after each: "
        "they count for nothing until it is calm"
    )
    for node in sorted(watched.flapping):
        times = watched.gasps.get(node, [0])
        if times[-1] <= now - within:
            del watched.flapping[node]
            findings.end("flapping", ids[node], now_ms=now)
            continue
        about = ("flapping", ids[node])  # goes on where another group was its own until now
        findings.begin(*about, node, since_ms=times[0], now_ms=now, reason=reason)


def _moments(watched: Watched, findings: Findings, scene: Scene) -> None:
    limits, now = scene.limits, scene.now_ms
    for outage in scene.book.running.values():
        if outage.state is not State.MOMENTARY:
            continue
        times = watched.moments.setdefault(outage.node, [])
        times.append(now)
        _young(times, now - int(limits.moments_s * 1000))
        if len(times) >= limits.moments:
            days = limits.moments_s / 86_400
            reason = f"{len(times)} momentary interruptions within {days:g} days"
            name = scene.book.group.ids[outage.node]
            about = ("repeated_momentary", name)
            findings.begin(*about, outage.node, since_ms=times[0], now_ms=now, reason=reason)
            findings.restate(*about, now_ms=now, reason=reason)


def _storm(watched: Watched, findings: Findings, scene: Scene) -> None:
    """Many outages at once begin it; it is over when few have run for a while."""
    limits, now, group = scene.limits, scene.now_ms, scene.book.group
    running = sum(
        o.state in RUNNING and o.confirmed_ms is not None and o.plan_id is None
        for o in scene.book.running.values()
    )
    if not watched.storm and running >= limits.storm_outages:
        watched.storm, watched.calm_ms = True, 0
        reason = (
            f"{running} outages run at once: single meters are not asked, "
            "devices with more behind them come first"
        )
        findings.begin("storm", group.name, 0, since_ms=now, now_ms=now, reason=reason)
    elif watched.storm and running > limits.storm_outages / 2:
        watched.calm_ms = 0
    elif watched.storm:
        watched.calm_ms = watched.calm_ms or now
        if now - watched.calm_ms >= limits.storm_calm_s * 1000:
            watched.storm = False
            findings.end("storm", group.name, now_ms=now)


def _forget(watched: Watched, findings: Findings, scene: Scene) -> None:
    """Once an hour: let go of what is old."""
    limits, now = scene.limits, scene.now_ms
    old = now - int(limits.flap_s * 1000)
    watched.gasps = {n: t for n, t in watched.gasps.items() if t[-1] > old}
    watched.most = max(map(len, watched.gasps.values()), default=0)
    for node, times in sorted(watched.moments.items()):
        _young(times, now - int(limits.moments_s * 1000))
        if len(times) < limits.moments:
            name = scene.book.group.ids[node]
            findings.end("repeated_momentary", name, now_ms=now)
    watched.moments = {n: t for n, t in watched.moments.items() if t}


def _young(times: list[int], old_ms: int) -> None:
    """Let go of times up to a moment."""
    times[:] = [at for at in times if at > old_ms]


def _never_heard(watched: Watched, findings: Findings, scene: Scene) -> None:
    """Once an hour: meters that never spoke, where others behind the same transformer did."""
    book, now = scene.book, scene.now_ms
    if now - watched.began_ms < scene.limits.unheard_s * 1000:
        return
    group = book.group
    unheard: dict[str, str] = {}
    nodes = places(book.tree.meters & ~_spoke(scene.hearing))
    for place in sorted(set(transformers(book.tree, nodes).tolist()) - {-1}):
        meters = book.meters_below(place)
        silent = meters[~_spoke(scene.hearing)[meters]]
        if len(silent) < len(meters):
            unheard[group.ids[place]] = _named(book, silent, len(meters))
            about = ("never_heard", group.ids[place])
            reason = unheard[group.ids[place]]
            findings.begin(*about, place, since_ms=watched.began_ms, now_ms=now, reason=reason)
            findings.restate(*about, now_ms=now, reason=reason)
    for name in _open(findings, "never_heard"):
        if name not in unheard:
            findings.end("never_heard", name, now_ms=now)


def _spoke(hearing: Hearing) -> Bools:
    spoke: Bools = hearing.on_ms.known | hearing.off_ms.known
    return spoke


def _named(book: Book, silent: I64, of: int) -> str:
    names = ", ".join(book.group.ids[node] for node in silent[:NAMED].tolist())
    more = f" and {len(silent) - NAMED} more" if len(silent) > NAMED else ""
    return f"{len(silent)} of {meters(of)} behind it never spoke: {names}{more}"


def _open(findings: Findings, kind: str) -> Iterable[str]:
    return sorted(k.split("/", 1)[1] for k in findings.open if k.startswith(f"{kind}/"))
