"""The board in Chromium at 20,000 customers: idle first, then 200 changes a minute for a minute.

``cls`` is what moved under the reader (``moved``: each time, and what), ``task_ms`` the longest
task of the main thread (0: none took 50 ms), ``p50_ms`` and ``p99_ms`` from a change's transaction
to its row being painted.  The map's own delay and the first load stand beside them.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import paho.mqtt.client as mqtt
import psycopg

from bench.latency import _wait_for, percentile
from bench.ports import free_port
from service.clock import now_ms
from simulators.city import city

NETWORK = (20_000, 1)
MINUTE_S = 60.0
EVERY_S = 0.22  # a transformer falls dark or comes back: 200 changes a minute come of it
READY_S = 120.0
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--mute-audio",
    "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip
READY = "!!(window.lastgaspBoard?.loaded && document.body.dataset.map && lastgaspBoard.model.power)"
WATCH = """() => {
  const seen = window.seen = {cls: 0, moved: [], task: 0, rows: [], map: [], pending: []};
  const watch = (type, take) =>
    new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({type});
  const named = (node) => !node ? "gone" : node.id ? `#${node.id}`
    : `${named(node.parentNode)} ${node.className || node.nodeName}`;
  watch("layout-shift", (e) => {
    seen.cls += e.value;
    seen.moved.push(`${e.value.toFixed(4)} ${e.sources.map((s) => named(s.node)).join(", ")}`);
  });
  watch("longtask", (e) => { seen.task = Math.max(seen.task, e.duration); });
  const board = window.lastgaspBoard;
  const onPub = board.feed.what.onPub;
  board.feed.what.onPub = (pub) => {
    if (pub.type === "change") seen.pending.push([pub.data.outage.id, pub.data.outage.version]);
    onPub(pub);
  };
  const draw = board.draw.bind(board);
  board.draw = () => {
    draw();
    const there = ([id]) => board.list.rows.has(id) || !board.model.outages.has(id);
    const done = seen.pending.filter(there);
    seen.pending = seen.pending.filter((one) => !there(one));
    const painted = () => done.forEach((one) => seen.rows.push([...one, Date.now()]));
    requestAnimationFrame(() => setTimeout(painted));
  };
  const show = board.map.show.bind(board.map);
  board.map.show = (...given) => {
    const began = Date.now();
    show(...given);
    board.map.map?.once("idle", () => seen.map.push(Date.now() - began));
  };
}"""


def run() -> dict[str, object]:
    """The figures; an idle minute is no part of them."""
    program = shutil.which("chromium")
    assert program, "there is no Chromium here; make services installs it"
    with tempfile.TemporaryDirectory(prefix="lastgasp-pages-") as name:
        return _with_service(Path(name), program)


def _with_service(folder: Path, chromium: str) -> dict[str, object]:
    http, feeds, broker = (free_port() for _ in range(3))
    data = folder / "data"
    lastgasp = str(Path(sys.executable).with_name("lastgasp"))
    with (folder / "up.log").open("wb") as log:
        service = subprocess.Popen(
            [lastgasp, "up", "--no-board", "--data", data,
             "--network", f"city:{NETWORK[0]}:{NETWORK[1]}", "--http", f"127.0.0.1:{http}",
             "--feeds", f"127.0.0.1:{feeds}", "--mqtt", f"127.0.0.1:{broker}"],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        _wait_for(feeds, service)
        while not (data / "service.json").exists():
            time.sleep(0.1)
        token = ["token", "--role", "dispatcher", "--subject", "bench", "--link"]
        link = subprocess.run([lastgasp, *token, "--data", data], capture_output=True, text=True,
                              check=True).stdout.strip()  # fmt: skip
        return _in_chromium(chromium, link, broker, data)
    finally:
        os.killpg(service.pid, signal.SIGINT)
        service.wait(60)


def _in_chromium(chromium: str, link: str, broker: int, data: Path) -> dict[str, object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        began = time.monotonic()
        page.goto(link)
        _until(page, READY)
        first_load_s = time.monotonic() - began
        page.wait_for_timeout(5_000)
        page.evaluate(WATCH)
        page.wait_for_timeout(5_000)
        idle = page.evaluate("({cls: seen.cls, task: seen.task})")
        page.evaluate("() => { seen.cls = 0; seen.moved = []; seen.task = 0; }")
        _storm(page, broker)
        page.wait_for_timeout(3_000)
        seen = page.evaluate("seen")
        browser.close()
    return {**_figures(seen, data), "first_load_s": round(first_load_s, 2), "idle": idle}


def _until(page: Any, script: str) -> None:
    from playwright.sync_api import Error

    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            if page.evaluate(script):
                return
        except Error:  # on its way to the board
            pass
        page.wait_for_timeout(50)
    raise AssertionError("the board did not come up")


def _storm(page: Any, broker: int) -> None:
    """Transformers fall dark and come back, as their terminals and meters say it."""
    meters: dict[str, list[str]] = {}
    graph = city(*NETWORK)
    fed = {branch.to_id: branch.from_id for branch in graph.branches}
    for customer in graph.customers:
        at = customer.meter_id
        while not at.startswith("T") or "-" in at:
            at = fed[at]
        meters.setdefault(at, []).append(customer.meter_id)
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker)
    client.loop_start()
    names = sorted(meters)
    began = time.monotonic()
    for step in range(round(MINUTE_S / EVERY_S)):
        dark = step % 4 != 3
        name = names[step if dark else step - 3]
        kind = "last_gasp" if dark else "power_up"
        for meter in meters[name][:3] if dark else meters[name]:
            _say(client, f"meter/{meter}", kind, step)
        _say(client, f"terminal/{name}", kind, step)
        page.wait_for_timeout(max(0, (began + (step + 1) * EVERY_S - time.monotonic()) * 1000))
    client.loop_stop()
    client.disconnect()


def _say(client: mqtt.Client, who: str, kind: str, seq: int) -> None:
    event = {"boot": "bench", "seq": seq, "at": now_ms(), "kind": kind}
    client.publish(f"lastgasp/v1/{who}/event", json.dumps(event), qos=1)


def _figures(seen: dict[str, Any], data: Path) -> dict[str, object]:
    with psycopg.connect(
        host=str(data / "postgres.sock"), user="lastgasp", dbname="lastgasp"
    ) as db:
        rows = db.execute("SELECT outage_id, version, committed_at FROM changes").fetchall()
    committed = {(outage, version): at.timestamp() * 1000 for outage, version, at in rows}
    delays = [painted - committed[one, version] for one, version, painted in seen["rows"]]
    assert delays, "no change reached the board"
    return {
        "runs": 1,
        "ratios": {},
        "raw": {},
        "changes": len(delays),
        "cls": round(seen["cls"], 4),
        "moved": seen["moved"],
        "task_ms": round(seen["task"]),
        "p50_ms": round(median(delays)),
        "p99_ms": round(percentile(delays, 99)),
        "map_p50_ms": round(median(seen["map"])) if seen["map"] else None,
        "map_max_ms": max(seen["map"], default=None),
    }
