"""The keys of an installation: what signs tokens, what encrypts phones, what indexes them.

They lie beside the data folder (``<data>.keys/``), never in it, so that a copy of the data is no
copy of the keys. The folder has mode 700 and the files 600; anything looser is refused, for
somebody else may have read it.
"""

import os
import secrets
import stat
from pathlib import Path

import msgspec

from grid.errors import ConfigError

KEY_BYTES = 32
NAMES = ("token", "phone", "index")


class Keys(msgspec.Struct, frozen=True):
    """32 random bytes each."""

    token: bytes  # signs tokens, HS256
    phone: bytes  # encrypts phones, AES-256-GCM
    index: bytes  # keyed hash of a phone, HMAC-SHA-256

    def __repr__(self) -> str:
        """Keys stay out of logs and tracebacks."""
        return "Keys(...)"


def folder_of(data: Path) -> Path:
    """Where the keys of a data folder lie."""
    data = data.absolute()
    return data.with_name(data.name + ".keys")


def open_keys(data: Path) -> Keys:
    """The keys of a data folder; made when there are none yet.

    Raises:
        ConfigError: Others could read them, one is damaged, or they are gone while the data is
            still there.
    """
    folder = folder_of(data)
    if not folder.exists():
        _refuse_lost_keys(data, folder)
    return open_folder(folder)


def open_folder(folder: Path) -> Keys:
    """The keys of a folder of keys; made when there are none yet.

    Raises:
        ConfigError: Others could read them, or one is damaged.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_others(folder, 0o700)
    for name in NAMES:
        if not (folder / f"{name}.key").exists():
            _make(folder / f"{name}.key")
    return read_folder(folder)


def read_keys(data: Path) -> Keys:
    """The keys of a data folder as they lie there.

    Raises:
        ConfigError: One is missing, damaged, or readable by others.
    """
    return read_folder(folder_of(data))


def read_folder(folder: Path) -> Keys:
    """The keys of a folder of keys as they lie there.

    Raises:
        ConfigError: One is missing, damaged, or readable by others.
    """
    _refuse_others(folder, 0o700)
    return Keys(**{name: _read(folder / f"{name}.key") for name in NAMES})


def _refuse_lost_keys(data: Path, folder: Path) -> None:
    """New keys for old data would make every phone in it unreadable: a person must say so."""
    if (data / "postgres" / "PG_VERSION").exists():
        raise ConfigError(
            f"the keys folder {folder} is missing, but {data} has data that needs it; "
            f"put it back from its backup, or remove {data} as well to start anew"
        )


def _read(path: Path) -> bytes:
    _refuse_others(path, 0o600)
    try:
        key = bytes.fromhex(path.read_text().strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{path} is not {2 * KEY_BYTES} hex digits; put it back from its backup")
    return key


def _make(path: Path) -> None:
    """Write a new key whole or not at all, and lose the race to another process quietly."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(KEY_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # unlike a rename it never replaces a key that is in use
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _refuse_others(path: Path, mode: int) -> None:
    try:
        found = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); check its owner") from error
    if found & ~mode:
        raise ConfigError(
            f"{path} has mode {found:o}, so others may read it; run: chmod {mode:o} {path}"
        )
