"""Commits batches for ever; the kill test starts this and kills it.  Usage: URL"""

import asyncio
import sys

import numpy as np

from grid.build import build
from grid.drawing import draw_graph
from grid.frame import READING, Frame
from grid.outage import Change, Outage, OutageKind, Outcome, State, Step
from grid.parcel import Applied, Quarantined
from grid.reading import Kind
from store.postgres import Store, open_store
from store.sealing import Keys
from store.settings import StoreSettings

FRAMES = 2  # of a batch
ROWS = 7  # of a frame


def applied(version: str, position: int) -> Applied:
    """A frame that says its position everywhere."""
    rows = np.zeros(ROWS, READING)
    rows["node"] = 3
    rows["dcu"] = -1
    rows["kind"] = Kind.LAST_GASP
    rows["seq"] = position
    rows["happened_ms"] = rows["received_ms"] = rows["stream_ms"] = 1_800_000_000_000 + position
    outage = Outage(
        id="S1-1", version=position, group=0, state=State.PREDICTED, kind=OutageKind.FAULT,
        cause=None, device_id="T1", device_kind="transformer", feeder_id="B1", districts=("East",),
        phases="ABC", probability=1.0, started_ms=0, detected_ms=0, confirmed_ms=None,
        restored_ms=None, customers_affected=1, customers_out=1, etr=None, evidence=(),
        parent_id=None, steps=(Step(position, None, ("C-M1",)),),
    )  # fmt: skip
    change = Change(position, outage, "", ("C-M1",))
    snapshot = b"%d" % position if position % 10 == 0 else None
    frame = Frame(0, position, version, position, rows)
    return Applied(frame, Outcome(changes=(change,)), snapshot)


async def go_on(store: Store) -> None:
    """From where the database is."""
    graph = draw_graph("source S1\n  breaker B1\n    transformer T1\n      meter M1")
    network = build(graph).network
    assert network is not None
    await store.save_network(graph, network, 0, "drawing")
    position = (await store.progress("S1")).position
    while True:
        batch = [applied(network.version, position + n) for n in range(1, FRAMES + 1)]
        bad = Quarantined(position, "mqtt", "t", "no JSON", b"{", 1, "ab" * 32)
        await store.commit(batch, [bad])
        position += FRAMES


async def main(url: str) -> None:
    """Until killed."""
    async with open_store(url, Keys(phone=b"p" * 32, index=b"i" * 32), StoreSettings()) as store:
        await go_on(store)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
