"""The feeds: fan-out beside a bare broadcast, memory, delay, slow readers, and a killed server.

``of_broadcast``: messages a second of the server's own processor time, ours beside
``websockets.broadcast`` of the same frames, in turns in one process.  Everything else is a push
server over an embedded PostgreSQL, with a crowd of 5,000 clients in a process of their own, from
the commit to the moment at which the client's process has the bytes:

``kb_per_connection``  resident memory of the push server, customers with a channel each
``p99_ms``             one outage of 5,000 customers, each told on their own channel
``..._cpu_ms_a_commit`` what that costs the push server, and what the crowd that measures it
``dispatch_p99_ms``    one change told to 5,000 dispatchers
``stalled_ms``         by how much the others' 99th percentile moves when 5 % stop reading
``resume_s``           from ``kill -9`` of the push server until the last of 5,000 has everything
"""

import asyncio
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from statistics import median

import numpy as np
import psutil
import structlog
import uvloop

from bench.feed_server import STORE_KEYS
from bench.latency import percentile
from bench.measure import alternate
from bench.pipes import Process
from bench.ports import free_port
from grid.build import build
from grid.frame import READING, Frame
from grid.graph import Branch, Customer, Graph, Node
from grid.network import Network
from grid.outage import Change, Outage, OutageKind, Outcome, State, Step
from grid.parcel import Applied
from service.clock import now_ms
from service.postgres import PostgresSettings, embedded
from store.postgres import Store, open_store
from store.settings import StoreSettings

CLIENTS = 5_000
BARE = 1_000  # on each side of the comparison
MESSAGES = 20  # a run of it
RUNS = 9
COMMITS = 30  # of each kind
WARM = 100  # connections that come and go before memory is looked at
STALLED = CLIENTS // 20
STALL_RUNS = 3
NOTE = "37 of 40 meters are silent; " * 150  # bytes that a stalled reader leaves behind
SPACING_S = 0.1
FILES = 4 * CLIENTS


def run() -> dict[str, object]:
    """All figures; ``runs`` is that of the ratio."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    _allow_files()
    told = _fan_out()
    with tempfile.TemporaryDirectory(prefix="lastgasp-feeds-") as name:
        os.chmod(name, 0o755)  # where we are root the database runs as somebody else
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return {**told, **runner.run(_push(Path(name)))}


def _allow_files() -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    assert wanted > CLIENTS + 200, f"{hard} open files are too few for {CLIENTS}; see ulimit -n"
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


# -- fan-out ---------------------------------------------------------------------------------------


def _fan_out() -> dict[str, object]:
    with _process("bench.feed_server", "fanout") as server:
        ports = server.hear()
        with _process("bench.feed_crowd") as ours, _process("bench.feed_crowd") as bare:
            _come(ours, ports["listening"], BARE, "dispatcher")
            _come(bare, ports["bare"], BARE, "bare")
            assert server.ask("count") == {"ours": BARE, "bare": BARE}

            def rate(whose: str) -> float:
                spent = server.ask(whose, messages=MESSAGES)["cpu_s"]
                return float(BARE * MESSAGES / spent)

            for whose in ("ours", "bare"):
                rate(whose)  # warms up
            return alternate(
                lambda: rate("ours"), {"of_broadcast": lambda: rate("bare")}, runs=RUNS
            )


# -- a push server over a database -----------------------------------------------------------------


class Desk:
    """Commits changes of one outage of all customers, as the service does."""

    def __init__(self, store: Store, network: Network, customers: tuple[str, ...]) -> None:
        self._store = store
        self._network = network
        self._customers = customers
        self.commits = 0

    async def commit(self) -> int:
        """One more change; the monotonic nanosecond at which it was committed."""
        self.commits += 1
        now = now_ms()
        step = Step(now - 60_000, None, self._customers)
        outage = Outage(
            id="S1-1", version=self.commits, group=0, state=State.CONFIRMED,
            kind=OutageKind.FAULT, cause=None, device_id="B1", device_kind="breaker",
            feeder_id="B1", districts=(), phases="ABC", probability=0.97, started_ms=now - 60_000,
            detected_ms=now, confirmed_ms=now, restored_ms=None,
            customers_affected=len(self._customers), customers_out=len(self._customers), etr=None,
            evidence=(NOTE,), parent_id=None, steps=(step,),
        )  # fmt: skip
        change = Change(now, outage, "37 of 40 meters are silent", self._customers)
        nothing = np.zeros(0, READING)
        frame = Frame(0, self.commits, self._network.version, now, nothing, ())
        await self._store.commit([Applied(frame, Outcome(changes=(change,)), None)], ())
        return time.monotonic_ns()


async def _push(folder: Path) -> dict[str, object]:
    async with AsyncExitStack() as opened:
        database = opened.enter_context(embedded(folder / "data", PostgresSettings()))
        store = await opened.enter_async_context(
            open_store(database.url, STORE_KEYS, StoreSettings())
        )
        graph = _graph()
        network = build(graph).network
        assert network is not None
        await store.save_network(graph, network, now_ms(), "bench")
        desk = Desk(store, network, tuple(c.customer_id for c in graph.customers))
        await desk.commit()
        port = free_port()
        with _process("bench.feed_server", "push", database.url, str(port)) as server:
            server.hear()
            _warm_up(server, port)
            with _process("bench.feed_crowd") as crowd:
                kilobytes = _kb_each(server, lambda: _come(crowd, port, CLIENTS, "customer"))
                spent = _cpu_s(server), _cpu_s(crowd)
                delays = await _delays(desk, crowd, CLIENTS)
                server_s, crowd_s = _cpu_s(server) - spent[0], _cpu_s(crowd) - spent[1]
                resumed = await _killed(desk, server, crowd, database.url, port)
        with _process("bench.feed_server", "push", database.url, str(port)) as server:
            server.hear()
            dispatch = await _stalled(desk, server, port)
    return {
        "clients": CLIENTS,
        "kb_per_connection": round(kilobytes, 1),
        "p50_ms": round(median(delays), 1),
        "p99_ms": round(percentile(delays, 99), 1),
        "server_cpu_ms_a_commit": round(server_s * 1000 / (COMMITS + 1), 1),
        "crowd_cpu_ms_a_commit": round(crowd_s * 1000 / (COMMITS + 1), 1),
        **dispatch,
        **resumed,
    }


def _cpu_s(process: Process) -> float:
    spent = psutil.Process(process.pid).cpu_times()
    return float(spent.user + spent.system)


def _warm_up(server: Process, port: int) -> None:
    """Some come and go, so that what is made once is made before anything is counted."""
    with _process("bench.feed_crowd") as warm:
        _come(warm, port, WARM, "customer")
        warm.ask("leave")
    while server.ask("state")["clients"]:
        time.sleep(0.01)


def _kb_each(server: Process, come: Callable[[], None]) -> float:
    server.ask("state")
    before = psutil.Process(server.pid).memory_info().rss
    come()
    state = server.ask("state")
    assert state["clients"] == CLIENTS, state
    return (psutil.Process(server.pid).memory_info().rss - before) / 1024 / CLIENTS


async def _delays(desk: Desk, crowd: Process, count: int) -> list[float]:
    """Milliseconds from the commit to each of the first ``count`` clients, over some commits."""
    delays: list[float] = []
    for turn in range(COMMITS + 1):
        committed_ns = await desk.commit()
        at_ns = crowd.ask("arrivals", offset=desk.commits, count=count)["at_ns"]
        if turn:  # the first warms up
            delays += [max(0, at - committed_ns) / 1e6 for at in at_ns]
        await asyncio.sleep(SPACING_S)
    return delays


async def _killed(
    desk: Desk, server: Process, crowd: Process, url: str, port: int
) -> dict[str, object]:
    """Kill the push server, commit meanwhile, start another, and wait for the last client."""
    server.kill()
    began = time.monotonic()
    for _ in range(3):
        await desk.commit()
    with _process("bench.feed_server", "push", url, str(port)) as another:
        another.hear()
        listening_s = time.monotonic() - began
        crowd.ask("arrivals", offset=desk.commits, count=CLIENTS)
        resume_s = time.monotonic() - began
        found = crowd.ask("state")
    assert (found["gaps"], found["doubles"], found["snapshots"]) == (0, 0, 0), found
    return {
        "resume_s": round(resume_s, 1),
        "resume_of_it_starting_s": round(listening_s, 1),
        "resume_gaps": found["gaps"],
        "resume_doubles": found["doubles"],
    }


async def _stalled(desk: Desk, server: Process, port: int) -> dict[str, object]:
    """Everybody follows the dispatch channel; now and then one in twenty stops reading."""
    reading = CLIENTS - STALLED
    calm: list[list[float]] = []
    stalled: list[list[float]] = []
    for _ in range(STALL_RUNS):
        with _process("bench.feed_crowd") as crowd:
            _come(crowd, port, CLIENTS, "dispatcher", stalling=STALLED)
            calm.append(await _delays(desk, crowd, reading))
            crowd.ask("stall", still=True)
            stalled.append(await _delays(desk, crowd, reading))
            crowd.ask("leave")
        while (state := server.ask("state"))["clients"]:
            await asyncio.sleep(0.05)
    moved = [percentile(b, 99) - percentile(a, 99) for a, b in zip(calm, stalled, strict=True)]
    everybody = [delay for part in calm for delay in part]
    return {
        "dispatch_p50_ms": round(median(everybody), 1),
        "dispatch_p99_ms": round(percentile(everybody, 99), 1),
        "stalled_ms": round(median(moved), 1),
        "stalled_ms_of_runs": [round(each, 1) for each in moved],
        "stalled_fell_behind": state["queued"],
    }


# -- odds and ends ---------------------------------------------------------------------------------


@contextmanager
def _process(*arguments: str) -> Iterator[Process]:
    process = Process(*arguments)
    try:
        yield process
    finally:
        if process.running.poll() is None:
            process.kill()


def _come(crowd: Process, port: int, count: int, role: str, stalling: int = 0) -> None:
    crowd.ask("come", port=port, count=count, role=role, stalling=stalling)


def _graph() -> Graph:
    """One breaker with a transformer and all customers behind it."""
    nodes = [Node("S1", "substation"), Node("T1", "transformer")]
    branches = [Branch("B1", "S1", "T1", "breaker", telemetered=True)]
    customers = []
    for n in range(CLIENTS):
        nodes.append(Node(f"M{n}", "meter"))
        branches.append(Branch(f"L{n}", "T1", f"M{n}", "service"))
        customers.append(Customer(f"C{n}", f"M{n}"))
    return Graph(tuple(nodes), tuple(branches), tuple(customers))
