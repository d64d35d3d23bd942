"""The specification of one connection's talk, without a socket."""

import json

import pytest
from msgspec.structs import replace

from grid.errors import Refused
from grid.people import Principal, Role
from notify.closing import Closing, reason_text, retry_window_ms
from notify.messages import Pong, Refreshed, Since
from notify.protocol import (
    Action,
    Conversation,
    HangUp,
    Join,
    Leave,
    LetIn,
    Say,
    Seen,
    channel_for,
)
from notify.settings import FeedSettings

START = 1_000_000
LIMITS = FeedSettings(auth_s=10, channels_max=2)
BEARERS = {
    "C-1": Principal(Role.CUSTOMER, "C-1", None, START + 60_000),
    "C-1 later": Principal(Role.CUSTOMER, "C-1", None, START + 90_000),
    "C-2": Principal(Role.CUSTOMER, "C-2", None, START + 60_000),
    "ann": Principal(Role.DISPATCHER, "ann", None, START + 60_000),
    "crew 7": Principal(Role.CREW, "7", None, START + 60_000),
    "ann, north": Principal(Role.DISPATCHER, "ann", "north", START + 60_000),
}


def verify(token: str) -> Principal:
    """The token is the name of a bearer."""
    if token not in BEARERS:
        raise Refused("nobody's", expired=token == "expired")
    return BEARERS[token]


def talk(bearer: str | None = None, limits: FeedSettings = LIMITS) -> Conversation:
    """A conversation, already with its bearer known."""
    conversation = Conversation(limits, verify, START)
    if bearer is not None:
        assert isinstance(say(conversation, "auth", token=bearer), LetIn)
    return conversation


def say(conversation: Conversation, op: str, **fields: object) -> Action | None:
    """What is to be done about a message."""
    return conversation.receive(json.dumps({"op": op, **fields}), START)


def test_the_first_message_lets_the_bearer_in_until_the_token_ends() -> None:
    conversation = talk()
    let_in = say(conversation, "auth", token="ann, north")
    assert isinstance(let_in, LetIn)
    assert let_in.message.district == "north"
    assert let_in.message.expires_at == "1970-01-01T00:17:40.000Z"
    assert conversation.principal == BEARERS["ann, north"]


@pytest.mark.parametrize(
    "op", ["subscribe", "unsubscribe", "ack", "refresh", "ping", "pong", "auth"]
)
def test_nothing_is_answered_before_a_valid_token(op: str) -> None:
    fields = {
        "subscribe": {"channel": "customer:C-1"},
        "unsubscribe": {"channel": "customer:C-1"},
        "ack": {"channel": "customer:C-1", "offset": 1},
        "refresh": {"token": "C-1"},
        "auth": {"token": "stranger"},
    }.get(op, {})
    end = say(talk(), op, **fields)
    assert isinstance(end, HangUp)
    assert end.closing is Closing.TOKEN_REFUSED


def test_an_expired_token_is_told_apart_for_the_client_to_get_a_new_one() -> None:
    end = say(talk(), "auth", token="expired")
    assert isinstance(end, HangUp)
    assert end.closing is Closing.TOKEN_EXPIRED


def test_deadlines_end_the_talk_at_their_millisecond_and_not_before() -> None:
    silent, known = talk(), talk("C-1")
    assert silent.on_time(START + 9_999) is None
    end = silent.on_time(START + 10_000)
    assert end is not None
    assert end.closing is Closing.AUTH_TIMEOUT
    assert known.on_time(START + 59_999) is None
    end = known.on_time(START + 60_000)
    assert end is not None
    assert end.closing is Closing.TOKEN_EXPIRED


def test_a_refresh_of_the_same_bearer_moves_the_deadline() -> None:
    conversation = talk("C-1")
    answer = say(conversation, "refresh", token="C-1 later")
    assert answer == Say(Refreshed("1970-01-01T00:18:10.000Z"))
    assert conversation.on_time(START + 60_000) is None
    assert conversation.on_time(START + 90_000) is not None


@pytest.mark.parametrize(("own", "other"), [("C-1", "C-2"), ("ann", "ann, north")])
def test_a_refresh_with_anothers_token_or_other_rights_ends_it(own: str, other: str) -> None:
    end = say(talk(own), "refresh", token=other)
    assert isinstance(end, HangUp)
    assert end.closing is Closing.NOT_ALLOWED


def test_requests_become_what_the_edge_is_to_do() -> None:
    conversation = talk("ann, north")
    since = {"epoch": "e", "offset": 7}
    assert say(conversation, "subscribe", channel="dispatch", since=since) == Join(
        "dispatch:north", "dispatch", Since("e", 7)
    )
    assert say(conversation, "ack", channel="dispatch", offset=9) == Seen("dispatch:north", 9)
    assert say(conversation, "ping", id=4) == Say(Pong(4))
    assert say(conversation, "pong", id=4) is None
    assert say(conversation, "unsubscribe", channel="dispatch:north") == Leave("dispatch:north")
    again = say(conversation, "unsubscribe", channel="dispatch:north")
    assert isinstance(again, HangUp)


@pytest.mark.parametrize(
    ("bearer", "requested", "real"),
    [
        ("ann", "dispatch", "dispatch"),
        ("ann", "dispatch:north", "dispatch:north"),
        ("ann", "dispatch:a:b", "dispatch:a:b"),
        ("ann", "dispatcher", None),
        ("ann", "dispatch:", None),
        ("ann", "customer:C-1", None),
        ("ann, north", "dispatch", "dispatch:north"),
        ("ann, north", "dispatch:north", "dispatch:north"),
        ("ann, north", "dispatch:south", None),
        ("ann, north", "dispatch:north ", None),
        ("C-1", "customer:C-1", "customer:C-1"),
        ("C-1", "customer:C-10", None),
        ("C-1", "customer:c-1", None),
        ("C-1", "dispatch", None),
        ("C-1", "", None),
        ("crew 7", "dispatch", None),
        ("crew 7", "dispatch:north", None),
        ("crew 7", "customer:7", None),
        ("ann", "dispatch:" + "x" * 200, None),
    ],
)
def test_who_may_have_which_channel(bearer: str, requested: str, real: str | None) -> None:
    assert channel_for(BEARERS[bearer], requested) == real


def test_a_channel_asked_for_again_does_not_count_twice() -> None:
    conversation = talk("ann")
    for channel in ("dispatch", "dispatch:a", "dispatch", "dispatch:a"):
        assert isinstance(say(conversation, "subscribe", channel=channel), Join)
    end = say(conversation, "subscribe", channel="dispatch:b")
    assert isinstance(end, HangUp)
    assert end.closing is Closing.TOO_MANY_CHANNELS


def test_the_allowance_fills_with_time_up_to_the_burst() -> None:
    limits = replace(LIMITS, messages_per_minute_max=60, messages_burst_max=3)
    conversation = talk("ann", limits)
    ping = '{"op":"ping"}'

    def pings_at(now_ms: int) -> int:
        count = 0
        while isinstance(conversation.receive(ping, now_ms), Say):
            count += 1
        return count

    assert pings_at(START) == 2  # auth took the first
    assert pings_at(START + 3_600_000) == 3
    assert pings_at(START - 5_000) == 0  # a clock set back gives nothing


def test_every_close_code_is_its_own_and_says_whether_to_come_back() -> None:
    assert len({closing.code for closing in Closing}) == len(Closing)
    for closing in Closing:
        text = reason_text(closing, 29_999)
        assert len(text.encode()) <= 123
        after = json.loads(text)["retry_after_ms"]
        assert after == (29_999 if closing.retry else None)


@pytest.mark.parametrize(
    ("connections", "window_ms"), [(1, 1_000), (1_000, 2_000), (10_000, 20_000), (50_000, 30_000)]
)
def test_clients_sent_away_are_spread_by_their_number(connections: int, window_ms: int) -> None:
    assert retry_window_ms(connections, 500, 30.0) == window_ms
