"""The specification of repeats: what was heard before has no effect and is not stored again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.hearing import silence
from detectors.repeats import CONCENTRATOR_WINDOW, WINDOW, blank, columns, take
from detectors.transfer import Heard, arrive, packed, to_bytes
from detectors.watched import Watched
from grid.drawing import draw
from grid.frame import READING

pytestmark = pytest.mark.loops

NETWORK = draw("""
source S1
  breaker B1
    transformer T1
      meter M1..M4 dcu=D1
""")
M1, M2, M3 = 3, 4, 5


@pytest.fixture
def news():
    """Which of some facts (node, boot, seq, kind, second, dcu) are new to one memory, in order."""
    memory = blank(len(NETWORK.groups[0].ids))

    def of(*facts: tuple[int, ...]) -> list[bool]:
        return take(memory, as_rows(*facts)).tolist()

    return of


def as_rows(*facts: tuple[int, ...]) -> np.ndarray:
    """Some facts: node, boot, seq, kind, happened_ms, dcu."""
    rows = np.zeros(len(facts), READING)
    for i, fact in enumerate(facts):
        for name, value in zip(
            ("node", "boot", "seq", "kind", "happened_ms", "dcu"), fact, strict=True
        ):
            rows[name][i] = value
    return rows


def counted(node: int, boot: int, seq: int, at: int | None = None) -> tuple[int, ...]:
    """A heartbeat of a device that counts; at a time of its own unless said."""
    return (node, boot, seq, 2, 1000 * boot + seq if at is None else at, -1)


def timed(node: int, kind: int, at: int) -> tuple[int, ...]:
    """A fact of a device that does not count."""
    return (node, 0, -1, kind, at, -1)


def relayed(node: int, boot: int, seq: int, at: int | None = None) -> tuple[int, ...]:
    """A heartbeat that came through concentrator D1, with its boot and seq."""
    return (node, boot, seq, 2, 1000 * boot + seq if at is None else at, 0)


def test_the_same_boot_and_seq_of_a_device_is_a_repeat(news) -> None:
    assert news(counted(M1, 7, 1), counted(M1, 7, 1), counted(M1, 7, 2)) == [True, False, True]


def test_another_device_with_the_same_boot_and_seq_is_no_repeat(news) -> None:
    assert news(counted(M1, 7, 1), counted(M2, 7, 1)) == [True, True]


def test_another_boot_begins_to_count_anew(news) -> None:
    assert news(counted(M1, 7, 5), counted(M1, 8, 5), counted(M1, 8, 5)) == [True, True, False]


def test_reordered_and_missing_numbers_are_new_once(news) -> None:
    order = [5, 2, 9, 3, 2, 5, 9, 4]
    assert news(*(counted(M1, 7, seq) for seq in order)) == [True] * 4 + [False] * 3 + [True]


def test_within_the_window_a_repeat_is_known_and_beyond_it_is_stored_rather_twice(news) -> None:
    assert news(counted(M1, 7, 0)) == [True]
    assert news(counted(M1, 7, WINDOW - 1), counted(M1, 7, 0)) == [True, False]
    assert news(counted(M1, 7, WINDOW), counted(M1, 7, 0, at=99)) == [True, True]


def test_a_jump_of_more_than_the_window_forgets_what_was_before(news) -> None:
    assert news(counted(M1, 7, 1), counted(M1, 7, 1 + 10 * WINDOW)) == [True, True]
    assert news(counted(M1, 7, 10 * WINDOW, at=5)) == [True], "inside the new window, not heard"


def test_without_numbers_the_same_kind_at_the_same_time_is_a_repeat(news) -> None:
    assert news(timed(M1, 0, 500), timed(M1, 0, 500)) == [True, False]
    assert news(timed(M1, 1, 500), timed(M1, 0, 501)) == [True, True], "another kind, another time"


def test_the_same_fact_by_two_paths_is_one(news) -> None:
    """The meter sends it itself, and its concentrator does, with numbers of its own."""
    assert news(counted(M1, 7, 3, at=500), relayed(M1, 9, 40, at=500)) == [True, False]
    assert news(relayed(M2, 9, 41, at=500), counted(M2, 7, 3, at=500)) == [True, False]


def test_a_copy_in_the_same_frame_does_not_make_forget_its_first(news) -> None:
    assert news(relayed(M1, 9, 40, at=500), relayed(M1, 9, 40, at=500)) == [True, False]
    assert news(counted(M1, 7, 3, at=500)) == [False], "the same fact by another path"


def test_of_a_concentrator_boot_and_seq_are_its_own(news) -> None:
    """Its numbers run over all its meters; a repeat is one whatever device it is of."""
    assert news(relayed(M1, 9, 1), relayed(M2, 9, 2), relayed(M1, 9, 3)) == [True, True, True]
    assert news(relayed(M2, 9, 2, at=77), relayed(M1, 9, 3, at=78)) == [False, False]


def test_a_concentrator_that_boots_begins_anew(news) -> None:
    assert news(relayed(M1, 9, 1), relayed(M1, 10, 1), relayed(M2, 10, 1)) == [True, True, False]


@pytest.mark.parametrize("said", [counted, relayed], ids=["its own", "through a concentrator"])
def test_who_has_booted_says_its_old_facts_again_beside_its_new_ones(news, said) -> None:
    """What was committed when we were killed is not acknowledged: it is said again until it is."""
    assert news(*(said(M1, 7, seq) for seq in (1, 2, 3, 4))) == [True] * 4
    assert news(said(M1, 7, 4), said(M1, 8, 1), said(M1, 8, 2)) == [False, True, True]
    again = [said(M1, boot, seq) for boot, seq in ((7, 1), (7, 2), (7, 5), (8, 1), (8, 3))]
    assert news(*again) == [False, False, True, False, True]


def test_of_a_third_boot_the_first_is_stored_rather_twice(news) -> None:
    assert news(*(counted(M1, boot, 1) for boot in (7, 8, 9))) == [True] * 3
    assert news(counted(M1, 8, 1), counted(M1, 7, 1)) == [False, True]


def test_of_many_that_have_booted_the_latest_are_remembered(monkeypatch) -> None:
    monkeypatch.setattr("detectors.repeats.BOOTS_BEFORE_MAX", 2)
    memory = blank(len(NETWORK.groups[0].ids))
    for boot in (7, 8):
        for node in (M1, M2, M3):
            take(memory, row(node, seq=1, boot=boot))
    assert list(memory.boots_before) == [M2, M3]


def test_a_concentrators_window_holds_thousands(news) -> None:
    assert news(relayed(M1, 9, 0), relayed(M2, 9, CONCENTRATOR_WINDOW - 1)) == [True, True]
    assert news(relayed(M1, 9, 0, at=5)) == [False]
    assert news(relayed(M2, 9, CONCENTRATOR_WINDOW), relayed(M1, 9, 0, at=6)) == [True, True]


FACTS = st.lists(
    st.one_of(
        st.builds(counted, st.integers(3, 6), st.integers(1, 2), st.integers(0, 5)),
        st.builds(relayed, st.integers(3, 6), st.integers(1, 2), st.integers(0, 5)),
        st.builds(timed, st.integers(3, 6), st.integers(0, 2), st.integers(0, 3)),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(
    st.sampled_from([counted, relayed]),
    st.lists(st.tuples(st.integers(1, 2), st.integers(0, 40)), max_size=60),
)
def test_each_number_of_two_boots_is_new_once_in_any_order(said, numbers) -> None:
    """Each of a time of its own, so that nothing but the numbers tells it is a repeat."""
    memory = blank(len(NETWORK.groups[0].ids))
    for at, (boot, seq) in enumerate(numbers):
        fresh = (boot, seq) not in numbers[:at]
        assert take(memory, as_rows(said(M1, boot, seq, at=100 + at))).tolist() == [fresh]


@settings(deadline=None)
@given(FACTS)
def test_rows_taken_at_once_are_judged_as_if_one_by_one(facts) -> None:
    rows = as_rows(*facts)
    nodes = len(NETWORK.groups[0].ids)
    together, apart = blank(nodes), blank(nodes)
    assert take(together, rows).tolist() == [
        bool(take(apart, rows[i : i + 1])[0]) for i in range(len(rows))
    ]
    assert together.boots_before == apart.boots_before
    assert together.concentrators == apart.concentrators
    assert together.concentrators_before == apart.concentrators_before
    for name in columns():
        assert getattr(together, name).tolist() == getattr(apart, name).tolist(), name


def test_a_number_that_has_run_over_is_ahead_of_the_one_before(news) -> None:
    last = (1 << 32) - 1
    assert news(counted(M1, 7, last, at=1), counted(M1, 7, last + 1, at=2)) == [True, True]
    assert news(counted(M1, 7, last, at=3), counted(M1, 7, last + 2, at=4)) == [False, True]


def test_what_was_recorded_when_columns_were_wider_is_still_taken_over() -> None:
    """A recorded stream keeps what a device brought along as it was then."""
    group = NETWORK.groups[0]
    old = blank(len(group.ids))
    take(old, row(M1, seq=5))
    known = (silence(len(group.ids)), old, Watched())
    part = packed(known, group, np.array([M1, M2]))
    wide = {
        name: np.frombuffer(part.columns[name], np.uint32).astype(np.int64).tobytes()
        for name in ("high", "fact", "fact_before")
    }
    came = to_bytes((Heard(part.ids, part.columns | wide, part.watched),))
    new = blank(len(group.ids))
    arrive((silence(len(group.ids)), new, Watched()), group, came)
    assert take(new, row(M1, seq=5)).tolist() == [False]
    assert take(new, row(M2, seq=5)).tolist() == [True]


def row(node: int, *, seq: int, boot: int = 7) -> np.ndarray:
    """One heartbeat."""
    return as_rows(counted(node, boot, seq))
