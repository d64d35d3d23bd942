"""The specification of ``lastgasp up``: one command, a clean end, and nothing lost by a kill."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import paho.mqtt.publish
import psycopg
import pytest

from grid.times import to_rfc3339
from service import exits
from service.clock import now_ms

pytestmark = pytest.mark.services

VILLAGE = str(Path(__file__).resolve().parents[2] / "docs" / "examples" / "village")
LASTGASP = Path(sys.executable).with_name("lastgasp")


@pytest.fixture(scope="module")
def village(lastgasp_up: Callable[..., object]) -> Iterator[object]:
    """A service on the village, with nothing simulated."""
    service = lastgasp_up("--network", VILLAGE)
    service.start()
    yield service
    service.stop()


def say(service: object, device: str, kind: str, *, seq: int, at_ms: int | None = None) -> None:
    """Let a meter speak."""
    event = {"boot": "b1", "seq": seq, "at": at_ms or now_ms(), "kind": kind}
    publish(service, f"lastgasp/v1/meter/{device}/event", json.dumps(event))


def publish(service: object, topic: str, payload: str) -> None:
    paho.mqtt.publish.single(topic, payload, qos=1, hostname="127.0.0.1", port=service.mqtt)


def dark(service: object, device: str) -> Callable[[], object]:
    def found() -> object:
        outages = service.get("/api/outages")["outages"]
        return [
            o
            for o in outages
            if o["device_id"] == device and o["state"] in ("predicted", "confirmed")
        ]

    return found


def test_it_is_ready_once_a_message_published_now_will_be_acted_on(village: object) -> None:
    answer = httpx.get(f"http://127.0.0.1:{village.http}/readyz").json()
    assert answer["ready"]
    assert set(answer["components"]) == {"database", "engine", "mqtt", "feeds"}


def test_it_says_where_it_is_and_what_runs(village: object) -> None:
    note = json.loads((village.data / "service.json").read_text())
    assert note["http"] == f"http://127.0.0.1:{village.http}"
    assert re.fullmatch(r"psql -h \S+ -U lastgasp lastgasp", note["psql"])
    assert note["psql"] in village.command("doctor")


def test_a_second_service_on_the_same_data_is_refused(village: object) -> None:
    ran = subprocess.run(
        [LASTGASP, "up", "--data", str(village.data)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == exits.CONFIG
    assert "already runs" in ran.stderr


def test_a_gasp_becomes_an_outage_on_the_board_in_the_api_and_in_the_database(
    village: object,
) -> None:
    for seq, meter in enumerate(("M1", "M2", "M3"), 1):
        say(village, meter, "last_gasp", seq=seq)
    (outage,) = village.wait(dark(village, "T1"), 60, "an outage of T1")
    shown = json.loads(village.command("watch", "--once", "--json"))
    assert outage["id"] in {o["id"] for o in shown["outages"]}
    assert "meters" in {source["name"] for source in shown["sources"]}
    assert village.metric("lastgasp_customers_out") == outage["customers_out"]
    note = json.loads((village.data / "service.json").read_text())
    socket_folder = note["psql"].split()[2]
    with psycopg.connect(f"postgresql://lastgasp@/lastgasp?host={socket_folder}") as database:
        row = database.execute("select device_id from outages_now").fetchone()
    assert row == ("T1",)


def test_what_cannot_be_read_is_listed_shown_and_tried_again(village: object) -> None:
    publish(village, "lastgasp/v1/meter/M4/event", '{"kind": "last_gasp"')
    counted = lambda: village.metric("lastgasp_quarantined_total")  # noqa: E731
    village.wait(lambda: counted() == 1, 60, "something in quarantine")
    (found,) = json.loads(village.command("quarantine list", "--json"))["quarantined"]
    number = str(found["no"])
    assert '{"kind": "last_gasp"' in village.command("quarantine show", number)
    assert "number 999" in village.command("quarantine show", "999", check=False)
    assert "1 payloads were published again" in village.command("quarantine replay", number)
    village.wait(lambda: counted() == 2, 60, "its coming back")


def test_a_call_and_a_plan_reach_the_engine_and_their_tables(village: object) -> None:
    headers = {"Authorization": f"Bearer {village.anna}"}
    url = f"http://127.0.0.1:{village.http}"
    call = {"customer_id": "C8", "at": to_rfc3339(now_ms()), "kind": "no_power", "text": "dark"}
    answer = httpx.post(f"{url}/api/calls", json=call, headers=headers)
    assert answer.status_code == 201, answer.text
    plan = {
        "device_id": "T1", "from": to_rfc3339(now_ms() + 3_600_000),
        "to": to_rfc3339(now_ms() + 7_200_000), "kind": "planned", "reason": "work",
    }  # fmt: skip
    answer = httpx.post(f"{url}/api/planned", json=plan, headers=headers)
    assert answer.status_code == 201, answer.text
    assert [p["device_id"] for p in village.get("/api/planned")["planned"]] == ["T1"]
    words = "select kind from event_log where kind like 'call%'"
    note = json.loads((village.data / "service.json").read_text())
    socket_folder = note["psql"].split()[2]
    with psycopg.connect(f"postgresql://lastgasp@/lastgasp?host={socket_folder}") as database:
        assert database.execute(words).fetchall() == [("call_no_power",)]


def test_switching_is_taken_up_while_it_runs_and_outages_go_on(village: object) -> None:
    (before,) = dark(village, "T1")()
    old = village.get("/api/network")["version"]
    village.command("network switch", "--close", "TIE1", "--open", "SW1")
    taken_up = lambda: village.get("/api/network")["version"] != old  # noqa: E731
    village.wait(taken_up, 60, "the switched network")
    for seq, meter in enumerate(("M4", "M5", "M6"), 11):
        say(village, meter, "last_gasp", seq=seq)
    (outage,) = village.wait(dark(village, "B2"), 60, "an outage of B2: T3's call and its new part")
    assert outage["customers_out"] == 5
    (after,) = dark(village, "T1")()
    assert (after["id"], after["started_at"]) == (before["id"], before["started_at"])
    for seq, meter in enumerate(("M1", "M2", "M3"), 21):
        say(village, meter, "power_up", seq=seq)
    village.wait(lambda: not dark(village, "T1")(), 60, "its restoration")


def test_after_a_kill_of_the_group_it_goes_on_and_ends_with_nothing_left(
    lastgasp_up: Callable[..., object],
) -> None:
    service = lastgasp_up("--network", VILLAGE)
    first_ms = now_ms()
    service.start()
    for seq, meter in enumerate(("M1", "M2", "M3"), 1):
        say(service, meter, "last_gasp", seq=seq)
    (before,) = service.wait(dark(service, "T1"), 60, "an outage of T1")
    service.kill()
    service.start()  # the same ports, the same broker, the same database
    (after,) = [o for o in service.get("/api/outages")["outages"] if o["device_id"] == "T1"]
    assert (after["id"], after["started_at"]) == (before["id"], before["started_at"])
    for seq, meter in enumerate(("M1", "M2", "M3"), 11):
        say(service, meter, "power_up", seq=seq)
    service.wait(
        lambda: service.get(f"/api/outages/{before['id']}")["restored_at"], 15, "its restoration"
    )
    committed = service.get(f"/api/outages/{before['id']}")["changes"]
    assert service.stop() == 0
    said = service.command(
        "replay", "--from", to_rfc3339(first_ms), "--to", to_rfc3339(now_ms()), "--json"
    )
    replayed = [one for one in map(json.loads, said.splitlines()) if one["type"] == "change"]
    assert [(one["version"], one["state"], one["reason"]) for one in replayed] == [
        (one["outage"]["version"], one["outage"]["state"], one["reason"]) for one in committed
    ]
    assert not (service.data / "postgres" / "postmaster.pid").exists()
    assert not (service.data / "service.json").exists()
    text = service.log.read_text()
    assert "Traceback" not in text
    assert "[error" not in text


def test_without_a_network_it_says_what_to_do(tmp_path: Path, free_port: Callable[[], int]) -> None:
    listen = [f"127.0.0.1:{free_port()}" for _ in range(3)]
    ran = subprocess.run(
        [LASTGASP, "up", "--data", tmp_path / "d", "--http", listen[0], "--feeds", listen[1],
         "--mqtt", listen[2]],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == exits.CONFIG
    assert "give --network SOURCE" in ran.stderr
    assert not (tmp_path / "d" / "postgres" / "postmaster.pid").exists()
