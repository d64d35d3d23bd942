"""The specification of when garbage is looked for in a process that serves feeds."""

import gc
from collections.abc import Iterator

import pytest

from notify.settings import FeedSettings
from service.garbage import collect_rarely
from store.feedlog import FeedRow


@pytest.fixture
def rarely() -> Iterator[None]:
    before = gc.get_threshold()
    gc.collect()
    collect_rarely()
    yield
    gc.set_threshold(*before)


@pytest.fixture
def looked() -> Iterator[list[str]]:
    """What was said of each collection."""
    told: list[str] = []

    def note(phase: str, _info: dict[str, int]) -> None:
        told.append(phase)

    gc.callbacks.append(note)
    yield told
    gc.callbacks.remove(note)


def test_what_a_storm_has_on_its_way_sets_off_no_collection(
    looked: list[str], rarely: None
) -> None:
    looked.clear()
    for _commit in range(20):
        two_parts = [_part(), _part()]  # one is told while the next is read
        assert len(two_parts) == 2
    assert looked == []


def test_circles_that_ended_connections_leave_are_found_all_the_same(
    looked: list[str], rarely: None
) -> None:
    looked.clear()
    for _ in range(100_000):
        circle: list[object] = []
        circle.append(circle)
    assert looked != []


def _part() -> dict[str, list[FeedRow]]:
    """As much as one read of the log gives in a storm, and the tuples it came as."""
    names = [f"customer:C{n}" for n in range(FeedSettings().read_channels_max)]
    tuples = [(name, 7, 0, "status", [name]) for name in names]
    return {name: [FeedRow(7, 0, "status", b"{}")] for name, *_ in tuples}
