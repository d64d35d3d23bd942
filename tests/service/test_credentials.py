"""The specification of a cluster's secrets: made once, renewed in time, for their readers only."""

import os
import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest
from cryptography import x509

from grid.errors import ConfigError
from grid.people import Role
from service import credentials
from service.authority import LEAF_DAYS, RENEW_DAYS
from service.keys import read_folder
from service.settings import load
from service.tokens import verify

NOW = 1_795_000_000_000
DAY_MS = 86_400_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder in which everything was made, as on a first start."""
    credentials.make(tmp_path / "secrets", ["outage.example.org"], NOW)
    return tmp_path / "secrets"


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def talk(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str:
    """Shake hands; whom the server takes the client for."""
    ours, theirs = socket.socketpair()
    peers: list[str] = []

    def serve() -> None:
        with server.wrap_socket(ours, server_side=True) as sock:
            found = sock.getpeercert() or {}
            peers.append(dict(x[0] for x in found.get("subject", ()))["commonName"])

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(theirs, server_hostname=name) as sock:
            sock.recv(1)
    finally:
        thread.join(10)
    return peers[0]


def test_a_second_start_changes_nothing(root) -> None:
    before = files(root)
    assert credentials.make(root, ["outage.example.org"], NOW + DAY_MS) == []
    assert files(root) == before


def test_nobody_else_may_read_them_and_no_secret_is_two_installations(root, tmp_path) -> None:
    for path in root.rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077 or path.suffix == ".crt", path
    credentials.make(tmp_path / "other", [], NOW)
    other = files(tmp_path / "other")
    same = [name for name, body in files(root).items() if body == other[name]]
    assert same == ["lastgasp/kafka_username"]


def test_a_folder_given_to_a_group_has_files_that_the_group_can_read(tmp_path) -> None:
    shared = tmp_path / "kafka"
    shared.mkdir()
    shared.chmod(0o2750)
    credentials.make(tmp_path, [], NOW)
    assert stat.S_IMODE((shared / "server.key").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "mosquitto" / "server.key").stat().st_mode) == 0o600


def test_a_server_shows_a_certificate_for_its_name_and_knows_its_clients(root) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=root / "mosquitto/ca.crt")
    server.load_cert_chain(root / "mosquitto/server.crt", root / "mosquitto/server.key")
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=root / "lastgasp/ca.crt")
    client.load_cert_chain(root / "lastgasp/client.crt", root / "lastgasp/client.key")
    for name in ("mosquitto", "localhost", "outage.example.org"):
        assert talk(server, client, name) == credentials.GATEWAY


def test_certificates_are_renewed_a_month_before_their_end_and_passwords_stay(root) -> None:
    before = files(root)
    assert credentials.make(root, [], NOW + (LEAF_DAYS - RENEW_DAYS - 1) * DAY_MS) == []
    written = credentials.make(root, [], NOW + (LEAF_DAYS - RENEW_DAYS) * DAY_MS)
    assert {Path(name).suffix for name in written} == {".crt", ".key", ".pem"}
    assert not any(name.startswith("ca/") for name in written)
    after = files(root)
    kept = [name for name in before if name not in written]
    assert [name for name in kept if after[name] != before[name]] == []
    assert len(kept) > 10


def test_another_name_for_the_outside_makes_certificates_that_have_it(root) -> None:
    credentials.make(root, ["192.0.2.7"], NOW)
    names = certificate(root / "lastgasp/server.crt").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert "192.0.2.7" in [str(a) for a in names.value.get_values_for_type(x509.IPAddress)]


@pytest.mark.parametrize("name", ["lastgasp/client.key", "lastgasp/server.crt", "kafka/server.pem"])
def test_what_was_half_written_when_the_power_failed_is_made_whole(root, name) -> None:
    (root / name).unlink()
    assert name in credentials.make(root, [], NOW)
    (root / "lastgasp/server.key").write_bytes((root / "lastgasp/client.key").read_bytes())
    assert "lastgasp/server.key" in credentials.make(root, [], NOW)


def test_half_an_authority_is_not_replaced(root) -> None:
    """Every device trusts it: a person must say so."""
    (root / "ca/ca.key").unlink()
    with pytest.raises(ConfigError, match=r"put ca\.crt and ca\.key back"):
        credentials.make(root, [], NOW)


def test_the_roles_read_theirs_from_the_folder(root) -> None:
    found = load(None, {"LASTGASP_SECRETS": str(root / "lastgasp")}).secrets
    assert found.database_url.startswith("postgresql://lastgasp:")
    assert "sslmode=verify-full" in found.database_url
    assert found.metrics_token == (root / "prometheus/metrics.token").read_text()
    password = (root / "timescaledb/lastgasp.password").read_text()
    assert f":{password}@" in found.database_url
    read_folder(root / "lastgasp/keys")
    told = {"LASTGASP_SECRETS": str(root / "lastgasp"), "LASTGASP_METRICS_TOKEN": "mine"}
    assert load(None, told).secrets.metrics_token == "mine"


def test_a_secret_that_may_not_be_read_is_said_with_its_path(tmp_path) -> None:
    (tmp_path / "metrics_token").mkdir()
    with pytest.raises(ConfigError, match="metrics_token: cannot be read"):
        load(None, {"LASTGASP_SECRETS": str(tmp_path)})


def test_a_device_is_its_id_and_cannot_be_a_gateway(root, tmp_path) -> None:
    out = tmp_path / "devices"
    credentials.device(root, ["M1", "D%2F7"], out, NOW)
    assert sorted(os.listdir(out)) == ["D%2F7.crt", "D%2F7.key", "M1.crt", "M1.key", "ca.crt"]
    name = certificate(out / "M1.crt").subject.rfc4514_string()
    assert name == "CN=M1"
    for wrong in ("gateway", "simulator", "a/b", "", "x" * 65):
        with pytest.raises(ConfigError, match="common name"):
            credentials.device(root, [wrong], out, NOW)


def test_devices_and_simulators_need_an_authority(tmp_path) -> None:
    with pytest.raises(ConfigError, match="lastgasp secrets make"):
        credentials.device(tmp_path, ["M1"], tmp_path / "out", NOW)
    with pytest.raises(ConfigError, match="lastgasp secrets make"):
        credentials.simulator(tmp_path, NOW)


def test_who_simulates_has_a_name_of_its_own(root) -> None:
    assert "simulator/client.crt" in credentials.simulator(root, NOW)
    name = certificate(root / "simulator/client.crt").subject.rfc4514_string()
    assert name == "CN=simulator"
    token = (root / "simulator/token").read_text()
    who = verify(read_folder(root / "lastgasp/keys").token, token, NOW)
    assert (who.role, who.subject) == (Role.DISPATCHER, "simulator")
    assert credentials.simulator(root, NOW) == []
