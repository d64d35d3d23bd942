"""The secrets of a cluster: made on its first start, each in the folder of whoever may read it.

    ca/          the authority; nobody but this program opens it
    lastgasp/    our own roles: certificates, database and Kafka passwords, keys/, metrics_token
    mosquitto/ kafka/ timescaledb/ prometheus/ grafana/ simulator/     what each of them needs

A folder may be a volume of its own.  One that is given to a group (set-group-ID, as the image has
them) gets files that the group can read; else they are the owner's alone.  What is there stays;
certificates are made anew a month before their end.
"""

import secrets
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from grid.errors import ConfigError
from grid.people import Principal, Role
from service import keys, tokens
from service.authority import Authority, Pair, open_authority, write

PASSWORD_BYTES = 24
GATEWAY = "gateway"  # the common name that Mosquitto's ACL lets hear all devices
SIMULATOR = "simulator"  # and the one that may speak for all of them; only of who simulates
TOKEN_S = 30 * 86_400  # of who simulates; a new one with each start
DATABASE_USER = "lastgasp"
KAFKA_USER = "lastgasp"
HOUSE = ("admin", "mqtt-gateway", "modbus-gateway", "worker", "push", "dispatch", "texts")
"""The names of our own roles in the cluster's network."""


class Peer(msgspec.Struct, frozen=True):
    """Another house's server: the names it is reached at, and whether it calls others by TLS."""

    folder: str
    names: tuple[str, ...]


PEERS = (
    Peer("mosquitto", ("mosquitto",)),
    Peer("kafka", ("kafka",)),
    Peer("timescaledb", ("timescaledb",)),
    Peer("prometheus", ("prometheus",)),
    Peer("grafana", ("grafana",)),
)
LOCAL = ("localhost", "127.0.0.1")


def make(root: Path, hosts: Sequence[str], now_ms: int) -> list[str]:
    """Everything that is missing or ends soon; the paths that were written, from ``root`` on.

    ``hosts``: names and addresses at which the outside reaches what listens to it.

    Raises:
        ConfigError: A folder cannot be written, or what is in it is damaged.
    """
    written: list[str] = []
    try:
        authority = open_authority(_folder(root / "ca"), now_ms)
        seal = _Seal(root, authority, now_ms, written)
        for peer in PEERS:
            seal.trust(peer.folder)
            seal.server(peer.folder, (*peer.names, *LOCAL, *hosts))
        _house(seal, hosts)
        _passwords(seal)
    except OSError as error:
        raise ConfigError(
            f"{error.filename}: {error.strerror}; the volumes of secrets belong to the user of "
            "this image: remove one that was made otherwise, and it is filled again"
        ) from error
    return written


def simulator(root: Path, now_ms: int) -> list[str]:
    """What simulated devices need: a certificate that may speak for every device, and a
    dispatcher's token with which planned work is entered.

    Raises:
        ConfigError: There is no authority yet.
    """
    written: list[str] = []
    seal = _Seal(root, _authority(root, now_ms), now_ms, written)
    seal.trust("simulator")
    seal.client("simulator", SIMULATOR)
    key = keys.read_folder(root / "lastgasp" / "keys").token
    who = Principal(Role.DISPATCHER, SIMULATOR, None, 0)
    seal.secret("simulator", "token", lambda: tokens.issue(key, who, TOKEN_S, now_ms))
    return written


def device(root: Path, names: Sequence[str], out: Path, now_ms: int) -> list[str]:
    """A certificate for each device, its id the common name, into a folder to hand out.

    Raises:
        ConfigError: There is no authority, or an id is none of a device.
    """
    authority = _authority(root, now_ms)
    written: list[str] = []
    for name in names:
        if not name or len(name) > 64 or "/" in name or name in (GATEWAY, SIMULATOR):
            raise ConfigError(
                f"{name!r} cannot be a device's common name: 1 to 64 characters without a slash, "
                f"and neither {GATEWAY} nor {SIMULATOR}"
            )
        pair = authority.client(name, now_ms)
        write(_folder(out) / f"{name}.key", pair.key, 0o600)
        write(out / f"{name}.crt", pair.certificate, 0o644)
        written += [str(out / f"{name}.crt"), str(out / f"{name}.key")]
    write(_folder(out) / "ca.crt", authority.certificate, 0o644)
    return written


class _Seal:
    """Writes what is missing into the folders below a root."""

    def __init__(self, root: Path, authority: Authority, now_ms: int, written: list[str]) -> None:
        self._root = root
        self._authority = authority
        self._now_ms = now_ms
        self._written = written

    def folder(self, name: str) -> Path:
        return _folder(self._root / name)

    def trust(self, folder: str) -> None:
        """The authority's certificate, for whoever has to know us."""
        path = self.folder(folder) / "ca.crt"
        if not path.exists() or path.read_bytes() != self._authority.certificate:
            self._put(path, self._authority.certificate)

    def server(self, folder: str, names: Sequence[str]) -> None:
        unique = tuple(dict.fromkeys(names))
        self._pair(folder, "server", unique, lambda: self._authority.server(unique, self._now_ms))

    def client(self, folder: str, name: str) -> None:
        self._pair(folder, "client", (), lambda: self._authority.client(name, self._now_ms))

    def secret(self, folder: str, name: str, value: Callable[[], str] | None = None) -> str:
        """A word that only its readers know: kept, or drawn, or what ``value`` says."""
        path = self.folder(folder) / name
        wanted = value() if value else None
        if path.exists() and (wanted is None or path.read_text() == wanted):
            return path.read_text()
        word = wanted or secrets.token_urlsafe(PASSWORD_BYTES)
        self._put(path, word.encode())
        return word

    def _pair(self, folder: str, name: str, names: Sequence[str], make: Callable[[], Pair]) -> None:
        at = self.folder(folder)
        certificate, key, both = (at / f"{name}.{kind}" for kind in ("crt", "key", "pem"))
        if certificate.exists() and key.exists() and both.exists():
            found = Pair(certificate.read_bytes(), key.read_bytes())
            if self._authority.holds(found, names, self._now_ms):
                return
        pair = make()
        self._put(key, pair.key)
        self._put(both, pair.key + pair.certificate)  # as Kafka wants it
        self._put(certificate, pair.certificate)

    def _put(self, path: Path, content: bytes) -> None:
        shared = path.parent.stat().st_mode & stat.S_ISGID
        write(path, content, 0o640 if shared else 0o600)
        self._written.append(str(path.relative_to(self._root)))


def _house(seal: _Seal, hosts: Sequence[str]) -> None:
    """What our own roles share."""
    seal.trust("lastgasp")
    seal.server("lastgasp", (*HOUSE, *LOCAL, *hosts))
    seal.client("lastgasp", GATEWAY)
    keys.open_folder(seal.folder("lastgasp") / "keys")


def _passwords(seal: _Seal) -> None:
    """Each drawn once, and told to both sides."""
    seal.secret("timescaledb", "postgres.password")
    database = seal.secret("timescaledb", "lastgasp.password")
    reader = seal.secret("timescaledb", "grafana.password")
    root = "/secrets/lastgasp"  # where the roles have it
    seal.secret(
        "lastgasp",
        "database_url",
        lambda: (
            f"postgresql://{DATABASE_USER}:{database}@timescaledb:5432/lastgasp"
            f"?sslmode=verify-full&sslrootcert={root}/ca.crt"
        ),
    )
    seal.secret("grafana", "database.password", lambda: reader)
    seal.secret("grafana", "admin.password")
    kafka = seal.secret("kafka", "lastgasp.password")
    seal.secret("lastgasp", "kafka_username", lambda: KAFKA_USER)
    seal.secret("lastgasp", "kafka_password", lambda: kafka)
    token = seal.secret("lastgasp", "metrics_token")
    seal.secret("prometheus", "metrics.token", lambda: token)


def _authority(root: Path, now_ms: int) -> Authority:
    if not (root / "ca" / "ca.key").exists():
        raise ConfigError(f"{root} has no authority yet; run: lastgasp secrets make {root}")
    return open_authority(root / "ca", now_ms)


def _folder(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path
