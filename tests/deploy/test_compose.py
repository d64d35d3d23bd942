"""The specification of docker-compose.yml: what it names exists, and nothing in it is left open."""

import re
import stat
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from service import credentials
from service.cli import app
from service.credentials import HOUSE
from service.roles import ROLES
from service.settings import Secrets, Settings, load

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OURS = {name: s for name, s in SERVICES.items() if "lastgasp" in s["image"]}
ONCE = {"secrets", "admin", "field-secrets", "field-network", "field-import"}
CONFIG = "/etc/lastgasp/lastgasp.toml"
every_service = pytest.mark.parametrize("name", SERVICES)
each_of_ours = pytest.mark.parametrize("name", OURS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that the first start makes."""
    root = tmp_path_factory.mktemp("secrets")
    credentials.make(root, ["localhost"], 1_795_000_000_000)
    credentials.simulator(root, 1_795_000_000_000)
    return root


@pytest.fixture(scope="module")
def settings() -> Settings:
    """What the roles are told."""
    return load(ROOT / "deploy/lastgasp.toml", {})


def mounts(name: str) -> dict[str, tuple[str, bool]]:
    """Of a service: path inside, where it comes from, and whether it is read only."""
    found = {}
    for volume in SERVICES[name].get("volumes", []):
        source, inside, *mode = volume.split(":")
        found[inside] = (source, mode == ["ro"])
    return found


def port_of(listen: str) -> str:
    return listen.rpartition(":")[2]


@each_of_ours
def test_its_command_is_one_of_ours(name) -> None:
    words = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word) for word in OURS[name]["command"]]
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    with command.make_context("lastgasp", words) as context:
        told = context.params
    if "config" in told and told["config"] is not None:
        assert str(told["config"]) == CONFIG
        assert mounts(name)[CONFIG] == ("./deploy/lastgasp.toml", True)
    if "role" in told:
        assert told["role"] in ROLES
        assert told["role"] == ("admin" if name in ONCE else name)


def test_every_role_has_a_service_and_a_certificate_with_its_name() -> None:
    assert set(ROLES) <= set(SERVICES)
    assert set(ROLES) <= set(HOUSE)


@every_service
def test_it_has_limits_a_health_check_and_no_rights_to_lose(name) -> None:
    service = SERVICES[name]
    assert {"mem_limit", "cpus", "pids_limit"} <= set(service)
    user, _, _group = str(service["user"]).partition(":")
    assert user not in ("", "0", "root")
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service
    if name in ONCE:
        assert service["restart"] in ("no", "on-failure")
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] == "CMD"
        assert {"interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])


@each_of_ours
def test_ours_cannot_write_but_to_its_volumes(name) -> None:
    assert OURS[name]["read_only"] is True


@every_service
def test_its_image_is_pinned(name) -> None:
    _, _, tag = SERVICES[name]["image"].rpartition(":")
    assert re.fullmatch(r"v?\d+\.\d+\.\d+(-[a-z0-9]+)?", tag)


def test_images_of_ours_are_one() -> None:
    assert len({service["image"] for service in OURS.values()}) == 1
    assert re.search(r"^ARG PYTHON=\S+:\d+\.\d+\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)


@every_service
def test_what_it_publishes_is_on_loopback_unless_told(name) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"\$\{LASTGASP_[A-Z]+:-127\.0\.0\.1:(\d+)\}:\1", port)


def test_published_ports_and_health_checks_are_where_the_settings_listen(settings) -> None:
    def inside(name: str) -> str:
        return port_of(SERVICES[name]["ports"][0])

    assert inside("dispatch") == port_of(settings.http.listen)
    assert inside("push") == port_of(settings.feeds.listen)
    broker = (ROOT / "deploy/mosquitto/mosquitto.conf").read_text()
    assert re.search(rf"^listener {inside('mosquitto')}$", broker, re.MULTILINE)
    assert settings.mqtt.url == f"mqtts://mosquitto:{inside('mosquitto')}"
    for name in set(ROLES) - {"admin"}:
        listen = settings.http.listen if name == "dispatch" else settings.health.listen
        assert f"https://127.0.0.1:{port_of(listen)}" in OURS[name]["healthcheck"]["test"]


def test_every_listener_of_ours_has_a_certificate(settings) -> None:
    for part in (settings.http, settings.feeds, settings.health):
        assert part.tls_cert
        assert part.tls_key
    assert settings.kafka.security == "SASL_SSL"
    assert settings.feeds.url.startswith("wss://")


def test_every_volume_is_declared_and_used_and_every_file_is_there() -> None:
    used = set()
    for name in SERVICES:
        for source, read_only in mounts(name).values():
            if source.startswith("./"):
                assert (ROOT / source).exists(), source
                assert read_only, f"{name} could write {source}"
            else:
                used.add(source)
    assert used == set(COMPOSE["volumes"])


def test_the_image_has_a_folder_for_every_volume_of_ours() -> None:
    """A volume takes owner and mode from the folder that it is laid over."""
    folders = set(re.findall(r"(?<=\s)/(?:secrets/\w+|field|var/lib/lastgasp)(?=\s)", DOCKERFILE))
    for name in OURS:
        for inside, (source, _) in mounts(name).items():
            assert source.startswith("./") or inside in folders, inside


def test_secrets_are_shown_to_their_reader_only() -> None:
    for name in set(SERVICES) - ONCE:
        shown = {s for s, _ in mounts(name).values() if s.startswith("secrets-")}
        own = "simulator" if name == "simulators" else "lastgasp" if name in OURS else name
        assert shown == {f"secrets-{own}"}
        assert all(read_only for s, read_only in mounts(name).values() if s in shown)
    with_authority = {n for n in SERVICES if "secrets-ca" in {s for s, _ in mounts(n).values()}}
    assert with_authority == {"secrets", "field-secrets"}


@pytest.mark.parametrize("path", sorted(p for p in (ROOT / "deploy").rglob("*") if p.is_file()))
def test_every_secret_that_a_file_names_is_made(path, made) -> None:
    """By the folder that its reader sees as /secrets."""
    reader = path.relative_to(ROOT / "deploy").parts[0]
    for name in re.findall(r"/secrets/([\w./]+\w)", path.read_text()):
        inside = made if reader == "lastgasp.toml" else made / reader
        assert (inside / name).exists(), name


@every_service
def test_every_secret_that_a_service_names_is_made(name, made) -> None:
    said = [
        *SERVICES[name].get("healthcheck", {}).get("test", []),
        *SERVICES[name].get("command", []),
    ]
    said += [str(value) for value in SERVICES[name].get("environment", {}).values()]
    for path in re.findall(r"/secrets/([\w./]+\w)", " ".join(said)):
        inside = made if name in OURS else made / name
        assert (inside / path).exists(), path


def test_variables_are_known_and_explained() -> None:
    known = {f"LASTGASP_{field.upper()}" for field in Secrets.__struct_fields__}
    for service in OURS.values():
        assert set(service.get("environment", {})) <= {*known, "LASTGASP_SECRETS"}
    page = (ROOT / "docs/operations.md").read_text()
    for variable in set(re.findall(r"\$\{(\w+)", TEXT)):
        assert f"`{variable}`" in page, variable


@pytest.mark.parametrize(
    "path", ["docker-compose.yml", "Dockerfile", *sorted(map(str, ROOT.glob("deploy/**/*.*")))]
)
def test_no_secret_stands_in_a_file(path) -> None:
    """Neither a key nor a word that looks drawn: long, of small and capital letters and digits."""
    text = (ROOT / path).read_text()
    assert "-----BEGIN" not in text
    for word in re.findall(r"(?<![\w/.-])[\w+-]{20,}(?![\w/.-])", text):
        drawn = all(re.search(kind, word) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
        assert not drawn, word


@every_service
def test_passwords_are_files(name) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if re.search("PASSWORD|TOKEN|SECRET|KEY", variable):
            handed_on = value == f"${{{variable}:-}}"  # an outside party's, from the operator
            assert value.startswith("/secrets/") or handed_on


def test_modbus_without_credentials_is_for_simulators_only() -> None:
    for name, service in SERVICES.items():
        simulated = "--insecure-listen" in service.get("command", [])
        assert simulated == (name == "simulators")
        if name.startswith("field") or simulated:
            assert service["profiles"] == ["simulators"]
        else:
            assert service.get("profiles", ["texts"]) == ["texts"]


def test_who_is_waited_for_can_be_waited_for() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other in ONCE else "service_healthy"
            assert how == {"condition": wanted}, (name, other)


def test_the_image_has_every_package_and_no_tools() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    packages = re.search(r"^packages = (\[.*\])$", pyproject, re.MULTILINE)
    assert packages is not None
    copied = set(re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.MULTILINE))
    assert copied == set(yaml.safe_load(packages[1]))
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    assert not re.search(r"apt-get|gcc|build-essential|pip install", final)
    assert "\nUSER 10001:10001\n" in final
    allowed = (ROOT / ".dockerignore").read_text().split()
    assert allowed[0] == "*"
    assert {name for name in copied if f"!{name}" in allowed} == copied


@pytest.mark.parametrize("path", sorted(ROOT.glob("deploy/**/*.sh")))
def test_scripts_can_be_run(path) -> None:
    assert path.stat().st_mode & stat.S_IXUSR


TELLING = {"LASTGASP_CHANNELS", "LASTGASP_SMS_SYSTEM_ID", "LASTGASP_SMS_PASSWORD",
           "LASTGASP_SMS_CALLBACK_KEY"}  # fmt: skip


def test_who_decides_sends_and_hears_of_notices_is_given_the_same_and_nobody_else_is() -> None:
    given = {name: TELLING & set(s.get("environment", ())) for name, s in SERVICES.items()}
    assert {name: names for name, names in given.items() if names} == dict.fromkeys(
        ("worker", "dispatch", "texts"), TELLING
    )
