"""The specification of the joints, proved by clients that share no code with us.

mosquitto_pub is the meter, mosquitto_sub hears its acknowledgement, psql reads the tables, a Node
program reads the feeds.  They talk to a real ``lastgasp up``.
"""

import itertools
import json
import time
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.services

SEQ = itertools.count(1)


def event(kind: str, **more: Any) -> dict[str, Any]:
    """An event as a device would write it now."""
    now_ms = time.time_ns() // 1_000_000
    return {"boot": "a1", "seq": next(SEQ), "at": now_ms, "kind": kind, **more}


def outage_of(service: Any, device_id: str) -> dict[str, Any]:
    """The open outage of a device, once there is one."""

    def find() -> Any:
        listed = service.get("/api/outages")["outages"]
        return next((o for o in listed if o["device_id"] == device_id), None)

    found: dict[str, Any] = service.wait(find, 60, f"an outage of {device_id}")
    return found


def test_a_meter_needs_nothing_but_mqtt(village, publish, talk, tool, psql) -> None:
    topic = "lastgasp/v1/meter/M1/ack"
    acks = talk(tool("mosquitto_sub"), "-p", str(village.mqtt), "-t", topic, "-d", "-F", "%p")
    acks.until(lambda line: "SUBACK" in line)
    before = village.metric("lastgasp_readings_committed_total")

    gasps = {meter: event("last_gasp", volts=[0]) for meter in ("M1", "M2", "M3")}
    for meter, gasp in gasps.items():
        publish(f"meter/{meter}/event", gasp)
    for neighbour in ("M4", "M5", "M6"):  # nobody answers for them when they are asked
        publish(f"meter/{neighbour}/event", event("heartbeat", volts=[230]))

    ack = json.loads(acks.until(lambda line: line.startswith("{")))
    assert ack == {"boot": "a1", "seq": gasps["M1"]["seq"]}
    outage = outage_of(village, "T1")
    assert (outage["device_kind"], outage["feeder_id"]) == ("transformer", "B1")
    assert village.metric("lastgasp_readings_committed_total") >= before + 3
    detail = village.get(f"/api/outages/{outage['id']}")
    assert {c for step in detail["steps"] for c in step["customers"]} == {"C1", "C2", "C3"}
    query = "SELECT device_id, customers_out FROM outages_now WHERE device_id = 'T1'"
    assert psql(village, query) == ["T1|3"]
    dark = "SELECT customer_id FROM dark_customers ORDER BY 1"
    assert {"C1", "C2", "C3"} <= set(psql(village, dark))

    for meter in ("M1", "M2", "M3"):
        publish(f"meter/{meter}/event", event("power_up", volts=[228]))
    restored = village.wait(
        lambda: (o := village.get(f"/api/outages/{outage['id']}"))["customers_out"] == 0 and o,
        20, "the outage to end",
    )  # fmt: skip
    assert all(step["on_at"] for step in restored["steps"])


def test_the_feeds_speak_to_a_program_in_another_language(
    village, publish, node_feed, bearer
) -> None:
    customer = bearer("customer", "C7")
    desk = node_feed(village.feeds, village.anna, "dispatch")
    home = node_feed(village.feeds, customer, "customer:C7")
    first = desk.message(op="subscribed")
    assert first["recovered"] is False
    assert first["snapshot"] is not None
    assert home.message(op="subscribed")["snapshot"]["power"] in ("on", "unknown")

    for meter in ("M7", "M8"):
        publish(f"meter/{meter}/event", event("last_gasp", volts=[0]))
    publish("terminal/T3/event", event("last_gasp", volts=[0, 0, 0]))

    told = desk.message(op="pub", type="change")
    assert told["data"]["outage"]["device_id"] in ("T3", "B2")
    assert told["offset"] > first["offset"]
    status = home.message(op="pub", type="status")["data"]
    assert (status["customer_id"], status["power"]) == ("C7", "off")
    assert village.get("/api/customers/C7/status", customer)["power"] == "off"


@pytest.mark.parametrize(
    ("channel", "origin", "code"),
    [
        pytest.param("customer:C1", "", 4403, id="another customer's channel"),
        pytest.param("dispatch", "", 4403, id="the dispatch centre's channel"),
        pytest.param("customer:C7", "http://elsewhere.example", 4406, id="a page from elsewhere"),
    ],
)
def test_a_customer_gets_no_further_than_their_own_door(
    village, node_feed, psql, bearer, channel, origin, code
) -> None:
    intruder = node_feed(village.feeds, bearer("customer", "C7"), channel, origin)
    assert intruder.message(closed=code)
    village.wait(
        lambda: psql(village, "SELECT 1 FROM audit WHERE detail <> '' LIMIT 1"),
        10, "an audit line",
    )  # fmt: skip


def test_nobody_listens_without_a_token(village, node_feed) -> None:
    assert node_feed(village.feeds, "", "dispatch").message(closed=4401)
    assert node_feed(village.feeds, "made.up.token", "dispatch").message(closed=4401)


@pytest.mark.parametrize(
    ("path", "role", "status"),
    [
        ("/api/outages", None, 401),
        ("/api/outages", "customer", 403),
        ("/api/planned", "customer", 403),
        ("/api/customers/C1/status", "customer", 403),
        ("/api/customers/C7/status", "customer", 200),
        ("/api/outages", "dispatcher", 200),
        ("/livez", None, 200),
        ("/readyz", None, 200),
        ("/metrics", None, 200),
    ],
)
def test_a_token_opens_what_is_its_bearers(village, bearer, path, role, status) -> None:
    subject = {"customer": "C7", "dispatcher": "anna", None: ""}[role]
    headers = {"Authorization": f"Bearer {bearer(role, subject)}"} if role else {}
    answer = httpx.get(f"http://127.0.0.1:{village.http}{path}", headers=headers)
    assert answer.status_code == status
    if status in (401, 403):
        assert set(answer.json()) == {"error", "code"}
