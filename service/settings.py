"""Settings: one frozen tree of the parts' own subtrees, from a TOML file; secrets from the
environment.

Parts are handed *their* subtree; nobody reads settings by import.  A key nobody knows is refused
with its path, for a misspelt setting that silently does nothing is worse than none.
"""

import difflib
import os
import re
import tomllib
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
from msgspec.structs import replace

from detectors.settings import EngineSettings
from dispatch.settings import ApiSettings, SiteSettings
from grid.errors import ConfigError
from ingest.settings import ModbusSettings, MqttSettings
from notify.settings import ChannelSettings, FeedSettings, NoticeSettings, SmsSettings
from service.broker import BrokerSettings
from service.postgres import PostgresSettings
from store.settings import StoreSettings
from stream.settings import BusSettings, StreamSettings

SECRET_WORDS = ("password", "secret", "token", "database_url")


class HttpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the API listens.  Beyond loopback only with a certificate."""

    listen: str = "127.0.0.1:8470"
    tls_cert: str = ""  # PEM file
    tls_key: str = ""
    stop_s: float = 3.0  # requests in flight are given this long at a stop


class HealthSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a role that has no API of its own answers /livez, /readyz and /metrics."""

    listen: str = "127.0.0.1:8480"
    tls_cert: str = ""  # PEM files; beyond loopback there must be a certificate
    tls_key: str = ""


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The log: for a person by default, one JSON object a line with ``json``."""

    level: str = "info"
    json: bool = False
    file_mb_max: int = 16  # while the board has the terminal, the log goes to files
    files_max: int = 4


class CareSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is done now and then: what is older than ``$.store.keep_*`` is let go."""

    every_s: float = 600.0
    alive_s: float = 1.0  # broker and database are looked at this often
    network_s: float = 2.0  # a newer network in the database is taken up within this
    stop_s: float = 6.0  # how long each part may take to stop
    leave_s: float = 13.0  # how long a role may take in all; then its log says where it hung


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """What only the environment may say, or a file of that name in the folder LASTGASP_SECRETS."""

    database_url: str = ""  # LASTGASP_DATABASE_URL
    mqtt_username: str = ""  # LASTGASP_MQTT_USERNAME
    mqtt_password: str = ""  # LASTGASP_MQTT_PASSWORD
    kafka_username: str = ""  # LASTGASP_KAFKA_USERNAME
    kafka_password: str = ""  # LASTGASP_KAFKA_PASSWORD
    sms_system_id: str = ""  # LASTGASP_SMS_SYSTEM_ID
    sms_password: str = ""  # LASTGASP_SMS_PASSWORD
    sms_callback_key: str = ""  # LASTGASP_SMS_CALLBACK_KEY: ?key= of our /hooks/sms/aliyun
    channels: str = ""  # LASTGASP_CHANNELS: lines NAME URL, of Apprise, with {address}
    metrics_token: str = ""  # LASTGASP_METRICS_TOKEN: what Prometheus shows from elsewhere

    def __repr__(self) -> str:
        """Secrets stay out of logs and tracebacks."""
        return "Secrets(...)"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that an installation can be told, a section for each part."""

    engine: EngineSettings = EngineSettings()
    stream: StreamSettings = StreamSettings()
    store: StoreSettings = StoreSettings()
    mqtt: MqttSettings = MqttSettings()
    modbus: ModbusSettings = ModbusSettings()
    feeds: FeedSettings = FeedSettings()
    notices: NoticeSettings = NoticeSettings()
    sms: SmsSettings = SmsSettings()
    channels: ChannelSettings = ChannelSettings()
    http: HttpSettings = HttpSettings()
    health: HealthSettings = HealthSettings()
    kafka: BusSettings = BusSettings()
    api: ApiSettings = ApiSettings()
    site: SiteSettings = SiteSettings()
    broker: BrokerSettings = BrokerSettings()
    postgres: PostgresSettings = PostgresSettings()
    log: LogSettings = LogSettings()
    care: CareSettings = CareSettings()
    secrets: Secrets = Secrets()


def load(path: Path | None, env: Mapping[str, str]) -> Settings:
    """The settings of a file (None: all defaults) and the environment.

    Raises:
        ConfigError: The file cannot be read, or says something that is no setting; with its path.
    """
    tree = _read(path) if path else {}
    where = str(path or "settings")
    if "secrets" in tree:
        raise _no_secrets_here(where, "$.secrets")
    try:
        settings = msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        raise _refusal(where, str(error)) from error
    _check(settings, where)
    if "url" in tree.get("mqtt", {}):  # a broker of one's own needs no embedded one
        settings = replace(settings, broker=replace(settings.broker, enabled=False))
    return replace(settings, secrets=_secrets(env))


def environment() -> Mapping[str, str]:
    """The process's environment; the only place where it is read."""
    return os.environ  # noqa: TID251  this is the one place


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; check --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error


def _secrets(env: Mapping[str, str]) -> Secrets:
    folder = env.get("LASTGASP_SECRETS", "")

    def said(name: str) -> str:
        return env.get(f"LASTGASP_{name.upper()}") or (_secret_file(Path(folder) / name, folder))

    return Secrets(**{name: said(name) for name in Secrets.__struct_fields__})


def _secret_file(path: Path, folder: str) -> str:
    if not folder or not path.exists():
        return ""
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; check its owner") from error


def _refusal(where: str, said: str) -> ConfigError:
    """Msgspec's sentence with the whole path: ``lastgasp.toml: unknown setting $.mqtt.prot``."""
    at = re.search(r" - at `\$?([^`]*)`", said)
    path = "$" + (at.group(1) if at else "")
    what = re.sub(r" - at `.*`$", "", said)
    unknown = re.search(r"unknown field `([^`]*)`", what)
    if unknown is None:
        return ConfigError(f"{where}: {what[:1].lower() + what[1:]} - at {path}")
    name = unknown.group(1)
    if any(word in name.lower() for word in SECRET_WORDS):
        return _no_secrets_here(where, f"{path}.{name}")
    known = _fields_at(path)
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known there: {', '.join(known)}"
    return ConfigError(f"{where}: unknown setting {path}.{name}; {hint}")


def _no_secrets_here(where: str, path: str) -> ConfigError:
    names = ", ".join(f"LASTGASP_{name.upper()}" for name in Secrets.__struct_fields__)
    return ConfigError(f"{where}: {path} is a secret; secrets come from the environment: {names}")


def _fields_at(path: str) -> list[str]:
    kind: type = Settings
    for name in path.split(".")[1:]:
        kind = get_type_hints(kind).get(name, kind)
    fields = getattr(kind, "__struct_fields__", ())
    return [name for name in fields if name != "secrets"]


def _check(settings: Settings, where: str) -> None:
    """Numbers that are limits or times are not negative, whatever part they are of."""
    tree = msgspec.to_builtins(settings)
    for section, values in tree.items():
        for name, value in values.items() if isinstance(values, dict) else ():
            if isinstance(value, int | float) and value < 0:
                raise ConfigError(f"{where}: {value} is below zero - at $.{section}.{name}")
    if settings.site.time_zone not in zoneinfo.available_timezones():
        raise ConfigError(
            f"{where}: {settings.site.time_zone!r} is no time zone - at $.site.time_zone; "
            f"use a name like Asia/Shanghai"
        )
    if settings.log.level not in ("debug", "info", "warning", "error"):
        raise ConfigError(
            f"{where}: {settings.log.level!r} is no level - at $.log.level; "
            f"use debug, info, warning or error"
        )
