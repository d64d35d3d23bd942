"""The specification of what waits for a slow client."""

import json

from hypothesis import given
from hypothesis import strategies as st

from notify.backlog import Backlog
from notify.memory import MemoryRow
from notify.messages import Item, pub, text_frame


def item(offset: int, key: str, channel: str = "dispatch", size: int = 0) -> Item:
    """A message about an outage."""
    body = json.dumps({"outage": {"id": key}, "note": "x" * size}).encode()
    return pub(channel, "e1", MemoryRow(offset, 0, "change", body), 0)


def popped(backlog: Backlog) -> list[tuple[int, str, int]]:
    """Everything that waits: offset, key, skipped."""
    found = []
    while (text := backlog.pop()) is not None:
        message = json.loads(text)
        found.append((message["offset"], message["key"], message["skipped"]))
    return found


def test_while_there_is_room_everything_waits_in_order() -> None:
    backlog = Backlog(4, 100_000)
    assert all(backlog.push(item(n, "A")) for n in range(1, 5))
    assert popped(backlog) == [(1, "A", 0), (2, "A", 0), (3, "A", 0), (4, "A", 0)]


def test_when_full_the_superseded_are_left_out_and_the_gap_is_told() -> None:
    backlog = Backlog(4, 100_000)
    for offset, key in enumerate("AABAC", 1):
        assert backlog.push(item(offset, key))
    assert popped(backlog) == [(3, "B", 2), (4, "A", 0), (5, "C", 0)]
    assert backlog.coalesced == 2


def test_when_nothing_is_superseded_the_client_is_given_up() -> None:
    backlog = Backlog(2, 100_000)
    assert backlog.push(item(1, "A"))
    assert backlog.push(item(2, "B"))
    assert not backlog.push(item(3, "C"))


def test_bytes_count_as_well_as_messages() -> None:
    backlog = Backlog(100, 3_000)
    assert backlog.push(item(1, "A", size=1_000))
    assert backlog.push(item(2, "B", size=1_000))
    assert not backlog.push(item(3, "C", size=1_000))
    roomier = Backlog(100, 3_000)
    assert all(roomier.push(item(n, "A", size=1_000)) for n in range(1, 50))
    assert roomier.size <= 3_000


def test_the_same_key_in_two_channels_is_two_things() -> None:
    backlog = Backlog(2, 100_000)
    backlog.push(item(1, "A", "dispatch"))
    backlog.push(item(1, "A", "dispatch:north"))
    assert not backlog.push(item(1, "A", "dispatch:south"))


def test_what_waits_of_a_channel_that_was_left_is_forgotten() -> None:
    backlog = Backlog(10, 100_000)
    backlog.push(item(1, "A", "dispatch"))
    backlog.push(item(5, "A", "dispatch:north"))
    backlog.push(item(2, "A", "dispatch"))
    backlog.drop("dispatch")
    backlog.push(item(9, "B", "dispatch"))  # joined anew, from another place
    assert popped(backlog) == [(5, "A", 0), (9, "B", 0)]
    assert (len(backlog), backlog.size) == (0, 0)


@given(
    st.lists(st.one_of(st.sampled_from("ABCD"), st.just("pop")), max_size=120),
    st.integers(4, 9),
)
def test_whatever_comes_the_chain_of_offsets_closes_and_every_last_state_arrives(
    steps: list[str], room: int
) -> None:
    backlog, have, offset = Backlog(room, 1_000_000), 0, 0
    last: dict[str, int] = {}
    arrived: dict[str, int] = {}

    def take() -> None:
        nonlocal have
        if (text := backlog.pop()) is not None:
            message = json.loads(text)
            assert message["offset"] == have + 1 + message["skipped"]
            have = arrived[message["key"]] = message["offset"]

    for step in steps:
        if step == "pop":
            take()
        else:
            offset += 1
            last[step] = offset
            assert backlog.push(item(offset, step))  # four keys always fit
            assert len(backlog) <= room
    while len(backlog):
        take()
    assert arrived == last
    assert backlog.size == 0


def test_a_ready_made_frame_is_what_the_library_would_send() -> None:
    from websockets.frames import Frame, Opcode

    for size in (0, 1, 125, 126, 65_535, 65_536, 100_000):
        text = b"x" * size
        assert text_frame(text) == Frame(Opcode.TEXT, text).serialize(mask=False)
