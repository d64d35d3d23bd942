"""Why a connection is closed: the close codes of docs/feeds.md.  Pure.

The reason of the close frame is JSON: ``{"reason":"token_refused","retry_after_ms":null}``.  Null
says do not come back with what you have; a number, come back with the same after so long.
"""

from enum import Enum

import msgspec

REASON_BYTES_MAX = 123  # RFC 6455, 5.5: a control frame carries at most 125 bytes, 2 are the code


class Closing(Enum):
    """A reason to close: code, whether the client may retry with what it has, and what it means."""

    GOING_AWAY = (1001, True, "the server stops")
    BAD_MESSAGE = (4400, False, "a message that is none of this protocol")
    TOKEN_REFUSED = (4401, False, "no token, or one that is not valid here")
    NOT_ALLOWED = (4403, False, "a channel that is not the bearer's, or another's token")
    ORIGIN_REFUSED = (4406, False, "a web page of an origin that is not allowed")
    AUTH_TIMEOUT = (4408, True, "no auth message in time")
    NO_ANSWER = (4409, True, "nothing heard since a websocket ping")
    TOKEN_EXPIRED = (4410, False, "the token has expired; get a new one")
    TOO_MANY_CHANNELS = (4413, False, "more channels than a connection may have")
    TOO_MANY_MESSAGES = (4429, True, "messages faster than allowed")
    TOO_MANY_CONNECTIONS = (
        4430,
        True,
        "all that the server, an address or a bearer may have",
    )
    UNAVAILABLE = (4503, True, "the feed log cannot be read now")
    INSUFFICIENT_STATE = (4508, True, "too slow, or history was lost; subscribe again with since")

    def __init__(self, code: int, retry: bool, meaning: str) -> None:
        self.code = code
        self.retry = retry
        self.meaning = meaning

    @property
    def word(self) -> str:
        """The reason's constant name on the wire."""
        return self.name.lower()


class CloseReason(msgspec.Struct, frozen=True):
    """The text of a close frame."""

    reason: str
    retry_after_ms: int | None


def retry_window_ms(connections: int, retries_per_s: int, window_s: float) -> int:
    """Over how long that many clients are spread when they come back; at least a second."""
    return int(1000 * min(window_s, max(1.0, connections / retries_per_s)))


def reason_text(closing: Closing, retry_after_ms: int) -> str:
    """The close frame's reason."""
    after = retry_after_ms if closing.retry else None
    return msgspec.json.encode(CloseReason(closing.word, after)).decode()
