"""The specification of replay: recorded lines in, what the engine says out, in stream time."""

import json

import pytest

from detectors.settings import EngineSettings
from grid.drawing import draw
from grid.errors import BadPayload
from grid.times import from_rfc3339
from service import replay

NETWORK = draw("""
source S1
  breaker B1 telemetered
    transformer T1
      meter M1..M6 dcu=D1
    transformer T2
      meter M7..M12
source S2
  breaker B2 telemetered
    transformer T3
      meter M21..M26
""")


def ms(text: str) -> int:
    return from_rfc3339(f"2026-11-21T{text}Z")


def event(time: str, device: str, kind: str, received: str = "", **fields: object) -> dict:
    """A line of a device, received when it happened unless said otherwise."""
    cls = "breaker" if device.startswith("B") else "meter"
    payload = {"at": ms(time), "kind": kind, **fields}
    topic = f"lastgasp/v1/{cls}/{device}/event"
    return {"received_at": ms(received or time), "topic": topic, "payload": payload}


def tick(time: str) -> dict:
    return {"tick": ms(time)}


WARM = [event("12:00:00", f"M{n}", "heartbeat") for n in (*range(1, 13), *range(21, 27))]
TRIP = event("12:01:10", "B1", "trip", commanded=False)


class Output:
    """What was written, and where it was flushed."""

    def __init__(self) -> None:
        self.written = b""
        self.flushed: list[int] = []  # lines written by then
        self.refused: dict[str, int] = {}

    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.written.splitlines()]

    @property
    def types(self) -> list[str]:
        return [line["type"] for line in self.lines]

    def write(self, body: bytes) -> None:
        self.written += body

    def flush(self) -> None:
        self.flushed.append(len(self.lines))


@pytest.fixture
def replayed():
    """The output of lines: dicts, or bytes as they stand in the file."""

    def go(*lines: dict | bytes, lockstep: bool = False) -> Output:
        out = Output()
        encoded = [x if isinstance(x, bytes) else json.dumps(x).encode() + b"\n" for x in lines]
        out.refused = replay.run(
            encoded, NETWORK, EngineSettings(),
            write=out.write, flush=out.flush, lockstep=lockstep,
        )  # fmt: skip
        return out

    return go


# -- lines out -----------------------------------------------------------------------------------


def test_a_change_is_told_as_the_judge_reads_it(replayed) -> None:
    change = replayed(*WARM, TRIP, tick("12:01:20")).lines[0]
    assert change == {
        "type": "change",
        "at": ms("12:01:10"),
        "outage": "S1-1",
        "version": 1,
        "state": "confirmed",
        "customers": [f"C-M{n}" for n in range(1, 13)],
        "reason": "outage behind breaker B1 detected; confirmed by its breaker",
    }


def test_at_the_end_every_outage_of_the_day_is_told(replayed) -> None:
    close = event("12:03:00", "B1", "close")
    back = [event("12:03:04", f"M{n}", "power_up", boot="a", seq=1) for n in range(1, 13)]
    out = replayed(*WARM, TRIP, close, *back, tick("12:03:10"))
    assert out.lines[-1] == {
        "type": "outage",
        "id": "S1-1",
        "state": "restored",
        "kind": "fault",
        "device_id": "B1",
        "device_kind": "breaker",
        "probability": 1.0,
        "started_at": ms("12:01:10"),
        "restored_at": ms("12:03:00"),
        "steps": [
            {
                "off_at": ms("12:01:10"),
                "on_at": ms("12:03:00"),
                "customers": [f"C-M{n}" for n in range(1, 13)],
            }
        ],
    }


def test_a_step_that_goes_on_has_no_end(replayed) -> None:
    outage = replayed(*WARM, TRIP, tick("12:01:20")).lines[-1]
    assert (outage["restored_at"], outage["steps"][0]["on_at"]) == (None, None)


def test_changes_come_first_in_order_of_time_and_the_outages_last(replayed) -> None:
    second = event("12:01:30", "B2", "trip")
    out = replayed(*WARM, TRIP, second, tick("12:02:00"))
    assert out.types == ["change", "change", "outage", "outage"]
    times = [line["at"] for line in out.lines[:2]]
    assert times == sorted(times)


def test_versions_of_an_outage_are_contiguous(replayed) -> None:
    gasps = [event("12:01:50", f"M{n}", "last_gasp") for n in range(1, 13)]
    back = [event("12:03:04", f"M{n}", "power_up") for n in range(1, 13)]
    out = replayed(*WARM, TRIP, *gasps, event("12:03:00", "B1", "close"), *back, tick("12:10:00"))
    versions = [line["version"] for line in out.lines if line["type"] == "change"]
    assert versions == list(range(1, len(versions) + 1))


# -- time ----------------------------------------------------------------------------------------


def test_a_dark_network_says_nothing_so_a_tick_moves_time(replayed) -> None:
    gasps = [event("12:01:00", f"M{n}", "last_gasp") for n in range(7, 13)]
    assert [x["at"] for x in replayed(*WARM, *gasps).lines if x["type"] == "change"] == []
    out = replayed(*WARM, *gasps, tick("12:01:05"))
    assert [x["at"] for x in out.lines if x["type"] == "change"] == [ms("12:01:01")]


def test_a_tick_into_the_past_moves_nothing(replayed) -> None:
    out = replayed(*WARM, TRIP, tick("11:00:00"), tick("12:01:20"))
    assert out.types == ["change", "outage"]


def test_what_is_late_counts_when_it_was_received(replayed) -> None:
    late = event("12:01:10", "B1", "trip", received="12:04:00")
    change, outage = replayed(*WARM, late, tick("12:04:10")).lines
    assert (change["at"], outage["started_at"]) == (ms("12:04:00"), ms("12:01:10"))


def test_where_ticks_stand_changes_nothing(replayed) -> None:
    gasps = [event("12:01:50", f"M{n}", "last_gasp") for n in range(1, 13)]
    once = replayed(*WARM, TRIP, *gasps, tick("12:05:00"))
    often = replayed(*WARM, tick("12:00:30"), TRIP, tick("12:01:11"), tick("12:01:49"), *gasps,
                     tick("12:02:00"), tick("12:05:00"))  # fmt: skip
    assert once.written == often.written


# -- lockstep ------------------------------------------------------------------------------------


def test_in_lockstep_all_that_was_said_comes_before_its_tick_and_then_a_flush(replayed) -> None:
    out = replayed(*WARM, tick("12:01:00"), TRIP, tick("12:01:11"), tick("12:01:12"), lockstep=True)
    assert out.types == ["tick", "change", "tick", "tick", "outage"]
    assert out.lines[0] == {"type": "tick", "at": ms("12:01:00")}
    assert out.flushed == [1, 3, 4, 5]


def test_without_lockstep_ticks_are_not_answered(replayed) -> None:
    assert replayed(*WARM, tick("12:01:00"), TRIP, tick("12:01:11")).types == ["change", "outage"]


# -- lines in ------------------------------------------------------------------------------------


def test_a_concentrators_array_is_read(replayed) -> None:
    payload = [
        {"meter": f"M{n}", "boot": "d", "seq": n, "at": ms("12:01:00"), "kind": "last_gasp"}
        for n in range(1, 7)
    ]
    line = {
        "received_at": ms("12:01:02"),
        "topic": "lastgasp/v1/dcu/D1/events",
        "payload": payload,
    }
    out = replayed(*WARM, line, tick("12:01:05"))
    assert [x["device_id"] for x in out.lines if x["type"] == "outage"] == ["T1"]


def test_repeats_have_no_effect(replayed) -> None:
    gasps = [event("12:01:00", f"M{n}", "last_gasp", boot="j1", seq=2) for n in range(7, 13)]
    again = [x | {"received_at": ms("12:01:30")} for x in gasps]
    once = replayed(*WARM, *gasps, tick("12:03:00"))
    assert replayed(*WARM, *gasps, *again, tick("12:03:00")).lines[-1] == once.lines[-1]


def test_pings_that_were_sent_are_passed_over_and_their_replies_are_heard(replayed) -> None:
    ping = {
        "received_at": ms("12:01:20"),
        "topic": "lastgasp/v1/meter/M9/ping",
        "payload": {"at": ms("12:01:20")},
    }
    gasps = [event("12:01:00", f"M{n}", "last_gasp") for n in range(7, 11)]
    reply = event("12:01:21", "M9", "ping_reply", on=True)
    out = replayed(*WARM, *gasps, ping, reply, tick("12:01:30"))
    assert out.refused == {}
    assert "C-M9" in [x for x in out.lines if x["type"] == "change"][-1]["customers"]


def test_empty_lines_are_passed_over(replayed) -> None:
    assert replayed(b"\n", *WARM, b"  \n", TRIP, b"\r\n").types == ["change", "outage"]


@pytest.mark.parametrize(
    "line",
    [
        b"no JSON\n",
        b"[1, 2]\n",
        b'{"received_at": 1}\n',
        b'{"topic": "lastgasp/v1/meter/M1/event", "payload": {}}\n',
        b'{"received_at": "noon", "topic": "a", "payload": {}}\n',
        b'{"tick": "noon"}\n',
        b"\xff\xfe\n",
        b'{"received_at": 1, "topic": "a", "payload": ' + b"[" * 5000 + b"\n",
    ],
    ids=["no JSON", "no object", "no topic", "no time", "a time in words", "a tick in words",
         "no text", "cut short, and deep"],
)  # fmt: skip
def test_a_line_that_is_none_is_named_by_its_number(replayed, line: bytes) -> None:
    with pytest.raises(BadPayload, match=rf"^line {len(WARM) + 2}: "):
        replayed(*WARM, b"\n", line)


def test_a_line_beyond_all_measure_is_none(replayed, monkeypatch) -> None:
    monkeypatch.setattr(replay, "LINE_BYTES_MAX", 1 << 20)
    long = json.dumps(event("12:00:00", "M1", "heartbeat", note="x" * (1 << 20))).encode()
    with pytest.raises(BadPayload, match="line 1: longer than 1 MiB"):
        replayed(long)


def test_events_that_are_refused_are_counted_by_reason_and_the_day_goes_on(replayed) -> None:
    unknown = event("12:00:30", "M77", "heartbeat")
    nonsense = event("12:00:31", "M1", "explode")
    elsewhere = {"received_at": ms("12:00:32"), "topic": "other/v1/x", "payload": {}}
    half = {
        "received_at": ms("12:00:33"),
        "topic": "lastgasp/v1/dcu/D1/events",
        "payload": [{"meter": "M1", "at": ms("12:00:33"), "kind": "heartbeat"}, {"meter": "M2"}],
    }
    out = replayed(*WARM, unknown, unknown, nonsense, elsewhere, half, TRIP)
    assert sorted(out.refused.values()) == [1, 1, 1, 2]
    assert out.refused["nobody registered device 'M77'"] == 2
    assert out.refused["unknown kind 'explode'"] == 1
    assert out.types == ["change", "outage"]


def test_the_reasons_that_are_kept_have_a_limit(replayed) -> None:
    strangers = [event("12:00:30", f"X{n}", "heartbeat") for n in range(300)]
    refused = replayed(*strangers).refused
    assert len(refused) == replay.REASONS_MAX + 1
    assert sum(refused.values()) == 300


def test_a_day_longer_than_a_frame_is_the_same_day(replayed, monkeypatch) -> None:
    gasps = [event("12:01:50", f"M{n}", "last_gasp") for n in range(1, 13)]
    day = [*WARM, TRIP, *gasps, tick("12:05:00")]
    whole = replayed(*day)
    monkeypatch.setattr(replay, "LINES_A_FRAME", 3)
    assert replayed(*day).written == whole.written
