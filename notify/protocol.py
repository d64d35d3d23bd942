"""One connection's talk, without I/O: what a client says goes in, what is to be done comes out.

    waiting --auth--> talking --(refresh, subscribe, unsubscribe, ack, ping, pong)--> talking
       |                 |
       +---- anything that is wrong, or a deadline, in both: HangUp, and that is the end

The edge carries the answers out: it alone knows sockets and the log.
"""

from collections.abc import Callable

import msgspec

from grid.errors import BadPayload, Refused
from grid.people import Principal, Role
from grid.times import to_rfc3339
from notify.closing import Closing
from notify.messages import (
    Ack,
    Asked,
    Auth,
    Authenticated,
    Ping,
    Pong,
    Refresh,
    Refreshed,
    Said,
    Since,
    Subscribe,
    Unsubscribe,
    read,
)
from notify.settings import FeedSettings

CHANNEL_CHARS_MAX = 200


class Say(msgspec.Struct, frozen=True):
    """Send this."""

    message: Said


class LetIn(msgspec.Struct, frozen=True):
    """The bearer is known from here on; send this and keep an audit line."""

    message: Authenticated


class Join(msgspec.Struct, frozen=True):
    """Answer the subscription and let the channel flow."""

    channel: str
    requested: str
    since: Since | None


class Leave(msgspec.Struct, frozen=True):
    """Stop the channel."""

    channel: str


class Seen(msgspec.Struct, frozen=True):
    """A person has seen the channel so far."""

    channel: str
    offset: int


class HangUp(msgspec.Struct, frozen=True):
    """Say why, close, and keep an audit line if it was the client's doing."""

    closing: Closing
    detail: str


Action = Say | LetIn | Join | Leave | Seen | HangUp

UNAUDITED = frozenset(
    {Closing.GOING_AWAY, Closing.UNAVAILABLE, Closing.INSUFFICIENT_STATE, Closing.NO_ANSWER}
)
"""Endings that are our doing, or nobody's; all others are the client's, and leave a line."""


class Conversation:
    """What is known of one connection.  ``principal`` is None until its token was verified.

    Times are epoch milliseconds.  After a HangUp nothing more may be asked of it.
    """

    __slots__ = ("_allowance", "_allowed_ms", "_settings", "_verify", "channels", "deadline_ms",
                 "principal")  # fmt: skip

    def __init__(
        self, settings: FeedSettings, verify: Callable[[str], Principal], now_ms: int
    ) -> None:
        self._settings = settings
        self._verify = verify
        self._allowance = float(settings.messages_burst_max)
        self._allowed_ms = now_ms
        self.principal: Principal | None = None
        self.channels: set[str] = set()
        self.deadline_ms = now_ms + int(settings.auth_s * 1000)

    def receive(self, text: str | bytes, now_ms: int) -> Action | None:
        """What to do about a client's message; None if nothing."""
        if not self._take_allowance(now_ms):
            rate = self._settings.messages_per_minute_max
            return HangUp(Closing.TOO_MANY_MESSAGES, f"at most {rate} messages a minute")
        try:
            asked = read(text)
        except BadPayload as error:
            return HangUp(Closing.BAD_MESSAGE, error.message)
        if self.principal is None:
            return self._first(asked)
        return self._talk(asked, self.principal)

    def on_time(self, now_ms: int) -> HangUp | None:
        """The end, if a deadline has passed.  Early calls are harmless."""
        if now_ms < self.deadline_ms:
            return None
        if self.principal is None:
            return HangUp(Closing.AUTH_TIMEOUT, f"no auth within {self._settings.auth_s:g} s")
        return HangUp(Closing.TOKEN_EXPIRED, f"it expired at {to_rfc3339(self.deadline_ms)}")

    def _first(self, asked: Asked) -> Action:
        if not isinstance(asked, Auth):
            return HangUp(Closing.TOKEN_REFUSED, "the first message has to be auth with a token")
        bearer = self._bearer(asked.token)
        if isinstance(bearer, HangUp):
            return bearer
        self.principal = bearer
        self.deadline_ms = bearer.expires_ms
        expires_at = to_rfc3339(bearer.expires_ms)
        return LetIn(Authenticated(bearer.role.value, bearer.subject, bearer.district, expires_at))

    def _talk(self, asked: Asked, principal: Principal) -> Action | None:
        match asked:
            case Subscribe(channel=requested, since=since):
                return self._subscribe(requested, since, principal)
            case Unsubscribe(channel=requested):
                return self._unsubscribe(requested, principal)
            case Ack(channel=requested, offset=offset):
                return self._ack(requested, offset, principal)
            case Refresh(token=token):
                return self._refresh(token, principal)
            case Ping(id=number):
                return Say(Pong(number))
            case Pong():
                return None
            case Auth():
                return HangUp(Closing.BAD_MESSAGE, "auth was said already; use refresh")

    def _subscribe(self, requested: str, since: Since | None, principal: Principal) -> Action:
        channel = channel_for(principal, requested)
        if channel is None:
            return _not_yours(requested)
        if channel not in self.channels and len(self.channels) >= self._settings.channels_max:
            limit = self._settings.channels_max
            return HangUp(Closing.TOO_MANY_CHANNELS, f"at most {limit} channels a connection")
        self.channels.add(channel)
        return Join(channel, requested, since)

    def _unsubscribe(self, requested: str, principal: Principal) -> Action:
        channel = channel_for(principal, requested)
        if channel not in self.channels:
            return _not_subscribed(requested)
        self.channels.discard(channel)
        return Leave(channel)

    def _ack(self, requested: str, offset: int, principal: Principal) -> Action:
        channel = channel_for(principal, requested)
        if channel not in self.channels:
            return _not_subscribed(requested)
        return Seen(channel, offset)

    def _refresh(self, token: str, principal: Principal) -> Action:
        bearer = self._bearer(token)
        if isinstance(bearer, HangUp):
            return bearer
        if _who(bearer) != _who(principal):
            return HangUp(Closing.NOT_ALLOWED, "refresh with another's token")
        self.principal = bearer
        self.deadline_ms = bearer.expires_ms
        return Say(Refreshed(to_rfc3339(bearer.expires_ms)))

    def _bearer(self, token: str) -> Principal | HangUp:
        try:
            return self._verify(token)
        except Refused as error:
            expired = bool(error.fields.get("expired"))
            return HangUp(
                Closing.TOKEN_EXPIRED if expired else Closing.TOKEN_REFUSED, error.message
            )

    def _take_allowance(self, now_ms: int) -> bool:
        """A bucket that holds a burst and fills by the minute's rate."""
        passed_ms = max(0, now_ms - self._allowed_ms)
        filled = passed_ms * self._settings.messages_per_minute_max / 60_000
        self._allowance = min(self._settings.messages_burst_max, self._allowance + filled) - 1
        self._allowed_ms = now_ms
        return self._allowance >= 0


def channel_for(principal: Principal, requested: str) -> str | None:
    """The real name of a channel that the bearer may have; None if they may not.

    A dispatcher with a district who asks for ``dispatch`` gets their district's channel.
    """
    if len(requested) > CHANNEL_CHARS_MAX:
        return None
    if principal.role is Role.CUSTOMER:
        return requested if requested == f"customer:{principal.subject}" else None
    whole, _, _district = requested.partition(":")
    if principal.role is not Role.DISPATCHER or whole != "dispatch" or requested.endswith(":"):
        return None
    if principal.district is None:
        return requested
    own = f"dispatch:{principal.district}"
    return own if requested in ("dispatch", own) else None


def _who(principal: Principal) -> tuple[str, str, str | None]:
    return principal.role.value, principal.subject, principal.district


def _not_yours(requested: str) -> HangUp:
    return HangUp(Closing.NOT_ALLOWED, f"channel {requested[:CHANNEL_CHARS_MAX]!r} is not yours")


def _not_subscribed(requested: str) -> HangUp:
    name = requested[:CHANNEL_CHARS_MAX]
    return HangUp(Closing.BAD_MESSAGE, f"channel {name!r} was not subscribed")
