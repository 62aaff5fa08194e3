"""Whom a pattern matches, who is forgotten too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.address import matches_account, matches_key, parse_address
from ledger.consent import digest_of
from ledger.patterns import matches_mailbox, matches_signed_in, names_only

KEY = b"k" * 32
ANNA = parse_address("Anna@example.org").key
DIGEST = digest_of(KEY, ANNA)


def test_a_digest_matches_whom_it_was_made_of_and_nobody_without_the_key() -> None:
    assert matches_mailbox(DIGEST, ANNA, KEY)
    assert not matches_mailbox(DIGEST, "anna+x@example.org", KEY)
    assert not matches_mailbox(DIGEST, ANNA, b"l" * 32)
    assert not matches_mailbox(DIGEST, ANNA, None)
    assert matches_signed_in(DIGEST, "ANNA@example.org", KEY)
    assert not matches_signed_in(DIGEST, "anna", KEY)


@given(
    st.sampled_from(["*", "~*", "example.org", "an?a@example.org", "Anna@EXAMPLE.org", "~anna"]),
    st.sampled_from(["anna@example.org", "joanna@example.org", "~anna", "anna"]),
)
def test_any_other_pattern_matches_as_it_always_did(pattern: str, who: str) -> None:
    assert matches_signed_in(pattern, who, KEY) is matches_account(pattern, who)
    if "@" in who:
        assert matches_mailbox(pattern, who, KEY) is matches_key(pattern, who)


@pytest.mark.parametrize(
    ("pattern", "only"),
    [
        ("anna@example.org", True),
        ("ANNA@Example.Org", True),
        ('"anna"@example.org', True),
        ("*anna@example.org", False),
        ("ann?@example.org", False),
        ("anna@example.org*", False),
        ("example.org", False),
        ("joanna@example.org", False),
        (DIGEST, False),
    ],
)
def test_a_pattern_names_one_address_only_where_it_matches_no_other(
    pattern: str, only: bool
) -> None:
    assert names_only(pattern, ANNA) is only
