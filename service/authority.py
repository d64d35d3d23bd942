"""A certificate authority of an installation's own (RFC 5280): who is who between its containers.

Keys are ECDSA P-256.  The authority signs servers (who are known by the names they are reached at)
and clients (who are known by their common name).  A utility that has a PKI of its own puts its
files in the place of ours.
"""

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from grid.errors import ConfigError

AUTHORITY_DAYS = 3650
LEAF_DAYS = 397  # what browsers take at most
RENEW_DAYS = 30  # a certificate with less left is made anew
SLACK = timedelta(minutes=10)  # another machine's clock may be behind ours by this

Key = ec.EllipticCurvePrivateKey


class Pair(msgspec.Struct, frozen=True):
    """A certificate and its private key, PEM."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        """Keys stay out of logs and tracebacks."""
        return "Pair(...)"


class Authority:
    """Signs; made by ``open_authority``."""

    def __init__(self, certificate: x509.Certificate, key: Key) -> None:
        self._certificate = certificate
        self._key = key

    @property
    def certificate(self) -> bytes:
        """PEM: what everybody has to trust."""
        return self._certificate.public_bytes(Encoding.PEM)

    def server(self, names: Sequence[str], now_ms: int) -> Pair:
        """A server's, reached by any of these names or addresses.

        It may also call others: a service that listens is a client, too.
        """
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return self._sign(names[0], names, both, now_ms)

    def client(self, name: str, now_ms: int) -> Pair:
        """A client's, known by its common name."""
        return self._sign(name, (), [ExtendedKeyUsageOID.CLIENT_AUTH], now_ms)

    def holds(self, pair: Pair, names: Sequence[str], now_ms: int) -> bool:
        """Whether we signed it, for all these names, its key fits, and it lasts for a while yet."""
        try:
            found = x509.load_pem_x509_certificate(pair.certificate)
            found.verify_directly_issued_by(self._certificate)
            fits = load_pem_private_key(pair.key, None).public_key() == found.public_key()
        except (ValueError, TypeError, InvalidSignature):
            return False
        lasts = found.not_valid_after_utc - _moment(now_ms) > timedelta(days=RENEW_DAYS)
        return fits and lasts and set(names) <= set(_names_of(found))

    def _sign(
        self,
        name: str,
        names: Sequence[str],
        usages: list[x509.ObjectIdentifier],
        now_ms: int,
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        now = _moment(now_ms)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - SLACK)
            .not_valid_after(now + timedelta(days=LEAF_DAYS))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(_authority_key(self._key), critical=False)
        )
        if names:
            alternative = x509.SubjectAlternativeName([_general(each) for each in names])
            builder = builder.add_extension(alternative, critical=False)
        return Pair(_pem(builder.sign(self._key, hashes.SHA256())), _key_pem(key))


def open_authority(folder: Path, now_ms: int) -> Authority:
    """The authority that lies in a folder; made when there is none.

    Raises:
        ConfigError: One of its two files is missing or damaged.
    """
    at, key_at = folder / "ca.crt", folder / "ca.key"
    if not at.exists() and not key_at.exists():
        pair = _new_authority(now_ms)
        write(key_at, pair.key, 0o600)
        write(at, pair.certificate, 0o644)
    try:
        key = load_pem_private_key(key_at.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(at.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the authority in {folder} cannot be used ({error}); put ca.crt and ca.key back, or "
            "remove both, and every certificate is made anew"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{key_at} is no ECDSA key; put back the one that was made here")
    return Authority(certificate, key)


def write(path: Path, content: bytes, mode: int) -> None:
    """Put a file there whole, readable by those who may from its first byte on."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _new_authority(now_ms: int) -> Pair:
    key, now = ec.generate_private_key(ec.SECP256R1()), _moment(now_ms)
    name = _named("Lastgasp installation authority")
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SLACK)
        .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Pair(_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def _authority_key(key: Key) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _names_of(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = [str(each) for each in found.get_values_for_type(x509.IPAddress)]
    return [*found.get_values_for_type(x509.DNSName), *addresses]


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _moment(now_ms: int) -> datetime:
    return datetime.fromtimestamp(now_ms / 1000, UTC)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
