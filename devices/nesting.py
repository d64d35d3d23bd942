"""How deeply a payload is nested, before or after anybody decodes it.

Events are flat: nothing they may say needs more than three levels.  A decoder skips what it does
not know by recursion, so a payload of five hundred levels costs a stack; it is refused instead.
"""

import re

import msgspec

LEVELS_MAX = 16
"""Levels that a payload may have, its own included."""

_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_NOT_OPENERS = bytes(set(range(256)) - set(range(0x80, 0xA0)) - set(range(0xDC, 0xE0)))
_decode_any = msgspec.msgpack.Decoder().decode


def json_too_deep(body: bytes) -> bool:
    """Whether JSON text has more than ``LEVELS_MAX`` levels.  Cheap where it has few brackets."""
    if body.count(b"[") + body.count(b"{") <= LEVELS_MAX:
        return False
    brackets = _TEXTS.sub(b"", body).translate(None, _NOT_BRACKETS)
    for _ in range(LEVELS_MAX):
        peeled = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(peeled) == len(brackets):
            break
        brackets = peeled
    return bool(brackets)


def msgpack_too_deep(body: bytes) -> bool:
    """Whether MessagePack has more than ``LEVELS_MAX`` levels.  Cheap where few could open.

    Raises:
        msgspec.DecodeError: It cannot be read at all.
        RecursionError: So deep that it cannot even be decoded.
    """
    if len(body.translate(None, _NOT_OPENERS)) <= LEVELS_MAX:
        return False
    level = [_decode_any(body)]
    for _ in range(LEVELS_MAX + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: object) -> list[object]:
    """The containers directly inside a value; the value itself at the first level."""
    if isinstance(value, dict):
        return [v for v in value.values() if isinstance(v, (dict, list))]
    if isinstance(value, list):
        return [v for v in value if isinstance(v, (dict, list))]
    return []
