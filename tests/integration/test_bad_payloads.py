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
def test_what_cannot_be_read_is_kept_with_its_reason(village, publish, psql, what) -> None:
    topic, body = BAD[what]
    digest = hashlib.sha256(body).hexdigest()
    query = f"SELECT topic, length, length(body), reason FROM quarantine WHERE sha256 = '{digest}'"
    counted = village.metric("lastgasp_quarantined_total")

    publish(topic, body)
    (row,) = village.wait(lambda: psql(village, query), 60, f"{what} in quarantine")
    *sizes, reason = row.split("|", 3)
    assert sizes == [f"lastgasp/v1/{topic}", str(len(body)), str(min(len(body), 64 << 10))]
    assert reason
    assert village.metric("lastgasp_quarantined_total") == counted + 1

    committed = village.metric("lastgasp_readings_committed_total")
    publish("meter/M4/event", {"at": time.time_ns() // 1_000_000, "kind": "heartbeat"})
    village.wait(
        lambda: village.metric("lastgasp_readings_committed_total") > committed,
        10, "the stream to go on",
    )  # fmt: skip


def test_the_quarantine_can_be_listed_looked_into_and_replayed(village, publish, psql) -> None:
    body = json.dumps(GASP | {"note": "replay me"}).encode()
    publish("meter/M777/event", body)
    digest = hashlib.sha256(body).hexdigest()
    query = f"SELECT quarantine_no FROM quarantine WHERE sha256 = '{digest}'"
    (number,) = village.wait(lambda: psql(village, query), 60, "the payload in quarantine")

    listed = json.loads(village.command("quarantine list", "--json"))["quarantined"]
    assert digest in [row["sha256"] for row in listed]
    assert "M777" in village.command("quarantine show", number)
    village.command("quarantine replay", number)


def test_a_clock_that_is_off_by_days_is_repaired_and_not_quarantined(
    village, publish, psql
) -> None:
    count = "SELECT count(*) FROM quarantine"
    before = psql(village, count)
    publish("meter/M5/event", {"at": NOW_MS - 9 * 86_400_000, "kind": "heartbeat"})
    flagged = (
        "SELECT quality FROM reading_log WHERE device_id = 'M5' AND kind = 'heartbeat' "
        "AND happened_at > now() - interval '1 day'"
    )
    assert village.wait(lambda: psql(village, flagged), 60, "the heartbeat") == ["1"]
    assert psql(village, count) == before
