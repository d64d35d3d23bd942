"""The feed's messages as JSON text, both ways.  Pure.

``op`` says what a message is.  Every key is always there, null where it does not apply; keys that
are unknown are refused from a client, and to be ignored by one.
"""

from functools import lru_cache

import msgspec

from grid.errors import BadPayload
from grid.times import to_rfc3339
from notify.log import FeedRow

PROTOCOL = 1
SCHEMA_V = 1
CUSTOMER = "customer:"  # what a customer's channel begins with
STATUS = "status"  # the type of what is said there


class Since(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a client has come in a channel."""

    epoch: str
    offset: int


# -- from a client ---------------------------------------------------------------------------------


class _Asked(msgspec.Struct, frozen=True, tag_field="op", forbid_unknown_fields=True):
    pass


class Auth(_Asked, frozen=True, tag="auth"):
    """The first message: who I am."""

    token: str


class Refresh(_Asked, frozen=True, tag="refresh"):
    """A new token of the same bearer, before the old one expires."""

    token: str


class Subscribe(_Asked, frozen=True, tag="subscribe"):
    """I want a channel, from where I left off, or afresh without ``since``."""

    channel: str
    since: Since | None = None


class Unsubscribe(_Asked, frozen=True, tag="unsubscribe"):
    """I no longer want a channel."""

    channel: str


class Ack(_Asked, frozen=True, tag="ack"):
    """A person has seen a channel up to this offset."""

    channel: str
    offset: int


class Ping(msgspec.Struct, frozen=True, tag_field="op", tag="ping"):
    """Are you there?  Either side may ask; ``id`` comes back in the pong."""

    id: int | str | None = None


class Pong(msgspec.Struct, frozen=True, tag_field="op", tag="pong"):
    """I am here."""

    id: int | str | None = None


Asked = Auth | Refresh | Subscribe | Unsubscribe | Ack | Ping | Pong

_asked: msgspec.json.Decoder[Asked] = msgspec.json.Decoder(Asked)


def read(text: str | bytes) -> Asked:
    """A client's message.

    Raises:
        BadPayload: It is none of this protocol.
    """
    if isinstance(text, bytes):
        raise BadPayload("messages are JSON text, not binary")
    try:
        return _asked.decode(text)
    except msgspec.DecodeError as error:
        raise BadPayload(str(error)) from error
    except (RecursionError, UnicodeEncodeError) as error:
        raise BadPayload("the message cannot be read as JSON") from error


# -- from the server -------------------------------------------------------------------------------


class _Said(msgspec.Struct, frozen=True, tag_field="op"):
    pass


class Hello(_Said, frozen=True, tag="hello"):
    """The server's first words.  ``max_bytes``: the largest message it takes."""

    protocol: int
    server_time: str
    session: str
    epoch: str
    heartbeat_s: float
    auth_within_s: float
    max_bytes: int


class Authenticated(_Said, frozen=True, tag="authenticated"):
    """The token is good until ``expires_at``."""

    role: str
    subject: str
    district: str | None
    expires_at: str


class Refreshed(_Said, frozen=True, tag="refreshed"):
    """The new token is good until ``expires_at``."""

    expires_at: str


class Subscribed(_Said, frozen=True, tag="subscribed"):
    """The answer to subscribe; the next pub of the channel has ``offset`` + 1.

    ``channel`` is the real name of what was ``requested``.  ``was_recovering``: there was a since.
    ``recovered``: everything after it follows as pubs.  Otherwise ``snapshot`` is the channel's
    state at ``offset``.  ``top``: the channel's last offset when this was answered.
    """

    channel: str
    requested: str
    epoch: str
    offset: int
    top: int
    recovered: bool
    was_recovering: bool
    snapshot: msgspec.Raw | None


class Unsubscribed(_Said, frozen=True, tag="unsubscribed"):
    """Nothing more of this channel comes."""

    channel: str


class Pos(_Said, frozen=True, tag="pos"):
    """A heartbeat: you have had everything up to ``offset``; if you have not, subscribe again."""

    channel: str
    epoch: str
    offset: int


class Pub(_Said, frozen=True, tag="pub"):
    """One committed change.  ``data`` holds absolute values, so that the last one of a key wins.

    ``id`` names the message within its channel, ``key`` what it is about (an outage, a finding, a
    customer).  ``skipped``: that many offsets before this one were left out, because you are slow
    and a later message of their key is on its way.
    """

    channel: str
    epoch: str
    offset: int
    id: str
    key: str
    type: str
    schema_v: int
    occurred_at: str
    published_at: str
    data: msgspec.Raw
    skipped: int


class Error(_Said, frozen=True, tag="error"):
    """Why the connection is about to be closed, in a sentence."""

    code: int
    reason: str
    message: str


Said = (
    Hello | Authenticated | Refreshed | Subscribed | Unsubscribed | Pub | Pos | Ping | Pong | Error
)

_encode = msgspec.json.Encoder().encode


def write(message: Said) -> bytes:
    """A message to a client, as UTF-8."""
    return _encode(message)


# -- the log's rows --------------------------------------------------------------------------------


class _Named(msgspec.Struct):
    id: str | None = None
    customer_id: str | None = None


class _Key(_Named):
    outage: _Named | None = None


_key = msgspec.json.Decoder(_Key)


def key_of(body: bytes) -> str:
    """What a message is the state of: the id of its outage, finding or customer."""
    found = _key.decode(body)
    if found.outage is not None and found.outage.id is not None:
        return found.outage.id
    return found.id or found.customer_id or ""


class Item:
    """A pub on its way, made once for everybody: a whole websocket frame, and its JSON in it."""

    __slots__ = ("channel", "frame", "key", "offset")

    def __init__(self, channel: str, offset: int, key: str, text: bytes) -> None:
        self.channel = channel
        self.offset = offset
        self.key = key
        self.frame = text_frame(text)

    @property
    def text(self) -> bytes:
        """The JSON alone: few need it."""
        return self.frame[_HEADS.get(self.frame[1], 2) :]

    def text_after(self, skipped: int) -> bytes:
        """The JSON, saying that so many offsets before it were left out."""
        return self.text if not skipped else self.text[:-2] + b"%d}" % skipped


_HEADS = {126: 4, 127: 10}  # bytes before the text, by the frame's second


def pub(channel: str, epoch: str, row: FeedRow, now_ms: int) -> Item:
    """The message of a row."""
    return Heading(channel, epoch).pub(row, now_ms)


class Heading:
    """What all pubs of a channel begin with: in a storm each of thousands of channels says one.

    The rest is put together by hand, which costs half of what ``Pub`` does, in the same bytes.  A
    customer's status is of that customer, so that its key need not be looked for.
    """

    __slots__ = ("_begin", "_channel", "_customer", "_id")

    def __init__(self, channel: str, epoch: str) -> None:
        self._channel = channel
        self._customer = channel[len(CUSTOMER) :] if channel.startswith(CUSTOMER) else None
        self._id = _id_begins(epoch)
        self._begin = b'{"op":"pub","channel":%b,"epoch":%b","offset":' % (
            _encode(channel), self._id,
        )  # fmt: skip

    def pub(self, row: FeedRow, now_ms: int) -> Item:
        """The message of a row of the channel."""
        offset, own = row.offset, self._customer
        key = own if own is not None and row.type == STATUS else key_of(row.body)
        text = b'%b%d,"id":%b:%d","key":%b%b%b,"skipped":0}' % (
            self._begin, offset, self._id, offset, _encode(key),
            _middle(row.type, row.at_ms, now_ms), row.body,
        )  # fmt: skip
        return Item(self._channel, offset, key, text)


@lru_cache(maxsize=4)
def _id_begins(epoch: str) -> bytes:
    """One object for all channels."""
    return _encode(epoch)[:-1]


@lru_cache(maxsize=64)
def _middle(kind: str, at_ms: int, now_ms: int) -> bytes:
    """From a pub's type to its data; a commit's messages share it."""
    said = b',"type":%b,"schema_v":%d,"occurred_at":"%b","published_at":"%b","data":'
    occurred, published = to_rfc3339(at_ms).encode(), to_rfc3339(now_ms).encode()
    return said % (_encode(kind), SCHEMA_V, occurred, published)


def text_frame(text: bytes) -> bytes:
    """A whole, unmasked text frame (RFC 6455, 5.2), the same for every client."""
    size = len(text)
    if size < 126:
        return bytes((0x81, size)) + text
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + text
    return b"\x81\x7f" + size.to_bytes(8, "big") + text
