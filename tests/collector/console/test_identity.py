from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk, jwt

from collector.console.identity import (
    ALGORITHMS,
    CLOCK_SKEW_S,
    OLDEST_S,
    Expected,
    Identity,
    Refusal,
    Refused,
    UnknownKeyError,
    check_claims,
    read_identity,
    read_token,
)
from config.oidc import Oidc
from ledger.role import Role

NOW = 1_800_000_000
GOOD: dict[str, Any] = {
    "iss": "https://id.example",
    "aud": "us",
    "sub": "1",
    "iat": NOW,
    "exp": NOW + 60,
    "nonce": "n",
    "email": "Anna@Example.com",
    "email_verified": True,
}
EXPECTED = Expected("https://id.example", "us", "n")
KEY = jwk.ECKey.generate_key("P-256", {"kid": "a"})
OTHER = jwk.ECKey.generate_key("P-256", {"kid": "b"})
TOKEN = jwt.encode({"alg": "ES256", "kid": "a"}, GOOD, KEY, ["ES256"])


def public(*keys: Any, **values: str) -> list[dict[str, Any]]:
    return [{**key.as_dict(private=False), **values} for key in keys]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"aud": ["us"]},
        {"aud": ["us", "them"], "azp": "us"},
        {"azp": "us"},
        {"exp": NOW - CLOCK_SKEW_S + 1},
        {"iat": NOW - OLDEST_S},
        {"iat": NOW + CLOCK_SKEW_S},
        {"iat": NOW + 0.5},
    ],
)
def test_a_token_for_this_sign_in_is_taken(change: dict[str, Any]) -> None:
    assert check_claims({**GOOD, **change}, EXPECTED, NOW) is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"iss": "https://id.example/"}, "iss"),
        ({"iss": ["https://id.example"]}, "iss"),
        ({"aud": "them"}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": {"us": 1}}, "aud"),
        ({"aud": ["us", "them"]}, "azp is missing"),
        ({"azp": "them"}, "azp"),
        ({"azp": None}, "azp"),
        ({"exp": NOW - CLOCK_SKEW_S}, "expired"),
        ({"exp": None}, "exp"),
        ({"exp": "9"}, "exp"),
        ({"exp": True}, "exp"),
        ({"iat": NOW + CLOCK_SKEW_S + 1}, "future"),
        ({"iat": NOW - OLDEST_S - 1}, "old"),
        ({"iat": None}, "iat"),
        ({"nonce": "N"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"sub": ""}, "sub"),
        ({"sub": 1}, "sub"),
    ],
)
def test_a_token_for_anything_else_is_refused_and_why(change: dict[str, Any], why: str) -> None:
    found = check_claims({**GOOD, **change}, EXPECTED, NOW)
    assert isinstance(found, Refused)
    assert found.refusal is Refusal.UNSOUND
    assert why in found.why


def test_the_key_that_the_token_names_has_signed_it() -> None:
    # Law: a token is believed only if its issuer signed it, for us, for this sign-in, and lately.
    assert read_token(TOKEN, public(OTHER, KEY)) == GOOD
    for keys in (
        [],
        public(OTHER),
        public(KEY, use="enc"),
        [{"kty": "oct", "kid": "a", "k": "eA"}],
    ):
        with pytest.raises(UnknownKeyError):
            read_token(TOKEN, keys)
    assert isinstance(read_token(TOKEN, public(OTHER, kid="a")), Refused)


def test_a_token_without_a_name_of_a_key_is_read_by_the_only_one() -> None:
    token = jwt.encode({"alg": "ES256"}, GOOD, KEY, ["ES256"])
    assert read_token(token, public(KEY)) == GOOD
    with pytest.raises(UnknownKeyError):
        read_token(token, public(KEY, OTHER))


def test_only_public_keys_verify() -> None:
    assert all(name[:2] in {"RS", "PS", "ES"} for name in ALGORITHMS)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_whatever_is_no_token_is_refused(text: str) -> None:
    for token in (
        text,
        f"{text}.{text}.{text}",
        f"{TOKEN}{text}." if text else "",
        TOKEN[:-9] + text,
    ):
        found = read_token(token, public(KEY)) if token != TOKEN else None
        assert not isinstance(found, dict)


@pytest.mark.parametrize(
    ("claims", "oidc", "found"),
    [
        ({}, {}, None),
        ({}, {"domains": ["example.com"]}, None),
        ({}, {"domains": ["*.example.com"]}, Refusal.NOT_OURS),
        ({"email_verified": "true"}, {}, Refusal.UNVERIFIED),
        ({"email_verified": False, "xms_edov": True}, {"verified_claim": "xms_edov"}, None),
        ({}, {"verified_claim": "xms_edov"}, Refusal.UNVERIFIED),
        ({"email": "nobody"}, {}, Refusal.UNVERIFIED),
        ({"email": None}, {}, Refusal.UNVERIFIED),
        ({"groups": ["b", "a"]}, {"admin_groups": ["a"], "auditor_groups": ["b"]}, Role.ADMIN),
        ({"groups": ["b"]}, {"admin_groups": ["a"], "auditor_groups": ["b"]}, Role.AUDITOR),
        ({"groups": "c"}, {"user_groups": ["c"]}, Role.USER),
        ({"roles": ["c"]}, {"user_groups": ["c"], "groups_claim": "roles"}, Role.USER),
        ({"groups": ["A", "aa", None]}, {"admin_groups": ["a"]}, Refusal.NOT_OURS),
        ({"groups": {"a": 1}}, {"admin_groups": ["a"]}, Refusal.NOT_OURS),
        ({}, {"user_groups": ["None"]}, Refusal.NOT_OURS),
    ],
)
def test_who_it_is_and_what_he_may(
    claims: dict[str, Any], oidc: dict[str, Any], found: Role | Refusal | None
) -> None:
    table = Oidc.model_validate({"issuer": "https://id.example", "client_id": "us", **oidc})
    identity = read_identity({**GOOD, **claims}, table)
    if isinstance(found, Refusal):
        assert isinstance(identity, Refused)
        assert identity.refusal is found
    else:
        assert isinstance(identity, Identity)
        assert (identity.address.key, identity.role) == ("anna@example.com", found)
