"""The specification of the settings: one tree, nothing unknown, secrets from the environment."""

from pathlib import Path

import pytest

from grid.errors import ConfigError
from service.settings import Settings, load


def said(tmp_path: Path, text: str) -> str:
    """The refusal of a settings file."""
    path = tmp_path / "lastgasp.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load(path, {})
    return refused.value.message


def test_without_a_file_everything_has_a_default() -> None:
    assert load(None, {}) == Settings()


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "lastgasp.toml"
    path.write_text("[engine]\nmomentary_s = 180\n")
    settings = load(path, {})
    assert settings.engine.momentary_s == 180.0
    assert settings.http == Settings().http


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[http]\nlisten = '127.0.0.1:1'\nport = 2\n", "$.http.port"),
        ("[moduls]\n", "$.moduls"),
        ("[engine]\nnominal_v = 'high'\n", "$.engine.nominal_v"),
        ("[engine]\nnominal_v = -3\n", "$.engine.nominal_v"),
        ("[log]\nlevel = 'loud'\n", "$.log.level"),
        ("[kafka]\nlinger_ms = 1001\n", "$.kafka.linger_ms"),
        ("http = 3\n", "$.http"),
    ],
    ids=["an unknown key", "an unknown section", "a wrong type", "a negative limit", "a bad word",
         "above its limit", "a section that is none"],
)  # fmt: skip
def test_a_refusal_names_the_file_and_the_path(tmp_path: Path, text: str, path: str) -> None:
    sentence = said(tmp_path, text)
    assert path in sentence
    assert "lastgasp.toml" in sentence


def test_a_misspelt_key_is_told_what_was_meant(tmp_path: Path) -> None:
    assert "did you mean listen?" in said(tmp_path, "[http]\nlisen = '127.0.0.1:1'\n")


@pytest.mark.parametrize("text", ["[secrets]\nmqtt_password = 'x'\n", "[http]\npassword = 'x'\n"])
def test_a_secret_in_the_file_is_sent_to_the_environment(tmp_path: Path, text: str) -> None:
    assert "LASTGASP_MQTT_PASSWORD" in said(tmp_path, text)


def test_secrets_come_from_the_environment_and_stay_out_of_sight() -> None:
    settings = load(None, {"LASTGASP_DATABASE_URL": "postgresql://u:pw@db/x"})
    assert settings.secrets.database_url == "postgresql://u:pw@db/x"
    assert "pw@db" not in repr(settings)


@pytest.mark.parametrize("text", ["[http\n", "\x00"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, text: str) -> None:
    assert "is not TOML" in said(tmp_path, text)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read"):
        load(tmp_path / "nowhere.toml", {})
