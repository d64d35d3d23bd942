"""The specification of how names, numbers and words are sealed."""

import pytest

from grid.errors import ConfigError
from store.sealing import Keys, Sealer, normal_phone

KEYS = Keys(phone=b"p" * 32, index=b"i" * 32)


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(KEYS)


def test_what_was_sealed_can_be_opened(sealer: Sealer) -> None:
    assert sealer.open(sealer.seal(b"10000138000", "phone:C-1"), "phone:C-1") == b"10000138000"
    assert sealer.open_text(sealer.seal_text("王", "name:C-1"), "name:C-1") == "王"


def test_the_same_number_is_sealed_differently_each_time(sealer: Sealer) -> None:
    assert sealer.seal(b"10000138000", "phone:C-1") != sealer.seal(b"10000138000", "phone:C-1")


def test_a_value_moved_to_another_row_does_not_open(sealer: Sealer) -> None:
    sealed = sealer.seal(b"10000138000", "phone:C-1")
    with pytest.raises(ConfigError, match="sealed with another key"):
        sealer.open(sealed, "phone:C-2")


def test_a_value_that_was_tampered_with_does_not_open(sealer: Sealer) -> None:
    sealed = bytearray(sealer.seal(b"10000138000", "phone:C-1"))
    for place in (0, 1, len(sealed) - 1):
        spoilt = bytes(sealed[:place]) + bytes([sealed[place] ^ 1]) + bytes(sealed[place + 1 :])
        with pytest.raises(ConfigError):
            sealer.open(spoilt, "phone:C-1")


def test_nothing_is_sealed_as_nothing(sealer: Sealer) -> None:
    assert sealer.seal_text("", "name:C-1") is None
    assert sealer.open_text(None, "name:C-1") == ""


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("10000138000", "10000138000"),
        ("+86 100-0013-8000", "10000138000"),
        ("0086 10000138000", "10000138000"),
        ("８６", ""),  # full-width digits are no digits here
        ("010-65598888", "1065598888"),
        ("+86 10 65598888", "1065598888"),
        ("86559888", "86559888"),  # a local number that begins like the country code
        ("not known", ""),
    ],
)
def test_a_number_has_one_normal_form(written: str, normal: str) -> None:
    assert normal_phone(written) == normal


def test_the_index_needs_its_key_and_is_the_same_each_time(sealer: Sealer) -> None:
    other = Sealer(Keys(phone=b"p" * 32, index=b"j" * 32))
    assert sealer.phone_index("100 0013 8000") == sealer.phone_index("10000138000")
    assert sealer.phone_index("10000138000") != other.phone_index("10000138000")
    assert sealer.phone_index("-") is None


def test_a_short_key_is_refused_and_keys_are_never_shown() -> None:
    with pytest.raises(ConfigError, match="32 bytes"):
        Keys(phone=b"short", index=b"i" * 32)
    assert "ppp" not in repr(KEYS)
