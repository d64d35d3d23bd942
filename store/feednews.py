"""Which channels have news, through NOTIFY: names where they fit, else "look at all".  Pure.

PostgreSQL takes less than 8,000 bytes a notification.  A storm that tells more customers than fit
into a few of them is read faster by looking at everything once.
"""

from collections.abc import Collection, Iterable

import msgspec

BYTES_MAX = 7_900
NOTIFICATIONS_MAX = 32
EVERYTHING = ""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[str]).decode


def written(channels: Collection[str]) -> list[str]:
    """The notifications of a commit."""
    found: list[str] = []
    waiting: list[str] = []
    size = 2
    for name in channels:
        need = len(_encode(name)) + 1
        if size + need > BYTES_MAX:
            found.append(_encode(waiting).decode())
            waiting, size = [], 2
        waiting.append(name)
        size += need
    found.append(_encode(waiting).decode())
    too_much = len(found) > NOTIFICATIONS_MAX or max(map(_size, found)) > BYTES_MAX
    return [EVERYTHING] if too_much else found


def read(notifications: Iterable[str]) -> frozenset[str] | None:
    """The channels of some notifications; None for all of them."""
    names: set[str] = set()
    for text in notifications:
        try:
            names.update(_decode(text))
        except msgspec.DecodeError:  # everything, or somebody at psql
            return None
    return frozenset(names)


def _size(text: str) -> int:
    return len(text.encode())
