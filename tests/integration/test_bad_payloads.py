"""The specification of the quarantine: nothing that a device can send stops the stream.

What cannot be read is kept with its reason, its length and its digest; what follows is heard.
"""

import hashlib
import json
import time

import pytest

pytestmark = pytest.mark.services

NOW_MS = time.time_ns() // 1_000_000
GASP = {"at": NOW_MS, "kind": "last_gasp"}
BAD = {
    "not JSON": ("meter/M4/event", b'{"kind": "last_gasp", "at"'),
    "neither JSON nor MessagePack": ("meter/M4/event", b"hello"),
    "empty": ("meter/M4/event", b""),
    "an unknown kind": ("meter/M4/event", json.dumps(GASP | {"kind": "hiccup"}).encode()),
    "a device nobody registered": ("meter/M999/event", json.dumps(GASP).encode()),
    "NaN": ("meter/M4/event", b'{"kind": "voltage", "at": %d, "volts": [NaN]}' % NOW_MS),
    "10 MiB": ("meter/M4/event", b'{"kind": "' + b"x" * (10 << 20) + b'"}'),
    "invalid UTF-8": ("meter/M4/event", b'{"kind": "last_gasp\xff\xfe", "at": 1}'),
    "500 levels of nesting": ("meter/M4/event", b'{"a":' * 500 + b"1" + b"}" * 500),
    "no time": ("meter/M4/event", b'{"kind": "last_gasp"}'),
    "an array from a meter": ("meter/M4/event", b"[" + json.dumps(GASP).encode() + b"]"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_read_is_kept_with_its_reason(village, publish, what) -> None:
    topic, body = BAD[what]
    digest = hashlib.sha256(body).hexdigest()

    def kept() -> list[dict[str, object]]:
        listed = json.loads(village.command("quarantine list", "--json"))
        rows = listed if isinstance(listed, list) else listed["quarantine"]
        return [row for row in rows if row["sha256"] == digest]

    publish(topic, body)
    (row,) = village.wait(kept, 20, f"{what} in quarantine")
    assert (row["length"], row["topic"]) == (len(body), f"lastgasp/v1/{topic}")
    assert row["reason"]

    committed = village.metric("lastgasp_readings_committed_total")
    publish("meter/M4/event", {"at": time.time_ns() // 1_000_000, "kind": "heartbeat"})
    village.wait(
        lambda: village.metric("lastgasp_readings_committed_total") > committed,
        10, "the stream to go on",
    )  # fmt: skip


def test_a_clock_that_is_off_by_days_is_repaired_and_not_quarantined(village, publish) -> None:
    before = len(json.loads(village.command("quarantine list", "--json")))
    committed = village.metric("lastgasp_readings_committed_total")
    publish("meter/M5/event", {"at": NOW_MS - 9 * 86_400_000, "kind": "heartbeat"})
    village.wait(
        lambda: village.metric("lastgasp_readings_committed_total") > committed,
        10, "the heartbeat",
    )  # fmt: skip
    assert len(json.loads(village.command("quarantine list", "--json"))) == before
