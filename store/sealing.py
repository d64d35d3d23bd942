"""How names, telephone numbers and the words of calls are sealed before they reach the database.

AES-256-GCM, a random nonce each time, bound to the row it belongs to, so that a sealed value moved
to another row does not open.  A number is found again by a keyed hash (HMAC-SHA-256) of its normal
form; without the index key the hash tells nothing.  Layout: one byte of format (1), 12 of nonce,
then ciphertext and tag.
"""

import hashlib
import hmac
import secrets

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from grid.errors import ConfigError

FORMAT = b"\x01"
NONCE_BYTES = 12
INDEX_BYTES = 16
KEY_BYTES = 32


class Keys(msgspec.Struct, frozen=True):
    """32 secret bytes each."""

    phone: bytes  # seals names, numbers and words
    index: bytes  # keyed hash of numbers

    def __post_init__(self) -> None:
        if len(self.phone) != KEY_BYTES or len(self.index) != KEY_BYTES:
            raise ConfigError(f"the phone key and the index key have {KEY_BYTES} bytes each")

    def __repr__(self) -> str:
        """Keys stay out of logs and tracebacks."""
        return "Keys(...)"


class Sealer:
    """Seals and opens with one installation's keys."""

    def __init__(self, keys: Keys) -> None:
        self._aead = AESGCM(keys.phone)
        self._index_key = keys.index

    def seal(self, body: bytes, row: str) -> bytes:
        """The body, readable only with the key and as that of ``row``, like ``phone:C-17``."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return FORMAT + nonce + self._aead.encrypt(nonce, body, row.encode())

    def open(self, sealed: bytes, row: str) -> bytes:
        """What was sealed.

        Raises:
            ConfigError: Another key sealed it, or it was tampered with.
        """
        nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            if sealed[:1] != FORMAT:
                raise InvalidTag
            return self._aead.decrypt(nonce, body, row.encode())
        except InvalidTag:
            raise ConfigError(
                "the database was sealed with another key; put the keys folder back from its backup"
            ) from None

    def seal_text(self, text: str, row: str) -> bytes | None:
        """As ``seal``; None where there is nothing to seal."""
        return self.seal(text.encode(), row) if text else None

    def open_text(self, sealed: bytes | None, row: str) -> str:
        """As ``open``; blank where nothing was sealed."""
        return self.open(sealed, row).decode() if sealed is not None else ""

    def phone_index(self, phone: str) -> bytes | None:
        """The keyed hash under which a number is found; None for a number without digits."""
        number = normal_phone(phone)
        if not number:
            return None
        return hmac.digest(self._index_key, number.encode(), hashlib.sha256)[:INDEX_BYTES]


def normal_phone(phone: str) -> str:
    """A number without what people write differently: blanks, dashes, +86, 0086, trunk zeros.

    ``+86 100-0013-8000`` and ``10000138000`` are one number, ``010-65598888`` and ``+86 10
    65598888`` another.
    """
    digits = "".join(c for c in phone if c in "0123456789").lstrip("0")
    if len(digits) >= 12 and digits.startswith("86"):
        digits = digits[2:].lstrip("0")
    return digits
