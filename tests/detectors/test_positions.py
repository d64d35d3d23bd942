"""The specification of positions: what telemetered breakers and switches say of themselves."""

import pytest

from detectors.positions import Position, read_position
from grid.drawing import draw

NETWORK = draw("""
source S1
  breaker B1 telemetered
    transformer T1
      meter M1..M4
""")


@pytest.fixture
def read(stream):
    """What a breaker's facts change, one after the other, and the position after them."""

    def of(text: str) -> tuple[list[str], Position | None]:
        rows, before, moves = stream(NETWORK, text).rows, None, []
        for i in range(len(rows)):
            event = read_position(rows, i, before)
            moves.append("stale" if event is None else str(event.moved))
            before = event.position if event is not None else before
        return moves, before

    return of


@pytest.mark.parametrize(
    ("text", "moves", "closed"),
    [
        ("12:00 B1 trip", ["opened"], False),
        ("12:00 B1 open", ["opened"], False),
        ("12:00 B1 close", ["closed"], True),
        ("12:00 B1 heartbeat on=1\n12:01 B1 heartbeat on=1", ["closed", "nothing"], True),
        ("12:00 B1 heartbeat on=1\n12:01 B1 heartbeat on=0", ["closed", "opened"], False),
        ("12:00 B1 trip\n12:01 B1 lockout", ["opened", "locked_out"], False),
        ("12:00 B1 trip\n12:01 B1 lockout\n12:02 B1 lockout",
         ["opened", "locked_out", "nothing"], False),
        ("12:00 B1 lockout", ["opened"], False),
        ("12:00 B1 close\n12:01 B1 no_answer", ["closed", "unknown"], None),
        ("12:00 B1 no_answer", ["nothing"], None),
        ("12:00 B1 trip\n12:01 B1 no_answer\n12:02 B1 heartbeat on=0",
         ["opened", "unknown", "opened"], False),
        ("12:00 B1 heartbeat", ["stale"], None),
    ],
    ids=["a trip opens", "so does a command", "a closing closes", "the same again moves nothing",
         "a poll tells as well", "a lockout after a trip", "told once", "a lockout alone is open",
         "no answer is unknown, not open", "unknown from the beginning", "and known again",
         "a fact without position says nothing"],
)  # fmt: skip
def test_what_a_fact_changes(read, text: str, moves: list[str], closed: bool | None) -> None:
    told, position = read(text)
    assert told == moves
    assert (position.closed if position else None) is closed


def test_a_position_lasts_since_it_was_taken_and_not_since_it_was_last_told(read, at) -> None:
    _, position = read("12:00 B1 trip\n12:05 B1 heartbeat on=0\n12:06 B1 lockout")
    assert position.since_ms == at("12:00")
    assert position.happened_ms == at("12:06")


def test_an_older_fact_that_comes_late_changes_nothing(read) -> None:
    moves, position = read("12:00:05 B1 close\n12:00:01 B1 trip received=12:00:09")
    assert moves == ["closed", "stale"]
    assert position.closed


def test_after_no_answer_the_last_fact_still_counts_as_heard(read) -> None:
    """What happened before the silence and comes after it does not bring an old position back."""
    moves, position = read("12:00 B1 close\n12:01 B1 no_answer\n11:59 B1 trip received=12:02")
    assert moves == ["closed", "unknown", "stale"]
    assert position.closed is None


def test_what_the_device_calls_invalid_is_no_position(read) -> None:
    moves, position = read("12:00 B1 close\n12:01 B1 trip invalid")
    assert moves == ["closed", "stale"]
    assert position.closed


@pytest.mark.parametrize(
    ("text", "commanded"),
    [
        ("12:00 B1 trip", False),
        ("12:00 B1 open", True),
        ("12:00 B1 open commanded=0", False),
        ("12:00 B1 trip commanded=1", True),
        ("12:00 B1 open\n12:01 B1 heartbeat on=0", True),
        ("12:00 B1 open\n12:01 B1 close\n12:02 B1 trip", False),
    ],
)
def test_who_opened_it(read, text: str, commanded: bool) -> None:
    assert read(text)[1].commanded is commanded


def test_it_stays_locked_out_until_it_closes(read) -> None:
    locked = "12:00 B1 trip\n12:01 B1 lockout\n12:02 B1 heartbeat on=0"
    assert read(locked)[1].locked_out
    assert not read(f"{locked}\n12:03 B1 close")[1].locked_out


# -- days ----------------------------------------------------------------------------------------

WARM = "11:55 12:00 M1..M4 heartbeat\n"


def test_a_trip_is_an_outage_at_once_and_confirmed(day) -> None:
    told = day(NETWORK, f"{WARM} 12:02:10.250 B1 trip received=12:02:10.400")
    assert told.log == [
        "12:02:10.400 S1-1 confirmed: outage behind breaker B1 detected; confirmed by its breaker"
    ]
    assert told.outages == ["breaker B1: confirmed fault", "  12:02:10.250 -: M1..M4"]


def test_nobody_is_told_twice_of_the_same_position(day) -> None:
    told = day(
        NETWORK, f"{WARM} 12:02:10 B1 trip\n12:02:20 12:02:30 B1 heartbeat on=0\n12:02:40 end"
    )
    assert len(told.changes) == 1


def test_a_breaker_that_does_not_answer_is_no_outage_and_a_finding(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01 B1 heartbeat on=1
        12:02 B1 no_answer
        12:04 B1 heartbeat on=1
        12:05 end
    """)  # fmt: skip
    assert told.outages == []
    assert told.findings == ["breaker_unknown B1 12:02:00 - 12:04:00"]


@pytest.mark.parametrize("before", ["12:01 B1 heartbeat on=1", ""], ids=["closed", "never heard"])
def test_a_breaker_whose_contacts_disagree_is_unknown_and_never_open(day, before: str) -> None:
    told = day(NETWORK, f"{WARM}\n{before}\n12:02 B1 no_answer invalid\n12:03 end")
    assert told.outages == []
    assert told.findings == ["breaker_unknown B1 12:02:00 -"]
    assert (
        told.noticed[0].reason
        == "B1 says that it is neither open nor closed: its position is unknown"
    )


def test_a_breaker_that_stops_answering_while_open_is_still_the_outage(day) -> None:
    told = day(NETWORK, f"""{WARM}
        12:01 B1 trip
        12:01:30 M1..M4 last_gasp
        12:02 B1 no_answer
        12:03 end
    """)  # fmt: skip
    assert told.outages == ["breaker B1: confirmed fault", "  12:01:00 -: M1..M4"]


def test_a_closed_breaker_with_current_is_a_word_of_power(day) -> None:
    """Gasps from before it are explained by something smaller, or false."""
    told = day(NETWORK, f"""{WARM}
        12:02:00 M1,M2 last_gasp received=12:02:40
        12:02:30 B1 heartbeat on=1 volts=230
        12:03 end
    """)  # fmt: skip
    assert [o.device_id for o in told.latest()] == ["T1"]


@pytest.mark.parametrize("heard", ["11:45 12:00 M1..M3 heartbeat\n", ""], ids=["spoke", "silent"])
@pytest.mark.parametrize("closed_s", [1, 20, 39])
def test_a_feeder_that_trips_three_times_is_told_each_time(day, heard: str, closed_s: int) -> None:
    """Forty seconds apart, and no meter says a word about it."""
    lines = [heard + "12:04 B1 heartbeat on=1"]
    for second in (0, 40, 80):
        minutes, seconds = divmod(second, 60)
        lines.append(f"12:{5 + minutes:02}:{seconds:02} B1 trip")
        if second < 80:
            minutes, seconds = divmod(second + closed_s, 60)
            lines.append(f"12:{5 + minutes:02}:{seconds:02} B1 close")
    told = day(NETWORK, "\n".join([*lines, "12:06:25 end"]))
    outage = told.latest()[-1]
    assert outage.state == "confirmed"
    assert outage.customers_out == outage.customers_affected > 0
