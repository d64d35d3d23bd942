"""The specification of text that PostgreSQL can keep."""

import json

import pytest

from store.sayable import sayable, sayable_json


@pytest.mark.parametrize("text", ["", "停电", 'quote " and \\ backslash', "\x01 \ud7ff 😀"])
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert sayable(text) == text
    assert sayable_json(json.dumps(text)) == json.dumps(text)


def test_what_cannot_be_kept_is_replaced() -> None:
    assert sayable("a\0b") == "a\ufffdb"
    sayable("\ud800").encode()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("\0", "\ufffd"),
        ("\0\0a\0", "\ufffd\ufffda\ufffd"),
        ("\\u0000", "\\u0000"),  # six characters, no zero among them
        ("\\\0", "\\\ufffd"),
        ("\\\\u0000\0", "\\\\u0000\ufffd"),
    ],
)
def test_only_real_zeros_in_json_are_replaced(text: str, kept: str) -> None:
    assert json.loads(sayable_json(json.dumps(text))) == kept
