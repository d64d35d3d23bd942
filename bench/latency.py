"""From a breaker's trip to its customer's screen: the whole way, over 100 trips.

A service of its own with a simulated relay for each of 20 feeders, polled every 100 ms; each feeder
trips in turn and recloses.  A trip is the moment at which the relay's registers change; its end is
the customer's websocket saying that the power is off.  Nothing else is measured or left out.
"""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from websockets.asyncio.client import connect

from bench.ports import free_port
from grid.csvfolder import write
from grid.graph import Branch, Customer, Graph, Node
from grid.people import Principal, Role
from grid.times import from_rfc3339
from service import keys, tokens
from service.clock import now_ms

FEEDERS = 20
TRIPS = 100
RUNS = 5  # the trips are judged in five parts too, to show how steady the figure is
SPACING_S = 2.0
CLOSED_AFTER_S = 1.0
POLL_S = 0.1
FIRST_S = 8.0  # of the story: everybody has subscribed by then
READY_S = 60.0
LATEST_S = 5.0  # after the last trip nobody listens any longer
SETTINGS = f"""\
[modbus]
poll_s = {POLL_S}
[engine]  # a feeder's trip is over when its next one comes: each is an outage of its own
momentary_scada_s = 5
momentary_s = 5
close_after_s = 5
"""


def run() -> dict[str, object]:
    """Median and 99th percentile in milliseconds; the poll's own part is half of it, and all."""
    with tempfile.TemporaryDirectory(prefix="lastgasp-latency-") as name:
        folder = Path(name)
        _write_network(folder / "network")
        (folder / "settings.toml").write_text(SETTINGS)
        (folder / "story.toml").write_text(_story())
        delays = _play(folder)
    parts = [delays[i::RUNS] for i in range(RUNS)]
    return {
        "runs": RUNS,
        "ratios": {},
        "raw": {},
        "trips": len(delays),
        "poll_ms": round(POLL_S * 1000),
        "p50_ms": round(median(delays), 1),
        "p99_ms": round(percentile(delays, 99), 1),
        "max_ms": round(max(delays), 1),
        "p99_ms_of_runs": [round(percentile(part, 99), 1) for part in parts],
    }


def percentile(values: list[float], percent: int) -> float:
    """The smallest value that so many per cent do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _write_network(folder: Path) -> None:
    nodes, branches, customers = [Node("S1", "substation")], [], []
    for n in range(FEEDERS):
        nodes += [Node(f"T{n}", "transformer"), Node(f"M{n}", "meter")]
        branches.append(Branch(f"B{n}", "S1", f"T{n}", "breaker", telemetered=True))
        branches.append(Branch(f"L{n}", f"T{n}", f"M{n}", "service"))
        customers.append(Customer(f"C{n}", f"M{n}"))
    folder.mkdir()
    graph = Graph(tuple(nodes), tuple(branches), tuple(customers))
    for name, text in write(graph, contacts=False).items():
        (folder / name).write_text(text)


def _story() -> str:
    """Trips at moments that have nothing to do with the polls'; the meters keep silent."""
    chance = random.Random(7)
    lines = [
        'name = "trips"', "seed = 1", f"duration_s = {FIRST_S + TRIPS * SPACING_S + 60}",
        "[field]", "delivery = 0", "silent = 1", "terminals = 0",
    ]  # fmt: skip
    for trip in range(TRIPS):
        at_s = FIRST_S + trip * SPACING_S + chance.random() * POLL_S
        lines += [
            "[[event]]", 'kind = "momentary"', f'name = "trip-{trip}"', f"at_s = {at_s:.3f}",
            f'device = "B{trip % FEEDERS}"', f"duration_s = {CLOSED_AFTER_S}",
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _play(folder: Path) -> list[float]:
    http, feeds, mqtt = (free_port() for _ in range(3))
    data = folder / "data"
    with (folder / "up.log").open("wb") as log:
        service = subprocess.Popen(
            [
                Path(sys.executable).with_name("lastgasp"), "up", "--no-board",
                "--network", folder / "network", "--scenario", folder / "story.toml",
                "--config", folder / "settings.toml", "--data", data,
                "--http", f"127.0.0.1:{http}", "--feeds", f"127.0.0.1:{feeds}",
                "--mqtt", f"127.0.0.1:{mqtt}",
            ],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        _wait_for(feeds, service)
        told = asyncio.run(_listen(f"ws://127.0.0.1:{feeds}", data))
        return _delays(_trips(data), told)
    finally:
        os.killpg(service.pid, signal.SIGINT)
        service.wait(30)


def _wait_for(port: int, service: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        assert service.poll() is None, "the service ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the service did not come up")


async def _listen(url: str, data: Path) -> dict[int, list[int]]:
    """When each feeder's customer was told that the power is off, epoch milliseconds."""
    key = keys.read_keys(data).token
    told: dict[int, list[int]] = {n: [] for n in range(FEEDERS)}

    async def customer(n: int) -> None:
        who = Principal(Role.CUSTOMER, f"C{n}", None, 0)
        async with connect(url, compression=None, proxy=None) as ws:
            token = tokens.issue(key, who, 3600, now_ms())
            await ws.send(json.dumps({"op": "auth", "token": token}))
            await ws.send(json.dumps({"op": "subscribe", "channel": f"customer:C{n}"}))
            async for text in ws:
                heard_ms = now_ms()
                said = json.loads(text)
                if said["op"] == "pub" and said["data"]["power"] == "off":
                    told[n].append(heard_ms)

    listening = [asyncio.create_task(customer(n)) for n in range(FEEDERS)]
    last_ms = max(off_ms for _, off_ms in _trips(data))
    await asyncio.sleep((last_ms - now_ms()) / 1000 + LATEST_S)
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    return told


def _trips(data: Path) -> list[tuple[int, int]]:
    """Feeder and moment of each trip, as the simulator's truth log has them."""
    deadline = time.monotonic() + READY_S
    truth = data / "field" / "truth.jsonl"
    while not (truth.exists() and '"type":"end"' in truth.read_text()):
        assert time.monotonic() < deadline, "the simulator wrote no truth"
        time.sleep(0.05)
    said = [json.loads(line) for line in truth.read_text().splitlines()]
    outages = [one for one in said if one["type"] == "outage"]
    assert len(outages) == TRIPS, f"{len(outages)} trips in the truth log"
    return [(int(one["device_id"][1:]), from_rfc3339(one["off_at"])) for one in outages]


def _delays(trips: list[tuple[int, int]], told: dict[int, list[int]]) -> list[float]:
    """Of each trip, until the first word of it."""
    delays: list[float] = []
    for feeder, off_ms in trips:
        after = [at - off_ms for at in told[feeder] if at >= off_ms]
        assert after, f"feeder {feeder} was never told of its trip"
        delays.append(min(after))
    assert max(delays) < LATEST_S * 1000, f"a trip was told after {max(delays):.0f} ms"
    return delays
