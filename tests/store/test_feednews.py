"""The specification of how a commit names its channels to those who listen."""

from hypothesis import given
from hypothesis import strategies as st

from store.feednews import BYTES_MAX, NOTIFICATIONS_MAX, read, written


@given(st.sets(st.text(max_size=300).map("dispatch:{}".format), min_size=1, max_size=200))
def test_what_is_written_is_read_and_fits_into_notifications(channels: set[str]) -> None:
    notifications = written(channels)
    assert read(notifications) == channels
    assert all(0 < len(text.encode()) <= BYTES_MAX for text in notifications)


def test_a_storm_says_look_at_everything() -> None:
    few = [f"customer:{n:09}" for n in range(10_000)]
    assert len(written(few)) <= NOTIFICATIONS_MAX
    assert read(written(few)) == frozenset(few)
    many = [f"customer:{n:09}" for n in range(20_000)]
    assert written(many) == [""]
    assert read(written(many)) is None


def test_a_word_that_is_none_of_ours_means_everything() -> None:
    assert read(("['dispatch']",)) is None
    assert read(('["dispatch"]', "hello")) is None
