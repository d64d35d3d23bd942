"""The specification of our own clients of the feeds: nothing lost, nothing double, over a kill -9.

The one in JavaScript is the pages' own module, run by Node, the one in Python notify/follower.py;
both by the programs in docs/examples.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.services
ROOT = Path(__file__).resolve().parents[2]
NODE_MODULES = ROOT / "build" / "node" / "node_modules"
EXAMPLES = ROOT / "docs" / "examples"
METERS = ("M1", "M2", "M3")  # all behind transformer T1


@dataclass
class Follower:
    """A program that follows the dispatch channel, and the lines that it prints."""

    process: subprocess.Popen[bytes]
    lines: Path

    def said(self, kind: str) -> list[Any]:
        """What it printed of a kind: state, pub, link."""
        whole = self.lines.read_text().rpartition("\n")[0].splitlines()
        return [each[kind] for each in map(json.loads, whole) if kind in each]

    def knows(self, device_id: str, out: int) -> bool:
        """Whether it was told that so many are in the dark behind a device."""
        changes = [pub["data"]["outage"] for pub in self.said("pub") if pub["type"] == "change"]
        return any((o["device_id"], o["customers_out"]) == (device_id, out) for o in changes)

    def lost(self) -> bool:
        """Whether it noticed that the connection broke."""
        return any(link["state"] == "lost" for link in self.said("link"))


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Callable[..., Follower]]:
    """Start programs that follow a feed."""
    started: list[Follower] = []

    def start(*command: str) -> Follower:
        lines = tmp_path / f"{len(started)}.jsonl"
        with lines.open("wb") as said, lines.with_suffix(".err").open("wb") as wrong:
            process = subprocess.Popen(
                command, stdout=said, stderr=wrong,
                env={"PATH": "/usr/bin:/bin", "NODE_PATH": str(NODE_MODULES)},
            )  # fmt: skip
        started.append(Follower(process, lines))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


def test_both_clients_are_told_all_of_it_once_though_the_service_was_killed(
    lastgasp_up: Callable[..., Any],
    tool: Callable[[str], str],
    left_out: Callable[[str, str], Any],
    follower: Callable[..., Follower],
) -> None:
    if not (NODE_MODULES / "ws").is_dir():
        left_out("the Node package ws", "make services")
    service = lastgasp_up("--network", str(EXAMPLES / "village")).start()

    def say(kind: str, volts: int, seq: int) -> None:
        for meter in METERS:
            event = {"boot": "a1", "seq": seq, "at": time.time_ns() // 1_000_000, "kind": kind}
            subprocess.run(
                [tool("mosquitto_pub"), "-p", str(service.mqtt), "-q", "1", "-s",
                 "-t", f"lastgasp/v1/meter/{meter}/event"],
                input=json.dumps({**event, "volts": [volts]}).encode(), check=True, timeout=30,
            )  # fmt: skip

    asked = (f"ws://127.0.0.1:{service.feeds}", service.anna, "dispatch")
    both = (
        follower(tool("node"), str(EXAMPLES / "follow.mjs"), *asked),
        follower(sys.executable, str(EXAMPLES / "follow.py"), *asked),
    )

    def until(what: str, holds: Callable[[Follower], Any]) -> None:
        service.wait(lambda: all(map(holds, both)), 60, what)

    until("both to be there", lambda each: each.said("state"))
    say("last_gasp", 0, 1)
    until("the outage", lambda each: each.knows("T1", 3))
    service.kill()
    until("the loss to be noticed", Follower.lost)
    service.start()
    say("power_up", 230, 2)
    until("its end", lambda each: each.knows("T1", 0))
    for each in both:
        offsets = [pub["offset"] for pub in each.said("pub")]
        assert offsets == list(range(offsets[0], offsets[0] + len(offsets)))
        assert len(each.said("state")) == 1, "it was caught up with, not told anew"
    assert service.stop() == 0
