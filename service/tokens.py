"""Tokens: signed, short-lived words about who somebody is (docs/decisions/0004-tokens-are-jwt.md).

HS256 JSON Web Tokens (RFC 7519) for the audience ``lastgasp``.  There is no list of them: a token
lives until it expires, a new key ends all, and service/withdrawals.py those of one bearer.
"""

from typing import Any

import jwt

from grid.errors import ConfigError, Refused
from grid.people import Principal, Role
from grid.times import to_rfc3339

AUDIENCE = "lastgasp"
SESSION = "lastgasp-session"  # the audience of a browser's cookie: no token, and no token is one
ISSUER = "lastgasp"
ALGORITHM = "HS256"
KEY_BYTES_MIN = 32  # RFC 7518, 3.2: at least the size of the hash
TOKEN_CHARS_MAX = 4096
TTL_S_MAX = 366 * 86_400
CLOCK_SLACK_MS = 60_000  # another machine's clock may be ahead of ours by this
SECONDS_MAX = 253_402_300_800  # the year 10000, where dates end
CLAIMS = ("sub", "role", "iat", "exp", "aud", "iss")


def issue(
    key: bytes, principal: Principal, ttl_s: int, now_ms: int, *, audience: str = AUDIENCE
) -> str:
    """A token that says who somebody is, for ``ttl_s`` seconds from now.

    ``principal.expires_ms`` is ignored.

    Raises:
        Refused: The subject or district is blank, a customer has a district, or the time is no
            sensible one.
        ConfigError: The key is too short.
    """
    _check_key(key)
    if not principal.subject:
        raise Refused("a token needs a subject: a customer id, a crew id, or a dispatcher's name")
    if principal.role is Role.CUSTOMER and principal.district is not None:
        raise Refused("a customer's token is for one customer; leave the district out")
    if principal.district == "":
        raise Refused("the district is blank; leave it out for all of them, or name one")
    if not 0 < ttl_s <= TTL_S_MAX:
        raise Refused(f"a token lives between 1 and {TTL_S_MAX} seconds, not {ttl_s}")
    issued_s = now_ms // 1000
    claims = {
        "iss": ISSUER,
        "aud": audience,
        "sub": principal.subject,
        "role": principal.role.value,
        "iat": issued_s,
        "exp": issued_s + ttl_s,
    }
    if principal.district is not None:
        claims["district"] = principal.district
    return jwt.encode(claims, key, algorithm=ALGORITHM)


def verify(key: bytes, token: str, now_ms: int, *, audience: str = AUDIENCE) -> Principal:
    """Whose token it is.

    Raises:
        Refused: It is none of ours, or its time is over; then ``fields["expired"]`` is True.
        ConfigError: The key is too short.
    """
    _check_key(key)
    if len(token) > TOKEN_CHARS_MAX:
        raise Refused("the token is too long to be one of ours")
    claims = _claims(key, token, audience)
    expires_ms = _milliseconds(claims, "exp")
    if now_ms >= expires_ms:
        raise Refused(f"the token expired at {to_rfc3339(expires_ms)}", expired=True)
    begin_ms = max(_milliseconds(claims, name) for name in ("iat", "nbf") if name in claims)
    if begin_ms > now_ms + CLOCK_SLACK_MS:
        raise Refused("the token is of the future; check the clocks")
    return _principal(claims, expires_ms, _milliseconds(claims, "iat"))


def _claims(key: bytes, token: str, audience: str) -> dict[str, Any]:
    # The library would read the machine's clock for these; the caller's time decides instead.
    clocked = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    options = {"require": list(CLAIMS), **clocked}
    try:
        return jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=audience,
            issuer=ISSUER,
            options=options,  # type: ignore[arg-type]
        )
    except jwt.InvalidTokenError as error:
        raise Refused("the token is not valid here; get a new one") from error


def _milliseconds(claims: dict[str, Any], name: str) -> int:
    value = claims[name]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < SECONDS_MAX:
        raise Refused("the token is not valid here; get a new one")
    return value * 1000


def _principal(claims: dict[str, Any], expires_ms: int, issued_ms: int) -> Principal:
    role, subject, district = claims["role"], claims["sub"], claims.get("district")
    known = isinstance(role, str) and role in {each.value for each in Role}
    somewhere = district is None or (isinstance(district, str) and district != "")
    if not known or not subject or not somewhere:
        raise Refused("the token is not valid here; get a new one")
    return Principal(Role(role), subject, district, expires_ms, issued_ms)


def _check_key(key: bytes) -> None:
    if len(key) < KEY_BYTES_MIN:
        raise ConfigError(f"the token key has {len(key)} bytes and needs {KEY_BYTES_MIN}")
