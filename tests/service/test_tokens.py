"""The specification of tokens: who somebody is, signed, for a while."""

import base64
import json

import jwt
import pytest

from grid.errors import ConfigError, Refused
from grid.people import Principal, Role
from service.tokens import TTL_S_MAX, issue, verify

KEY = b"k" * 32
NOW = 1_700_000_000_123
ANN = Principal(Role.DISPATCHER, "ann", "north", 0)
CUSTOMER = Principal(Role.CUSTOMER, "C-1", None, 0)


def claims(**changed: object) -> dict[str, object]:
    """Claims of a good token, some of them changed; None takes one out."""
    good = {
        "iss": "lastgasp",
        "aud": "lastgasp",
        "sub": "ann",
        "role": "dispatcher",
        "iat": NOW // 1000,
        "exp": NOW // 1000 + 60,
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


@pytest.mark.parametrize("who", [ANN, CUSTOMER, Principal(Role.DISPATCHER, "停电", None, 0)])
def test_a_token_says_who_it_was_issued_for(who: Principal) -> None:
    found = verify(KEY, issue(KEY, who, 60, NOW), NOW)
    assert (found.role, found.subject, found.district) == (who.role, who.subject, who.district)
    assert found.expires_ms == (NOW // 1000 + 60) * 1000


def test_time_is_the_callers_and_a_token_ends_at_its_second() -> None:
    token = issue(KEY, ANN, 60, NOW)
    end = (NOW // 1000 + 60) * 1000
    assert verify(KEY, token, end - 1).subject == "ann"
    with pytest.raises(Refused, match="expired at 2023-11-14T22:14:20") as refused:
        verify(KEY, token, end)
    assert refused.value.fields["expired"] is True


def test_another_key_does_not_open() -> None:
    with pytest.raises(Refused, match="not valid here"):
        verify(b"x" * 32, issue(KEY, ANN, 60, NOW), NOW)


def test_a_changed_claim_breaks_the_seal() -> None:
    head, body, seal = issue(KEY, CUSTOMER, 60, NOW).split(".")
    inside = json.loads(base64.urlsafe_b64decode(body + "=="))
    inside["sub"] = "C-2"
    forged = base64.urlsafe_b64encode(json.dumps(inside).encode()).rstrip(b"=").decode()
    with pytest.raises(Refused):
        verify(KEY, f"{head}.{forged}.{seal}", NOW)


@pytest.mark.parametrize(
    ("why", "changed"),
    [
        ("another audience", {"aud": "billing"}),
        ("another issuer", {"iss": "elsewhere"}),
        ("no audience", {"aud": None}),
        ("no subject", {"sub": None}),
        ("a blank subject", {"sub": ""}),
        ("no role", {"role": None}),
        ("a role nobody has", {"role": "admin"}),
        ("a role that is no text", {"role": ["dispatcher"]}),
        ("no end", {"exp": None}),
        ("an end that is no number", {"exp": "tomorrow"}),
        ("an end beyond all dates", {"exp": 1 << 60}),
        ("a blank district, which is not all of them", {"district": ""}),
        ("a district that is no text", {"district": 7}),
        ("issued an hour from now", {"iat": NOW // 1000 + 3600}),
        ("good from an hour from now", {"nbf": NOW // 1000 + 3600}),
    ],
)
def test_a_signed_token_with_wrong_claims_is_refused(why: str, changed: dict[str, object]) -> None:
    token = jwt.encode(claims(**changed), KEY, algorithm="HS256")
    with pytest.raises(Refused):
        verify(KEY, token, NOW)


def test_a_token_without_a_signature_is_refused() -> None:
    with pytest.raises(Refused):
        verify(KEY, jwt.encode(claims(), None, algorithm="none"), NOW)


def test_a_token_of_another_algorithm_is_refused() -> None:
    token = jwt.encode(claims(), b"k" * 64, algorithm="HS512")
    with pytest.raises(Refused):
        verify(b"k" * 64, token, NOW)


@pytest.mark.parametrize("junk", ["", "junk", "a.b.c", "é.ü.ö", "x" * 5000, "\x00"])
def test_junk_is_refused(junk: str) -> None:
    with pytest.raises(Refused):
        verify(KEY, junk, NOW)


@pytest.mark.parametrize("ttl_s", [0, -1, TTL_S_MAX + 1])
def test_a_token_lives_a_sensible_while(ttl_s: int) -> None:
    with pytest.raises(Refused, match="seconds"):
        issue(KEY, ANN, ttl_s, NOW)


@pytest.mark.parametrize(
    "who",
    [
        Principal(Role.DISPATCHER, "", None, 0),
        Principal(Role.DISPATCHER, "ann", "", 0),
        Principal(Role.CUSTOMER, "C-1", "north", 0),
    ],
)
def test_no_token_is_issued_for_a_bearer_that_makes_no_sense(who: Principal) -> None:
    with pytest.raises(Refused):
        issue(KEY, who, 60, NOW)


def test_a_short_key_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="32"):
        issue(b"short", ANN, 60, NOW)
    with pytest.raises(ConfigError, match="32"):
        verify(b"short", "token", NOW)
