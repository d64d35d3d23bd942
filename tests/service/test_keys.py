"""The specification of the keys: made once, beside the data, and for nobody else to read."""

import shutil
import stat
from pathlib import Path

import pytest

from grid.errors import ConfigError
from service import keys


def test_keys_are_made_once_beside_the_data_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made = keys.open_keys(data)
    assert keys.open_keys(data) == made
    assert len({made.token, made.phone, made.index}) == 3
    assert sorted(path.name for path in (tmp_path / "data.keys").iterdir()) == [
        "index.key", "phone.key", "token.key",
    ]  # fmt: skip


def test_nobody_else_may_read_them(tmp_path: Path) -> None:
    keys.open_keys(tmp_path / "data")
    folder = tmp_path / "data.keys"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize(("name", "mode"), [("", 0o750), ("phone.key", 0o640)])
def test_looser_modes_are_refused_with_the_command_that_mends_them(
    tmp_path: Path, name: str, mode: int
) -> None:
    keys.open_keys(tmp_path / "data")
    loose = tmp_path / "data.keys" / name
    loose.chmod(mode)
    with pytest.raises(ConfigError, match=rf"chmod [67]00 {loose}"):
        keys.open_keys(tmp_path / "data")


def test_a_damaged_key_is_refused_and_not_replaced(tmp_path: Path) -> None:
    keys.open_keys(tmp_path / "data")
    path = tmp_path / "data.keys" / "index.key"
    path.write_text("abc")
    with pytest.raises(ConfigError, match="hex digits"):
        keys.open_keys(tmp_path / "data")
    assert path.read_text() == "abc"


def test_keys_that_are_gone_are_not_made_anew_for_data_that_needs_the_old_ones(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    keys.open_keys(data)
    (data / "postgres").mkdir(parents=True)
    (data / "postgres" / "PG_VERSION").write_text("18\n")
    shutil.rmtree(tmp_path / "data.keys")
    with pytest.raises(ConfigError, match="put it back from its backup"):
        keys.open_keys(data)


def test_keys_do_not_show_in_a_traceback(tmp_path: Path) -> None:
    assert repr(keys.open_keys(tmp_path / "data")) == "Keys(...)"
