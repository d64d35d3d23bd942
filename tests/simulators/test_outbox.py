"""The specification of devices' stores: kept until acknowledged, numbered once, oldest first."""

from collections.abc import Callable, Sequence

import pytest

from grid.reading import Kind, Reading
from simulators.fact import Fact
from simulators.outbox import Entry, Message, Outbox, OutboxSettings
from simulators.power import NEVER

SETTINGS = OutboxSettings(resend_s=5, resend_s_max=20, array_facts_max=3, window_facts_max=10)

Say = Callable[..., Fact]


@pytest.fixture
def say() -> Say:
    def fact(meter: str, at_ms: int, kind: Kind = Kind.VOLTAGE, via: str | None = None,
             expires_ms: int = NEVER, again_ms: int = 0) -> Fact:  # fmt: skip
        cls, name = ("dcu", via) if via else ("meter", meter)
        return Fact(at_ms, cls, name, Reading(meter, kind, at_ms, via=via), expires_ms, again_ms)

    return fact


def numbers(messages: Sequence[Message]) -> list[list[int]]:
    return [[r.seq for r in message.readings] for message in messages]


def test_a_fact_is_sent_once_and_again_until_it_is_acknowledged(say: Say) -> None:
    box = Outbox("b", SETTINGS)
    box.add([say("M1", 0)])
    assert numbers(box.take(0)) == [[1]]
    assert box.take(4000) == []
    assert numbers(box.take(6000)) == [[1]]  # after 5 s
    assert box.take(14_000) == []  # then after 10 s
    assert numbers(box.take(17_500)) == [[1]]
    assert box.acked(("meter", "M1"), "b", 1) == 1
    assert len(box) == 0
    assert box.take(1_000_000) == []


def test_an_acknowledgement_of_something_else_forgets_nothing(say: Say) -> None:
    box = Outbox("b", SETTINGS)
    box.add([say("M1", 0), say("M1", 1)])
    box.take(1)
    assert box.acked(("meter", "M1"), "a", 1) == 0
    assert box.acked(("meter", "M2"), "b", 1) == 0
    assert box.acked(("meter", "M1"), "b", 3) == 0
    assert box.acked(("meter", "M1"), "b", 2) == 1  # a meter's covers one fact
    assert len(box) == 1


def test_an_acknowledgement_of_a_concentrator_covers_all_below_it(say: Say) -> None:
    box = Outbox("b", SETTINGS)
    box.add([say(f"M{i}", 0, via="D1") for i in range(1, 6)])
    assert numbers(box.take(0)) == [[1, 2, 3], [4, 5]]
    assert box.acked(("dcu", "D1"), "b", 4) == 4
    box.add([say("M6", 1000, via="D1")])
    assert numbers(box.take(1000)) == [[6]]
    box.lost_connection()
    assert numbers(box.take(1001)) == [[5, 6]]


def test_a_concentrator_repeats_oldest_first_and_before_its_news(say: Say) -> None:
    box = Outbox("b", SETTINGS)
    box.add([say("M1", 0, Kind.HEARTBEAT, via="D1")])
    box.take(0)
    box.add([say("M2", 5900, Kind.LAST_GASP, via="D1")])
    assert numbers(box.take(6000)) == [[1, 2]]


def test_a_concentrator_that_is_heard_does_not_repeat_itself(say: Say) -> None:
    box = Outbox("b", SETTINGS)
    for second in range(60):
        box.add([say("M1", second * 1000, via="D1")])
        sent = numbers(box.take(second * 1000))
        assert sent == [[second + 1]]
        box.acked(("dcu", "D1"), "b", second)  # always one behind


def test_a_heartbeat_that_never_left_gives_way_to_the_next_and_leaves_no_gap(say: Say) -> None:
    box = Outbox("b", SETTINGS)
    for at_ms in (0, 1000, 2000):
        box.add([say("M1", at_ms, Kind.HEARTBEAT, via="D1")])
    assert len(box) == 1
    (message,) = box.take(2000)
    assert [(r.seq, r.happened_ms) for r in message.readings] == [(1, 2000)]
    box.add([say("M1", 3000, Kind.HEARTBEAT, via="D1")])
    assert len(box) == 2  # what has left is kept until it is acknowledged


def test_events_are_never_overtaken_by_others(say: Say) -> None:
    box = Outbox("b", SETTINGS)
    box.add([say("M1", ms, kind) for ms, kind in ((0, Kind.LAST_GASP), (9, Kind.POWER_UP))])
    box.add([say("M1", 20, Kind.HEARTBEAT), say("M1", 30, Kind.HEARTBEAT)])
    assert [m.readings[0].happened_ms for m in box.take(30)] == [0, 9, 30]


def test_a_device_without_power_cannot_repeat_itself(say: Say) -> None:
    box = Outbox("b", SETTINGS)
    box.add([say("M1", 0, Kind.LAST_GASP, expires_ms=4000)])
    box.add([say("M2", 0, Kind.LAST_GASP, expires_ms=4000)])
    assert len(box.take(0)) == 2
    box.lost_connection()
    assert len(box.take(3999)) == 2
    box.lost_connection()
    assert box.take(4000) == []
    assert len(box) == 0


def test_a_full_window_lets_others_wait_but_what_is_late_comes_again(say: Say) -> None:
    box = Outbox("b", SETTINGS)
    box.add([say(f"M{i}", 0) for i in range(15)])
    assert len(box.take(0)) == 10
    assert box.take(1) == []
    box.acked(("meter", "M0"), "b", 1)
    assert len(box.take(2)) == 1
    nobody_answers = [len(box.take(ms)) for ms in range(1000, 60_000, 1000)]
    assert sum(nobody_answers) > 20
    assert {m.sender for ms in range(60_000, 90_000, 1000) for m in box.take(ms)} == {
        ("meter", f"M{i}") for i in range(1, 15)
    }


def test_news_go_before_heartbeats_when_there_is_much_to_send(say: Say) -> None:
    box = Outbox("b", SETTINGS)
    box.add([say(f"M{i}", 0, Kind.HEARTBEAT) for i in range(20)])
    box.add([say("M99", 0, Kind.LAST_GASP)])
    assert box.take(0)[0].sender == ("meter", "M99")


def test_a_full_store_drops_heartbeats_and_keeps_events(say: Say) -> None:
    box = Outbox("b", OutboxSettings(facts_max=3))
    box.add([say(f"M{i}", 0, Kind.HEARTBEAT) for i in range(5)])
    box.add([say("M9", 0, Kind.LAST_GASP)])
    assert (len(box), box.dropped) == (4, 2)


def test_what_the_way_delivers_twice_is_the_same_fact(say: Say) -> None:
    box = Outbox("b", SETTINGS)
    box.add([say("M1", 0, again_ms=500)])
    first = box.take(0)
    box.acked(("meter", "M1"), "b", 1)
    assert box.take(499) == []
    assert box.take(500) == first


def test_what_the_disk_kept_is_taken_over_with_its_numbers(say: Say) -> None:
    box = Outbox("b1", SETTINGS)
    box.add([say("M1", 0, via="D1"), say("M2", 0, via="D1")])
    box.take(0)
    box.add([say("M3", 1, Kind.HEARTBEAT, via="D1")])
    changes = box.changes()
    assert len(changes.added) == 3
    kept = [Entry(e.no, e.sender, e.reading, e.expires_ms, on_disk=True) for e in changes.added]

    after = Outbox("b2", SETTINGS, kept)
    after.add([say("M4", 2, via="D1")])
    sent = [[(r.boot, r.seq, r.device_id) for r in m.readings] for m in after.take(10)]
    assert sent == [
        [("b1", 1, "M1"), ("b1", 2, "M2")],
        [("b2", 1, "M3"), ("b2", 2, "M4")],
    ]
    assert [e.no for e in after.changes().added] == [4]
    assert after.acked(("dcu", "D1"), "b1", 2) == 2
    assert len(after.changes().gone) == 2
