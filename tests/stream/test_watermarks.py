"""The specification of who was there until when, as a partition's records tell it."""

from typing import Any

import pytest

from grid.frame import NOT_YET, CaughtUp, Deaf, SourceLost
from stream.settings import BusSettings
from stream.watermarks import Marks, Watermarks

A, B = "mqtt-gateway@a", "mqtt-gateway@b"


class Partition:
    """What engines are told, record by record; seconds instead of milliseconds."""

    def __init__(self) -> None:
        self.watermarks = Watermarks(Marks(), BusSettings(lost_s=5.0, gone_s=60.0))
        self.stream_s = 0

    def hears(self, sender: str, second: int, *commands: Any) -> list[str]:
        self.stream_s = max(self.stream_s, second)
        said = [*self.watermarks.noticed(sender, second * 1000, self.stream_s * 1000)]
        said += self.watermarks.heard(sender, second * 1000, commands)
        return [self._short(command) for command in said]

    def _short(self, command: Any) -> str:
        match command:
            case Deaf():
                return f"deaf {command.source} {command.from_ms // 1000}-{command.until_ms // 1000}"
            case CaughtUp():
                return f"caught up {command.source}"
            case SourceLost():
                return f"lost {command.source}"
        raise AssertionError(command)


@pytest.fixture
def partition() -> Partition:
    return Partition()


def test_who_is_there_all_the_time_is_not_spoken_of(partition: Partition) -> None:
    assert [partition.hears(who, s) for s in range(100, 120) for who in (A, B)] == [[]] * 40


def test_who_falls_behind_the_others_is_lost_and_deaf_from_its_last_word(
    partition: Partition,
) -> None:
    partition.hears(A, 100)
    assert [said for s in range(100, 110) if (said := partition.hears(B, s))] == [[f"lost bus/{A}"]]
    assert partition.hears(A, 103) == [f"deaf bus/{A} 100-109"]
    assert partition.hears(A, 108) == []
    assert partition.hears(A, 109) == [f"caught up bus/{A}"]


def test_who_stood_still_is_deaf_until_its_clock_has_gone_on_for_a_while(
    partition: Partition,
) -> None:
    partition.hears(A, 100)
    assert partition.hears(A, 160) == [f"deaf bus/{A} 100-160"]
    assert partition.hears(A, 164) == []
    assert partition.hears(A, 165) == [f"caught up bus/{A}"]


def test_who_stays_away_is_given_up_with_what_it_had_lost(partition: Partition) -> None:
    partition.hears(A, 100, SourceLost(NOT_YET, f"mqtt/{A}"))
    said = [one for s in range(100, 170) for one in partition.hears(B, s)]
    assert said == [
        f"lost bus/{A}",
        f"deaf bus/{A} 100-161", f"caught up bus/{A}",
        f"deaf mqtt/{A} 100-161", f"caught up mqtt/{A}",
    ]  # fmt: skip


def test_a_new_process_was_deaf_since_its_last_one_was_there(partition: Partition) -> None:
    partition.hears(A, 100)
    said = partition.hears(A, 103, Deaf(NOT_YET, f"mqtt/{A}", 0, 103_000))
    assert said == [f"deaf mqtt/{A} 100-103"]


def test_meters_are_asked_through_who_was_heard_last(partition: Partition) -> None:
    partition.hears(A, 100)
    partition.hears("dispatch@a", 101)
    partition.hears(B, 102)
    assert partition.watermarks.listeners("mqtt-gateway") == [B, A]
