"""The specification of the named SQL."""

import re
from pathlib import Path

import pytest

import store
from store.queries import FILES, SQL, load

FOLDER = Path(store.__file__).parent
USED = {
    name
    for path in FOLDER.glob("*.py")
    for name in re.findall(r'(?:SQL\[|take_in\(connection, |went\()"(\w+)"', path.read_text())
} | {
    "network_in_force", "newest_network", "feed_position", "customer_feed_position",
    "decisions_for_outage", "decisions_for_customer",
    "forget_notice_decisions", "forget_notice_parts", "forget_receipts",
}  # fmt: skip


def test_every_statement_is_used_and_every_used_one_is_there() -> None:
    assert set(SQL) == USED


def test_every_statement_says_in_a_sentence_what_it_is_for() -> None:
    text = "".join((FOLDER / name).read_text() for name in FILES)
    for part in text.split("-- name: ")[1:]:
        name, comment = part.splitlines()[:2]
        assert comment.startswith("-- "), name


def test_a_name_given_twice_is_our_own_mistake() -> None:
    with pytest.raises(AssertionError, match="twice"):
        load("-- name: a\nSELECT 1\n-- name: a\nSELECT 2\n")


def test_comments_and_semicolons_are_left_out() -> None:
    assert load("-- name: a\n-- Why.\nSELECT 1;\n\n")["a"] == b"SELECT 1"
