"""The specification of the gateways' small rules: concentrators, backlogs, waits, settings."""

import hashlib

import msgspec
import pytest

from grid.errors import ConfigError
from ingest.backlog import Backlog, BacklogRule
from ingest.backoff import Backoff
from ingest.concentrators import Concentrators
from ingest.quarantine import quarantined
from ingest.settings import Address, address_of

# -- concentrators: the number to acknowledge after each array -------------------------------------

STORIES = [
    ("arrays in order", [(1, 2, 3), (4, 5)], [3, 5]),
    ("the first array begins where it begins", [(12,), (13, 14)], [12, 14]),
    ("numbers left out within an array do not exist", [(1, 4, 9), (10,)], [9, 10]),
    ("a gap waits for its numbers", [(1,), (5, 6), (2, 3), (4,)], [1, 1, 3, 6]),
    ("two gaps close one after the other", [(1,), (3,), (5,), (4,), (2,)], [1, 1, 1, 1, 5]),
    ("a repeat from below changes nothing", [(1, 2), (1,), (2,)], [2, 2, 2]),
    ("a repeat from beyond a gap says that there is nothing older", [(1,), (5,), (5,)], [1, 1, 5]),
    ("a gap overlapped by a bigger array", [(1,), (4, 5), (2, 6)], [1, 1, 6]),
]


@pytest.mark.parametrize(("arrays", "acks"), [s[1:] for s in STORIES], ids=[s[0] for s in STORIES])
def test_a_concentrator_is_told_what_it_may_forget(arrays, acks) -> None:
    known = Concentrators(10, 10)
    assert [known.committed("D1", "b", array, connection=1) for array in arrays] == acks


def test_on_a_new_connection_the_broker_repeats_and_that_says_nothing_of_older_events() -> None:
    known = Concentrators(10, 10)
    known.committed("D1", "b", [1], 1)
    known.committed("D1", "b", [5], 1)
    assert known.committed("D1", "b", [5], 2) == 1
    assert known.committed("D1", "b", [5], 2) == 5  # this time it is the concentrator itself


def test_each_boot_of_each_concentrator_counts_for_itself() -> None:
    known = Concentrators(10, 10)
    known.committed("D1", "b", [1], 1)
    known.committed("D1", "b", [3], 1)
    assert known.committed("D1", "c", [7], 1) == 7
    assert known.committed("D2", "b", [9], 1) == 9
    assert known.committed("D1", "b", [2], 1) == 3


def test_the_concentrator_heard_longest_ago_is_forgotten_first() -> None:
    known = Concentrators(2, 10)
    for dcu in ("D1", "D2", "D1", "D3"):
        known.committed(dcu, "b", [1], 1)
    assert len(known) == 2
    assert known.committed("D1", "b", [3], 1) == 1  # still known: a gap
    assert known.committed("D2", "b", [3], 1) == 3  # met again for the first time


def test_beyond_a_gap_only_so_many_arrays_are_remembered_and_the_rest_must_come_again() -> None:
    known = Concentrators(10, 2)
    for first in (1, 3, 5, 7):
        known.committed("D1", "b", [first], 1)
    assert known.committed("D1", "b", [2], 1) == 3
    assert known.committed("D1", "b", [4], 1) == 5
    assert known.committed("D1", "b", [6], 1) == 6  # 7 was not remembered
    assert known.committed("D1", "b", [7], 1) == 7


# -- backlogs: when is it in -----------------------------------------------------------------------

NOON = 1_795_262_400_000
RULE = BacklogRule(quiet_s=1.5, s_min=1.0, s_max=20.0, s_max_in_all=60.0, old_ms=2000)


def backlog() -> Backlog:
    """Connected at noon, subscribed at second 100 of a steady clock."""
    return Backlog(RULE, NOON, 100.0)


def test_without_a_backlog_the_quiet_stretch_is_waited_for() -> None:
    assert backlog().in_at_s() == 101.5


def test_a_backlog_is_in_when_nothing_old_has_come_for_a_while() -> None:
    watched = backlog()
    assert watched.old_before_ms == NOON - 2000
    assert watched.heard(1, 5, 103.0)
    watched.committed(103.1)
    assert watched.in_at_s() == pytest.approx(104.6)
    assert not watched.heard(0, 2, 104.0)  # young enough to be no backlog
    assert watched.in_at_s() == pytest.approx(104.6)


def test_quiet_counts_once_what_came_is_committed() -> None:
    watched = backlog()
    watched.heard(1, 5, 103.0)
    assert watched.in_at_s() == 160.0, "its device is not answered, and may have more"
    watched.committed(135.0)
    assert watched.in_at_s() == 136.5


def test_a_backlog_of_which_something_is_committed_is_not_given_up() -> None:
    watched = backlog()
    for second in range(101, 150):
        watched.heard(900, 1000, second)
        watched.heard(900, 1000, second)
        watched.committed(second)
        assert watched.in_at_s() == min(second + 20.0, 160.0)


def test_a_backlog_without_progress_is_given_up() -> None:
    watched = backlog()
    for second in range(101, 119):
        watched.heard(1, 1, second)  # said again and again, for nobody answers
    watched.committed(110.0)
    assert watched.in_at_s() == 130.0


def test_a_backlog_without_end_is_given_up() -> None:
    watched = backlog()
    watched.heard(1, 1, 159.8)
    watched.committed(159.9)
    assert watched.in_at_s() == 160.0


def test_a_few_late_ones_among_many_are_no_backlog() -> None:
    watched = Backlog(msgspec.structs.replace(RULE, stragglers=0.02), NOON, 100.0)
    assert watched.heard(900, 1000, 101.0)  # the backlog itself
    assert watched.heard(3, 500, 102.0)  # still within its stretch
    watched.committed(102.0)
    watched.committed(102.0)
    assert watched.in_at_s() == 103.5
    assert not watched.heard(5, 500, 102.6)
    assert not watched.heard(2, 500, 103.4)
    assert watched.in_at_s() == 103.5
    assert watched.heard(400, 500, 103.45)
    watched.committed(103.45)
    assert watched.in_at_s() == 104.95


def test_one_late_one_that_is_all_there_is_is_a_backlog() -> None:
    watched = Backlog(msgspec.structs.replace(RULE, stragglers=0.02), NOON, 100.0)
    assert watched.heard(1, 1, 104.0)


def test_the_shortest_wait_holds_where_the_quiet_stretch_is_shorter() -> None:
    rule = msgspec.structs.replace(RULE, quiet_s=0.1)
    assert Backlog(rule, NOON, 100.0).in_at_s() == 101.0


# -- waits -----------------------------------------------------------------------------------------


def test_waits_double_up_to_the_cap_and_begin_anew_when_all_is_well() -> None:
    backoff = Backoff(0.5, 10.0, chance=lambda: 1.0)
    assert [backoff.next_s() for _ in range(7)] == [0.5, 1, 2, 4, 8, 10, 10]
    backoff.reset()
    assert backoff.next_s() == 0.5


def test_half_of_each_wait_is_left_to_chance_and_none_is_longer_than_the_cap() -> None:
    waits = Backoff(1.0, 10.0, chance=lambda: 0.0)
    assert [waits.next_s() for _ in range(6)] == [0.5, 1, 2, 4, 5, 5]
    endless = Backoff(1.0, 10.0)
    assert all(0.5 <= endless.next_s() <= 10.0 for _ in range(2_000))


# -- quarantine ------------------------------------------------------------------------------------


def test_what_is_quarantined_is_kept_up_to_64_kib_and_known_by_all_of_it() -> None:
    body = bytes(100_000)
    kept = quarantined(received_ms=1, source="mqtt", topic="t", reason="why", body=body)
    assert (len(kept.body), kept.length) == (65_536, 100_000)
    assert kept.sha256 == hashlib.sha256(body).hexdigest()


# -- settings --------------------------------------------------------------------------------------


def test_a_broker_is_named_by_its_url() -> None:
    assert address_of("mqtt://broker:1884") == Address("broker", 1884, tls=False)
    assert address_of("mqtt://[::1]") == Address("::1", 1883, tls=False)
    assert address_of("mqtts://broker") == Address("broker", 8883, tls=True)


@pytest.mark.parametrize(
    "url", ["broker:1883", "http://broker", "mqtt://", "mqtt://b:99999", "mqtt://u:secret@b"]
)
def test_another_url_is_refused_and_a_password_is_not_repeated(url) -> None:
    with pytest.raises(ConfigError) as refused:
        address_of(url)
    assert "mqtt.url" in refused.value.message
    assert "secret" not in refused.value.message
