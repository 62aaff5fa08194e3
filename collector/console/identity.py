"""What a provider's word on a person is worth.

Law: a token is believed only if its issuer signed it, for us, for this sign-in, and lately.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError

from config.oidc import Oidc
from ledger.address import Address, AddressError, matches_domain, parse_address
from ledger.role import Role

Claims = Mapping[str, object]

# RFC 8725 3.1, 3.2: only what was chosen here; no "none", and nothing with a shared secret, for
# which a public key could be taken.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
_KEY_TYPES = frozenset({"RSA", "EC"})

CLOCK_SKEW_S = 60
"""Clocks that are kept by NTP differ less; Keycloak and others allow as much."""
OLDEST_S = 600
"""An ID token is made when the code is exchanged, at the end of a sign-in."""


class Refusal(StrEnum):
    """Why somebody is not let in, as far as he is told."""

    NOT_BEGUN = "not_begun"
    """The browser has no ticket for what came back."""
    UNREACHABLE = "unreachable"
    """The provider gives no answer of use."""
    DENIED = "denied"
    """The provider says no."""
    UNSOUND = "unsound"
    """What came back does not hold."""
    UNVERIFIED = "unverified"
    """The provider does not vouch for the address."""
    NOT_OURS = "not_ours"
    """His address or groups are not among those that may come in."""
    NO_ACCOUNT = "no_account"
    """He has no account here, or it is disabled."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why nobody came in."""

    refusal: Refusal
    why: str
    """For the log: no secrets, no addresses."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a provider vouches for."""

    address: Address
    role: Role | None
    """By his groups; None where they decide nothing."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What an ID token must say."""

    issuer: str
    client_id: str
    nonce: str


class UnknownKeyError(Exception):
    """A token is signed by a key that is not among those at hand."""


def read_token(token: str, keys: Iterable[Claims]) -> Claims | Refused:
    """Return what a token says, where one of the provider's public keys has signed it.

    Raises UnknownKeyError where another set of keys may have it.
    """
    try:
        header = jws.extract_compact(token.encode()).headers()
        algorithm, name = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS:
            return Refused(Refusal.UNSOUND, f"the ID token is signed by {str(algorithm)[:20]!r}")
        key = _find_key(keys, name)
        return jwt.decode(token, jwk.import_key(dict(key)), algorithms=ALGORITHMS).claims  # type: ignore[arg-type] # a JWK's values are checked there
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        return Refused(Refusal.UNSOUND, f"the ID token can not be read: {type(error).__name__}")


def check_claims(claims: Claims, expected: Expected, now_s: float) -> Refused | None:
    """Return why a signed ID token is not for this sign-in (OpenID Connect Core 3.1.3.7)."""
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    issued, expires = _number(claims.get("iat")), _number(claims.get("exp"))
    faults = (
        ("iss is another issuer", claims.get("iss") != expected.issuer),
        ("aud does not name us", expected.client_id not in audiences),
        ("azp is missing", len(audiences) > 1 and "azp" not in claims),
        ("azp is another client", claims.get("azp", expected.client_id) != expected.client_id),
        ("exp or iat is missing", issued is None or expires is None),
        ("it is expired", expires is not None and expires + CLOCK_SKEW_S <= now_s),
        ("it is from the future", issued is not None and issued - CLOCK_SKEW_S > now_s),
        ("it is old", issued is not None and issued + OLDEST_S < now_s),
        ("nonce is another sign-in's", claims.get("nonce") != expected.nonce),
        ("sub is missing", not isinstance(claims.get("sub"), str) or not claims["sub"]),
    )
    why = next((why for why, holds in faults if holds), None)
    return None if why is None else Refused(Refusal.UNSOUND, f"the ID token: {why}")


def read_identity(claims: Claims, oidc: Oidc) -> Identity | Refused:
    """Return whom checked claims are about, where such a person may come in."""
    if claims.get(oidc.verified_claim) is not True:
        why = f"the claim {oidc.verified_claim} is not true"
        return Refused(Refusal.UNVERIFIED, why)
    try:
        address = parse_address(str(claims.get("email", "")))
    except AddressError:
        return Refused(Refusal.UNVERIFIED, "the claim email is no address")
    if oidc.domains and not matches_domain(oidc.domains, address.domain):
        return Refused(Refusal.NOT_OURS, "the address is in none of console.oidc.domains")
    role = _role_of(claims.get(oidc.groups_claim), oidc)
    if oidc.maps_roles and role is None:
        return Refused(Refusal.NOT_OURS, f"the claim {oidc.groups_claim} has none of the groups")
    return Identity(address, role)


def _role_of(groups: object, oidc: Oidc) -> Role | None:
    # A person's only group may stand there by itself.
    named = groups if isinstance(groups, list) else [groups]
    held = {group for group in named if isinstance(group, str)}
    by_role = (
        (Role.ADMIN, oidc.admin_groups),
        (Role.AUDITOR, oidc.auditor_groups),
        (Role.USER, oidc.user_groups),
    )
    return next((role for role, listed in by_role if held.intersection(listed)), None)


def _find_key(keys: Iterable[Claims], name: object) -> Claims:
    signing = [
        key for key in keys if key.get("kty") in _KEY_TYPES and key.get("use", "sig") == "sig"
    ]
    if name is None and len(signing) == 1:
        return signing[0]
    # OpenID Connect Core 10.1: of several keys the token names one.
    for key in signing:
        if name is not None and key.get("kid") == name:
            return key
    raise UnknownKeyError


def _number(value: object) -> float | None:
    # A boolean is a number in Python and none in JSON.
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
