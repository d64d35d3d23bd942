"""Text that PostgreSQL can keep: it knows no character 0 and no halves of surrogate pairs."""

import re

INSTEAD = "\ufffd"  # the replacement character, as decoders use it

_ZERO_IN_JSON = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def sayable(text: str) -> str:
    """The text with what cannot be kept replaced."""
    return text.encode("utf-8", "replace").decode().replace("\0", INSTEAD)


def sayable_json(text: str) -> str:
    """JSON text with the escaped character 0 replaced; everything else as it was."""
    if "\\u0000" not in text:
        return text
    return _ZERO_IN_JSON.sub(r"\1\\ufffd", text)
