"""Consent: whose it is, and what holds for an address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.address import Address, AddressError, parse_address
from ledger.consent import Consent, Consents, parse_subject

ANNA = parse_address("anna@example.com")
NAMES = st.sampled_from(["anna", "Anna", "bob", "anna+news", "bob+a+b", '"anna"'])
DOMAINS = st.sampled_from(["example.com", "Example.COM", "other.example"])
ADDRESSES = st.builds(Address, NAMES, DOMAINS.map(str.lower))
SUBJECTS = ADDRESSES.map(str) | DOMAINS


def consents(granted: set[str], denied: set[str]) -> Consents:
    return Consents(
        {parse_subject(text).key for text in granted},
        {parse_subject(text).denial_key for text in denied},
    )


@pytest.mark.parametrize(
    ("granted", "denied", "holds"),
    [
        (set(), set(), Consent.UNKNOWN),
        ({"anna@example.com"}, set(), Consent.GRANTED),
        ({"ANNA@EXAMPLE.COM"}, set(), Consent.GRANTED),
        ({"example.com"}, set(), Consent.GRANTED),
        ({"anna+news@example.com"}, set(), Consent.UNKNOWN),
        (set(), {"anna+news@example.com"}, Consent.DENIED),
        (set(), {"Example.com"}, Consent.DENIED),
        ({"anna@example.com"}, {"example.com"}, Consent.DENIED),
        ({"example.com"}, {"anna@example.com"}, Consent.DENIED),
        ({"sub.example.com"}, {"le.com"}, Consent.UNKNOWN),
    ],
)
def test_what_holds_for_an_address(granted: set[str], denied: set[str], holds: Consent) -> None:
    assert consents(granted, denied).of(ANNA) is holds


@given(st.sets(SUBJECTS), st.sets(SUBJECTS), ADDRESSES)
def test_no_grant_outweighs_a_denial_of_the_address_or_of_its_domain(
    granted: set[str], denied: set[str], address: Address
) -> None:
    """Law: no grant outweighs a denial, of the address or of its domain."""
    without = consents(set(), denied).of(address)
    assert (without is Consent.DENIED) == (consents(granted, denied).of(address) is Consent.DENIED)


@given(st.sets(SUBJECTS), st.sampled_from(["anna", "bob"]), st.sampled_from(["", "+x", "+y+z"]))
def test_a_denial_holds_for_every_detail_of_its_address(
    denied: set[str], name: str, detail: str
) -> None:
    """Law: a denial holds for every `+detail` of its address."""
    held = consents(set(), denied)
    plain = held.of(Address(name, "example.com"))
    assert held.of(Address(name + detail, "example.com")) is plain


@pytest.mark.parametrize("text", ["", "@", "anna@", "exa mple.com", "[127.0.0.1", "a@b@c d"])
def test_what_is_no_subject_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_subject(text)


def test_a_domain_literal_is_a_subject() -> None:
    assert parse_subject("[192.0.2.1]").key == "[192.0.2.1]"
