"""The specification of what a relay's polls tell.

Time runs in seconds from noon; a story is a list of polls, and what is told is (kind, second).
"""

import msgspec
import pytest

from devices.relay import NOT_MEASURED, Sample, SwitchEvent
from devices.switching import SwitchLimits, Watch, on_no_answer, on_sample
from grid.reading import Kind, Reading

NOON = 1_795_262_400_000
LIMITS = SwitchLimits(heartbeat_ms=10_000, amps_deadband=5.0, failures_max=2)
AMPS = (100.0, 100.0, 100.0)

CLOSED = Sample(closed=True, amps=AMPS, event_seq=0)
OPEN = Sample(closed=False, amps=(0.0, 0.0, 0.0), event_seq=0)
COUNTING = Sample(closed=True, amps=AMPS, openings=7, closings=7)


def at(second: float) -> int:
    return NOON + round(second * 1000)


def event(seq: int, kind: Kind, second: float) -> SwitchEvent:
    return SwitchEvent(seq, kind, at(second))


def having(sample: Sample, **fields: object) -> Sample:
    return msgspec.structs.replace(sample, **fields)


def readings(*polls: tuple[float, Sample | None]) -> list[Reading]:
    """Everything told in a story; None is a poll without an answer."""
    watch, told = Watch("B1"), []
    for second, sample in polls:
        if sample is None:
            watch, new = on_no_answer(watch, at(second), LIMITS)
        else:
            watch, new = on_sample(watch, sample, at(second), LIMITS)
        told += new
    return told


def told(*polls: tuple[float, Sample | None]) -> list[tuple[str, float]]:
    return [(r.kind.name, (r.happened_ms - NOON) / 1000) for r in readings(*polls)]


@pytest.mark.parametrize("sample", [CLOSED, OPEN])
def test_the_first_poll_is_a_state_and_no_transition(sample) -> None:
    remembered = having(sample, event_seq=5, events=(event(5, Kind.TRIP, -60),), lockout=True)
    (reading,) = readings((0, remembered))
    assert (reading.kind, reading.on) == (Kind.HEARTBEAT, sample.closed)


def test_a_heartbeat_says_position_and_measurements() -> None:
    (reading,) = readings(
        (0, having(CLOSED, volts=(5774.0, NOT_MEASURED, 5770.0), power_kw=1700.0))
    )
    assert (reading.on, reading.amps, reading.power_kw) == (True, AMPS, 1700.0)
    assert (reading.volts[0], reading.volts[2], reading.commanded) == (5774.0, 5770.0, None)


def test_contacts_that_disagree_are_no_position_and_not_valid() -> None:
    """One that is just moving disagrees for one poll; two in a row are told, once."""
    torn = having(CLOSED, closed=None)
    assert readings((0, CLOSED), (1, torn), (2, CLOSED))[1:] == []
    *_, last = readings((0, CLOSED), (1, torn), (2, torn), (3, torn))
    assert (last.kind, last.valid, last.on) == (Kind.NO_ANSWER, False, None)


def test_nothing_new_is_told_once_in_ten_seconds() -> None:
    assert told(*((t, CLOSED) for t in range(25))) == [
        ("HEARTBEAT", 0),
        ("HEARTBEAT", 10),
        ("HEARTBEAT", 20),
    ]


@pytest.mark.parametrize(
    ("change", "news"),
    [
        ({"amps": (104.0, 100.0, 96.0)}, False),
        ({"amps": (100.0, 106.0, 100.0)}, True),
        ({"amps": (100.0, 100.0, NOT_MEASURED)}, True),
        ({"volts": (5800.0, 5774.0, 5774.0)}, False),
        ({"volts": (5000.0, 5774.0, 5774.0)}, True),
    ],
)
def test_a_measurement_is_told_when_it_leaves_its_deadband(change, news) -> None:
    before = having(CLOSED, volts=(5774.0, 5774.0, 5774.0))
    assert (len(told((0, before), (1, having(before, **change)))) == 2) is news


def test_a_trip_is_told_with_the_relays_own_time() -> None:
    tripped = having(OPEN, event_seq=1, events=(event(1, Kind.TRIP, 0.25),))
    story = readings((0, CLOSED), (1, tripped), (2, tripped))
    assert [(r.kind, r.happened_ms, r.on, r.commanded) for r in story[1:2]] == [
        (Kind.TRIP, at(0.25), False, False)
    ]
    assert story[2].kind is Kind.HEARTBEAT  # the measurements after it
    assert story[2].on is False


def test_an_opening_by_command_is_no_trip() -> None:
    opened = having(OPEN, event_seq=1, commanded=True, events=(event(1, Kind.OPEN, 0.5),))
    (_, opening) = readings((0, CLOSED), (1, opened))
    assert (opening.kind, opening.commanded) == (Kind.OPEN, True)


def test_a_trip_and_a_reclose_between_two_polls_are_both_told() -> None:
    back = having(CLOSED, event_seq=2, events=(event(1, Kind.TRIP, 0.2), event(2, Kind.CLOSE, 0.7)))
    assert told((0, CLOSED), (1, back)) == [("HEARTBEAT", 0), ("TRIP", 0.2), ("CLOSE", 0.7)]


def test_a_failed_reclose_ends_in_a_lockout() -> None:
    events = (
        event(1, Kind.TRIP, 0.1),
        event(2, Kind.CLOSE, 0.6),
        event(3, Kind.TRIP, 0.7),
        event(4, Kind.LOCKOUT, 0.8),
    )
    locked = having(OPEN, lockout=True, event_seq=4, events=events)
    assert told((0, CLOSED), (1, locked))[1:] == [
        ("TRIP", 0.1),
        ("CLOSE", 0.6),
        ("TRIP", 0.7),
        ("LOCKOUT", 0.8),
    ]


def test_an_event_is_told_once_however_long_the_relay_keeps_it() -> None:
    first = having(OPEN, event_seq=1, events=(event(1, Kind.TRIP, 0.5),))
    second = having(
        CLOSED, event_seq=2, events=(event(1, Kind.TRIP, 0.5), event(2, Kind.CLOSE, 1.5))
    )
    kinds = [kind for kind, _ in told((0, CLOSED), (1, first), (2, second), (3, second))]
    assert kinds == ["HEARTBEAT", "TRIP", "CLOSE"]


def test_the_number_of_an_event_may_wrap() -> None:
    before = having(CLOSED, event_seq=65_535)
    after = having(OPEN, event_seq=0, events=(event(0, Kind.TRIP, 0.5),))
    assert told((0, before), (1, after))[1] == ("TRIP", 0.5)


def test_a_relay_that_forgot_its_events_is_believed_in_its_position() -> None:
    before = having(CLOSED, event_seq=500, events=(event(500, Kind.CLOSE, -9),))
    assert told((0, before), (1, OPEN))[1:] == [("TRIP", 1.0)]
    assert told((0, OPEN), (1, CLOSED))[1:] == [("CLOSE", 1.0)]
    assert told((0, CLOSED), (1, having(OPEN, commanded=True)))[1:] == [("OPEN", 1.0)]


def test_a_lockout_without_an_event_is_told_by_its_flag() -> None:
    assert told((0, OPEN), (1, having(OPEN, lockout=True)), (2, having(OPEN, lockout=True))) == [
        ("HEARTBEAT", 0),
        ("LOCKOUT", 1.0),
    ]


def test_events_out_of_order_by_a_clock_that_was_set_keep_their_order() -> None:
    back = having(CLOSED, event_seq=2, events=(event(1, Kind.TRIP, 9), event(2, Kind.CLOSE, 0.7)))
    assert told((0, CLOSED), (1, back))[1:] == [("TRIP", 0.699), ("CLOSE", 0.7)]


def test_counters_tell_of_a_trip_and_a_reclose_between_two_polls() -> None:
    back = having(COUNTING, openings=8, closings=8, opened_ms=at(0.2), closed_ms=at(0.7))
    assert told((0, COUNTING), (1, back))[1:] == [("TRIP", 0.2), ("CLOSE", 0.7)]


def test_counters_tell_of_a_failed_reclose() -> None:
    # only the last opening and closing have a time; the first trip is dated just after the poll
    failed = having(
        COUNTING,
        closed=False,
        lockout=True,
        openings=9,
        closings=8,
        opened_ms=at(0.7),
        closed_ms=at(0.6),
    )
    assert told((0, COUNTING), (1, failed))[1:] == [
        ("TRIP", 0.001),
        ("CLOSE", 0.6),
        ("TRIP", 0.7),
        ("LOCKOUT", 1.0),
    ]


def test_a_counted_opening_by_command_is_no_trip() -> None:
    opened = having(COUNTING, closed=False, commanded=True, openings=8, opened_ms=at(0.3))
    assert told((0, COUNTING), (1, opened))[1:] == [("OPEN", 0.3)]


def test_counters_may_wrap() -> None:
    before = having(COUNTING, openings=65_535, closings=65_535)
    after = having(COUNTING, openings=0, closings=0, opened_ms=at(0.2), closed_ms=at(0.7))
    assert told((0, before), (1, after))[1:] == [("TRIP", 0.2), ("CLOSE", 0.7)]


def test_counters_that_were_set_back_tell_nothing() -> None:
    assert told((0, COUNTING), (1, having(COUNTING, openings=0, closings=0))) == [("HEARTBEAT", 0)]


def test_counters_that_contradict_the_position_are_not_believed_against_it() -> None:
    odd = having(COUNTING, closed=False, closings=9)
    assert told((0, COUNTING), (1, odd))[1:] == [("TRIP", 1.0)]


def test_one_lost_poll_is_nothing_and_two_make_the_state_unknown_once() -> None:
    assert told((0, CLOSED), (1, None), (2, CLOSED)) == [("HEARTBEAT", 0)]
    assert told((0, CLOSED), (1, None), (2, None), (3, None), (4, None)) == [
        ("HEARTBEAT", 0),
        ("NO_ANSWER", 2),
    ]


def test_contacts_that_contradict_each_other_make_the_state_unknown_and_never_open() -> None:
    neither = having(CLOSED, closed=None)
    story = readings((0, CLOSED), (1, neither), (2, neither))
    assert [(r.kind, r.on) for r in story[1:]] == [(Kind.NO_ANSWER, None)]


def test_a_relay_that_answers_again_says_its_state_at_once() -> None:
    assert told((0, CLOSED), (1, None), (2, None), (3, CLOSED)) == [
        ("HEARTBEAT", 0),
        ("NO_ANSWER", 2),
        ("HEARTBEAT", 3),
    ]


def test_what_happened_while_a_relay_could_not_be_reached_is_told_when_it_can() -> None:
    back = having(CLOSED, event_seq=2, events=(event(1, Kind.TRIP, 30), event(2, Kind.CLOSE, 90)))
    assert told((0, CLOSED), (1, None), (2, None), (120, back), (121, back)) == [
        ("HEARTBEAT", 0),
        ("NO_ANSWER", 2),
        ("TRIP", 30),
        ("CLOSE", 90),
        ("HEARTBEAT", 121),
    ]
